"""Numbers as they are written: with commas, in other bases, with a period that repeats, cut off by dots."""

import re
from fractions import Fraction

from .errors import Unreadable


class Number:
    """A number as written.

    value: exact. places: the digits after its point; None: no decimal. digits: all but leading zeros. cut: whether dots
    cut it off. parts: where commas stand between groups of three, the numbers of the list that it may be instead.
    """

    def __init__(self, value, places=None, digits=0, cut=False, parts=None, written=""):
        self.value = Fraction(value)
        self.places, self.digits, self.cut, self.parts, self.written = places, digits, cut, parts, written

    def based(self, base):
        """Its digits read in another base."""
        value = in_base(self.written, base)
        if value is None:
            raise Unreadable("base")
        return Number(value)

    def times_ten_to(self, exponent):
        """`2.5e3`: the number with that exponent."""
        places = max(0, self.places - exponent) if self.places is not None else None
        if not places:
            places = -exponent if exponent < 0 else None
        value = self.value * Fraction(10) ** exponent
        return Number(value, places, self.digits, self.cut, self.parts, self.written)


def in_base(written, base):
    """The value of digits (letters above nine) with or without a point; None where one is too large for the base."""
    value, scale, point = 0, 1, False
    for c in written:
        if c == ".":
            point = True
            continue
        digit = int(c, 36)
        if digit >= base:
            return None
        value = value * base + digit
        scale *= base if point else 1
    return Fraction(value, scale)


NUMBER = re.compile(r"""0[xX][0-9a-fA-F]+(?![0-9A-Za-z_]) | 0[bB][01]+(?![0-9A-Za-z_]) | 0[oO][0-7]+(?![0-9A-Za-z_])
    | \d{1,3}(?:\\sep\d{3})+(?!\d)(?:\.(?!\.)\d*)?
    | \d{1,3}(?:'\d{3})+(?!\d)(?:\.\d+)? | \d{1,3}(?:\.\d{3}){2,}(?![\d.])
    | \d{1,3}(?:_\d{3})+(?![\d_{])
    | (?!0)\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)?
    | \d{1,3}(?:[ ]\d{3})+(?![\d/])(?![ ]*/)(?:\.\d+)?
    | \d+(?:\.(?!\.)\d*)? | \.\d+ | \.(?=\\(?:overline|bar|dot)[^A-Za-z])""", re.VERBOSE)
BASED = re.compile(r"([0-9]{1,4}(?: [0-9]{4})+|[0-9]{1,3}(?:(?:\\sep|,| )[0-9]{3})+"
                   r"|[0-9][0-9A-Za-z]{0,400}(?:\.[0-9A-Z]+)?|[A-F][0-9A-F]+)\s*_\s*"
                   r"(\{[^{}]*(?:\{[^{}]*\})?[^{}]*\}|\d+|\\(?:text|mathrm) ?\{[^{}]*\})")
BASES = dict(binary=2, bin=2, ternary=3, octal=8, oct=8, decimal=10, dec=10, hexadecimal=16, hex=16,
             two=2, three=3, four=4, five=5, six=6, seven=7, eight=8, nine=9, ten=10, eleven=11,
             twelve=12, sixteen=16)
SUBSCRIPT = re.compile(r" ?_ ?\{? ?(\d{1,2}) ?\}?")
EXPONENT = re.compile(r"[eE][+-]?\d+(?![\d.]|[A-Za-z])")
REPEATS = re.compile(r"\s*\\(?:overline|bar)\s*(?:\{\s*(\d+)\s*\}|(\d))|\((\d+)\)")
DOTTED = re.compile(r"\\dot\s*\{?(\d)\}?(?:(\d*)\\dot\s*\{?(\d)\}?)?")
DOTS = re.compile(r"\s*(?:\.\.\.|\\(?:ldots|cdots|dots)(?![A-Za-z]))")


def read_based(text, place):
    """The number at `place` with its base, `1011_2` or `1A_{16}`, and where it ends; None where none stands there."""
    found = BASED.match(text, place)
    if not found:
        return None
    written = re.sub(r"\\sep|[, ]", "", found.group(1))
    subscript = re.sub(r"\\[a-z]+|[^A-Za-z0-9]|base", "", found.group(2))
    base = int(subscript) if subscript.isdigit() and len(subscript) < 3 else BASES.get(subscript.lower(), 0)
    if not 2 <= base <= 36 or subscript.startswith("0"):
        return None
    value = in_base(written, base) if base == 16 or written.upper() == written else None
    if value is None:
        if written.isdigit():
            raise Unreadable("a digit too large for its base")
        return None
    return Number(value), found.end()


def read_number(text, place):
    """The number at `place`, without its exponent, and where it ends."""
    found = NUMBER.match(text, place)
    written, end = found.group(), found.end()
    if written[:2].lower() in ("0x", "0b", "0o"):
        return Number(Fraction(int(written, 0))), end
    parts = [int(part) for part in written.split(",")] if "," in written and "." not in written else None
    if ",0" in written:  # no number of a list begins so: `(1,000)` is a thousand
        parts = None
    if written.count(".") > 1:
        written = written.replace(".", "")
    digits = re.sub(r"\\sep|[,_' ]", "", written)
    whole, point, decimals = digits.partition(".")
    value, cut = Fraction(int(whole + decimals or "0"), 10 ** len(decimals)), False
    places = len(decimals) if decimals else None
    if point:
        end, period, cut = read_period(text, end, decimals)
        if period is not None:
            end, value = repeating(text, end, value, whole, decimals, period)
            places = None
    return Number(value, places, len((whole + decimals).lstrip("0")), cut, parts, digits), end


def read_period(text, place, decimals):
    """What follows decimals: where it ends, the period that repeats (or None), and whether dots cut the number off.

    A period stands under a line, between dots or in parentheses, or is what the decimals before dots repeat.
    """
    end, period, cut = place, None, False
    found, dotted = REPEATS.match(text, place), DOTTED.match(text, place)
    if found:
        period, end = next(group for group in found.groups() if group), found.end()
    elif dotted:
        period, end = "".join(group or "" for group in dotted.groups()), dotted.end()
    dots = DOTS.match(text, end)
    if dots and period is not None:
        end = dots.end()
    elif dots and dots.group().strip() and decimals:
        end = dots.end()
        for length in range(1, len(decimals) // 2 + 1):
            tail = decimals[-length:]
            if decimals.endswith(tail * (3 if length == 1 else 2)):
                period = tail
                break
        cut = period is None
    return end, period, cut


def repeating(text, place, value, whole, decimals, period):
    r"""Where a number with a period ends, which may have a base (`0.\overline{1}_2`), and its value.

    `value`: that of the digits before the period, in base ten.
    """
    base, end, subscript = 10, place, SUBSCRIPT.match(text, place)
    if subscript:
        base, end = int(subscript.group(1)), subscript.end()
        value = in_base(whole + "." + decimals, base) if base > 1 else None
        if value is None or in_base(period, base) is None:
            raise Unreadable("base")
    return end, value + in_base(period, base) / (base ** len(decimals) * (base ** len(period) - 1))
