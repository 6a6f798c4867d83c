"""A private root: the files that there are for model code at tier T3."""

import builtins

# Functions look names up here, so a block that replaces `len` or `print` does not reach them.
__builtins__ = dict(vars(builtins))

import ctypes
import os
import struct

from .calls import NUMBERS
from .kernel import (ARM, MNT_DETACH, MS_BIND, MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_PRIVATE, MS_RDONLY, MS_REC,
                     MS_REMOUNT, check, libc, mount, syscall)

READABLE = ("/usr", "/lib", "/lib64", "/lib32", "/bin", "/sbin", "/etc/ld.so.cache", "/etc/alternatives")
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/urandom", "/dev/random")
# Every trajectory has a /tmp of its own. What is readable below /tmp outside is put here, and /tmp has links to it.
FROM_TMP = "/readable"


def pivot_root(new, old):
    check(syscall(NUMBERS["pivot_root"][ARM], ctypes.c_char_p(new), ctypes.c_char_p(old)), "pivot_root")


def make_readonly(path):
    attributes = struct.pack("QQQQ", 1 | 2, 0, 0, 0)  # RDONLY | NOSUID, on every mount below
    buffer = ctypes.create_string_buffer(attributes)
    done = syscall(442, -100, ctypes.c_char_p(path.encode()), 0x8000, buffer, len(attributes))
    if done < 0:  # before Linux 5.12: the top mount only, which is enough where nothing is mounted below
        mount(None, path, None, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID)


def make_private(readable, scratch=False):
    """Changes to a root that holds `readable` (read-only), five devices and an empty /tmp. The old one is gone then.

    scratch: whether /tmp is to be written to.
    """
    mount(None, "/", None, MS_REC | MS_PRIVATE)
    mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=1m")
    os.chdir("/tmp")
    os.mkdir("old", 0o700)
    os.mkdir("new", 0o755)
    pivot_root(b".", b"old")
    os.chdir("/")
    mount("new", "/new", None, MS_BIND | MS_REC)
    if scratch:
        os.mkdir("/new/tmp", 0o755)
        mount("tmpfs", "/new/tmp", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=256m,mode=1777")
    for path in readable + DEVICES:
        bind("/old" + path, "/new" + (FROM_TMP if below_tmp(path) else "") + path, path not in DEVICES)
    for name in ("tmp", "proc"):
        os.makedirs("/new/" + name, 0o755, exist_ok=True)
    link_in_tmp(readable, "/new")
    mount("proc", "/new/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    os.chdir("/new")
    pivot_root(b".", b".")
    check(libc.umount2(b".", MNT_DETACH), "umount")
    os.chdir("/")
    mount(None, "/", None, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV)


def below_tmp(path):
    return path.startswith("/tmp/")


def link_in_tmp(readable, root=""):
    """Makes the links in a new /tmp to what is readable below it."""
    for path in filter(below_tmp, readable):
        os.makedirs(os.path.dirname(root + path), 0o755, exist_ok=True)
        os.symlink(FROM_TMP + path, root + path)


def bind(source, target, readonly):
    if os.path.islink(source):
        os.makedirs(os.path.dirname(target), 0o755, exist_ok=True)
        if not os.path.lexists(target):
            os.symlink(os.readlink(source), target)
        return
    if not os.path.exists(source) or os.path.ismount(target):
        return
    if os.path.isdir(source):
        os.makedirs(target, 0o755, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), 0o755, exist_ok=True)
        if not os.path.exists(target):
            open(target, "w").close()
    mount(source, target, None, MS_BIND | MS_REC)
    if readonly:
        make_readonly(target)
