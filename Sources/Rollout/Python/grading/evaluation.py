"""The value of a tree, exact or approximate.

No step takes long: numbers over LARGEST bits are not worked out.
"""

import hashlib
from fractions import Fraction

from .approximate import Approximate, mp
from .errors import NotRational, TooLarge, Undefined
from .exact import LARGEST, Exact, Modular, bits
from .tree import symbols, walk

class Evaluation:
    """Works out trees.

    point: which value a symbol has, with its name. ten: whether `log` without a base has base ten. radians: whether a
    degree sign converts outside functions too.
    """

    def __init__(self, arithmetic, point=0, ten=True, radians=False):
        self.arithmetic, self.point, self.ten, self.radians = arithmetic, point, ten, radians
        # Works out exponents and arguments.
        self.inner = Evaluation(Exact(), point, ten, radians) if isinstance(arithmetic, Modular) else self

    def __call__(self, node, inside=False):
        kind, arithmetic = node[0], self.arithmetic
        if kind == "number":
            return arithmetic.number(Fraction(node[1].value))
        if kind == "symbol":
            return arithmetic.number(coordinate(node[1], self.point))
        if kind == "constant":
            return arithmetic.constant(node[1])
        if kind in ("add", "mul"):
            return getattr(arithmetic, kind)([self(part, inside) for part in node[1]])
        if kind == "div":
            return arithmetic.div(self(node[1], inside), self(node[2], inside))
        if kind == "pow":
            return arithmetic.pow(self(node[1], inside), self.inner(node[2], inside))
        if kind == "neg":
            return -self(node[1], inside)
        if kind == "percent":
            return arithmetic.div(self(node[1], inside), arithmetic.number(Fraction(100)))
        if kind == "degree":
            value = self(node[1], inside)
            if not inside and not self.radians:
                return value
            return arithmetic.div(arithmetic.mul([value, arithmetic.constant("pi")]), arithmetic.number(Fraction(180)))
        if kind == "function":
            values = [self.inner(part, True) for part in node[2]]
            if node[1] == "log" and len(values) == 1:
                values += [self.inner.arithmetic.number(Fraction(10))] if self.ten else []
            return arithmetic.function(node[1], values)
        if kind == "group" and len(node[3]) == 1:
            return self(node[3][0], inside)
        raise Undefined


def coordinate(name, point):
    """The value of a symbol at a point: positive at the first three points, of either sign at later ones."""
    digest = hashlib.sha256(("%s %d" % (name, point)).encode()).digest()
    value = Fraction(int.from_bytes(digest[:8], "big") + 2**60, 2**63) * (1, 5, 17)[point % 3]
    return -value if point >= 3 and digest[8] % 2 else value


def size(node):
    """How many decimal digits all numbers and powers of a tree have, roughly."""
    total = 0
    for part in walk(node):
        if part[0] == "number":
            total += bits(Fraction(part[1].value))
        elif part[0] in ("pow", "function"):
            try:
                if symbols(part):
                    raise NotRational
                total += bits(Evaluation(Exact())(part))
            except (NotRational, Undefined):
                if part[0] == "pow":
                    total += exponent_bits(part)
            except TooLarge:
                total += exponent_bits(part) if part[0] == "pow" else 10 * LARGEST
    return total * 3 // 10


def exponent_bits(node):
    try:
        return min(10 * LARGEST, abs(int(Evaluation(Exact())(node[2]))) * 4)
    except (NotRational, Undefined, TooLarge):
        return 0


def exact(node, ten=True, radians=False, point=0):
    """The rational value; None where it is not rational. Raises Undefined, TooLarge."""
    try:
        return Evaluation(Exact(), point, ten, radians)(node)
    except NotRational:
        return None


def approximate(node, digits, point=0, ten=True, radians=False, real=False):
    """The value to so many digits, and the largest magnitude met. Raises Undefined, TooLarge."""
    arithmetic = Approximate(real)
    with mp.workdps(digits):
        value = Evaluation(arithmetic, point, ten, radians)(node)
        return mp.mpmathify(value), arithmetic.largest
