"""The page of memory that a runner and its guardian share: whose turn it is, the block, and what came of it.

All that a runner writes here is a claim of model code: the guardian checks it before it acts on it.
"""

import builtins

# Functions look names up here, so a block that replaces `len` or `print` does not reach them.
__builtins__ = dict(vars(builtins))

import mmap
import struct

# Offsets of the words, and of the verdict's text behind them. The block follows the header.
PHASE, BACKUP, LENGTH, CELL, STATUS_LENGTH, KEEPER, TURN, SPENT, STATUS = 0, 4, 8, 12, 16, 20, 24, 28, 32
HEADER, CODE_LIMIT = 4096, 1 << 20

# Phases. The guardian sets PREPARE and RUN, the runner the others.
PREPARE, READY, RUN, HANDOVER, DONE = 0, 1, 2, 3, 4


def new_page():
    return mmap.mmap(-1, HEADER + CODE_LIMIT)


def get_word(page, offset):
    return struct.unpack_from("I", page, offset)[0]


def set_word(page, offset, value):
    struct.pack_into("I", page, offset, value)


def write_block(page, number, code):
    set_word(page, LENGTH, len(code))
    set_word(page, CELL, number)
    page[HEADER : HEADER + len(code)] = code


def read_block(page):
    """The number and the code of the block."""
    code = bytes(page[HEADER : HEADER + get_word(page, LENGTH)])
    return get_word(page, CELL), code


def write_verdict(page, status, detail, keep):
    text = ("%s\n%s\n%d" % (status, detail, bool(keep))).encode()[: HEADER - STATUS]
    page[STATUS : STATUS + len(text)] = text
    set_word(page, STATUS_LENGTH, len(text))


def read_verdict(page):
    """Status, detail, and whether the block's changes stay; None where a runner would not have written it."""
    try:
        text = bytes(page[STATUS : STATUS + min(get_word(page, STATUS_LENGTH), HEADER - STATUS)])
        status, detail, keep = text.decode("ascii").split("\n")
    except ValueError:
        return None
    if status not in ("ok", "error", "exited", "memory", "refused"):
        return None
    return status, detail[:200], keep == "1"
