"""Words and runs of letters become tokens: names, functions, scales, units, or products of letters."""

import re
from fractions import Fraction

from .vocabulary import CONSTANTS, FUNCTIONS, GREEK, SCALES, SHORT_WORDS, UNITS

NAMES_IN_RUNS = ("arcsin", "arccos", "arctan", "sqrt", "sinh", "cosh", "tanh", "sin", "cos", "tan", "cot", "sec", "csc",
                 "log", "ln", "exp", "pi")


class Words:
    """What of `Tokens` reads words. `list`: the tokens so far."""

    def __init__(self):
        self.list = []

    def add(self, kind, value, spaced=False):
        self.list.append((kind, value, spaced))

    def words(self, inner, spaced, upright=False):
        words = re.findall(r"[A-Za-z'-]+|,", inner)
        if len(words) == 1 and not words[0].startswith(("'", "-")):
            word = words[0]
            if len(word) == 1 and not inner.endswith("."):
                self.letter(word, spaced, upright=self.follows_number())
            elif word in FUNCTIONS or word in CONSTANTS:
                self.letters(word, spaced)
            else:
                self.word(word, spaced)
            return
        joints = {"and", "or", ","}  # `A and B`
        letters = not joints.isdisjoint(words) and all(len(word) == 1 or word in joints for word in words)
        for word in words:
            if word == ",":
                self.add("op", ",", spaced)
            elif letters and len(word) == 1:
                self.letter(word, spaced)
            else:
                self.word(word, True)

    def follows_number(self):
        return bool(self.list) and (self.list[-1][0] in ("number", "scale") or self.list[-1][1] in ("}", "circ"))

    def follows_unit(self):
        """Whether a unit and a sign stand before, as in kg times m/s."""
        return [kind for kind, _, _ in self.list[-2:]] == ["word", "op"] and self.list[-1][1] in "*/"

    def word(self, word, spaced):
        low = word.lower()
        if low in ("and", "or"):
            self.add("op", ",", spaced)
        elif low in SCALES:
            self.add("scale", Fraction(SCALES[low]), spaced)
        elif low in ("percent", "pct"):
            self.add("op", "%", spaced)
        elif low == "base":
            self.add("op", "base", spaced)
        elif low in ("degree", "degrees", "deg") and self.follows_number():
            self.add("op", "degree", spaced)
        elif low == "i" and not spaced:
            self.letter("i", spaced)
        else:
            self.add("word", word, spaced)

    def letter(self, letter, spaced, upright=False):
        if letter == "I" and self.list[-1:] == [("op", "*", False)]:  # sympy's
            letter = "i"
        if letter in ("e", "i"):
            self.add("constant", letter, spaced)
        elif upright:
            self.add("word", letter, spaced)  # 5\text{ m}
        else:
            self.add("name", letter, spaced)

    def letters(self, run, spaced):
        """A run of letters outside of \\text: known names, single letters, or a word."""
        if run in ("C", "F", "K") and [value for _, value, _ in self.list[-2:]] in (["^", "circ"], ["circ", "}"]):
            return self.add("word", run, spaced)  # 72 °F
        if run in FUNCTIONS:
            return self.add("function", FUNCTIONS[run], spaced)
        if run in CONSTANTS or run.lower() in ("infinity",):
            return self.add("constant", CONSTANTS.get(run, "inf"), spaced)
        if run in GREEK:
            return self.add("name", run, spaced)
        low = run.lower()
        if low in SCALES or low in SHORT_WORDS:
            return self.word(run, spaced)
        if run in UNITS and self.follows_number():
            return self.add("word", run, spaced)
        parts = self.segments(run)
        if parts is None:
            return self.add("word", run, spaced)
        for part in parts:
            if part in FUNCTIONS:
                self.add("function", FUNCTIONS[part], spaced)
            elif len(part) > 1 and part in CONSTANTS:
                self.add("constant", CONSTANTS[part], spaced)
            else:
                self.letter(part, spaced)
            spaced = False

    @staticmethod
    def segments(run):
        """Splits a run such as `xsin` or `ab` into names and single letters. None where it is a word."""
        if len(run) <= 3 and not any(name in run.lower() for name in ("pi", "ln", "lg")):
            return list(run)
        parts, rest, single = [], run, 0
        while rest:
            name = next((name for name in NAMES_IN_RUNS if rest.startswith(name)), None)
            parts.append(name or rest[0])
            single += name is None
            rest = rest[len(parts[-1]):]
        if single == len(parts):
            return parts if len(run) <= 3 else None
        return parts if single <= 2 else None
