"""The guardian: supervises one trajectory. It owns the clock, the pipe of the output and the verdicts.

It runs no model code and is out of its reach. Everything that it learns from the runner it treats as a claim of model
code; whether a process lives, has stopped or has ended it asks the kernel.
"""

import builtins

# Functions look names up here, so a block that replaces `len` or `print` does not reach them.
__builtins__ = dict(vars(builtins))

import errno
import fcntl
import os
import resource
import select
import signal
import time

from .page import (BACKUP, CODE_LIMIT, DONE, HANDOVER, KEEPER, PHASE, PREPARE, READY, RUN, SPENT, TURN, get_word,
                   new_page, read_verdict, set_word, write_block)
from .processes import Processes, child_bell
from .replies import Collected, packed, receive_code, reply
from .runner import become_runner

PREPARE_LIMIT = 30.0  # seconds a runner may take to fork its backup under load
LOST = "; the session's variables were lost"


class Guardian:
    """`link`: the session's socket. `proc`: the descriptor of a /proc that shows our descendants."""

    def __init__(self, link, settings, readable, key, proc):
        self.link, self.settings, self.readable, self.key = link, settings, readable, key
        self.processes = Processes(proc, settings["tier"] == "T3", child_bell())
        self.cells = 0
        self.runner = self.backup = 0
        self.unsettled = False  # a block has ended well, and what it started besides has not been ended yet
        self.page = new_page()
        self.pipe, self.pipe_end = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self.pipe, False)
        self.poll = select.poll()
        self.poll.register(self.processes.bell, select.POLLIN)
        self.poll.register(self.pipe, select.POLLIN)
        self.poll.register(self.link.fileno(), select.POLLRDHUP)  # hang-up only: the next request may wait there
        self.start()

    def serve(self):
        while True:
            self.link.sendall(packed(*self.run(receive_code(self.link))))
            self.settle()

    def start(self):
        """Forks a runner with empty variables."""
        self.fresh = True
        self.runner = os.fork()
        if self.runner == 0:
            try:
                become_runner(self.page, self.pipe_end, self.settings, self.readable, self.key).serve()
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

    def begin_again(self):
        self.processes.kill_others(0)
        self.processes.exits.clear()
        self.processes.stops.clear()
        self.start()

    # ---------------------------------------------------------------------------------------------- waiting

    def wait_events(self, seconds):
        for descriptor, _ in self.poll.poll(max(0, int(seconds * 1000) + 1)):
            if descriptor == self.link.fileno():
                os._exit(0)  # the trainer has gone or closed the session: our namespace goes with us

    def wait_stop(self, pid, limit):
        """Waits until `pid` has stopped itself. False when it ended or the time ran out."""
        end = time.monotonic() + limit
        while True:
            self.processes.reap()
            if pid in self.processes.stops:
                return True
            left = end - time.monotonic()
            if pid in self.processes.exits or left <= 0:
                return False
            self.wait_events(left)

    def drain(self, output):
        """Reads what the pipe holds into `output`, or drops it where that is None."""
        while True:
            try:
                data = os.read(self.pipe, 65536)
            except BlockingIOError:
                return
            if output is None:
                continue
            output.add(data)
            if output.flooded():
                return

    # -------------------------------------------------------------------------------------------- one block

    def run(self, code):
        """Runs a block. Returns the reply's header and output."""
        if len(code) > CODE_LIMIT:
            return reply("refused", "code longer than %d bytes" % CODE_LIMIT)
        self.settle()
        self.drain(None)
        self.cells += 1
        write_block(self.page, self.cells, code)
        if not self.prepare():
            return self.not_run()
        fcntl.fcntl(self.pipe_end, fcntl.F_SETFL, 0)  # shared with the runner, whose block may have set flags
        self.limit_processor_time()
        started = time.monotonic()
        output = Collected(self.settings["output"], self.settings["flood"])
        set_word(self.page, PHASE, RUN)
        self.processes.resume(self.runner)
        status, detail, keep = self.wait_outcome(started + self.settings["time"], output)
        elapsed = (time.monotonic() - started) * 1000
        self.drain(output)
        if output.flooded() and status not in ("timeout", "sandbox_error"):
            status, detail, keep = "output", "output", False
        self.unsettled = keep and self.runner not in self.processes.exits
        if not self.unsettled:
            had_variables = self.backup != 0 or keep
            answered = self.finish(keep)
            self.drain(None)
            if not answered:
                status, detail = "sandbox_error", "protocol: processes that would not end"
            elif not self.runner and had_variables:
                detail += LOST
            if not self.runner:
                self.begin_again()
        return reply(status, detail, elapsed, output)

    def prepare(self):
        """Lets the runner fork its backup. False when there is no runner that answers."""
        if not self.runner:
            return False
        set_word(self.page, TURN, self.runner)
        set_word(self.page, PHASE, PREPARE)
        end = time.monotonic() + PREPARE_LIMIT
        self.processes.resume(self.runner)
        while time.monotonic() < end and self.runner not in self.processes.exits:
            if not self.wait_stop(self.runner, end - time.monotonic()):
                return False
            if get_word(self.page, PHASE) == READY:
                if self.fresh:
                    self.fresh = False
                    return True
                self.backup = get_word(self.page, BACKUP)
                return self.backup in self.processes.descendants() and self.backup != self.runner
            self.processes.resume(self.runner)
        return False

    def not_run(self):
        """The reply when no runner answers: the block before had set an alarm, say.

        Without its variables a block would mean something else, so it is not run.
        """
        status, detail = "sandbox_error", "protocol: the runner did not answer"
        if self.runner in self.processes.exits and not self.fresh:
            status, detail = "crashed", "ended between blocks"
        detail += "" if self.fresh else LOST
        self.begin_again()
        return reply(status, detail)

    def limit_processor_time(self):
        """Sets the block's limit, above what the runner has used. The runner may not set limits itself."""
        try:
            _, hard = resource.prlimit(self.runner, resource.RLIMIT_CPU)
            soft = get_word(self.page, SPENT) + int(self.settings["time"]) + 2
            if hard != resource.RLIM_INFINITY:
                soft = min(soft, hard)
            resource.prlimit(self.runner, resource.RLIMIT_CPU, (soft, hard))
        except ProcessLookupError:
            pass  # found to have ended by whoever waits for it

    # ---------------------------------------------------------------------------------------------- verdicts

    def wait_outcome(self, end, output):
        """Status and detail of the running block, and whether its changes stay. Collects its output meanwhile."""
        while True:
            left = end - time.monotonic()
            if left <= 0:
                return "timeout", "time_wall", False
            self.wait_events(left)
            self.drain(output)
            self.processes.reap()
            outcome = None
            if output.flooded():
                outcome = "output", "output", False
            elif get_word(self.page, PHASE) >= HANDOVER:
                outcome = self.claimed_outcome()
            elif self.runner in self.processes.exits:
                outcome = self.outcome_of_exit()
            if outcome:
                return outcome

    def claimed_outcome(self):
        """What the runner says of a block that it has finished, or None while it has not stopped."""
        if get_word(self.page, PHASE) != DONE:
            return None
        successor = get_word(self.page, KEEPER)
        if successor != self.runner:  # a fork that left the block's threads behind
            if successor not in self.processes.stops or successor == self.backup:
                return None
            self.runner = successor
        elif self.runner not in self.processes.stops:
            return None
        # The runner always writes a verdict. If there is none, that is the block's doing, and judged as such.
        return read_verdict(self.page) or ("crashed", "no verdict", False)

    def outcome_of_exit(self):
        status, usage = self.processes.exits[self.runner]
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

    # ------------------------------------------------------------------------------------- what stays of it

    def settle(self):
        """Ends what a block that ended well has left. After the reply: nothing but the next block waits for it."""
        if self.unsettled:
            self.unsettled = False
            if self.processes.others(self.runner) == {self.backup: b"T"}:
                # The usual case. A stopped process that is killed never runs again: nobody waits until it is gone.
                os.kill(self.backup, signal.SIGKILL)
                self.processes.exits.clear()
                self.backup = 0
            else:
                self.finish(True)
            self.drain(None)

    def finish(self, keep):
        """Commits (the runner stays) or rolls back (its backup takes over), and ends every other process.

        No runner is left when the block has killed the backup. False when a process would neither end nor stop in time.
        """
        survivor = self.runner if keep else self.backup
        answered = self.processes.kill_others(survivor)
        if answered and survivor in self.processes.exits:
            survivor = 0
        if answered and not keep and survivor and not self.wait_stop(survivor, PREPARE_LIMIT):
            answered = survivor in self.processes.exits
            survivor = 0
        self.processes.exits.clear()
        self.backup = 0
        self.runner = survivor if answered else 0
        return answered
