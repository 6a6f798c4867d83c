"""The value of an expression: exact where it is rational, else by mpmath to as many digits as its numbers ask for.

Two expressions are equal when they are equal at fixed points. Rational ones are compared exactly; others must agree to
half the digits worked with, which are more than twice those of all numbers in them. No step takes long: numbers over
LARGEST bits are only compared by size.
"""

import hashlib
import math
from fractions import Fraction

from expression import show

try:
    import mpmath
    from mpmath import mp
except ImportError:  # the caller says so
    mpmath = mp = None

LARGEST = 300_000  # bits of an exact number
MOST_DIGITS = 10_000  # worked with
MOST_FACTORS = 1_000_000  # of a factorial


class Undefined(Exception):
    """No value: a division by zero, a logarithm of zero."""


class NotRational(Exception):
    pass


class TooLarge(Exception):
    """Beyond what is worked out."""


def bits(value):
    return value.numerator.bit_length() + value.denominator.bit_length()


def bounded(value):
    if bits(value) > LARGEST:
        raise TooLarge
    return value


def whole(value):
    if value.denominator != 1:
        raise NotRational
    return value.numerator


def whole_root(value, n):
    """The n-th root of a whole number, where that is whole; else None."""
    if value.bit_length() > 20_000:
        return None
    low, high = 0, 1 << (value.bit_length() // n + 1)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if middle**n <= value else (low, middle - 1)
    return low if low**n == value else None


class Exact:
    """Rational arithmetic. Raises NotRational for what is not."""

    def number(self, value):
        return value

    def constant(self, name):
        raise NotRational

    def add(self, values):
        return bounded(sum(values, Fraction(0)))

    def mul(self, values):
        result = Fraction(1)
        for value in values:
            result = bounded(result * value)
        return result

    def div(self, a, b):
        if b == 0:
            raise Undefined
        return bounded(a / b)

    def pow(self, base, exponent):
        if exponent.denominator != 1:
            if exponent.denominator > 64 or base < 0:
                raise NotRational
            base, exponent = self.root(base, exponent.denominator), Fraction(exponent.numerator)
        n = exponent.numerator
        if base == 0 and n <= 0:
            if n == 0:
                return Fraction(1)
            raise Undefined
        if abs(base) == 1:
            return base if n % 2 else Fraction(1)
        if base != 0 and abs(n) * (bits(base) - 1) > LARGEST:
            raise TooLarge
        return base**n

    def root(self, value, n):
        if n < 1 or n > 64 or value < 0 and n % 2 == 0:
            raise NotRational
        top, bottom = whole_root(abs(value.numerator), n), whole_root(value.denominator, n)
        if top is None or bottom is None:
            raise NotRational
        return Fraction(top if value >= 0 else -top, bottom)

    def function(self, name, values):
        if name == "root":
            return self.root(values[0], whole(values[1]))
        if name == "abs":
            return abs(values[0])
        if name in ("floor", "ceil"):
            return Fraction(getattr(math, name)(values[0]))
        if name in ("factorial", "factorial2"):
            n, step = whole(values[0]), 1 if name == "factorial" else 2
            if n < 0:
                raise Undefined
            if n > 20_000:
                raise TooLarge
            return Fraction(math.factorial(n) if step == 1 else math.prod(range(n, 0, -2)))
        if name == "binomial":
            n, k = whole(values[0]), whole(values[1])
            if k < 0 or n < 0:
                raise NotRational
            if min(k, n - k) > 0 and min(k, n - k) * n.bit_length() > LARGEST:
                raise TooLarge
            return Fraction(math.comb(n, k))
        if name in ("min", "max"):
            return min(values) if name == "min" else max(values)
        if name in ("gcd", "lcm"):
            return Fraction(getattr(math, name)(*map(whole, values)))
        if name == "log" and len(values) == 2:
            return self.logarithm(*values)
        if values and values[0] == 0 and name in ("sin", "tan", "arcsin", "arctan", "sinh", "tanh", "ln"):
            if name == "ln":
                raise Undefined
            return Fraction(0)
        if values == [0] and name in ("cos", "exp", "cosh", "sec"):
            return Fraction(1)
        raise NotRational

    def logarithm(self, value, base):
        """Where it is a fraction of small numbers: log_2 8, log_4 8."""
        if value <= 0 or base <= 0 or base == 1:
            raise NotRational
        estimate = Fraction(math.log(value) / math.log(base)).limit_denominator(12)
        if abs(estimate.numerator) * bits(base) > 50_000:
            raise NotRational
        if value**estimate.denominator == base**estimate.numerator:
            return estimate
        raise NotRational


class Modular:
    """Rational arithmetic modulo a prime, which tells numbers of any length apart; exponents and arguments are exact.
    Raises NotRational, and TooLarge where those are beyond LARGEST."""

    PRIME = 11744896304061338076667424059833619145313962331487361721003388089423391881947  # SHA-256 of "martlet", next

    def number(self, value):
        return value.numerator * self.inverse(value.denominator) % self.PRIME

    def inverse(self, value):
        if value % self.PRIME == 0:
            raise Undefined
        return pow(value, -1, self.PRIME)

    def constant(self, name):
        raise NotRational

    def add(self, values):
        return sum(values) % self.PRIME

    def mul(self, values):
        return product(values, self.PRIME)

    def div(self, a, b):
        return a * self.inverse(b) % self.PRIME

    def pow(self, base, exponent):
        n = whole(exponent)
        if base % self.PRIME == 0:
            return base if n > 0 else 1 if n == 0 else self.inverse(base)
        return pow(base, n % (self.PRIME - 1), self.PRIME)

    def function(self, name, values):
        if name == "factorial" and MOST_FACTORS >= whole(values[0]) >= 0:
            return product(range(1, whole(values[0]) + 1), self.PRIME)
        if name == "binomial":
            n, k = whole(values[0]), whole(values[1])
            k = min(k, n - k)
            if 0 <= k <= MOST_FACTORS:
                return self.div(product(range(n - k + 1, n + 1), self.PRIME), product(range(1, k + 1), self.PRIME))
        return self.number(Exact().function(name, values))


def product(values, modulus):
    result = 1
    for value in values:
        result = result * value % modulus
    return result


class Approximate:
    """mpmath at the working precision. `largest`: the largest magnitude met, which cancellation is measured by."""

    def __init__(self, real=False):
        self.largest, self.real = mp.mpf(1), real

    def kept(self, value):
        if isinstance(value, (mp.mpf, mp.mpc)):
            if mp.isnan(value):
                raise Undefined
            if self.real and mp.im(value) != 0:
                raise Undefined
            size = abs(value)
            if size > self.largest and not mp.isinf(size):
                self.largest = size
        return value

    def number(self, value):
        return self.kept(mp.mpf(value.numerator) / value.denominator)

    def constant(self, name):
        return {"pi": +mp.pi, "e": +mp.e, "i": mp.mpc(0, 1), "inf": mp.inf}[name]

    def add(self, values):
        return self.kept(sum(values[1:], values[0]))

    def mul(self, values):
        result = values[0]
        for value in values[1:]:
            result = self.kept(result * value)
        return result

    def div(self, a, b):
        if b == 0:
            raise Undefined
        return self.kept(a / b)

    def pow(self, base, exponent):
        if base == 0 and mp.re(exponent) < 0:
            raise Undefined
        if base in (0, 1) and exponent != 0 and not mp.isinf(exponent):
            return base
        if abs(exponent) > mp.mpf(2) ** 64:
            raise TooLarge
        if mp.isint(exponent):
            return self.kept(mp.mpmathify(base) ** int(mp.re(exponent)))
        return self.kept(mp.power(base, exponent))

    def function(self, name, values):
        x = values[0]
        if name == "root":
            if mp.im(x) == 0 and mp.re(x) < 0 and mp.isint(values[1]) and int(values[1]) % 2:
                return self.kept(-mp.root(-mp.re(x), int(values[1])))
            return self.kept(mp.power(x, 1 / mp.mpmathify(values[1])))
        if name == "exp":
            return self.pow(mp.e, x)
        if name in ("ln", "log"):
            if x == 0 or len(values) > 1 and values[1] in (0, 1):
                raise Undefined
            return self.kept(mp.log(x) / mp.log(values[1]) if len(values) > 1 else mp.log(x))
        if name in ("sin", "cos", "tan", "cot", "sec", "csc") and abs(x) > mp.mpf(2) ** 200:
            raise TooLarge
        if name in ("factorial", "binomial", "factorial2"):
            if name == "factorial" and mp.isint(x) and 0 <= mp.re(x) <= 20_000:
                return self.kept(mp.mpf(math.factorial(int(mp.re(x)))))
            if abs(x) > mp.mpf(10) ** 18 or mp.dps > 400:
                raise TooLarge
        if name in ("min", "max"):
            return {"min": min, "max": max}[name](values)
        call = {"abs": abs, "arcsin": mp.asin, "arccos": mp.acos, "arctan": mp.atan, "arccot": mp.acot,
                "arcsec": mp.asec, "arccsc": mp.acsc, "factorial": mp.factorial, "factorial2": mp.fac2,
                "binomial": mp.binomial, "arcsinh": mp.asinh, "arccosh": mp.acosh, "arctanh": mp.atanh,
                "cis": lambda angle: mp.exp(mp.mpc(0, 1) * angle),
                "floor": mp.floor, "ceil": mp.ceil}.get(name) or getattr(mp, name, None)
        if call is None or name in ("gcd", "lcm", "det"):
            raise Undefined
        try:
            return self.kept(call(*values))
        except (ZeroDivisionError, ValueError):
            raise Undefined


class Evaluation:
    """Values of trees. `point`: a value for each symbol, from its name. `ten`: what `log` without a base means.
    `radians`: whether a degree sign converts outside functions too."""

    def __init__(self, arithmetic, point=0, ten=True, radians=False):
        self.arithmetic, self.point, self.ten, self.radians = arithmetic, point, ten, radians
        # What works out exponents and arguments.
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
        if kind == "pm":
            raise Undefined
        raise Undefined


def coordinate(name, point):
    """A fixed number for a symbol: positive at the first points, of either sign at the later ones."""
    digest = hashlib.sha256(("%s %d" % (name, point)).encode()).digest()
    value = Fraction(int.from_bytes(digest[:8], "big") + 2**60, 2**63) * (1, 5, 17)[point % 3]
    return -value if point >= 3 and digest[8] % 2 else value


def walk(node):
    if isinstance(node, tuple):
        yield node
        for part in node[1:]:
            yield from walk(part)
    elif isinstance(node, list):
        for part in node:
            yield from walk(part)


def size(node):
    """Decimal digits of all numbers and powers in a tree, roughly."""
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


def symbols(node):
    return {part[1] for part in walk(node) if part[0] == "symbol"}


def exact(node, ten=True, radians=False, point=0):
    """The rational value; None where it is not rational.
    Raises Undefined, TooLarge."""
    try:
        return Evaluation(Exact(), point, ten, radians)(node)
    except NotRational:
        return None


def approximate(node, digits, point=0, ten=True, radians=False, real=False):
    """(value, largest magnitude met) to so many digits.
    Raises Undefined, TooLarge."""
    arithmetic = Approximate(real)
    with mp.workdps(digits):
        value = Evaluation(arithmetic, point, ten, radians)(node)
        return mp.mpmathify(value), arithmetic.largest


def equal(a, b, ten=True, radians=(False, False)):
    """Whether two scalar trees have the same value at every point.
    Raises Undefined for one without a value, TooLarge where that cannot be told."""
    if show(a) == show(b):
        return True
    names = symbols(a) | symbols(b)
    points = range(6) if names else range(1)
    digits = None
    for point in points:
        try:
            left, right = (exact(node, ten, turn, point) for node, turn in zip((a, b), radians))
        except TooLarge:
            left, right = (residue(node, ten, turn, point) for node, turn in zip((a, b), radians))
        if left is not None and right is not None:
            if left != right:
                return False
            continue
        if digits is None:
            digits = 60 + 2 * (size(a) + size(b))
        if not near(a, b, min(digits, MOST_DIGITS), point, ten, radians):
            return False
    if digits is not None and digits > MOST_DIGITS:
        raise TooLarge
    return True


def residue(node, ten, radians, point):
    """The value modulo a prime; None where it cannot be worked out."""
    try:
        return Evaluation(Modular(), point, ten, radians)(node) % Modular.PRIME
    except (NotRational, Undefined, TooLarge):
        return None


def apart(a, b, point, ten, radians):
    """Whether the values are plainly different: they differ in the first digits, which more digits do not change."""
    pairs = [[approximate(node, digits, point, ten, turn)[0] for node, turn in zip((a, b), radians)]
             for digits in (50, 100)]
    if any(mp.isinf(value) for pair in pairs for value in pair):
        return False
    with mp.workdps(50):
        settled = all(abs(few - many) <= abs(many) * mp.mpf(10) ** -20 for few, many in zip(*pairs))
        return settled and abs(pairs[1][0] - pairs[1][1]) > max(map(abs, pairs[1])) * mp.mpf(10) ** -15


def near(a, b, digits, point, ten, radians):
    # Later points may be outside a domain: there, real expressions have no complex value on their way either.
    real = point >= 3 and not any(part == ("constant", "i") for part in [*walk(a), *walk(b)])
    try:
        if digits > 200 and point < 3 and apart(a, b, point, ten, radians):
            return False
        (left, most), (right, more) = (
            approximate(node, digits, point, ten, turn, real) for node, turn in zip((a, b), radians))
    except Undefined:
        if point < 3:
            raise
        return True
    if mp.isinf(left) or mp.isinf(right):
        return left == right
    if point >= 3 and (mp.im(left) != 0) != (mp.im(right) != 0):
        return True  # outside what one of them is defined on
    with mp.workdps(digits):
        return abs(left - right) <= max(most, more) * mp.mpf(10) ** (-digits // 2)
