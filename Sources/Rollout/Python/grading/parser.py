"""Tokens become a tree: lists, relations, unions, sums, products, powers."""

from .atoms import ACCENTS, Atoms
from .errors import Endless, Unreadable
from .functions import Functions
from .literals import Number
from .tokens import Tokens
from .tree import parts, show
from .vocabulary import MEANINGFUL, RELATIONS

RELATION_SIGNS = set(RELATIONS.values())
LONGEST_PRODUCT = 300  # tokens: every division makes the tree one level deeper


class Reading:
    """What is ambiguous in a notation, decided.

    scientific: `2e-1` is a fifth. tight: `1/2x` is half of 1/x. ten: `log` without a base has base ten.
    """

    def __init__(self, scientific=True, tight=False, ten=True):
        self.scientific, self.tight, self.ten = scientific, tight, ten


def read(text, reading):
    """The tree of a text, and what is ambiguous in it. Raises Unreadable."""
    tokens = Tokens(text, reading.scientific)
    parser = Parser(tokens.list, reading.tight)
    if tokens.list and all(kind in ("word",) or (kind, value) == ("op", ",") for kind, value, _ in tokens.list):
        return ("text", tuple(value.lower() for _, value, _ in tokens.list)), set()
    node = parser.whole()
    return node, tokens.ambiguous | parser.ambiguous


class Parser(Atoms, Functions):
    # ------------------------------------------------------------------------------------------ lists

    def whole(self):
        items = self.items(())
        if self.peek()[0] != "end":
            raise Unreadable("rest")
        return items[0] if len(items) == 1 else ("list", items)

    def items(self, stops):
        """Elements between commas or semicolons. Beside commas without spaces, `1,234` is two numbers."""
        self.descend()
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
        self.ascend()
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
        """Whether a U stands here for a union, as in `(0, 1) U (2, 3)`."""
        return left[0] in ("group", "set", "union") and self.peek()[:2] == ("name", "U") and self.peek(1)[1] in (
            "(", "[", "{", "\\{")

    # ------------------------------------------------------------------------------------------ arithmetic

    def sum(self):
        self.descend()
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
        self.ascend()
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
        """A product, which `f(x, y)` is too. Raises Unreadable where another factor is no scalar."""
        call = left[0] == "symbol" and right[0] == "group" and all(part[0] == "symbol" for part in right[3])
        if not call and any(node[0] in ("set", "list", "matrix") or node[0] == "group" and len(node[3]) != 1
                            for node in (left, right)):
            raise Unreadable("product")
        if left[0] == "mul" and right[0] != "group":
            left[1].append(right)
            return left
        return ("mul", [left, right])

    def units(self):
        """Passes over a unit if one stands here: a word, its power, and a second unit after `/` or a dot."""
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
        return (value in ("(", "\\{", "{", "...", "frac", "binom", "(font", "lfloor", "lceil", "langle", *ACCENTS)
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
