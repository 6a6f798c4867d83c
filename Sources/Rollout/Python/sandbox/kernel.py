"""The system calls that the sandbox makes, through ctypes, and how a process gives up its privileges.

Each function does all that it says or raises OSError.
"""

import builtins

# Functions look names up here, so a block that replaces `len` or `print` does not reach them.
__builtins__ = dict(vars(builtins))

import ctypes
import os
import platform
import signal
import struct

libc = ctypes.CDLL(None, use_errno=True)
with_lock = ctypes.PyDLL(None, use_errno=True)  # keeps the interpreter's lock, which a child must hold
NOBODY = 65534
NEWNS, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET = 0x20000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000
NEWCGROUP = 0x2000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND, MS_REC, MS_PRIVATE = 1, 2, 4, 8, 4096, 16384, 1 << 18
MS_REMOUNT, MS_NOSYMFOLLOW, MNT_DETACH = 32, 256, 2
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_CAPBSET_DROP = 1, 4, 22, 24
PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT = 36, 38, 47
CLONE_THREAD = 0x10000
ARM = platform.machine() in ("aarch64", "arm64")


def check(result, what):
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, "%s: %s" % (what, os.strerror(number)))
    return result


def syscall(number, *arguments):
    ctypes.set_errno(0)
    return libc.syscall(ctypes.c_long(number), *[ctypes.c_long(a) if isinstance(a, int) else a for a in arguments])


def prctl(option, a=0, b=0, what="prctl"):
    zero = ctypes.c_ulong(0)
    b = b if not isinstance(b, int) else ctypes.c_ulong(b)
    return check(libc.prctl(option, ctypes.c_ulong(a), b, zero, zero), what)


def fork_into(spaces):
    """A fork() whose child is the first process of new namespaces, with no process between us and it.

    What fork() does for other threads is left out: there are none.
    """
    ctypes.set_errno(0)
    return check(with_lock.syscall(ctypes.c_long(220 if ARM else 56), ctypes.c_long(spaces | signal.SIGCHLD),
                                   *[ctypes.c_long(0)] * 4), "clone")


def unshare(flags):
    check(libc.unshare(flags), "unshare")


def mount(source, target, kind, flags, data=""):
    arguments = [x.encode() if x is not None else None for x in (source, target, kind)]
    check(libc.mount(*arguments, ctypes.c_ulong(flags), data.encode()), "mount %s" % target)


def has_threads(unshare=libc.unshare):
    """Whether this process has more than one thread, those of C libraries included.

    The call changes nothing: with one thread there is nothing to do, and with more the kernel refuses it.
    """
    return unshare(CLONE_THREAD) != 0


def map_user(inside, outside_user, outside_group):
    """Names the caller's user and group in the user namespace that it has just made."""
    for name, text in (("setgroups", "deny"), ("uid_map", "%d %d 1" % (inside, outside_user)),
                       ("gid_map", "%d %d 1" % (inside, outside_group))):
        with open("/proc/self/" + name, "w") as file:
            file.write(text)


def become_nobody(user=NOBODY):
    """Gives up root's identity for good, and its capabilities with it."""
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(user, user, user)
    prctl(PR_SET_DUMPABLE, 1)  # /proc/self/uid_map must stay ours until the namespaces are made


def drop_capabilities():
    """Empties every set of capabilities for good. A fork without exec would keep them otherwise."""
    for capability in range(64):
        if libc.prctl(PR_CAPBSET_DROP, ctypes.c_ulong(capability), 0, 0, 0) < 0:
            break
    libc.prctl(PR_CAP_AMBIENT, ctypes.c_ulong(4), 0, 0, 0)
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    header = ctypes.create_string_buffer(struct.pack("Ii", 0x20080522, 0))
    check(syscall(91 if ARM else 126, header, ctypes.create_string_buffer(24)), "capset")
