"""The rules by which an answer equals the gold answer (docs/grading.md). What is not read here is math-verify's."""

import re

from comparison import Comparison
from expression import Reading, read, show
from notation import Endless, Unreadable, clean, plain
from shapes import both_signs, brackets, collection, elements, has, simple, stated
from values import MOST_DIGITS, TooLarge, Undefined, approximate, exact, mp, size, symbols

LONGEST = 10_000
LONGEST_NUMBER = 50_000
CHOICE = re.compile(r"""^(?:\\(?:text|textbf|mathrm|mathbf|textrm|bf|rm)\s*\{?|\{|\s
    |(?:(?:the|correct)\s+)*(?:option|choice|answer)(?:\s+is)?(?=[\s(:}])[\s:]*\}?)*
    (?:\(\s*([A-Ja-j])\s*\)|([A-J])\s*(?:[.):](?!\d)|(?=\}|$|\\q?quad)))[\s})]*(.*)$""", re.VERBOSE | re.IGNORECASE | re.DOTALL)
# What follows a letter that is no choice: `B + 1`, `(A) and (B)`.
CONTINUES = re.compile(r"\\text\{\s*(and|or)\b|(and|or)\b|\\(cap|cup|cdot|times|in)\b")


def grade(answer, gold):
    """"correct", "incorrect", "ungradable" (the gold answer has no value, or none that can be worked out); None: not
    read here."""
    if too_long(gold):
        return None
    if too_long(answer):
        return "incorrect"
    if unclosed(gold):
        return "ungradable"
    if unclosed(answer):
        return "incorrect"
    chosen = by_choice(answer, gold)
    if chosen is not None:
        return chosen
    verdict, ambiguous = by_value(answer, gold, Reading())
    if verdict is None and written(answer) == written(gold):
        return "correct"
    if verdict in ("incorrect", None) and ambiguous:
        for n in range(1, 8):
            reading = Reading(not n & 1, bool(n & 2), not n & 4)
            flags = {"scientific": n & 1, "tight": n & 2, "ten": n & 4}
            if all(name in ambiguous for name, on in flags.items() if on):
                other, _ = by_value(answer, gold, reading)
                if other == "correct":
                    return other
    return verdict


def written(text):
    """Without spaces and braces around one character."""
    return re.sub(r"\{(.)\}", r"\1", "".join(clean(text).split()))


def too_long(text):
    return len(text) > LONGEST and not (len(text) <= LONGEST_NUMBER and re.fullmatch(r"[-+]?[\d.,]+", text))


def unclosed(text):
    depth = 0
    for c in re.sub(r"\\.", "", text, flags=re.DOTALL):
        depth += {"{": 1, "}": -1}.get(c, 0)
        if depth < 0:
            return True
    return depth != 0


# ------------------------------------------------------------------------------------------------- choices


def choice(text):
    """(letter, what stands after it) of `B`, `(B)`, `B. 12`, `\\textbf{(B) } 12`; None for anything else."""
    if len(text) > 1000:
        return None
    text = " ".join(plain(text).replace("$", "").replace("\\ ", " ").replace("~", " ").split())
    found = CHOICE.match(text)
    if not found:
        return None
    letter, rest = found.group(1) or found.group(2), found.group(3)
    if found.group(2) and letter.islower():
        return None
    rest = re.sub(r"^(\\[,;:! ]|\\q?quad|[\s:.,-])+", "", rest).strip()
    while unclosed(rest) and rest.endswith("}"):
        rest = rest[:-1].strip()
    if rest and (letter.islower() or rest[0] in "+*/^_=<>(!" or CONTINUES.match(rest)):
        return None
    return letter.upper(), rest


def by_choice(answer, gold):
    wanted, given = choice(gold), choice(answer)
    if wanted is None:
        return None
    letter, text = wanted
    if given is not None:
        return "correct" if given[0] == letter else "incorrect"
    if text:  # the gold answer has the option's text too
        return grade(answer, text)
    return None


# ------------------------------------------------------------------------------------------------- values


def by_value(answer, gold, reading):
    try:
        wanted, ambiguous = read(gold, reading)
    except (Unreadable, RecursionError):
        return None, set()
    try:
        given, more = read(answer, reading)
        ambiguous |= more
    except (Endless, RecursionError):
        return "incorrect", ambiguous
    except Unreadable:
        return ("incorrect" if decided_without(answer, gold) else None), ambiguous
    comparison = Comparison(reading.ten)
    try:
        comparison.defined(wanted)
    except (Undefined, ArithmeticError, ValueError, RecursionError):
        return "ungradable", ambiguous
    try:
        return ("correct" if comparison.same(given, wanted) else "incorrect"), ambiguous
    except (Undefined, ArithmeticError, ValueError, RecursionError):
        return "incorrect", ambiguous
    except TooLarge:
        return ("incorrect" if comparison.workable(wanted) else "ungradable"), ambiguous


def decided_without(answer, gold):
    """Whether an answer that is not read here is wrong all the same: math-verify drops dots and scale words."""
    return "..." in answer or "dots" in answer or bool(re.search(r"million|thousand|billion|hundred|dozen|\d_|[0-9A-F]\}_", answer))


# ------------------------------------------------------------------------------------------------- votes


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
