"""What kind of thing a tree is: a list, an interval, an equation that states a value, a union."""

from .equality import equal
from .errors import TooLarge, Undefined
from .evaluation import exact
from .literals import Number
from .tree import parts, show, symbols, walk

REALS = ("symbol", "\\mathbb R")


def has(node, *kinds):
    return any(part[0] in kinds for part in walk(node))


def simple(node):
    """The tree without parentheses around a single thing; `(1,234)` is a pair."""
    while node[0] == "group" and len(node[3]) == 1:
        inner = parts(node[3][0])
        if len(inner) > 1:
            return ("group", node[1], node[2], inner)
        if node[1] + node[2] not in ("()", "[]"):
            return node
        node = node[3][0]
    if node[0] == "set" and len(node[1]) == 1 and len(parts(node[1][0])) > 1:
        return ("set", parts(node[1][0]))
    if node[0] == "neg" and simple(node[1]) is not node[1]:
        return ("neg", simple(node[1])) if not collection(simple(node[1])) else node
    return node


def both_signs(node):
    """Two values as a list, where there is a plus-minus sign."""
    if not has(node, "pm"):
        return node
    if collection(node) and node[0] != "group":
        items = [item for part in elements(node) for item in
                 (both_signs(part)[1] if has(part, "pm") and both_signs(part)[0] == "list" else [part])]
        return (node[0], items)
    if node[0] == "relation":
        return ("relation", node[1], [part and both_signs(part) for part in node[2]])
    return ("list", [signed(node, 1), signed(node, -1)])


def signed(node, sign):
    if isinstance(node, list):
        return [signed(part, sign) for part in node]
    if not isinstance(node, tuple):
        return node
    if node[0] == "pm":
        inner = signed(node[2], sign)
        return inner if node[1] * sign > 0 else ("neg", inner)
    return tuple(signed(part, sign) for part in node)


def collection(node):
    return node[0] in ("list", "set") or node[0] == "group" and (
        len(node[3]) != 1 or node[1] + node[2] not in ("()", "[]"))


def elements(node):
    return node[3] if node[0] == "group" else node[1]


def brackets(node):
    """The brackets around a group, as `(` and `)` where an interval is open: those of `]1,2[` too."""
    open_ = {"]": "("}.get(node[1], node[1])
    close = {"[": ")"}.get(node[2], node[2])
    return open_ + close


def variable(node):
    """The name of a symbol, or of a function of symbols such as `f(x)`; else None."""
    if node is None:
        return ""
    if node[0] == "symbol":
        return node[1]
    if node[0] == "mul" and len(node[1]) == 2 and node[1][0][0] == "symbol" and node[1][1][0] == "group" and (
            all(part[0] in ("symbol", "number") for part in node[1][1][3])):
        return node[1][0][1] + "(" + ",".join(show(part[1]) for part in node[1][1][3]) + ")"
    if node[0] == "group" and len(node[3]) > 1 and all(part[0] == "symbol" for part in node[3]):
        return ",".join(part[1] for part in node[3])
    return None


def named(relation):
    """The variable and the value of `x = 5`; None for other relations."""
    operators, nodes = relation[1:]
    name = variable(nodes[0])
    if set(operators) <= {"=", "~", "in"} and name:
        return name, nodes[-1] if "~" not in operators[1:] else nodes[1]
    if len(nodes) == 2 and operators == ["="] and nodes[0] and variable(nodes[1]) and not symbols(nodes[0]):
        return variable(nodes[1]), nodes[0]
    return None


def stated(relation):
    """The values that `x = 5`, `x = 3 + 2 = 5` or `= 5` gives, for which a bare 5 would do; else None."""
    pair = named(relation)
    if pair:
        return [pair[1]]
    operators, nodes = relation[1:]
    if nodes[0] is None and operators in (["="], ["~"]):
        return [nodes[1]]
    if operators == ["="] and not collection(nodes[0]) and symbols(nodes[0]) and not symbols(nodes[1]):
        return [nodes[1]] if nodes[0][0] == "function" or nodes[0][0] == "symbol" else None
    if set(operators) <= {"=", "~"} and not symbols(relation) and nodes[0] is not None:
        try:
            if "~" in operators or any(node[0] == "number" and node[1].cut for node in nodes[1:]):
                return [nodes[0]]
            if all(equal(nodes[0], node) for node in nodes[1:]):
                return [nodes[-1]]
        except (Undefined, TooLarge):
            pass
    return None


def pairwise(relation):
    """Each comparison as (sign, difference), meaning `difference sign 0`; None where other things than scalars are."""
    operators, nodes = relation[1:]
    result = []
    for operator, left, right in zip(operators, nodes, nodes[1:]):
        if left is None or collection(left) or collection(right) or operator in ("in", "~"):
            return None
        if operator in (">", ">="):
            operator, left, right = "<" + operator[1:], right, left
        result.append((operator, ("add", [left, ("neg", right)])))
    return result


def as_interval(relation):
    """The interval of x that `1 < x \\leq 2` or `x > 3` gives; else None."""
    operators, nodes = relation[1:]
    if nodes[0] is None or not all(operator in ("<", "<=", ">", ">=") for operator in operators):
        return None
    if operators[0][0] == ">":
        operators = [{">": "<", ">=": "<="}.get(operator, "") for operator in reversed(operators)]
        nodes = nodes[::-1]
    if "" in operators or any(operator[0] != "<" for operator in operators):
        return None
    infinite = ("constant", "inf")
    if len(nodes) == 2 and variable(nodes[0]) and not symbols(nodes[1]):
        return ("group", "(", "]" if operators[0] == "<=" else ")", [("neg", infinite), nodes[1]])
    if len(nodes) == 2 and variable(nodes[1]) and not symbols(nodes[0]):
        return ("group", "[" if operators[0] == "<=" else "(", ")", [nodes[0], infinite])
    if len(nodes) == 3 and variable(nodes[1]):
        first, last = operators
        return ("group", "[" if first == "<=" else "(", "]" if last == "<=" else ")", [nodes[0], nodes[2]])
    return None


def solution_set(relation):
    """The values of x for which `x > 3`, `x \\neq 3` or `x \\in (1, 2]` holds; None for other relations."""
    operators, nodes = relation[1:]
    if len(nodes) == 2 and nodes[0] and variable(nodes[0]) and not symbols(nodes[1]):
        if operators == ["!="]:
            return ("minus", REALS, ("set", [nodes[1]]))
        if operators == ["in"]:
            return nodes[1]
    return as_interval(relation)


MOST_WRITTEN = 1000


def written_out(node):
    """All the numbers of `1, 2, \\ldots, 9`: two or more at equal steps, dots, the last. Else the tree itself."""
    items = elements(node)
    places = [n for n, item in enumerate(items) if item[0] == "dots"]
    if len(places) != 1 or places[0] < 2 or places[0] != len(items) - 2 or symbols(node):
        return node
    values = [exact(item) for item in items if item[0] != "dots"]
    if None in values:
        return node
    *head, last = values
    step = head[1] - head[0]
    if step == 0 or any(b - a != step for a, b in zip(head, head[1:])):
        return node
    count = (last - head[0]) / step
    if count.denominator != 1 or not len(head) <= count < MOST_WRITTEN:
        return node
    whole = [("number", Number(head[0] + n * step)) for n in range(int(count) + 1)]
    return node[:-1] + (whole,)


def alternatives(node):
    """The union that a list of inequalities in one variable stands for; else None."""
    if node[0] != "list" or not all(part[0] == "relation" for part in node[1]):
        return None
    intervals = [as_interval(part) for part in node[1]]
    if None in intervals:
        return None
    union = intervals[0]
    for interval in intervals[1:]:
        union = ("union", union, interval)
    return union


def pieces(node):
    """The intervals and sets of a union; None where there is anything else."""
    if node[0] == "union":
        one, other = (pieces(part if collection(part) or part[0] in ("union", "minus", "group") or part == REALS
                             else ("set", [part])) for part in node[1:])
        return one + other if one is not None and other is not None else None
    if node[0] == "group" and len(node[3]) == 2 or node[0] == "set":
        return [node]
    if node[0] == "group" and len(node[3]) == 1:
        return pieces(node[3][0])
    if node[0] == "minus" and node[2][0] == "set" and node[1] == REALS:
        ends = node[2][1]
        values = [exact(item) if not symbols(item) else None for item in ends]
        if any(value is None for value in values):
            return None
        order = [item for _, item in sorted(zip(values, ends), key=lambda pair: pair[0])]
        infinite = ("constant", "inf")
        bounds = [("neg", infinite), *order, infinite]
        return [("group", "(", ")", [low, high]) for low, high in zip(bounds, bounds[1:])]
    if node == REALS:
        return [("group", "(", ")", [("neg", ("constant", "inf")), ("constant", "inf")])]
    return None


def interval_end(node, ten):
    """The end of an interval as a fraction or an infinity; None where it is neither."""
    if symbols(node):
        return None
    if node == ("constant", "inf"):
        return float("inf")
    if node == ("neg", ("constant", "inf")):
        return float("-inf")
    return exact(node, ten)


def finite(value):
    """Whether a fraction has a finite decimal."""
    d = value.denominator
    for prime in (2, 5):
        while d % prime == 0:
            d //= prime
    return d == 1
