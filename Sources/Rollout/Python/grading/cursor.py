"""Where a parser stands in its tokens."""

from .errors import Endless, Unreadable

DEEPEST = 60


class Cursor:
    """The state of a parser, and its steps from token to token.

    tight: see Reading. bars, outward: how many bars, and brackets turned outward (`]1,2[`), are open. ambiguous: which
    other readings would differ.
    """

    def __init__(self, tokens, tight):
        self.tokens, self.tight, self.place, self.depth = tokens, tight, 0, 0
        self.bars = self.outward = 0
        self.ambiguous = set()

    def peek(self, ahead=0):
        place = self.place + ahead
        return self.tokens[place] if place < len(self.tokens) else ("end", None, False)

    def at(self, *ops):
        kind, value, _ = self.peek()
        return kind == "op" and value in ops

    def follows(self, shape):
        """Whether the next tokens are of these kinds, or these operators."""
        return all(part in self.peek(n)[:2] for n, part in enumerate(shape))

    def accept(self, *ops):
        if self.at(*ops):
            self.place += 1
            return True
        return False

    def expect(self, *ops):
        if not self.accept(*ops):
            raise Unreadable("expected " + ops[0])

    def descend(self):
        self.depth += 1
        if self.depth > DEEPEST:
            raise Endless("deep")

    def ascend(self):
        self.depth -= 1
