"""The runner: holds a trajectory's variables and runs its blocks, confined for good.

It shares its process with model code, which can find and change all that is here, and then only hurts its own
trajectory. Before each block but its first it forks a backup of itself.
"""

import builtins

# Functions look names up here, so a block that replaces `len` or `print` does not reach them.
__builtins__ = dict(vars(builtins))

import os
import random
import signal
import sys
import time

import sandbox
from sandbox import kernel

from . import cell
from .page import (BACKUP, DONE, HANDOVER, KEEPER, PHASE, PREPARE, READY, RUN, SPENT, TURN, get_word, read_block,
                   set_word, write_verdict)
from .python_state import Calm, seed_everything

FORK_LIMIT = 25.0  # seconds in which a fork must succeed under load: below the guardian's PREPARE_LIMIT
SELF_STOP = signal.SIGSTOP
FILE_LIMIT = 16 << 20  # bytes


def become_runner(page, pipe_end, settings, readable, key):
    """Confines this process, for good, and makes it the first state of a trajectory. Its `serve` comes next."""
    signal.set_wakeup_fd(-1)
    for descriptor, source in ((0, os.open("/dev/null", os.O_RDONLY)), (1, pipe_end), (2, pipe_end)):
        os.dup2(source, descriptor)
    os.closerange(3, 4096)
    os.setsid()
    os.umask(0o022)
    if settings["tier"] != "T3":
        kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL if number != signal.SIGPIPE else signal.SIG_IGN)
    output = cell.open_output(1)
    sandbox.limit(settings["memory"], settings["processes"], FILE_LIMIT)
    seed_everything(key)
    os.environ.clear()
    sys.argv = [""]
    namespace = cell.fresh_namespace()
    sandbox.confine(settings["tier"], readable)
    return Runner(page, output, namespace, settings)


class Runner:
    def __init__(self, page, output, namespace, settings):
        self.page, self.output, self.namespace, self.sources = page, output, namespace, {}
        # Own names for what a block may replace.
        self.fork, self.patient_fork, self.wait, self.leave = os.fork, fork_patiently, os.waitpid, os._exit
        self.kill, self.getpid, self.getppid, self.sleep = os.kill, os.getpid, os.getppid, time.sleep
        self.getstate, self.setstate, self.usage, self.fstat = random.getstate, random.setstate, os.times, os.fstat
        self.run_cell, self.is_open, self.open_output = cell.run, cell.is_open, cell.open_output
        self.has_threads, self.prctl, self.calm = kernel.has_threads, kernel.prctl, Calm()
        self.scoped, self.parent_death = settings["scoped"], settings["tier"] != "T3"
        self.pipe = self.output_file()
        self.backup = 0
        self.killed = []  # backups of earlier blocks, until they are collected
        self.fresh = True  # no variables yet: another runner is as good as a backup

    def serve(self):
        """Runs blocks for ever. Every state of the trajectory is in this loop, backups too."""
        while True:
            self.stop()
            # A block may continue processes whose turn it is not: they stop again.
            if get_word(self.page, PHASE) != PREPARE or get_word(self.page, TURN) != self.getpid():
                continue
            # There is a block to run. A backup that wakes here has just become the runner.
            if self.parent_death:
                self.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
            self.collect_backups()
            number, code = read_block(self.page)
            if not self.fresh and not self.fork_backup():
                continue
            self.fresh = False
            self.report_ready()
            status, detail, keep = self.run_block(number, code)
            if self.has_threads():
                self.leave_threads_behind()
            write_verdict(self.page, status, detail, keep and self.output_file() == self.pipe)
            set_word(self.page, KEEPER, self.getpid())
            set_word(self.page, PHASE, DONE)

    def stop(self):
        """Until the guardian continues this process."""
        self.kill(self.getpid() if self.scoped else 0, SELF_STOP)

    def collect_backups(self):
        if self.backup:
            self.killed.append(self.backup)
        for pid in list(self.killed):
            try:
                gone = self.wait(pid, os.WNOHANG)[0] == pid
            except OSError:
                gone = True
            if gone:
                self.killed.remove(pid)

    def fork_backup(self):
        """False in the backup itself."""
        state = self.getstate()
        self.backup = self.patient_fork(self.fork)
        if self.backup == 0:
            self.setstate(state)  # random reseeds itself in every child
            self.killed.clear()  # the parent's
            return False
        return True

    def report_ready(self):
        spent = self.usage()
        set_word(self.page, SPENT, int(spent.user + spent.system))
        set_word(self.page, BACKUP, self.backup)
        set_word(self.page, PHASE, READY)
        while True:
            self.stop()
            if get_word(self.page, PHASE) == RUN:
                return

    def run_block(self, number, code):
        """Status and detail of the block, and whether its changes stay."""
        me = self.getpid()
        if not self.is_open(self.output):
            self.output = self.open_output(1)
        try:
            verdict = self.run_cell(code.decode("utf-8", "replace"), number, self.namespace, self.sources, self.output)
        except BaseException:  # of a signal's handler, after the block's last line
            verdict = "error", "exception", True
        if self.getpid() != me:
            self.leave(0)  # a child that the block forked and that came to the block's end
        while True:
            try:
                if self.calm.restored():
                    return verdict
            except BaseException:  # of a trace function, as the call begins
                pass

    def leave_threads_behind(self):
        """Threads do not outlive their block: a fork takes the variables along and not the threads."""
        me, state = self.getpid(), self.getstate()
        set_word(self.page, PHASE, HANDOVER)
        if self.patient_fork(self.fork) != 0:
            self.leave(0)
        self.setstate(state)
        while self.getppid() == me:  # stopping the group would stop it before it is gone
            self.sleep(0.0002)
        self.backup = 0

    def output_file(self):
        """What file descriptor 1 is; None when it is closed."""
        try:
            now = self.fstat(1)
            return now.st_dev, now.st_ino
        except OSError:
            return None


def fork_patiently(fork, clock=time.monotonic, sleep=time.sleep, wait=os.waitpid):
    """Forks, and tries again while there are too many processes.

    Without a user of its own a trajectory shares the limit on processes with the others. A fork bomb among them is
    ended soon, and then there is room again. So there is when one's own ended children are collected.
    """
    end = clock() + FORK_LIMIT
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
