"""The test of a tier: it is built once, in a process that is thrown away, and attacked from within."""

import builtins

# Functions look names up here, so a block that replaces `len` or `print` does not reach them.
__builtins__ = dict(vars(builtins))

import os
import socket

import sandbox

from .guardian import Guardian
from .tiers import enter, give_up_privileges, process_allowance, read_to_end, spawn_guardian

TIME_LIMIT = 10.0  # seconds

# A block. It prints the names of the attacks that succeeded.
SELF_ATTACK = r"""
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
holes = []
def attack(name, action):
    try:
        if action() is not False:
            holes.append(name)
    except Exception:
        pass
def call(*numbers):
    return libc.syscall(*[ctypes.c_long(n) for n in numbers]) >= 0
arm = os.uname().machine in ("aarch64", "arm64")
import socket
attack("uid 0", lambda: os.getuid() == 0 or os.geteuid() == 0)
attack("network", lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM))
attack("datagrams", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
attack("shadow", lambda: open("/etc/shadow").read())
attack("parent memory", lambda: open("/proc/%d/mem" % os.getppid(), "rb"))
attack("first process memory", lambda: open("/proc/1/mem", "rb"))
attack("write /usr", lambda: open("/usr/martlet-self-test", "w"))
attack("write /", lambda: open("/martlet-self-test", "w"))
attack("user namespace", lambda: libc.unshare(0x10000000) == 0)
attack("mount", lambda: libc.mount(b"x", b"/tmp", b"tmpfs", 0, None) == 0)
attack("chroot", lambda: os.chroot("/"))
attack("ptrace", lambda: libc.ptrace(16, os.getppid(), 0, 0) == 0)
attack("signal parent", lambda: os.kill(os.getppid(), 18))
attack("keyctl", lambda: call(219 if arm else 250, 0, -3, 0))
attack("bpf", lambda: call(280 if arm else 321, 5, 0, 0))
attack("io_uring", lambda: call(425, 1, 0))
import fcntl, resource
attack("limits of the parent", lambda: resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE, (64, 64)))
attack("signals from descriptors", lambda: fcntl.fcntl(0, fcntl.F_SETOWN, os.getppid()))
def readable(n):
    try:
        os.fstat(n)
        return True
    except OSError:
        return False
attack("descriptors", lambda: any(readable(n) for n in range(3, 256)))
attack("environment", lambda: bool(os.environ))
print("holes:" + ",".join(holes))
"""


def probe(tier, settings, readable):
    """Builds the whole tier and attacks it. Returns what went wrong, or ""."""
    read_end, write_end = os.pipe2(os.O_CLOEXEC)
    child = os.fork()
    if child == 0:
        try:
            enter(tier, readable)
            give_up_privileges(tier)
            attack(tier, settings, readable, write_end)
            os._exit(0)
        except BaseException as error:
            os.write(write_end, str(error).encode()[:500])
        finally:
            os._exit(70)
    os.close(write_end)
    text = read_to_end(read_end).decode("utf-8", "replace").strip()
    os.waitpid(child, 0)
    if text == "holes:":
        return ""
    return "attacks succeeded: " + text[6:] if text.startswith("holes:") else text or "no answer"


def attack(tier, settings, readable, write_end):
    """Runs the attacks in a trajectory of their own, and writes what they print."""
    trial = dict(settings, tier="T3" if tier == "T3-net" else tier, time=TIME_LIMIT)
    trial["scoped"] = sandbox.signals_are_scoped(trial["tier"])

    def body(proc):
        near, far = socket.socketpair()
        trial["processes"] = process_allowance(trial)
        guardian = Guardian(near, trial, readable, 0, proc)
        header, output = guardian.run(SELF_ATTACK.encode())
        os.write(write_end, output or header)
        guardian.processes.kill_others(0)

    os.waitpid(spawn_guardian(trial, readable, 0, body), 0)
