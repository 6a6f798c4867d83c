"""Where the zygote and the guardians live at each tier: namespaces, roots, users, and how many processes they may have.

T3 has namespaces and a private root, which the zygote enters before its imports, and a second set for each trajectory.
T2 and T1 have neither: there the zygote gives up its privileges after its imports.
"""

import builtins

# Functions look names up here, so a block that replaces `len` or `print` does not reach them.
__builtins__ = dict(vars(builtins))

import errno
import os
import signal
import socket
import sys

from sandbox import kernel, root

CONTROL = 3  # the descriptor of the trainer's socket; all above it are ours too
FIRST_USER = 1_600_000_000  # of the users that trajectories get when the trainer is root


def python_folders(extra):
    """Where this Python's programs and packages are: with `extra`, the only folders outside /usr that snippets read."""
    wanted = [sys.prefix, sys.base_prefix, os.path.dirname(os.path.realpath(sys.executable))] + sys.path + extra
    found = []
    for path in sorted({os.path.realpath(path) for path in wanted if path} | {os.path.abspath(p) for p in wanted if p}):
        if path in ("/", "/root", "/home", "/tmp") or not os.path.exists(path):
            continue
        if not any(path == other or path.startswith(other + "/") for other in found + ["/usr"]):
            found.append(path)
    return tuple(found)


# ------------------------------------------------------------------------------------------------ the zygote's


def enter(tier, readable):
    """Takes this process, or its only child, to where the zygote lives.

    At T3 it returns in the first process of a new PID namespace with a private root; the caller waits for it. The other
    tiers are entered after the imports, by `give_up_privileges`.
    """
    if tier not in ("T3", "T3-net"):
        kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
        return
    spaces = kernel.NEWNS | kernel.NEWPID | kernel.NEWIPC | kernel.NEWUTS
    if tier == "T3":
        spaces |= kernel.NEWNET
    user, group = os.getuid(), os.getgid()
    if user == 0:
        kernel.unshare(spaces)
    else:
        kernel.unshare(spaces | kernel.NEWUSER)
        kernel.map_user(kernel.NOBODY, user, group)
    socket.sethostname("sandbox")
    child = os.fork()
    if child != 0:
        os.closerange(CONTROL, 4096)
        _, status = os.waitpid(child, 0)
        os._exit(os.WEXITSTATUS(status) if os.WIFEXITED(status) else 70)
    root.make_private(root.READABLE + readable)
    if user == 0 and user_namespaces():
        kernel.become_nobody()
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)


def user_namespaces():
    """Whether an ordinary user can make user namespaces here: found by doing."""
    child = os.fork()
    if child == 0:
        try:
            if os.getuid() == 0:
                kernel.become_nobody()
            kernel.unshare(kernel.NEWUSER)
            kernel.map_user(kernel.NOBODY, kernel.NOBODY, kernel.NOBODY)
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitpid(child, 0)[1] == 0


def give_up_privileges(tier):
    """What only the imports needed, at the tiers where nothing was given up before them."""
    if tier not in ("T3", "T3-net"):
        if os.getuid() == 0:
            kernel.become_nobody()
        kernel.drop_capabilities()
        kernel.prctl(kernel.PR_SET_DUMPABLE, 0)


# ---------------------------------------------------------------------------------------------- a trajectory's


def spawn_guardian(settings, readable, serial, body):
    """Forks the guardian of a trajectory, which calls body(descriptor of /proc) once it lives where it should.

    Returns its process id as seen from here. Raises OSError when the kernel refuses its namespaces.
    """
    read_end, write_end = os.pipe2(os.O_CLOEXEC)
    own_space, is_root = settings["tier"] == "T3", os.getuid() == 0
    if own_space:
        child = kernel.fork_into(kernel.NEWNS | kernel.NEWPID | (0 if is_root else kernel.NEWUSER))
    else:
        child = os.fork()
    if child == 0:
        try:
            os.close(read_end)
            signal.set_wakeup_fd(-1)
            if own_space:
                if not is_root:
                    kernel.map_user(kernel.NOBODY, kernel.NOBODY, kernel.NOBODY)
                os.close(write_end)
                proc = enter_own_space(readable, FIRST_USER + serial % 100_000_000 if is_root else None)
            else:
                os.close(write_end)
                kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
                kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
                proc = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            body(proc)
            os._exit(0)
        except BaseException as error:
            try:
                os.write(write_end, ("!%s" % error).encode()[:500])
            except OSError:
                pass
        finally:
            os._exit(70)
    os.close(write_end)
    text = read_to_end(read_end)
    if text:
        raise OSError(errno.EPERM, text[1:].decode("utf-8", "replace"))
    return child


def enter_own_space(readable, user):
    """Gives a trajectory its own /tmp and no /proc. Returns the descriptor of the /proc that shows its processes.

    `user`: without a user namespace, a user of its own keeps the limit on processes to this trajectory; else None.
    """
    hard = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
    kernel.mount("proc", "/proc", "proc", hard)
    proc = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    kernel.mount("tmpfs", "/proc", "tmpfs", hard | kernel.MS_RDONLY, "size=4k")
    kernel.mount("tmpfs", "/tmp", "tmpfs", hard, "size=16m,nr_inodes=1024,mode=1777")
    root.link_in_tmp(readable)
    os.chdir("/tmp")
    if user is not None:
        kernel.become_nobody(user)
    kernel.drop_capabilities()
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    return proc


def read_to_end(descriptor):
    """All that a pipe gives until nobody holds its other end; closes it."""
    text = b""
    while True:
        part = os.read(descriptor, 4096)
        if not part:
            break
        text += part
    os.close(descriptor)
    return text


def process_allowance(settings):
    """RLIMIT_NPROC for a runner.

    At T3 the count starts at nothing, in a user namespace or for a new user; elsewhere at what the user already runs.
    """
    if settings["tier"] == "T3":
        return settings["processes"] + 3
    user, running = os.getuid(), 0
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                if os.stat("/proc/" + name).st_uid in (user, 0):
                    running += len(os.listdir("/proc/%s/task" % name))
            except OSError:
                pass
    return running + 3 * 64 + settings["processes"]
