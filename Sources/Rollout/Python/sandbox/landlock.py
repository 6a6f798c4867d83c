"""Landlock: the kernel's rules on which files a process may read or write."""

import builtins

# Functions look names up here, so a block that replaces `len` or `print` does not reach them.
__builtins__ = dict(vars(builtins))

import ctypes
import errno
import os
import struct

from .kernel import check, syscall

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1, 2, 4, 8
TRUNCATE, IOCTL_DEVICE = 1 << 14, 1 << 15


def version():
    """The kernel's version of Landlock, 0 where there is none."""
    return max(0, syscall(444, 0, 0, 1))


def restrict(readable, writable):
    """Lets this process read, search and run what is below `readable`, change what is below `writable`, and no more.

    Where the kernel can, it also denies TCP, and signals and abstract sockets to the outside.
    """
    known = version()
    if known == 0:
        raise OSError(errno.ENOSYS, "Landlock is off in this kernel")
    rights = (1 << {1: 13, 2: 14, 3: 15, 4: 15}.get(known, 16)) - 1
    attributes = struct.pack("QQQ", rights, 3 if known >= 4 else 0, 3 if known >= 6 else 0)
    attributes = attributes[: 8 if known < 4 else 16 if known < 6 else 24]
    ruleset = check(syscall(444, ctypes.create_string_buffer(attributes), len(attributes), 0), "landlock")
    try:
        for paths, allowed in ((readable, EXECUTE | READ_FILE | READ_DIR), (writable, rights & ~IOCTL_DEVICE)):
            for path in paths:
                try:
                    parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
                except OSError:
                    continue
                if not os.path.isdir(path):
                    allowed_here = allowed & (EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE)
                else:
                    allowed_here = allowed
                rule = ctypes.create_string_buffer(struct.pack("=Qi", allowed_here, parent), 12)
                check(syscall(445, ruleset, 1, rule, 0), "landlock rule")
                os.close(parent)
        check(syscall(446, ruleset, 0), "landlock")
    finally:
        os.close(ruleset)
