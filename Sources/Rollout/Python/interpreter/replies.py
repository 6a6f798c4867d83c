"""What a guardian and the trainer say to each other about blocks.

A request is its length (u32) and the code. A reply is the length of its header (u32), the length of the output (u32),
the header as JSON, and the output: its first part, then its last.
"""

import builtins

# Functions look names up here, so a block that replaces `len` or `print` does not reach them.
__builtins__ = dict(vars(builtins))

import json
import os
import struct


class Collected:
    """The first and the last `kept / 2` bytes of a stream, and its length. Above `flood` bytes a block is ended."""

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

    def flooded(self):
        return self.total > self.flood


def reply(status, detail, milliseconds=0, output=None):
    """Header and output of the reply to a block that ran, or (without output) to one that did not."""
    output = output or Collected(0, 0)
    header = json.dumps({"status": status, "detail": detail, "ms": round(milliseconds, 3), "head": len(output.head),
                         "tail": len(output.tail), "total": output.total}).encode()
    return header, bytes(output.head) + bytes(output.tail)


def packed(header, output):
    return struct.pack("II", len(header), len(output)) + header + output


def no_session(error):
    """The bytes that a session gets when it could not be set up."""
    return packed(*reply("sandbox_error", "start: %s" % error))


def receive_code(link):
    """The code of the next request. Ends the process when the trainer has closed the session."""
    return receive(link, struct.unpack("I", receive(link, 4))[0])


def receive(link, count):
    data = bytearray()
    while len(data) < count:
        part = link.recv(count - len(data))
        if not part:
            os._exit(0)
        data += part
    return bytes(data)
