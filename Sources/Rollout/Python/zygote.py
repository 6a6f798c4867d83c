"""The interpreter's processes. Started once by the trainer with a socket on descriptor 3.

    launcher      makes namespaces and a private root, waits (tier T3 only)
      zygote      imports numpy, sympy, ...; moves its memory into a file; forks a guardian for each trajectory
        guardian  one a trajectory, first process of its own PID namespace; owns clock, pipes and verdicts; runs no
                  model code and is out of its reach
          runner  holds the trajectory's variables and runs its blocks, confined for good

Before each block but its first the runner forks a backup of itself. When the block ends, the runner goes on as the keeper of the
state and the backup is killed; when the block is killed or crashes, the backup (a new runner, if there is none)
takes the runner's place, so a timeout loses that block's changes and nothing else. Runner and guardian share a page of memory and speak by stopping and
continuing the runner: it needs no descriptor that model code could find, and all it could forge is its own outcome.
"""

import builtins

# Functions defined below look names up here, so a block that replaces `len` or `print` does not reach us.
__builtins__ = dict(vars(builtins))

import _signal
import array
import errno
import faulthandler
import fcntl
import gc
import importlib.machinery
import json
import mmap
import os
import random
import resource
import select
import signal
import socket
import struct
import sys
import time

import cell
import sandbox

CONTROL = 3
HEADER, CODE_LIMIT = 4096, 1 << 20
PHASE, BACKUP, LENGTH, CELL, STATUS_LENGTH, KEEPER, TURN, SPENT, STATUS = 0, 4, 8, 12, 16, 20, 24, 28, 32
PREPARE, READY, RUN, HANDOVER, DONE = 0, 1, 2, 3, 4
PREPARE_LIMIT = 30.0  # seconds a runner may take to fork its backup under load
SELF_STOP = signal.SIGSTOP


def get_word(page, offset):
    return struct.unpack_from("I", page, offset)[0]


def set_word(page, offset, value):
    struct.pack_into("I", page, offset, value)


# ---------------------------------------------------------------------------------------------------- runner


def seed_everything(key):
    random.seed(key)
    if "numpy.random" in sys.modules:
        seed_numpy(sys.modules["numpy.random"], key)
    else:
        sys.meta_path.insert(0, SeedOnImport(key))


def seed_numpy(module, key):
    module.seed([(key >> shift) & 0xFFFFFFFF for shift in (0, 32)])


class SeedOnImport:
    """Seeds numpy.random when a block is the first to import it."""

    def __init__(self, key):
        self.key = key

    def find_spec(self, name, path=None, target=None):
        if name != "numpy.random":
            return None
        sys.meta_path.remove(self)
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def seeded(module):
                execute(module)
                seed_numpy(module, self.key)

            spec.loader.exec_module = seeded
        return spec


def runner(page, pipe_end, settings, readable, key):
    """Becomes the first state of a trajectory: confines itself, then serves blocks for ever."""
    signal.set_wakeup_fd(-1)
    for descriptor, source in ((0, os.open("/dev/null", os.O_RDONLY)), (1, pipe_end), (2, pipe_end)):
        os.dup2(source, descriptor)
    os.closerange(3, 4096)
    os.setsid()
    os.umask(0o022)
    if settings["tier"] != "T3":
        sandbox.prctl(sandbox.PR_SET_PDEATHSIG, signal.SIGKILL)
    for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL if number != signal.SIGPIPE else signal.SIG_IGN)
    output = cell.open_output(1)
    sandbox.limit(settings["memory"], settings["processes"], 16 << 20)
    seed_everything(key)
    os.environ.clear()
    sys.argv = [""]
    namespace = cell.fresh_namespace()
    for name in ("cell", "sandbox", "zygote"):
        sys.modules.pop(name, None)
    sandbox.confine(settings["tier"], readable)
    serve(page, output, namespace, {}, settings)


def serve(page, output, namespace, sources, settings):
    # Own names for what a block may replace; it can still find them, and then only hurts its own trajectory.
    fork, kill, getpid, leave, wait, fstat = os.fork, os.kill, os.getpid, os._exit, os.waitpid, os.fstat
    getstate, setstate, has_threads, usage = random.getstate, random.setstate, sandbox.has_threads, os.times
    run_cell, scoped, patient_fork, calm = cell.run, settings["scoped"], fork_patiently, Calm()
    is_open, open_output, getppid, sleep = cell.is_open, cell.open_output, os.getppid, time.sleep
    pipe = fstat(1)
    pipe = (pipe.st_dev, pipe.st_ino)
    parent_death = settings["tier"] != "T3"
    backup = 0
    killed = []  # backups of earlier blocks, until they are collected
    fresh = True  # no variables yet: another runner is as good as a backup
    while True:
        # A block may continue processes whose turn it is not: they stop again.
        while True:
            kill(getpid() if scoped else 0, SELF_STOP)
            if get_word(page, PHASE) == PREPARE and get_word(page, TURN) == getpid():
                break
        # There is a block to run. A backup that wakes here has just become the runner.
        if parent_death:
            sandbox.prctl(sandbox.PR_SET_PDEATHSIG, signal.SIGKILL)
        if backup:
            killed.append(backup)
        for pid in list(killed):
            try:
                gone = wait(pid, os.WNOHANG)[0] == pid
            except OSError:
                gone = True
            if gone:
                killed.remove(pid)
        code = bytes(page[HEADER : HEADER + get_word(page, LENGTH)])
        number = get_word(page, CELL)
        if not fresh:
            state = getstate()
            backup = patient_fork(fork)
            if backup == 0:
                setstate(state)  # random reseeds itself in every child
                killed.clear()  # the parent's
                continue
            del state
        fresh = False
        me = getpid()
        spent = usage()
        set_word(page, SPENT, int(spent.user + spent.system))
        set_word(page, BACKUP, backup)
        set_word(page, PHASE, READY)
        while True:
            kill(me if scoped else 0, SELF_STOP)
            if get_word(page, PHASE) == RUN:
                break
        if not is_open(output):
            output = open_output(1)
        try:
            status, detail, keep = run_cell(code.decode("utf-8", "replace"), number, namespace, sources, output)
        except BaseException:  # of a signal's handler, after the block's last line
            status, detail, keep = "error", "exception", True
        if getpid() != me:
            leave(0)  # a child that the block forked and that came to the block's end
        while True:
            try:
                if calm.restored():
                    break
            except BaseException:  # of a trace function, as the call begins
                pass
        if has_threads():
            # Threads do not outlive their block: a fork takes the variables along and leaves them behind.
            state = getstate()
            set_word(page, PHASE, HANDOVER)
            if patient_fork(fork) != 0:
                leave(0)
            setstate(state)
            while getppid() == me:  # stopping the group would stop it before it is gone
                sleep(0.0002)
            backup = 0
        try:
            now = fstat(1)
            if (now.st_dev, now.st_ino) != pipe:
                keep = False
        except OSError:
            keep = False
        text = ("%s\n%s\n%d" % (status, detail, bool(keep))).encode()[: HEADER - STATUS]
        page[STATUS : STATUS + len(text)] = text
        set_word(page, STATUS_LENGTH, len(text))
        set_word(page, KEEPER, getpid())
        set_word(page, PHASE, DONE)


class Calm:
    """What a block has asked the kernel and Python to do to it later, taken back: timers, signal handlers, trace functions."""

    def __init__(self):
        # Those written in C: signal.py calls builtins, which a block may have replaced.
        self.tools = (_signal.getsignal, _signal.signal, _signal.setitimer, _signal.pthread_sigmask, sys.settrace,
                      sys.setprofile, faulthandler.cancel_dump_traceback_later)
        self.handlers = {number: _signal.getsignal(number) for number in range(1, 65)}
        self.mask = _signal.pthread_sigmask(signal.SIG_BLOCK, ())
        self.timers = (_signal.ITIMER_REAL, _signal.ITIMER_VIRTUAL, _signal.ITIMER_PROF)

    def restored(self, ignore=_signal.SIG_IGN, set_mask=_signal.SIG_SETMASK):
        """False when a handler came in between and raised: to be tried again."""
        try:
            handler, set_handler, set_timer, mask, trace, profile, no_dump = self.tools
            for timer in self.timers:
                set_timer(timer, 0)
            trace(None)
            profile(None)
            no_dump()
            for number, wanted in self.handlers.items():
                if handler(number) is not wanted and wanted is not None:
                    set_handler(number, ignore)  # also forgets one that waits
                    set_handler(number, wanted)
            mask(set_mask, self.mask)
            return True
        except BaseException:
            return False


def fork_patiently(fork, clock=time.monotonic, sleep=time.sleep, wait=os.waitpid):
    """Without a user of its own a trajectory shares the number of processes with the others: a fork bomb among them is
    ended soon, and then there is room again. So there is when one's own ended children are collected."""
    end = clock() + PREPARE_LIMIT - 5
    while True:
        try:
            return fork()
        except BlockingIOError:
            if clock() > end:
                raise
            try:
                while wait(-1, os.WNOHANG)[0]:
                    pass
            except OSError:
                pass
            sleep(0.01)


# -------------------------------------------------------------------------------------------------- guardian


class Guardian:
    """Supervises one trajectory. Everything it learns from the runner is treated as a claim of model code."""

    def __init__(self, link, settings, readable, key, processes):
        self.link, self.settings, self.readable, self.key = link, settings, readable, key
        self.processes = processes  # descriptor of a /proc that shows our descendants
        self.cells = 0
        self.runner = self.backup = 0
        self.unsettled = False  # a block has ended well, and what it started besides has not been ended yet
        self.exits = {}
        self.stops = set()
        self.bell, self.ring = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self.ring, warn_on_full_buffer=False)
        self.page = mmap.mmap(-1, HEADER + CODE_LIMIT)
        self.pipe, self.pipe_end = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self.pipe, False)
        self.poll = select.poll()
        self.poll.register(self.bell, select.POLLIN)
        self.poll.register(self.pipe, select.POLLIN)
        self.poll.register(self.link.fileno(), select.POLLRDHUP)  # hang-up only: the next request may wait there
        self.start()

    def start(self):
        """A runner with empty variables."""
        self.fresh = True
        self.runner = os.fork()
        if self.runner == 0:
            try:
                runner(self.page, self.pipe_end, self.settings, self.readable, self.key)
            except BaseException as error:
                os.write(1, ("%s: %s" % (type(error).__name__, error)).encode()[:500])
            finally:
                os._exit(70)
        if not self.wait_stop(self.runner, PREPARE_LIMIT):
            try:
                reason = os.read(self.pipe, 500).decode("utf-8", "replace")
            except BlockingIOError:
                reason = "no answer"
            raise OSError(errno.ECHILD, "the runner could not confine itself: " + reason)

    # Small pieces -----------------------------------------------------------------------------------------

    def reap(self):
        """Collects every exit and stop among our children."""
        try:
            while os.read(self.bell, 512):
                pass
        except BlockingIOError:
            pass
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG | os.WUNTRACED)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if os.WIFSTOPPED(status):
                self.stops.add(pid)
            else:
                self.stops.discard(pid)
                self.exits[pid] = (status, usage)

    def wait_stop(self, pid, limit):
        """Waits until `pid` has stopped itself; False when it ended or the time ran out."""
        end = time.monotonic() + limit
        while True:
            self.reap()
            if pid in self.stops:
                return True
            left = end - time.monotonic()
            if pid in self.exits or left <= 0:
                return False
            self.wait_events(left)

    def wait_events(self, seconds):
        for descriptor, _ in self.poll.poll(max(0, int(seconds * 1000) + 1)):
            if descriptor == self.link.fileno():
                os._exit(0)  # the trainer has gone or closed the session: our namespace goes with us

    def resume(self, pid):
        self.stops.discard(pid)
        os.kill(pid, signal.SIGCONT)

    def others(self, keep):
        """Living processes of this trajectory but for us and `keep`, and the state of each, from the kernel's own list."""
        found = {}
        for pid in self.descendants():
            if pid != keep:
                try:
                    with open(os.open("%d/stat" % pid, os.O_RDONLY, dir_fd=self.processes), "rb") as file:
                        text = file.read()
                except OSError:
                    continue
                state = text[text.rindex(b")") + 2 :][:1]
                if state not in (b"Z", b"X"):
                    found[pid] = state
        return found

    def descendants(self):
        if self.settings["tier"] == "T3":
            return [int(name) for name in os.listdir(self.processes) if name.isdigit() and name != "1"]
        parents = {}
        for name in os.listdir(self.processes):
            if name.isdigit():
                try:
                    with open(os.open(name + "/stat", os.O_RDONLY, dir_fd=self.processes), "rb") as file:
                        text = file.read()
                    parents.setdefault(int(text[text.rindex(b")") + 2 :].split()[1]), []).append(int(name))
                except (OSError, ValueError):
                    pass
        found, queue = [], [os.getpid()]
        while queue:
            children = parents.get(queue.pop(), [])
            found += children
            queue += children
        return found

    def kill_others(self, keep):
        """Ends every process of the trajectory but us and `keep`. False when they would not end."""
        end, pause = time.monotonic() + PREPARE_LIMIT, 0.0
        while time.monotonic() < end:
            remaining = self.others(keep)
            for pid in remaining:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            self.reap()
            if not remaining:
                return True
            # A killed process must still be given the processor to end: on a busy machine that takes its time.
            time.sleep(pause)
            pause = min(pause + 0.0002, 0.01)
        return False

    # One block --------------------------------------------------------------------------------------------

    def run(self, code):
        """Runs a block; returns the reply's header and the kept output (head, tail)."""
        settings = self.settings
        if len(code) > CODE_LIMIT:
            return self.reply("refused", "code longer than %d bytes" % CODE_LIMIT, 0, b"", b"", 0)
        self.settle()
        self.drain(None)
        self.cells += 1
        page = self.page
        set_word(page, LENGTH, len(code))
        set_word(page, CELL, self.cells)
        page[HEADER : HEADER + len(code)] = code
        if not self.prepare():
            # An alarm, say, that the block before had set. Without its variables a block would mean something else:
            # it is not run.
            status, what = "sandbox_error", "protocol: the runner did not answer"
            if self.runner in self.exits and not self.fresh:
                status, what = "crashed", "ended between blocks"
            lost = "" if self.fresh else "; the session's variables were lost"
            self.begin_again()
            return self.reply(status, what + lost, 0, b"", b"", 0)
        fcntl.fcntl(self.pipe_end, fcntl.F_SETFL, 0)  # shared with the runner, whose block may have set flags
        self.limit_processor_time()
        started = time.monotonic()
        end = started + settings["time"]
        output = Collected(settings["output"], settings["flood"])
        set_word(page, PHASE, RUN)
        self.resume(self.runner)
        outcome = None
        while outcome is None:
            left = end - time.monotonic()
            if left <= 0:
                outcome = ("timeout", "time_wall", False)
                break
            self.wait_events(left)
            self.drain(output)
            self.reap()
            if output.total > settings["flood"]:
                outcome = ("output", "output", False)
            elif get_word(page, PHASE) >= HANDOVER:
                outcome = self.claimed_outcome()
            elif self.runner in self.exits:
                outcome = self.outcome_of_exit()
        elapsed = (time.monotonic() - started) * 1000
        status, detail, keep = outcome
        self.drain(output)
        if output.total > settings["flood"] and status not in ("timeout", "sandbox_error"):
            status, detail, keep = "output", "output", False
        self.unsettled = keep and self.runner not in self.exits
        if not self.unsettled:
            had_variables = self.backup != 0 or keep
            answered = self.finish(keep)
            self.drain(None)
            if not answered:
                status, detail = "sandbox_error", "protocol: processes that would not end"
            elif not self.runner and had_variables:
                detail += "; the session's variables were lost"
            if not self.runner:
                self.begin_again()
        return self.reply(status, detail, elapsed, bytes(output.head), bytes(output.tail), output.total)

    def prepare(self):
        """Lets the runner fork its backup. False when there is no runner that answers."""
        if not self.runner:
            return False
        set_word(self.page, TURN, self.runner)
        set_word(self.page, PHASE, PREPARE)
        end = time.monotonic() + PREPARE_LIMIT
        self.resume(self.runner)
        while time.monotonic() < end and self.runner not in self.exits:
            if not self.wait_stop(self.runner, end - time.monotonic()):
                return False
            if get_word(self.page, PHASE) == READY:
                if self.fresh:
                    self.fresh = False
                    return True
                self.backup = get_word(self.page, BACKUP)
                return self.backup in self.descendants() and self.backup != self.runner
            self.resume(self.runner)
        return False

    def limit_processor_time(self):
        """The block's, above what the runner has used; it may not set limits itself."""
        try:
            _, hard = resource.prlimit(self.runner, resource.RLIMIT_CPU)
            soft = get_word(self.page, SPENT) + int(self.settings["time"]) + 2
            if hard != resource.RLIM_INFINITY:
                soft = min(soft, hard)
            resource.prlimit(self.runner, resource.RLIMIT_CPU, (soft, hard))
        except ProcessLookupError:
            pass  # found to have ended by whoever waits for it

    def settle(self):
        """Ends what a block that ended well has left: after the reply, since nothing but the next block waits for it."""
        if self.unsettled:
            self.unsettled = False
            if self.others(self.runner) == {self.backup: b"T"}:
                # The usual case. A stopped process that is killed never runs again: nobody need wait until it is gone.
                os.kill(self.backup, signal.SIGKILL)
                self.exits.clear()
                self.backup = 0
            else:
                self.finish(True)
            self.drain(None)

    def claimed_outcome(self):
        """What the runner says of a block that it has finished, or None while it has not stopped."""
        page = self.page
        if get_word(page, PHASE) != DONE:
            return None
        successor = get_word(page, KEEPER)
        if successor != self.runner:  # a fork that left the block's threads behind
            if successor not in self.stops or successor == self.backup:
                return None
            self.runner = successor
        elif self.runner not in self.stops:
            return None
        try:
            text = bytes(page[STATUS : STATUS + min(get_word(page, STATUS_LENGTH), HEADER - STATUS)])
            status, detail, keep = text.decode("ascii").split("\n")
            if status in ("ok", "error", "exited", "memory", "refused"):
                return status, detail[:200], keep == "1"
        except ValueError:
            pass
        # The runner always writes one: this is the block's doing, and to be judged as such.
        return "crashed", "no verdict", False

    def outcome_of_exit(self):
        status, usage = self.exits[self.runner]
        if os.WIFEXITED(status):
            return "exited", "exit status %d" % os.WEXITSTATUS(status), False
        number = os.WTERMSIG(status)
        if number == signal.SIGXCPU:
            return "timeout", "time_cpu", False
        if number in (signal.SIGKILL, signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS):
            if usage.ru_maxrss * 1024 > 0.6 * self.settings["memory"]:
                return "memory", "memory", False
        try:
            name = signal.Signals(number).name
        except ValueError:
            name = "signal %d" % number
        return "crashed", name, False

    def finish(self, keep):
        """Commits (the runner stays) or rolls back (its backup takes over), and ends every other process. No runner is
        left when the block has killed the backup. False when a process would neither end nor stop in time."""
        survivor = self.runner if keep else self.backup
        answered = self.kill_others(survivor)
        if answered and survivor in self.exits:
            survivor = 0
        if answered and not keep and survivor and not self.wait_stop(survivor, PREPARE_LIMIT):
            answered = survivor in self.exits
            survivor = 0
        self.exits.clear()
        self.backup = 0
        self.runner = survivor if answered else 0
        return answered

    def begin_again(self):
        self.kill_others(0)
        self.exits.clear()
        self.stops.clear()
        self.start()

    def drain(self, output):
        while True:
            try:
                data = os.read(self.pipe, 65536)
            except BlockingIOError:
                return
            if output is None:
                continue
            output.add(data)
            if output.total > output.flood:
                return

    def reply(self, status, detail, milliseconds, head, tail, total):
        return json.dumps({"status": status, "detail": detail, "ms": round(milliseconds, 3), "head": len(head),
                           "tail": len(tail), "total": total}).encode(), head + tail

    def serve(self):
        """Requests: length (u32), code. Replies: length of header (u32), length of output (u32), both."""
        link = self.link
        while True:
            code = receive(link, struct.unpack("I", receive(link, 4))[0])
            header, output = self.run(code)
            link.sendall(struct.pack("II", len(header), len(output)) + header + output)
            self.settle()


class Collected:
    """The first and the last `kept / 2` bytes of a stream, and its length."""

    def __init__(self, kept, flood):
        self.half, self.flood = kept // 2, flood
        self.head, self.tail, self.total = bytearray(), bytearray(), 0

    def add(self, data):
        self.total += len(data)
        room = self.half - len(self.head)
        self.head += data[:room]
        self.tail += data[room:] if room > 0 else data
        if len(self.tail) > self.half:
            del self.tail[: len(self.tail) - self.half]


def receive(link, count):
    data = bytearray()
    while len(data) < count:
        part = link.recv(count - len(data))
        if not part:
            os._exit(0)
        data += part
    return bytes(data)


# ---------------------------------------------------------------------------------------------------- zygote

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


def python_folders(extra):
    """Where this Python's programs and packages are; the only folders outside /usr that snippets may read."""
    wanted = [sys.prefix, sys.base_prefix, os.path.dirname(os.path.realpath(sys.executable))] + sys.path + extra
    found = []
    for path in sorted({os.path.realpath(path) for path in wanted if path} | {os.path.abspath(p) for p in wanted if p}):
        if path in ("/", "/root", "/home", "/tmp") or not os.path.exists(path):
            continue
        if not any(path == other or path.startswith(other + "/") for other in found + ["/usr"]):
            found.append(path)
    return tuple(found)


def enter(tier, readable):
    """Takes the launcher (or its only child, T3) to where the zygote lives. T3: returns in the first process of a new
    PID namespace with a private root. Other tiers are entered after the imports, by `settle`."""
    if tier not in ("T3", "T3-net"):
        sandbox.prctl(sandbox.PR_SET_CHILD_SUBREAPER, 1)
        return
    spaces = sandbox.NEWNS | sandbox.NEWPID | sandbox.NEWIPC | sandbox.NEWUTS
    if tier == "T3":
        spaces |= sandbox.NEWNET
    user, group = os.getuid(), os.getgid()
    if user == 0:
        sandbox.unshare(spaces)
    else:
        sandbox.unshare(spaces | sandbox.NEWUSER)
        sandbox.map_user(sandbox.NOBODY, user, group)
    socket.sethostname("sandbox")
    child = os.fork()
    if child != 0:
        if sys.argv[-1] != "probe":
            os.closerange(CONTROL, 4096)
        _, status = os.waitpid(child, 0)
        os._exit(os.WEXITSTATUS(status) if os.WIFEXITED(status) else 70)
    sandbox.private_root(sandbox.READABLE + readable)
    if user == 0 and user_namespaces():
        sandbox.become_nobody()
    sandbox.prctl(sandbox.PR_SET_PDEATHSIG, signal.SIGKILL)


def user_namespaces():
    """Whether user namespaces can be made by an ordinary user here: found by doing."""
    child = os.fork()
    if child == 0:
        try:
            if os.getuid() == 0:
                sandbox.become_nobody()
            sandbox.unshare(sandbox.NEWUSER)
            sandbox.map_user(sandbox.NOBODY, sandbox.NOBODY, sandbox.NOBODY)
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitpid(child, 0)[1] == 0


def settle(tier):
    """After the imports: gives up what only they needed."""
    if tier not in ("T3", "T3-net"):
        if os.getuid() == 0:
            sandbox.become_nobody()
        sandbox.drop_capabilities()
        sandbox.prctl(sandbox.PR_SET_DUMPABLE, 0)


def spawn_guardian(settings, readable, serial, body):
    """Forks the guardian of a trajectory, which calls body(processes). Returns its process id as seen from here."""
    read_end, write_end = os.pipe2(os.O_CLOEXEC)
    own_space, root = settings["tier"] == "T3", os.getuid() == 0
    if own_space:
        child = sandbox.fork_into(sandbox.NEWNS | sandbox.NEWPID | (0 if root else sandbox.NEWUSER))
    else:
        child = os.fork()
    if child == 0:
        try:
            os.close(read_end)
            signal.set_wakeup_fd(-1)
            if not own_space:
                os.close(write_end)
                sandbox.prctl(sandbox.PR_SET_PDEATHSIG, signal.SIGKILL)
                sandbox.prctl(sandbox.PR_SET_CHILD_SUBREAPER, 1)
                body(os.open("/proc", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
                os._exit(0)
            if not root:
                sandbox.map_user(sandbox.NOBODY, sandbox.NOBODY, sandbox.NOBODY)
            os.close(write_end)
            hard = sandbox.MS_NOSUID | sandbox.MS_NODEV | sandbox.MS_NOEXEC
            sandbox.mount("proc", "/proc", "proc", hard)
            processes = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            sandbox.mount("tmpfs", "/proc", "tmpfs", hard | sandbox.MS_RDONLY, "size=4k")
            sandbox.mount("tmpfs", "/tmp", "tmpfs", hard, "size=16m,nr_inodes=1024,mode=1777")
            os.chdir("/tmp")
            if root:  # no user namespace: a user of its own keeps the process limit to this trajectory
                sandbox.become_nobody(1_600_000_000 + serial % 100_000_000)
            sandbox.drop_capabilities()
            sandbox.prctl(sandbox.PR_SET_DUMPABLE, 0)
            body(processes)
            os._exit(0)
        except BaseException as error:
            try:
                os.write(write_end, ("!%s" % error).encode()[:500])
            except OSError:
                pass
        finally:
            os._exit(70)
    os.close(write_end)
    text = b""
    while True:
        part = os.read(read_end, 512)
        if not part:
            break
        text += part
    os.close(read_end)
    if text:
        raise OSError(errno.EPERM, text[1:].decode("utf-8", "replace"))
    return child


def process_allowance(settings):
    """RLIMIT_NPROC for a runner: in a user namespace of its own the count starts at nothing, elsewhere at what the
    user already runs."""
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


def probe(tier, settings, readable):
    """Builds the whole tier once in a process that is thrown away, and attacks it. Returns what went wrong, or ""."""
    read_end, write_end = os.pipe2(os.O_CLOEXEC)
    child = os.fork()
    if child == 0:
        try:
            sys.argv.append("probe")
            enter(tier, readable)
            settle(tier)
            trial = dict(settings, tier="T3" if tier == "T3-net" else tier, time=10.0)
            trial["scoped"] = sandbox.signals_are_scoped(trial["tier"])

            def attack(processes):
                near, far = socket.socketpair()
                trial["processes"] = process_allowance(trial)
                guardian = Guardian(near, trial, readable, 0, processes)
                header, output = guardian.run(SELF_ATTACK.encode())
                os.write(write_end, output or header)
                guardian.kill_others(0)

            pid = spawn_guardian(trial, readable, 0, attack)
            os.waitpid(pid, 0)
            os._exit(0)
        except BaseException as error:
            os.write(write_end, str(error).encode()[:500])
        finally:
            os._exit(70)
    os.close(write_end)
    text = b""
    while True:
        part = os.read(read_end, 4096)
        if not part:
            break
        text += part
    os.close(read_end)
    os.waitpid(child, 0)
    text = text.decode("utf-8", "replace").strip()
    if text == "holes:":
        return ""
    return "attacks succeeded: " + text[6:] if text.startswith("holes:") else text or "no answer"


def preload(names):
    versions, missing = {}, []
    for name in names:
        try:
            module = __import__(name)
            versions[name] = str(getattr(module, "__version__", ""))
        except ImportError:
            missing.append(name)
    for name in ("math", "cmath", "fractions", "decimal", "itertools", "functools", "collections", "statistics",
                 "datetime", "re", "string", "heapq", "bisect", "operator", "copy", "typing"):
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


def no_session(error):
    """The reply that a session gets when it could not be set up."""
    text = json.dumps({"status": "sandbox_error", "detail": "start: %s" % error, "ms": 0, "head": 0, "tail": 0,
                       "total": 0}).encode()
    return struct.pack("II", len(text), 0) + text


class Zygote:
    def __init__(self, settings, readable):
        self.settings, self.readable = settings, readable
        self.control = socket.socket(fileno=CONTROL)
        self.guardians = {}
        self.bell, ring = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(ring, warn_on_full_buffer=False)

    def serve(self):
        poll = select.poll()
        poll.register(self.control.fileno(), select.POLLIN)
        poll.register(self.bell, select.POLLIN)
        while True:
            for descriptor, _ in poll.poll():
                if descriptor == self.bell:
                    self.reap()
                else:
                    data, descriptors = self.message()
                    if not data:
                        self.end()
                    self.act(json.loads(data), descriptors)

    def message(self):
        data, ancillary, _, _ = self.control.recvmsg(65536, socket.CMSG_SPACE(16))
        descriptors = array.array("i")
        for level, kind, payload in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                descriptors.frombytes(payload[: len(payload) // 4 * 4])
        return data, list(descriptors)

    def act(self, request, descriptors):
        serial = request["id"]
        if request["op"] == "kill":
            pid = self.guardians.get(serial)
            if pid:
                os.kill(pid, signal.SIGKILL)
            return
        link = socket.socket(fileno=descriptors[0])
        settings = self.settings
        allowed = dict(settings, processes=process_allowance(settings))

        def body(processes):
            self.control.close()
            os.close(self.bell)
            try:
                Guardian(link, allowed, self.readable, request["key"], processes).serve()
            except OSError as error:
                link.sendall(no_session(error))

        try:
            self.guardians[serial] = spawn_guardian(settings, self.readable, serial, body)
        except OSError as error:
            link.sendall(no_session(error))
        finally:
            link.close()

    def reap(self):
        try:
            while os.read(self.bell, 512):
                pass
        except BlockingIOError:
            pass
        known = {pid: serial for serial, pid in self.guardians.items()}
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid in known and not os.WIFSTOPPED(status):
                del self.guardians[known.pop(pid)]
            elif pid not in known and os.WIFSTOPPED(status):
                os.kill(pid, signal.SIGKILL)  # a keeper whose guardian died (no PID namespace here)

    def end(self):
        """The trainer is gone. Nothing of ours may stay."""
        for pid in self.guardians.values():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        if self.settings["tier"] != "T3":
            watcher = Guardian.__new__(Guardian)
            watcher.settings, watcher.bell = self.settings, self.bell
            watcher.stops, watcher.exits = set(), {}
            watcher.processes = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY)
            watcher.kill_others(0)
        os._exit(0)


def tell(message):
    data = json.dumps(message).encode()
    control = socket.socket(fileno=os.dup(CONTROL))
    control.sendall(data)
    control.close()


def main():
    settings = json.loads(sys.argv[1])
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [path for path in sys.path if path and os.path.abspath(path) != here]
    try:
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("1000")
    except OSError:
        pass
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    readable = python_folders(settings["readable"])
    reasons, chosen = {}, None
    for tier in settings["tiers"]:
        try:
            reason = probe(tier, settings, readable)
        except OSError as error:
            reason = str(error)
        if not reason:
            chosen = tier
            break
        reasons[tier] = reason
    if chosen is None:
        tell({"failed": reasons})
        os._exit(78)
    snapshot = sandbox.load_snapshot(settings["library"])
    enter(chosen, readable)
    settings["tier"] = "T3" if chosen == "T3-net" else chosen
    settings["scoped"] = sandbox.signals_are_scoped(settings["tier"])
    versions, missing = preload(settings["preload"])
    settle(chosen)
    gc.collect()
    gc.freeze()
    unshared = sandbox.share_memory(snapshot)
    zygote = Zygote(settings, readable)
    tell({"ready": chosen, "landlock": sandbox.landlock_version(), "preloaded": versions, "missing": missing,
          "python": "%d.%d.%d" % sys.version_info[:3], "reasons": reasons,
          "unshared": unshared})
    zygote.serve()


if __name__ == "__main__":
    try:
        main()
    except BaseException as error:
        try:
            tell({"failed": {"start": "%s: %s" % (type(error).__name__, error)}})
        except BaseException:
            pass
        os._exit(70)
