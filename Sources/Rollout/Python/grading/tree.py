"""The trees that answers become: tuples whose first item says what they are.

("number", Number), ("symbol", name), ("constant", "pi"|"e"|"i"|"inf"), ("add"|"mul", nodes), ("div"|"pow", a, b),
("neg"|"degree"|"percent", a), ("pm", sign, a), ("function", name, arguments), ("dots",), ("group", open, close, nodes),
("set", nodes), ("list", nodes), ("union"|"cap"|"minus", a, b), ("relation", operators, nodes),
("ratio"|"clock", nodes), ("matrix", kind, rows), ("text", words).
"""

from .literals import Number


def walk(node):
    """Every node of a tree, the tree itself first."""
    if isinstance(node, tuple):
        yield node
        for part in node[1:]:
            yield from walk(part)
    elif isinstance(node, list):
        for part in node:
            yield from walk(part)


def symbols(node):
    return {part[1] for part in walk(node) if part[0] == "symbol"}


def parts(node):
    """A number with commas as the numbers that it is in a list; anything else alone."""
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
