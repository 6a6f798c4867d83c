"""The processes of a trajectory: which live, have stopped or have ended. From the kernel, never from a runner."""

import builtins

# Functions look names up here, so a block that replaces `len` or `print` does not reach them.
__builtins__ = dict(vars(builtins))

import os
import signal
import time

END_LIMIT = 30.0  # seconds that killed processes may take to end under load


def child_bell():
    """A descriptor that can be read once a child has stopped or ended."""
    bell, ring = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(ring, warn_on_full_buffer=False)
    return bell


def silence(bell):
    try:
        while os.read(bell, 512):
            pass
    except BlockingIOError:
        pass


class Processes:
    """This process's descendants. `proc`: the descriptor of a /proc that shows them.

    `own_space`: whether this process is the first of a PID namespace, and so sees nothing but itself and them.
    """

    def __init__(self, proc, own_space, bell):
        self.proc, self.own_space, self.bell = proc, own_space, bell
        self.stops = set()  # children that have stopped and were not continued
        self.exits = {}  # children that have ended: status and resource usage

    def reap(self):
        """Collects every exit and stop among our children."""
        silence(self.bell)
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

    def resume(self, pid):
        self.stops.discard(pid)
        os.kill(pid, signal.SIGCONT)

    def stat(self, name):
        """State, parent and so on of a process, from the kernel. Raises OSError when it is gone."""
        with open(os.open(name + "/stat", os.O_RDONLY, dir_fd=self.proc), "rb") as file:
            text = file.read()
        return text[text.rindex(b")") + 2 :].split()

    def others(self, keep):
        """Living descendants but for `keep`, and the state of each."""
        found = {}
        for pid in self.descendants():
            if pid != keep:
                try:
                    state = self.stat(str(pid))[0]
                except OSError:
                    continue
                if state not in (b"Z", b"X"):
                    found[pid] = state
        return found

    def descendants(self):
        names = [name for name in os.listdir(self.proc) if name.isdigit()]
        if self.own_space:
            return [int(name) for name in names if name != "1"]
        children = {}
        for name in names:
            try:
                children.setdefault(int(self.stat(name)[1]), []).append(int(name))
            except (OSError, ValueError):
                pass
        found, queue = [], [os.getpid()]
        while queue:
            pids = children.get(queue.pop(), [])
            found += pids
            queue += pids
        return found

    def kill_others(self, keep):
        """Ends every descendant but `keep`. False when they would not end."""
        end, pause = time.monotonic() + END_LIMIT, 0.0
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
