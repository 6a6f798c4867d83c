"""What keeps a snippet in, on Linux for x86-64 and aarch64.

    kernel      the system calls, and how a process gives up its privileges
    root        a private root: which files there are
    landlock    which files may be read and written
    seccomp     which system calls may be made
    calls       their numbers, and the lists of denied ones

Everything is a system call made through ctypes by a single-threaded process, so that no helper program has to be
installed or found. Each function either does all that it says or raises OSError: nothing falls back by itself.
"""

import builtins

# Functions look names up here, so a block that replaces `len` or `print` does not reach them.
__builtins__ = dict(vars(builtins))

import os
import resource
import sys

from . import landlock, root, seccomp
from .calls import ALWAYS, NO_LANDLOCK, NO_NAMESPACE


def confine(tier, readable):
    """The last step before a snippet's code: Landlock where the tier has it, then the filter."""
    if tier == "T3":
        if landlock.version() > 0:
            landlock.restrict(("/",), ("/tmp", "/dev/null", "/dev/zero", "/dev/full"))
        seccomp.install(ALWAYS, "any")
    elif tier == "T2":
        scoped = landlock.version() >= 6
        landlock.restrict(root.READABLE + tuple(readable) + root.DEVICES, ("/dev/null", "/dev/zero", "/dev/full"))
        seccomp.install(ALWAYS + NO_NAMESPACE, "any" if scoped else "group")
    else:
        seccomp.install(ALWAYS + NO_NAMESPACE + NO_LANDLOCK, "group")


def signals_are_scoped(tier):
    """Whether the tier keeps signals within a trajectory. Elsewhere the filter allows those to the own group alone."""
    return tier == "T3" or (tier == "T2" and landlock.version() >= 6)


def limit(memory, processes, file_bytes):
    """Resource limits of one snippet's process. RLIMIT_NPROC counts threads, and does not bind uid 0."""
    for name, value in (("AS", memory), ("CORE", 0), ("FSIZE", file_bytes), ("NOFILE", 64), ("NPROC", processes),
                        ("MEMLOCK", 0), ("MSGQUEUE", 0), ("SIGPENDING", 256), ("STACK", 8 << 20)):
        kind = getattr(resource, "RLIMIT_" + name, None)
        if kind is None:
            continue
        _, hard = resource.getrlimit(kind)
        if hard != resource.RLIM_INFINITY:
            value = min(value, hard)
        resource.setrlimit(kind, (value, value))


def hide_modules(folder):
    """Makes our own modules, those of `folder`, unknown to `import`. Call it once all of them are imported.

    A snippet finds none of them then, and a package of the same name is found as usual.
    """
    folder = os.path.realpath(folder)
    sys.path[:] = [path for path in sys.path if path and os.path.realpath(path) != folder]
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if name != "__main__" and file and os.path.realpath(file).startswith(folder + "/"):
            del sys.modules[name]
