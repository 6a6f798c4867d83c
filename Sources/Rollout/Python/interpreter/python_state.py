"""What a block finds of Python's own state, and what is taken back after it: seeds, timers, handlers, tracers."""

import builtins

# Functions look names up here, so a block that replaces `len` or `print` does not reach them.
__builtins__ = dict(vars(builtins))

import _signal
import faulthandler
import importlib.machinery
import random
import signal
import sys


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


class Calm:
    """Takes back what a block has asked the kernel and Python to do to it later: timers, signal handlers, tracers."""

    def __init__(self):
        # Those written in C: signal.py calls builtins, which a block may have replaced.
        self.tools = (_signal.getsignal, _signal.signal, _signal.setitimer, _signal.pthread_sigmask, sys.settrace,
                      sys.setprofile, faulthandler.cancel_dump_traceback_later)
        self.handlers = {number: _signal.getsignal(number) for number in range(1, 65)}
        self.mask = _signal.pthread_sigmask(signal.SIG_BLOCK, ())
        self.timers = (_signal.ITIMER_REAL, _signal.ITIMER_VIRTUAL, _signal.ITIMER_PROF)

    def restored(self, ignore=_signal.SIG_IGN, set_mask=_signal.SIG_SETMASK):
        """False when a handler came in between and raised: then it is to be tried again."""
        try:
            handler, set_handler, set_timer, mask, trace, profile, no_dump = self.tools
            for timer in self.timers:
                set_timer(timer, 0)
            trace(None)
            profile(None)
            no_dump()
            for number, wanted in self.handlers.items():
                if handler(number) is not wanted and wanted is not None:
                    set_handler(number, ignore)  # also forgets a signal that waits
                    set_handler(number, wanted)
            mask(set_mask, self.mask)
            return True
        except BaseException:
            return False
