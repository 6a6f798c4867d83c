"""Functions and what they are applied to, in LaTeX, Python and sympy."""

from .cursor import Cursor
from .errors import Unreadable
from .literals import Number
from .tree import show

TRIGONOMETRIC = {"sin", "cos", "tan", "cot", "sec", "csc", "sinh", "cosh", "tanh"}
ROOTS = {"sqrt": 2, "cbrt": 3, "fourthroot": 4}
INTERVALS = {"Interval": "[]", "Intervalopen": "()", "IntervalLopen": "(]", "IntervalRopen": "[)"}
SETS = {"FiniteSet", "Union", "Eq", *INTERVALS}
# How many arguments a function takes, where that is not one.
FEWEST = {"FiniteSet": 0, "binomial": 2, "pow": 2, "Eq": 2, **dict.fromkeys(INTERVALS, 2)}
MOST = {"gcd": 99, "lcm": 99, "min": 99, "max": 99, "log": 2, "Rational": 2, "Fraction": 2, "FiniteSet": 999,
        "Union": 99, "Eq": 2, **dict.fromkeys(INTERVALS, 2)}


class Functions(Cursor):
    def function(self, name):
        if name in ROOTS:
            return self.root(name)
        index = self.index() if name == "log" and self.accept("_") else None
        power = self.exponent() if self.accept("^") else None
        if name == "log" and index is None and self.accept("_"):
            index = self.index()
        arguments = self.arguments(name)
        fewest = FEWEST.get(name, 1)
        if not fewest <= len(arguments) <= max(fewest, MOST.get(name, 1)):
            raise Unreadable(name)
        node = python_call(name, arguments)
        if node:
            return node
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

    def root(self, name):
        index = None
        if name == "sqrt" and self.accept("["):
            index = self.sum()
            self.expect("]")
        node = self.primary()
        if node[0] == "group" and len(node[3]) != 1:
            raise Unreadable("root")
        return ("function", "root", [node, index or ("number", Number(ROOTS[name]))])

    def index(self):
        """The base of a logarithm: a number of any length, or what a command takes."""
        if self.peek()[0] == "number":
            self.place += 1
            return ("number", self.tokens[self.place - 1][1])
        return self.argument()

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


def python_call(name, arguments):
    """The tree of a call that LaTeX would write in another way, `Rational(1, 2)`; None for other functions."""
    if name in ("Rational", "Fraction") and len(arguments) == 2:
        return ("div", *arguments)
    if name in ("Rational", "Fraction", "Integer") and len(arguments) == 1:
        return arguments[0]
    if name in SETS:
        return python_set(name, arguments)
    if name == "pow" and len(arguments) == 2:
        return ("pow", *arguments)
    if name in ("Matrix", "array"):
        return python_matrix(arguments[0])
    return None


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
    """The matrix of `Matrix([[1, 2], [3, 4]])`, or of `Matrix([1, 2])`, a column."""
    if node[0] != "group":
        raise Unreadable("Matrix")
    return ("matrix", "m", [part[3] if part[0] == "group" else [part] for part in node[3]])
