"""Runs a program of the user's: a reward, a grader, a tool. Started by the trainer with a socket on descriptor 3, which
becomes the program's standard input and output; what it writes to standard error the trainer quotes when it fails.

    launcher    waits for the program to end, and ends it when the trainer is gone
      program   confined for good, in the best tier that holds here (docs/sandbox.md)

In T3 the program is the first process of its PID namespace, so whatever it started ends with it. In T2 and T1 what it
started ends with its process group.
"""

import json
import os
import select
import shutil
import signal
import socket
import sys
import tempfile

import sandbox
from sandbox import kernel, landlock, root, seccomp
from sandbox.calls import ALWAYS, NO_NAMESPACE

CONTROL = 3
MEMORY, FILE_SIZE, PROCESSES = 8 << 30, 1 << 30, 4096
SPACES = kernel.NEWNS | kernel.NEWPID | kernel.NEWIPC | kernel.NEWUTS
RUNS_PROGRAMS = [name for name in NO_NAMESPACE if name not in ("execve", "execveat")]


def python_folders():
    """Where this Python's programs and packages are."""
    wanted = [sys.prefix, sys.base_prefix, os.path.dirname(os.path.realpath(sys.executable))] + sys.path
    paths = {os.path.realpath(path) for path in wanted if path} | {os.path.abspath(path) for path in wanted if path}
    return [path for path in paths if path not in ("/", "/root", "/home", "/tmp")]


def outermost(paths):
    """Those that exist, without what lies in another one."""
    found = ["/usr"]
    for path in sorted(paths):
        if os.path.exists(path) and not any((path + "/").startswith(other + "/") for other in found):
            found.append(path)
    return tuple(found[1:])


def enter(tier, readable, scratch, user, group):
    """Confines this process, a child of the launcher, for good. Its folder is then its own empty one."""
    if tier in ("T3", "T3-net"):
        if user != 0:
            kernel.map_user(kernel.NOBODY, user, group)
        socket.sethostname("sandbox")
        root.make_private(root.READABLE + readable, scratch=True)
        scratch = "/tmp"
    if user == 0:
        kernel.become_nobody()
    kernel.drop_capabilities()
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    os.chdir(scratch)
    os.environ.update(HOME=scratch, TMPDIR=scratch, PYTHONUNBUFFERED="1")
    sandbox.limit(MEMORY, PROCESSES, FILE_SIZE)
    if tier in ("T3", "T3-net"):
        sandbox.confine("T3", readable)
    elif tier == "T2":
        scoped = landlock.version() >= 6
        landlock.restrict(root.READABLE + readable + root.DEVICES,
                          (scratch, "/dev/null", "/dev/zero", "/dev/full"))
        seccomp.install(ALWAYS + RUNS_PROGRAMS, "any" if scoped else "group")
    else:
        seccomp.install(ALWAYS + RUNS_PROGRAMS, "group")


def start(tier, command, readable, scratch):
    """The program's process, running confined; an error text where the tier does not hold here."""
    read_end, write_end = os.pipe2(os.O_CLOEXEC)
    user, group = os.getuid(), os.getgid()
    if tier in ("T3", "T3-net"):
        spaces = SPACES | (kernel.NEWNET if tier == "T3" else 0) | (kernel.NEWUSER if user != 0 else 0)
        child = kernel.fork_into(spaces)
    else:
        child = os.fork()
    if child == 0:
        try:
            if tier in ("T2", "T1"):
                os.setpgid(0, 0)
            enter(tier, readable, scratch, user, group)
            os.write(CONTROL, json.dumps({"ready": tier}).encode() + b"\n")
            os.dup2(CONTROL, 0)
            os.dup2(CONTROL, 1)
            os.close(CONTROL)
            for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them, and a program inherits that
                signal.signal(number, signal.SIG_DFL)
            try:
                os.execve(command[0], command, os.environ)
            except OSError as error:
                os.write(2, ("%s: %s\n" % (command[0], error.strerror)).encode())
                os._exit(127)
        except BaseException as error:
            os.write(write_end, ("%s: %s" % (type(error).__name__, error)).encode()[:500])
        finally:
            os._exit(70)
    os.close(write_end)
    reason = os.read(read_end, 500).decode("utf-8", "replace")
    os.close(read_end)
    if reason:
        os.waitpid(child, 0)
        return reason
    return child


def watch(child, bell, in_group):
    """Waits until the program or the trainer is gone. The wait status of the program."""
    poll = select.poll()
    poll.register(CONTROL, select.POLLRDHUP)
    poll.register(bell, select.POLLIN)
    while True:
        gone = any(descriptor == CONTROL for descriptor, _ in poll.poll())
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid or gone:
            if not pid:
                os.kill(child, signal.SIGKILL)
                status = os.waitpid(child, 0)[1]
            if in_group:
                try:
                    os.killpg(child, signal.SIGKILL)
                except OSError:
                    pass  # nobody is left
            return status
        try:
            os.read(bell, 512)
        except BlockingIOError:
            pass


def main():
    settings = json.loads(sys.argv[1])
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [path for path in sys.path if path and os.path.abspath(path) != here]
    bell, ring = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(ring, warn_on_full_buffer=False)
    readable = outermost(python_folders() + settings["readable"])
    scratch, reasons = None, []
    for tier in settings["tiers"]:
        if tier in ("T2", "T1") and scratch is None:
            scratch = tempfile.mkdtemp(prefix="martlet-program-")
            os.chmod(scratch, 0o777 if os.getuid() == 0 else 0o700)
        try:
            child = start(tier, settings["command"], readable, scratch)
        except OSError as error:
            child = str(error)
        if not isinstance(child, str):
            status = watch(child, bell, tier in ("T2", "T1"))
            break
        reasons.append("%s: %s" % (tier, child))
    else:
        os.write(CONTROL, json.dumps({"failed": "; ".join(reasons)}).encode() + b"\n")
        status = 70 << 8
    if scratch is not None:
        shutil.rmtree(scratch, ignore_errors=True)
    if os.WIFSIGNALED(status):
        signal.signal(os.WTERMSIG(status), signal.SIG_DFL) if os.WTERMSIG(status) != signal.SIGKILL else None
        os.kill(os.getpid(), os.WTERMSIG(status))
    os._exit(os.WEXITSTATUS(status))


if __name__ == "__main__":
    main()
