"""The seccomp filter: which system calls a process may make, and with which arguments."""

import builtins

# Functions look names up here, so a block that replaces `len` or `print` does not reach them.
__builtins__ = dict(vars(builtins))

import ctypes
import errno
import struct

from .calls import DENIED_VALUES, MISSING, NUMBERS
from .kernel import (ARM, CLONE_THREAD, NEWCGROUP, NEWIPC, NEWNET, NEWNS, NEWPID, NEWUSER, NEWUTS, PR_SET_NO_NEW_PRIVS,
                     PR_SET_SECCOMP, prctl)

SPACES = NEWNS | NEWUTS | NEWIPC | NEWUSER | NEWPID | NEWNET | NEWCGROUP
NEWEST = 463  # calls from this number on are not known here

# Instructions of BPF, what a filter may return, and where it finds the call (struct seccomp_data).
LOAD, IF_EQUAL, IF_AT_LEAST, IF_ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
ALLOW, KILL_PROCESS, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
NUMBER, ARCHITECTURE, ARGUMENT = 0, 4, 16


class Program:
    """A filter that is being written. Jumps count the instructions that they pass over."""

    def __init__(self):
        self.code = []

    def emit(self, operation, true, false, value):
        self.code.append(struct.pack("HBBI", operation, true, false, value))

    def load(self, offset):
        self.emit(LOAD, 0, 0, offset)

    def load_argument(self, index, high=False):
        self.load(ARGUMENT + 8 * index + 4 * high)

    def if_call(self, name, length):
        """Passes over the next `length` instructions unless `name` is called."""
        self.emit(IF_EQUAL, 0, length, NUMBERS[name][ARM])

    def deny(self, number=errno.EPERM):
        self.emit(RETURN, 0, 0, ERRNO | number)

    def deny_call(self, name, number=errno.EPERM):
        if NUMBERS[name][ARM] is not None:
            self.if_call(name, 1)
            self.deny(number)


def filter_program(denied, signals):
    """The filter's instructions.

    Other architectures are killed, `denied` calls fail with EPERM, and newer calls than we know with ENOSYS.
    `signals`: "any", or "group" where only kill(0, s), to the own process group, is allowed.
    """
    program = Program()
    program.load(ARCHITECTURE)
    program.emit(IF_EQUAL, 1, 0, 0xC00000B7 if ARM else 0xC000003E)
    program.emit(RETURN, 0, 0, KILL_PROCESS)
    program.load(NUMBER)
    program.emit(IF_AT_LEAST, 0, 1, NEWEST)  # also catches the x32 bit
    program.deny(errno.ENOSYS)
    for name in MISSING:
        program.deny_call(name, errno.ENOSYS)
    for name in denied:
        program.deny_call(name)
    deny_namespaces(program)
    deny_values(program)
    deny_setting_limits(program)
    if signals == "group":
        deny_signals(program)
    program.emit(RETURN, 0, 0, ALLOW)
    return b"".join(program.code)


def deny_namespaces(program):
    program.if_call("clone", 4)
    program.load_argument(0)
    program.emit(IF_ANY_BIT, 0, 1, SPACES)
    program.deny()
    program.load(NUMBER)
    program.if_call("unshare", 4)
    program.load_argument(0)
    program.emit(IF_EQUAL, 1, 0, CLONE_THREAD)  # what has_threads() asks
    program.deny()
    program.load(NUMBER)


def deny_values(program):
    for name, argument, values in DENIED_VALUES:
        program.if_call(name, len(values) + 3)
        program.load_argument(argument)
        for place, value in enumerate(values):
            last = place == len(values) - 1
            program.emit(IF_EQUAL, len(values) - 1 - place, 1 if last else 0, value)
        program.deny()
        program.load(NUMBER)


def deny_setting_limits(program):
    """Limits may be asked for, not set: they hold the block, and the next block needs them as they are."""
    program.if_call("prlimit64", 6)
    program.load_argument(2)
    program.emit(IF_EQUAL, 0, 2, 0)
    program.load_argument(2, high=True)
    program.emit(IF_EQUAL, 1, 0, 0)
    program.deny()
    program.load(NUMBER)


def deny_signals(program):
    """Signals but those to the own process group."""
    program.if_call("kill", 4)
    program.load_argument(0)
    program.emit(IF_EQUAL, 1, 0, 0)
    program.deny()
    program.load(NUMBER)
    program.deny_call("tkill")
    program.deny_call("tgkill")


def install(denied, signals):
    """Puts the filter in force, for good, for this process and all that it forks."""
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    program = filter_program(denied, signals)
    buffer = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer))
    prctl(PR_SET_SECCOMP, 2, ctypes.create_string_buffer(header, len(header)), "seccomp")
