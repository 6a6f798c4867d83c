"""Tokens of an answer become a tree of tuples.

Nodes: ("number", Number), ("symbol", name), ("constant", "pi"|"e"|"i"|"inf"), ("add"|"mul", nodes),
("div"|"pow", a, b), ("neg"|"degree"|"percent", a), ("pm", sign, a), ("function", name, arguments), ("dots",), ("group", open, close, nodes),
("set", nodes), ("list", nodes), ("union"|"cap"|"minus", a, b), ("relation", operators, nodes), ("ratio", nodes),
("matrix", kind, rows), ("text", words).
"""

from notation import MEANINGFUL, RELATIONS, Endless, Number, Tokens, Unreadable

RELATION_SIGNS = set(RELATIONS.values())
TRIGONOMETRIC = {"sin", "cos", "tan", "cot", "sec", "csc", "sinh", "cosh", "tanh"}
MATRICES = {"pmatrix", "bmatrix", "matrix", "Bmatrix", "array", "smallmatrix", "vmatrix"}
INTERVALS = {"Interval": "[]", "Intervalopen": "()", "IntervalLopen": "(]", "IntervalRopen": "[)"}
SETS = {"FiniteSet", "Union", *INTERVALS}
DEEPEST = 60
LONGEST_PRODUCT = 300  # tokens, where every division is one level more
# `1011 base 2`, written in several ways.
BASES = (["base", "number"], ["(", "base", "number", ")"], ["(font", "base", "number", "font)"],
         ["(font", "(", "base", "number", ")", "font)"], ["word", "base", "number"], ["_", "{", "base", "number", "}"])


class Reading:
    """What is ambiguous in a notation, decided: `scientific` (`2e-1` is a fifth), `tight` (`1/2x` is half of 1/x)."""

    def __init__(self, scientific=True, tight=False, ten=True):
        self.scientific, self.tight, self.ten = scientific, tight, ten


def read(text, reading):
    """The tree of a text and what is ambiguous in it.
    Raises Unreadable."""
    tokens = Tokens(text, reading.scientific)
    parser = Parser(tokens.list, reading.tight)
    if tokens.list and all(kind in ("word",) or (kind, value) == ("op", ",") for kind, value, _ in tokens.list):
        return ("text", tuple(value.lower() for _, value, _ in tokens.list)), set()
    node = parser.whole()
    return node, tokens.ambiguous | parser.ambiguous


class Parser:
    def __init__(self, tokens, tight):
        self.tokens, self.tight, self.place, self.depth = tokens, tight, 0, 0
        self.bars = self.outward = 0  # bars and brackets turned outward (`]1,2[`) that are open
        self.ambiguous = set()

    # ------------------------------------------------------------------------------------------ tokens

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

    # ------------------------------------------------------------------------------------------ lists

    def whole(self):
        items = self.items(())
        if self.peek()[0] != "end":
            raise Unreadable("rest")
        return items[0] if len(items) == 1 else ("list", items)

    def items(self, stops):
        """Elements between commas or semicolons. `1,234` within commas without spaces is two numbers."""
        self.depth += 1
        if self.depth > DEEPEST:
            raise Endless("deep")
        items, tight = [], False
        while True:
            items.append(self.relation())
            if not self.at(",", ";"):
                break
            self.place += 1
            while self.accept(","):  # `a, and b`
                pass
            tight = tight or self.peek()[0] != "end" and not self.peek()[2]
            if self.at(*stops) or self.peek()[0] == "end":
                break
        self.depth -= 1
        if tight and len(items) > 1:
            items = [part for item in items for part in parts(item)]
        return items

    def relation(self):
        operators, nodes = [], []
        if self.at(*RELATION_SIGNS):
            nodes.append(None)
        else:
            nodes.append(self.sets())
        while self.at(*RELATION_SIGNS):
            operators.append(self.peek()[1])
            self.place += 1
            nodes.append(self.sets())
        return ("relation", operators, nodes) if operators else nodes[0]

    def sets(self):
        left = self.sum()
        while self.at("cup", "cap", "setminus") or self.letter_union(left):
            name = {"U": "union", "cup": "union", "cap": "cap", "setminus": "minus"}[self.peek()[1]]
            self.place += 1
            left = (name, left, self.sum())
        if self.at(":"):
            items, clock = [left], False  # 1:00
            while self.accept(":"):
                clock = clock or self.peek()[0] == "number" and self.peek()[1].written[:1] == "0"
                items.append(self.sum())
            return ("clock" if clock else "ratio", items)
        return left

    def letter_union(self, left):
        """`(0, 1) U (2, 3)`."""
        return left[0] in ("group", "set", "union") and self.peek()[:2] == ("name", "U") and self.peek(1)[1] in (
            "(", "[", "{", "\\{")

    # ------------------------------------------------------------------------------------------ arithmetic

    def sum(self):
        self.depth += 1
        if self.depth > DEEPEST:
            raise Endless("deep")
        terms = []
        while True:
            if self.at("+", "-", "pm", "mp"):
                sign = self.peek()[1]
                self.place += 1
                node = self.product()
                terms.append({"+": node, "-": ("neg", node)}.get(sign) or ("pm", 1 if sign == "pm" else -1, node))
            else:
                terms.append(self.product())
            if not self.at("+", "-", "pm", "mp"):
                break
        self.depth -= 1
        return terms[0] if len(terms) == 1 else ("add", terms)

    def product(self):
        left, start = self.factor(), self.place
        while True:
            if left[0] == "div" and self.place - start > LONGEST_PRODUCT:
                raise Endless("long")
            if self.at("*") and self.peek(1)[0] == "word":
                self.place += 1
            elif self.accept("*"):
                left = self.times(left, self.signed())
            elif self.accept("/"):
                if self.units():
                    continue
                right = self.signed()
                if self.starts() and self.peek()[0] != "word":
                    self.ambiguous.add("tight")
                    while self.tight and self.starts():
                        right = self.times(right, self.factor())
                left = ("div", left, right)
            elif self.accept("bmod"):
                raise Unreadable("mod")
            elif self.peek()[0] == "scale":
                left = ("mul", [left, ("number", Number(self.peek()[1]))])
                self.place += 1
                if self.peek()[0] == "number":  # 4 million 500 thousand
                    return ("add", [left, self.product()])
            elif self.accept("%"):
                left = ("percent", left)
            elif not self.units():
                if not self.starts() or self.letter_union(left):
                    return left
                left = self.times(left, self.factor())

    def times(self, left, right):
        """A product; `f(x, y)` is kept as one. Raises Unreadable where a factor is no scalar."""
        call = left[0] == "symbol" and right[0] == "group" and all(part[0] == "symbol" for part in right[3])
        if not call and any(node[0] in ("set", "list", "matrix") or node[0] == "group" and len(node[3]) != 1
                            for node in (left, right)):
            raise Unreadable("product")
        if left[0] == "mul" and right[0] != "group":
            left[1].append(right)
            return left
        return ("mul", [left, right])

    def units(self):
        """Passes over a unit: a word, its power, what follows `/` or a dot."""
        kind, value, _ = self.peek()
        if kind != "word":
            return False
        low = value.lower()
        if low in MEANINGFUL:
            raise Unreadable(value)
        self.place += 1
        if self.at("^") and self.peek(1)[0] == "number":
            self.place += 2
        elif self.at("^") and self.peek(1)[1] == "{" and self.peek(2)[0] == "number" and self.peek(3)[1] == "}":
            self.place += 4
        elif self.at("^") and [self.peek(n)[1] for n in (1, 2, 4)] == ["{", "-", "}"] and self.peek(3)[0] == "number":
            self.place += 5
        if self.at("/", "*") and self.peek(1)[0] in ("word", "name"):
            self.place += 2
            if self.at("^") and self.peek(1)[0] == "number":
                self.place += 2
        if self.starts():  # `5 feet 3`, `5 more than x`
            raise Unreadable(value)
        return True

    def signed(self):
        if self.accept("-"):
            return ("neg", self.signed())
        self.accept("+")
        return self.factor()

    def starts(self):
        """Whether a factor begins here, with no sign between."""
        kind, value, _ = self.peek()
        if kind in ("number", "name", "function", "constant"):
            return True
        if kind != "op":
            return False
        return (value in ("(", "\\{", "{", "...", "frac", "binom", "(font", "lfloor", "lceil", "overline", "vec", "hat", "bar",
                          "langle", "tilde")
                or value == "[" and not self.outward or value == "|" and not self.bars or value.startswith("begin "))

    def factor(self):
        node = self.primary()
        while True:
            if self.accept("!"):
                node = ("function", "factorial2" if self.accept("!") else "factorial", [node])
            elif self.at("^", "**"):
                node = self.raised(node)
            elif self.accept("circ", "degree"):
                node = ("degree", node)
            elif self.accept("'"):
                node = ("symbol", show(node) + "'")
            else:
                return node

    def raised(self, node):
        plain = self.peek()[1] == "**"
        self.place += 1
        braced = self.at("{")
        for degree in (["circ"], ["degree"], ["{", "circ", "}"], ["{", "degree", "}"]):
            if [self.peek(n)[1] for n in range(len(degree))] == degree:
                self.place += len(degree)
                return ("degree", node)
        if braced and self.peek(1)[0] == "word" and self.peek(2)[1] == "}":  # 5^{th}
            self.place += 3
            return node
        if not plain and self.at("'"):
            return node
        return ("pow", node, self.exponent())

    def exponent(self):
        if self.accept("-"):
            return ("neg", self.exponent())
        self.accept("+")
        if self.at("{"):
            node = self.primary()
        elif self.peek()[0] in ("number", "name", "constant", "function") or self.at("(", "frac", "(font", "["):
            node = self.primary()
        else:
            raise Unreadable("exponent")
        while self.at("!"):
            self.place += 1
            node = ("function", "factorial", [node])
        if self.at("^", "**"):
            self.place += 1
            return ("pow", node, self.exponent())
        return node

    # ------------------------------------------------------------------------------------------ atoms

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
        if value in ("overline", "vec", "hat", "bar", "tilde"):
            return ("symbol", value + " " + show(self.argument()))
        if value.startswith("begin "):
            return self.matrix(value[6:])
        raise Unreadable(value)

    def number(self, number):
        """A number, or a whole one with a fraction after it: `1\\frac12`, `1 1/2`."""
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
        """What a command takes: a group in braces, or one digit, letter or command."""
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

    def function(self, name):
        index, power = None, None
        if name == "sqrt" and self.accept("["):
            index = self.sum()
            self.expect("]")
        if name in ("sqrt", "cbrt", "fourthroot"):
            node = self.braced() or self.primary()
            if node[0] == "group" and len(node[3]) != 1:
                raise Unreadable("root")
            index = index or ("number", Number({"sqrt": 2, "cbrt": 3, "fourthroot": 4}[name]))
            return ("function", "root", [node, index])
        if name == "log" and self.accept("_"):
            index = self.argument_or_number()
        if self.accept("^"):
            power = self.exponent()
        if name == "log" and index is None and self.accept("_"):
            index = self.argument_or_number()
        arguments = self.arguments(name)
        most = {"gcd": 99, "lcm": 99, "min": 99, "max": 99, "log": 2, "Rational": 2, "Fraction": 2, "FiniteSet": 999, "Union": 99,
                "Eq": 2, **dict.fromkeys(INTERVALS, 2)}.get(name, 1)
        least = 0 if name == "FiniteSet" else 2 if name in ("binomial", "pow", "Eq", *INTERVALS) else 1
        if not least <= len(arguments) <= max(least, most):
            raise Unreadable(name)
        if name in ("Rational", "Fraction") and len(arguments) == 2:
            return ("div", *arguments)
        if name in ("Rational", "Fraction", "Integer") and len(arguments) == 1:
            return arguments[0]
        if name in SETS or name == "Eq":
            return python_set(name, arguments)
        if name == "pow" and len(arguments) == 2:
            return ("pow", *arguments)
        if name in ("Matrix", "array"):
            return python_matrix(arguments[0])
        if name in ("lg", "log2"):
            name, index = "log", ("number", Number(10 if name == "lg" else 2))
        elif name == "log" and len(arguments) == 2:
            arguments, index = arguments[:1], arguments[1]
        if name == "log" and index is None:
            self.ambiguous.add("ten")
        if name in TRIGONOMETRIC and power and power[0] == "neg" and show(power[1]) == show(("number", Number(1))):
            return ("function", "arc" + name, arguments)
        node = ("function", name, arguments + ([index] if index else []))
        return ("pow", node, power) if power else node

    def argument_or_number(self):
        if self.peek()[0] == "number":
            self.place += 1
            return ("number", self.tokens[self.place - 1][1])
        return self.argument()

    def braced(self):
        return self.primary() if self.at("{", "(") else None

    def arguments(self, name):
        if self.at("("):
            node = self.primary()
            return node[3] if node[0] == "group" and node[2] == ")" else [node]
        if self.at("\\{") and name in ("min", "max", "gcd", "lcm"):
            return self.primary()[1]
        if self.at("{"):
            return [self.primary()]
        if not self.starts() and not self.at("-"):
            raise Unreadable(name + " of nothing")
        if self.accept("-"):
            return [("neg", self.factor())]
        node = self.factor()
        while self.starts() and self.peek()[0] != "function" and not self.at("(", "[", "\\{"):
            node = ("mul", [node, self.factor()])
        return [node]

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


def python_set(name, arguments):
    """sympy's sets and equations, and Python's `set([1, 2])`."""
    if name == "Eq":
        return ("relation", ["="], arguments)
    if name in INTERVALS:
        infinite = ("constant", "inf")
        opening, closing = INTERVALS[name]
        return ("group", "(" if arguments[0] == ("neg", infinite) else opening,
                ")" if arguments[1] == infinite else closing, arguments)
    if name == "Union":
        union = arguments[0]
        for part in arguments[1:]:
            union = ("union", union, part)
        return union
    if len(arguments) == 1 and arguments[0][0] == "group":
        arguments = arguments[0][3]
    return ("set", arguments)


def python_matrix(node):
    """`Matrix([[1, 2], [3, 4]])`, or a column of `Matrix([1, 2])`."""
    if node[0] != "group":
        raise Unreadable("Matrix")
    return ("matrix", "m", [part[3] if part[0] == "group" else [part] for part in node[3]])


def parts(node):
    """The numbers that a number with commas is in a list."""
    if node[0] == "number" and node[1].parts:
        return [("number", Number(part, written=str(part))) for part in node[1].parts]
    return [node]


def show(node):
    """A node as text: equal for nodes that are written alike."""
    if isinstance(node, tuple):
        return "(" + " ".join(show(part) for part in node) + ")"
    if isinstance(node, list):
        return "[" + ",".join(show(part) for part in node) + "]"
    if isinstance(node, Number):
        return "%d/%d" % (node.value.numerator, node.value.denominator) + ("..." if node.cut else "")
    return str(node)
