"""What the zygote does once, so that every trajectory starts warm and every fork is cheap."""

import builtins

# Functions look names up here, so a block that replaces `len` or `print` does not reach them.
__builtins__ = dict(vars(builtins))

import ctypes
import os

from sandbox import kernel

STANDARD = ("math", "cmath", "fractions", "decimal", "itertools", "functools", "collections", "statistics", "datetime",
            "re", "string", "heapq", "bisect", "operator", "copy", "typing")


def preload(names):
    """Imports modules. Returns the versions of those that are there, and the names of those that are not."""
    versions, missing = {}, []
    for name in names:
        try:
            module = __import__(name)
            versions[name] = str(getattr(module, "__version__", ""))
        except ImportError:
            missing.append(name)
    for name in STANDARD:
        try:
            __import__(name)
        except ImportError:
            pass
    if "numpy" in versions:
        import numpy.fft
        import numpy.linalg
        import numpy.polynomial
        import numpy.random
    if "sympy" in versions:  # first use fills caches and imports more: once here instead of once a trajectory
        from sympy import Symbol, factor, integrate, nsimplify, simplify, solve, sqrt

        x, y = Symbol("x"), Symbol("y")
        solve(x**2 - 5 * x + 6, x)
        solve([x + y - 3, x - y - 1], [x, y])
        factor(x**2 - 1), simplify((x**2 - 1) / (x - 1) + sqrt(8)), integrate(x**2, x), nsimplify(0.5)
    return versions, missing


def load_snapshot(library):
    """The function that `share_memory` wants, or why there is none. To be called before the private root hides it."""
    try:
        return ctypes.CDLL(library).martlet_snapshot if library else "libMartletSnapshot.so: not found"
    except OSError as error:
        return str(error)


def share_memory(snapshot):
    """Moves the writable memory into a file, whose pages no fork copies the table of (snapshot.c).

    Returns "", or why it could not. Then pages of 2 MB take the file's place where the kernel has them.
    """
    if not isinstance(snapshot, str):
        code = snapshot()
        if code == 0:
            return ""
        snapshot = os.strerror(code)
    use_huge_pages()
    return snapshot


def use_huge_pages():
    """Moves this process's memory into pages of 2 MB where the kernel can (Linux 6.1).

    A fork copies a table entry a page. Where the kernel cannot, this costs nothing but time.
    """
    size, collapse = 1 << 21, 25
    with open("/proc/self/maps") as file:
        lines = [line.split() for line in file]
    for line in lines:
        if line[1] == "rw-p" and (len(line) < 6 or line[5] == "[heap]"):
            start, end = (int(bound, 16) for bound in line[0].split("-"))
            for address in range((start + size - 1) // size * size, end - size + 1, size):
                kernel.libc.madvise(ctypes.c_void_p(address), ctypes.c_size_t(size), collapse)
