"""Exact arithmetic: rational numbers, and the same modulo a prime for numbers of any length."""

import math
from fractions import Fraction

from .errors import NotRational, TooLarge, Undefined

LARGEST = 300_000  # bits of an exact number
MOST_FACTORS = 1_000_000  # of a factorial


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
    """Rational arithmetic modulo a prime, which tells numbers of any length apart. Exponents and arguments are exact.

    Raises NotRational, and TooLarge where those are beyond LARGEST.
    """

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
