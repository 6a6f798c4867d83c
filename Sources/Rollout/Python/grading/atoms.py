"""The parts of a formula that stand for themselves: numbers, names, what stands in brackets, matrices."""

from .cursor import Cursor
from .errors import Unreadable
from .literals import Number
from .tree import show

MATRICES = {"pmatrix", "bmatrix", "matrix", "Bmatrix", "array", "smallmatrix", "vmatrix"}
ACCENTS = ("overline", "vec", "hat", "bar", "tilde")
# `1011 base 2`, written in several ways.
BASES = (["base", "number"], ["(", "base", "number", ")"], ["(font", "base", "number", "font)"],
         ["(font", "(", "base", "number", ")", "font)"], ["word", "base", "number"], ["_", "{", "base", "number", "}"])


class Atoms(Cursor):
    def primary(self):
        kind, value, _ = self.peek()
        self.place += 1
        if kind == "number":
            return self.number(value)
        if kind == "name":
            return ("symbol", value + self.subscript())
        if kind == "constant":
            if self.at("_"):
                return ("symbol", value + self.subscript())
            return ("constant", value)
        if kind == "function":
            return self.function(value)
        if kind == "scale":  # `a million`
            return ("number", Number(value))
        if kind != "op":
            raise Unreadable("expected a value")
        return self.begun(value)

    def begun(self, value):
        """What a sign or command begins."""
        if value == "...":
            return ("dots",)
        if value == "emptyset":
            return ("set", [])
        if value in ("(", "[", "]", "langle"):
            return self.group(value)
        if value in ("{", "\\{"):
            return self.braces(value)
        if value == "(font":
            items = self.items(("font)",))
            self.expect("font)")
            return items[0] if len(items) == 1 else ("list", items)
        if value == "|":
            return self.bar()
        if value in ("lfloor", "lceil"):
            node = self.sum()
            self.expect("rfloor" if value == "lfloor" else "rceil")
            return ("function", {"lfloor": "floor", "lceil": "ceil"}[value], [node])
        if value in ("frac", "binom"):
            top, bottom = self.argument(), self.argument()
            return ("div", top, bottom) if value == "frac" else ("function", "binomial", [top, bottom])
        if value in ACCENTS:
            return ("symbol", value + " " + show(self.argument()))
        if value.startswith("begin "):
            return self.matrix(value[6:])
        raise Unreadable(value)

    def number(self, number):
        """A number. With a fraction after it (`1\\frac12`, `1 1/2`) or a base, that belongs to it."""
        node = ("number", number)
        shape = next((shape for shape in BASES if self.follows(shape)), None)
        if shape:
            base = self.peek(shape.index("number"))[1].value
            self.place += len(shape)
            if base.denominator != 1 or not 2 <= base <= 36:
                raise Unreadable("base")
            return ("number", number.based(int(base)))
        if number.places is None and number.value.denominator == 1 and number.written:
            start = self.place
            if self.accept("frac"):
                top, bottom = self.argument(), self.argument()
                if top[0] == bottom[0] == "number" and bottom[1].value:
                    return ("number", Number(number.value + top[1].value / bottom[1].value))
                self.place = start
            kind, top, spaced = self.peek()
            if kind == "number" and spaced and self.peek(1)[1] == "/" and self.peek(2)[0] == "number":
                bottom = self.peek(2)[1]
                if top.value.denominator == bottom.value.denominator == 1 and bottom.value > 0:
                    self.place += 3
                    return ("number", Number(number.value + top.value / bottom.value))
        return node

    def subscript(self):
        """The subscript of a name, as it stands in the symbol's name; "" where there is none."""
        if not self.accept("_"):
            return ""
        depth, written = 0, []
        while True:
            kind, value, _ = self.peek()
            if kind == "end":
                raise Unreadable("subscript")
            self.place += 1
            depth += {"{": 1, "}": -1}.get(value, 0) if kind == "op" else 0
            if (kind, value) not in (("op", "{"), ("op", "}")):
                written.append(value.written or show(value) if kind == "number" else str(value))
            if depth <= 0:
                return "_" + " ".join(written)

    def argument(self):
        """The argument of a command: a group in braces, or a single digit, letter or command."""
        kind, value, spaced = self.peek()
        if kind == "number" and len(value.written) > 1 and value.written.isdigit():
            rest = value.written[1:]
            self.tokens[self.place] = (kind, Number(int(rest), written=rest), False)
            return ("number", Number(int(value.written[0]), written=value.written[0]))
        return self.primary()

    def group(self, opening):
        bars, self.bars = self.bars, 0
        if self.accept(")", "]"):
            self.bars = bars
            return ("group", opening, self.tokens[self.place - 1][1], [])
        self.outward += opening == "]"
        items = self.items((")", "]"))
        self.outward -= opening == "]"
        closing = self.peek()[1]
        self.expect({"langle": "rangle"}.get(opening, ")"), "]", *(["["] if opening == "]" else []))
        self.bars = bars
        node = ("group", opening if opening != "langle" else "(", ")" if closing == "rangle" else closing, items)
        if self.at("_") and len(items) == 1 and items[0][0] == "number":  # (1011)_2
            base = self.subscript()[1:]
            if not base.isdigit() or not 2 <= int(base) <= 36:
                raise Unreadable("base")
            return ("number", items[0][1].based(int(base)))
        return node

    def braces(self, opening):
        closing = {"{": "}", "\\{": "\\}"}[opening]
        bars, self.bars = self.bars, 0
        if self.accept(closing):
            if opening == "{":
                raise Unreadable("empty braces")
            self.bars = bars
            return ("set", [])
        items = self.items((closing,))
        if opening == "{" and self.at("choose", "over") and len(items) == 1:
            name = self.peek()[1]
            self.place += 1
            bottom = self.sum()
            self.expect("}")
            self.bars = bars
            return ("div", items[0], bottom) if name == "over" else ("function", "binomial", [items[0], bottom])
        self.expect(closing)
        self.bars = bars
        if opening == "{" and len(items) == 1 and items[0][0] != "dots":
            return items[0]
        return ("set", items)

    def bar(self):
        self.bars += 1
        node = self.sum()
        self.bars -= 1
        self.expect("|")
        return ("function", "abs", [node])

    def matrix(self, kind):
        if kind.rstrip("*") not in MATRICES:
            raise Unreadable(kind)
        rows = [[]]
        while True:
            if self.accept("\\\\"):
                if not self.peek()[1] or not str(self.peek()[1]).startswith("end "):
                    rows.append([])
                continue
            if self.accept("end " + kind):
                return ("matrix", "v" if kind == "vmatrix" else "m", rows)
            if rows[-1]:
                self.expect("&")
            rows[-1].append(self.relation())
