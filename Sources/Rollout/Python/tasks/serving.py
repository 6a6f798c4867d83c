"""What every task program here shares: the loop that answers the trainer's requests (docs/programs.md), and draws that
are the same on every machine.

A task has `problem(index)` and, where its problems say `scored`, `score(index, response)`.
"""

import hashlib
import json
import os
import sys


def serve(task):
    """Answers requests until the trainer is gone. What libraries print goes to standard error: replies alone belong on
    standard output."""
    with os.fdopen(os.dup(1), "w") as replies:
        os.dup2(2, 1)
        for line in sys.stdin:
            print(json.dumps(reply(task, json.loads(line))), file=replies, flush=True)


def reply(task, request):
    if request["op"] == "problem":
        return task.problem(request["index"])
    if request["op"] == "score" and hasattr(task, "score"):
        return task.score(request["index"], request)
    raise SystemExit("unknown request: %s" % json.dumps(request)[:200])


def digest(*parts):
    """A whole number below 2^64 that depends on all parts."""
    text = "\0".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


class Draws:
    """Random draws written out: Python does not promise the same numbers in its next version."""

    def __init__(self, *key):
        self.key, self.drawn = key, 0

    def below(self, bound):
        """A whole number from 0 to bound - 1."""
        self.drawn += 1
        return digest(*self.key, self.drawn) * bound >> 64

    def between(self, low, high):
        """A whole number from low to high."""
        return low + self.below(high - low + 1)

    def choice(self, items):
        return items[self.below(len(items))]

    def sample(self, items, count):
        """`count` of the items, each once, in a drawn order."""
        items = list(items)
        for place in range(count):
            other = self.between(place, len(items) - 1)
            items[place], items[other] = items[other], items[place]
        return items[:count]


def is_held_out(*key):
    """Whether a question belongs to the held-out fifth."""
    return digest("split", *key) % 5 == 0


def wordings(all_wordings, split):
    """The wordings of a split: the last one in four is for held-out problems."""
    held_out = max(1, len(all_wordings) // 4)
    return {"training": all_wordings[:-held_out], "held_out": all_wordings[-held_out:], "any": all_wordings}[split]
