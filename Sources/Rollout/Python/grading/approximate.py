"""Arithmetic with mpmath, to as many digits as are asked for."""

import math

from .errors import TooLarge, Undefined

try:
    from mpmath import mp
except ImportError:  # the caller says so
    mp = None


class Approximate:
    """mpmath at its working precision.

    largest: the largest magnitude met, by which cancellation is measured. real: complex values are undefined.
    """

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
