"""The same text for answers of the same value: what votes are counted by."""

from .approximate import mp
from .cleaning import clean
from .equality import MOST_DIGITS
from .errors import TooLarge, Undefined, Unreadable
from .evaluation import approximate, exact, size
from .parser import Reading, read
from .rules import LONGEST, choice, unclosed
from .shapes import both_signs, brackets, collection, elements, has, simple, stated
from .tree import show, symbols


def key(answer):
    """A text that is the same for answers of the same value: what votes are counted by."""
    if unclosed(answer):
        return None
    if len(answer) > LONGEST:
        return "text " + answer
    chosen = choice(answer)
    if chosen:
        return "choice " + chosen[0]
    try:
        node, _ = read(answer, Reading())
        return canonical(node)
    except (Unreadable, RecursionError, Undefined, TooLarge, ArithmeticError, ValueError):
        return "text " + "".join(clean(answer).split())


def canonical(node):
    """The text of a tree. Raises Undefined and TooLarge."""
    node = simple(node)
    if has(node, "dots") or node[0] == "text":
        return show(node)
    node = both_signs(node)
    if node[0] == "relation":
        values = stated(node)
        if values:
            return canonical(values[0])
        return "relation " + " ".join(
            [canonical(part) if part else "" for part in node[2]] + node[1])
    if node[0] in ("list", "set"):
        return "set " + ", ".join(sorted({canonical(item) for item in elements(node)}))
    if collection(node):
        return "%s %s" % (brackets(node), ", ".join(map(canonical, elements(node))))
    if node[0] in ("matrix", "union", "cap", "minus", "ratio"):
        return node[0] + " " + " ".join(map(nested, node[1:]))
    names = sorted(symbols(node))
    value = exact(node) if not names else None
    if value is not None:
        return "%x/%x" % (value.numerator, value.denominator)
    values = [point_value(node, point) for point in (range(3) if names else range(1))]
    return " ".join(values)


def nested(part):
    if isinstance(part, list):
        return "[%s]" % " ".join(map(nested, part))
    return canonical(part) if isinstance(part, tuple) else str(part)


def point_value(node, point):
    value = exact(node, point=point)
    if value is not None:
        digits = 60
        with mp.workdps(digits):
            return mp.nstr(mp.mpf(value.numerator) / value.denominator, 40)
    digits = 60 + 2 * size(node)
    if digits > MOST_DIGITS:
        raise TooLarge
    value, _ = approximate(node, digits, point)
    with mp.workdps(digits):
        small = mp.mpf(10) ** (-digits // 2)
        real, imaginary = (0 if abs(part) < small else part for part in (mp.re(value), mp.im(value)))
        shown = digits // 2
        return "%s %s" % (mp.nstr(mp.mpf(real), shown), mp.nstr(mp.mpf(imaginary), shown))
