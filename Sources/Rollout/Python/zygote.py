"""The interpreter's processes. Started once by the trainer with a socket on descriptor 3.

    launcher      makes namespaces and a private root, waits (tier T3 only)
      zygote      imports numpy, sympy, ...; moves its memory into a file; forks a guardian for each trajectory
        guardian  one a trajectory, first process of its own PID namespace; owns clock, pipes and verdicts; runs no
                  model code and is out of its reach
          runner  holds the trajectory's variables and runs its blocks, confined for good

Before each block but its first the runner forks a backup of itself. When the block ends, the runner goes on as the
keeper of the state and the backup is killed. When the block is killed or crashes, the backup takes the runner's place
(or a new runner, if there is no backup), so a timeout loses that block's changes and nothing else. Runner and guardian
share a page of memory, and speak by stopping and continuing the runner. It needs no descriptor that model code could
find, and all that it could forge is its own outcome.

    zygote.py                   the zygote, and how it starts
    interpreter/tiers           namespaces, roots and users of the zygote and the guardians
    interpreter/self_test       the attacks that a tier must hold against before it is used
    interpreter/warm_up         imports, and memory that is cheap to fork
    interpreter/guardian        a block's clock, output and verdict, and what stays of it
    interpreter/processes       which processes of a trajectory live
    interpreter/replies         the bytes between guardian and trainer
    interpreter/page            the page of memory between guardian and runner
    interpreter/runner          the runner's turn, its backups
    interpreter/python_state    seeds, and handlers and timers taken back
    interpreter/cell            one block: compile, run, show, describe the error
    sandbox/                    what confines a runner

All of these are imported before anything is given up, and then no `import` finds them any more.
"""

import builtins

# Functions look names up here, so a block that replaces `len` or `print` does not reach them.
__builtins__ = dict(vars(builtins))

import array
import gc
import json
import os
import select
import signal
import socket
import sys

import sandbox
from interpreter.guardian import Guardian
from interpreter.processes import Processes, child_bell, silence
from interpreter.replies import no_session
from interpreter.self_test import probe
from interpreter.tiers import CONTROL, enter, give_up_privileges, process_allowance, python_folders, spawn_guardian
from interpreter.warm_up import load_snapshot, preload, share_memory
from sandbox import landlock


class Zygote:
    """Takes the trainer's orders: to open a session on a socket that comes along, and to kill one."""

    def __init__(self, settings, readable):
        self.settings, self.readable = settings, readable
        self.control = socket.socket(fileno=CONTROL)
        self.guardians = {}
        self.bell = child_bell()

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
        """An order, as JSON, and the descriptors that came with it."""
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

        def body(proc):
            self.control.close()
            os.close(self.bell)
            try:
                Guardian(link, allowed, self.readable, request["key"], proc).serve()
            except OSError as error:
                link.sendall(no_session(error))

        try:
            self.guardians[serial] = spawn_guardian(settings, self.readable, serial, body)
        except OSError as error:
            link.sendall(no_session(error))
        finally:
            link.close()

    def reap(self):
        silence(self.bell)
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
            proc = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY)
            Processes(proc, False, self.bell).kill_others(0)
        os._exit(0)


def tell(message):
    data = json.dumps(message).encode()
    control = socket.socket(fileno=os.dup(CONTROL))
    control.sendall(data)
    control.close()


def first_to_die():
    """Asks the kernel to end these processes, and not the trainer, when memory runs out."""
    try:
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("1000")
    except OSError:
        pass


def choose_tier(settings, readable):
    """The first tier that holds here, or None, and why those before it do not."""
    reasons = {}
    for tier in settings["tiers"]:
        try:
            reason = probe(tier, settings, readable)
        except OSError as error:
            reason = str(error)
        if not reason:
            return tier, reasons
        reasons[tier] = reason
    return None, reasons


def main():
    settings = json.loads(sys.argv[1])
    sandbox.hide_modules(os.path.dirname(__file__))
    first_to_die()
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    readable = python_folders(settings["readable"])
    chosen, reasons = choose_tier(settings, readable)
    if chosen is None:
        tell({"failed": reasons})
        os._exit(78)
    snapshot = load_snapshot(settings["library"])
    enter(chosen, readable)
    settings["tier"] = "T3" if chosen == "T3-net" else chosen
    settings["scoped"] = sandbox.signals_are_scoped(settings["tier"])
    versions, missing = preload(settings["preload"])
    give_up_privileges(chosen)
    gc.collect()
    gc.freeze()
    unshared = share_memory(snapshot)
    zygote = Zygote(settings, readable)
    tell({"ready": chosen, "landlock": landlock.version(), "preloaded": versions, "missing": missing,
          "python": "%d.%d.%d" % sys.version_info[:3], "reasons": reasons, "unshared": unshared})
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
