"""An answer's text becomes a list of tokens, whether it is LaTeX, Unicode, plain or in Python's notation.

A token is (kind, value, spaced): `spaced` says whether a space stood before it. Kinds: number, name, function,
constant, scale, word, op.
"""

import re
from fractions import Fraction

from .cleaning import clean
from .errors import Endless, Unreadable
from .literals import EXPONENT, NUMBER, Number, read_based, read_number
from .vocabulary import (CONSTANTS, COUNTS, DROPPED, FONTS, FUNCTIONS, GREEK, LETTERLIKE, OPERATORS, PYTHON, RELATIONS,
                         SAME)
from .words import Words

MOST_TOKENS = 1000
DEEPEST_FONT = 8
LARGEST_EXPONENT = 50_000  # of ten; larger ones stay powers

LETTERS = re.compile(r"[A-Za-z]+(?:(?<=log)(?:2|10)(?=\())?")
COMMAND = re.compile(r"\\([A-Za-z]+|.)", re.DOTALL)
PYTHON_COMPLEX = re.compile(r"\dj(?![A-Za-z])")
SYMPY = re.compile(r"(?:[\d\s.+*/()I-]|sqrt|exp|log|pi|sin|cos|E(?=\*))*")
VECTOR = re.compile(r"(?<![A-Za-z])[ik](?![A-Za-z])")


class Tokens(Words):
    """The tokens of a text.

    `scientific`: whether `2e-1` is a fifth, and not e times two less one; `ambiguous` holds that word where it matters.
    """

    def __init__(self, text, scientific=True):
        super().__init__()
        self.scientific, self.fonts, self.ambiguous = scientific, 0, set()
        text = clean(text)
        self.latex = "\\" in text
        self.run(text)

    def run(self, text):
        place, spaced = 0, False
        while place < len(text):
            if text[place].isspace():
                place, spaced = place + 1, True
                continue
            place = self.take(text, place, spaced)
            spaced = False
            if len(self.list) > MOST_TOKENS:
                raise Endless("long")
        self.counted()

    def counted(self):
        """Turns the word before a scale into a number: `five thousand`, `a dozen`, `half a million`."""
        for n in range(len(self.list) - 1, 0, -1):
            kind, value, spaced = self.list[n - 1]
            if self.list[n][0] != "scale" or kind not in ("word", "name"):
                continue
            count = COUNTS.get(value.lower())
            if value == "a" and n > 1 and self.list[n - 2][:2] == ("word", "half"):
                count, spaced = Fraction(1, 2), self.list[n - 2][2]
                del self.list[n - 2]
                n -= 1
            if count is not None:
                self.list[n - 1] = ("number", Number(count), spaced)

    def take(self, text, place, spaced):
        """Adds the token that begins at `place`. Returns where it ends."""
        c = text[place]
        if c.isascii() and c.isalnum():
            found = read_based(text, place)
            if found:
                self.add("number", found[0], spaced)
                return found[1]
        if c.isdigit() and c.isascii() or c == "." and NUMBER.match(text, place):
            return self.number(text, place, spaced)
        if c == "\\":
            return self.command(text, place, spaced)
        if c.isascii() and c.isalpha():
            return self.name(text, place, spaced)
        for op in ("...", "**", "<=", "=<", ">=", "==", "!="):
            if text.startswith(op, place):
                self.add("op", RELATIONS.get(op, op), spaced)
                return place + len(op)
        if c in "+-*/^_(){}[]|,;=<>!%&:'":
            self.add("op", c, spaced)
            return place + 1
        raise Unreadable(c)

    def name(self, text, place, spaced):
        """A run of letters that belongs to no command."""
        run = LETTERS.match(text, place)
        letters = run.group()
        if letters == "E" and text.startswith("**", run.end()):  # Python's names for e and i
            letters = "e"
        if letters == "j" and PYTHON_COMPLEX.search(text) and not VECTOR.search(text):
            letters = "i"
        if letters == "I" and SYMPY.fullmatch(text):
            letters = "i"
        digit = re.compile(r"\d+").match(text, run.end())
        if digit and len(letters) == 1 and letters not in "eEiI" and not self.latex:  # x1
            self.add("name", "%s_%s" % (letters, digit.group()), spaced)
            return digit.end()
        self.letters(letters, spaced)
        return run.end()

    def number(self, text, place, spaced):
        number, end = read_number(text, place)
        power = EXPONENT.match(text, end)
        if power:
            e = power.group()
            signed = e[1] in "+-"
            if e[0] == "e" and signed:
                self.ambiguous.add("scientific")
            if self.scientific or e[0] == "E" or not signed:
                exponent, end = int(e[1:]), power.end()
                if abs(exponent) > LARGEST_EXPONENT:
                    self.list += [("number", Number(number.value), spaced), ("op", "*", False),
                                  ("number", Number(10), False), ("op", "^", False),
                                  ("op", "-" if exponent < 0 else "+", False), ("number", Number(abs(exponent)), False)]
                    return end
                number = number.times_ten_to(exponent)
        self.add("number", number, spaced)
        return end

    # ------------------------------------------------------------------------------------------ commands

    def command(self, text, place, spaced):
        found = COMMAND.match(text, place)
        if not found:
            raise Unreadable("backslash")
        name, end = found.group(1), found.end()
        if name in FONTS:
            return self.font(text, end, spaced)
        if name in ("mathbb", "mathcal"):
            return self.with_argument(r"\s*\{?\s*([A-Za-z])\s*\}?", "name", "\\" + name, text, end, spaced)
        if name in ("begin", "end"):
            return self.with_argument(r"\s*\{([a-z]*\*?)\}(?:\s*\{[lcr|]*\})?", "op", name, text, end, spaced)
        if name in DROPPED:
            return end + (name in ("left", "right") and text[end:end + 1] == ".")
        if name in "{}\\":
            self.add("op", "\\" + name, spaced)
        elif name == "|":
            self.add("op", "|", spaced)
        elif name in RELATIONS:
            self.add("op", RELATIONS[name], spaced)
        elif SAME.get(name, name) in ("{", "}"):
            self.add("op", "\\" + SAME[name], spaced)
        elif SAME.get(name, "") and not SAME[name].isalpha():
            self.add("op", SAME[name], spaced)
        else:
            self.word_command(SAME.get(name, name), spaced)
        return end

    def with_argument(self, pattern, kind, name, text, place, spaced):
        """A command whose argument is part of its name."""
        found = re.compile(pattern).match(text, place)
        if not found:
            raise Unreadable(name)
        self.add(kind, name + " " + found.group(1), spaced)
        return found.end()

    def word_command(self, name, spaced):
        if name in FUNCTIONS and name not in PYTHON:
            self.add("function", FUNCTIONS[name], spaced)
        elif name in ("pi", "infty"):
            self.add("constant", CONSTANTS[name], spaced)
        elif name.startswith("up") and name[2:] in GREEK:
            self.add("name", name[2:], spaced)
        elif name in GREEK or name in LETTERLIKE:
            self.add("name", name, spaced)
        elif name in OPERATORS:
            self.add("op", name, spaced)
        else:
            raise Unreadable("\\" + name)

    def font(self, text, place, spaced):
        """The argument of a font command: a letter, a function, words, or mathematics like any other."""
        while place < len(text) and text[place].isspace():
            place += 1
        if text[place:place + 1] != "{":
            return place  # `\rm x`, `\mathbf x`
        depth, end = 0, place
        while end < len(text):
            depth += {"{": 1, "}": -1}.get(text[end], 0)
            if depth == 0:
                break
            end += 1
        inner = text[place + 1:end]
        if re.fullmatch(r"\s*\\[A-Za-z]+\s*(\{[^{}]*\})?\s*", inner):  # \mathop{\mathrm{sin}}
            self.run(inner)
            return end + 1
        unit = re.fullmatch(r"(\s*[A-Za-z]+)(?:\s*(?:/|per\b|\\cdot)\s*[A-Za-z]+)*(?:\^\{?-?\d\}?)?\s*", inner)
        if unit and not unit.group().strip().isalpha() and (self.follows_number() or self.follows_unit()):
            self.word(unit.group(1).strip(), spaced)
        elif re.fullmatch(r"[A-Za-z\s.,'-]*", inner) and re.search("[A-Za-z]", inner):
            self.words(inner, spaced or inner[:1].isspace(), upright=True)
        else:
            self.fonts += 1
            if self.fonts > DEEPEST_FONT:
                raise Endless("deep")
            self.add("op", "(font", spaced)
            self.run(inner)
            self.add("op", "font)", False)
            self.fonts -= 1
        return end + 1
