"""The verdict on an answer, by the rules of docs/grading.md."""

import re

from .characters import plain
from .cleaning import clean
from .comparison import Comparison
from .errors import Endless, TooLarge, Undefined, Unreadable
from .parser import Reading, read

LONGEST = 10_000
LONGEST_NUMBER = 50_000
CHOICE = re.compile(r"""^(?:\\(?:text|textbf|mathrm|mathbf|textrm|bf|rm)\s*\{?|\{|\s
    |(?:(?:the|correct)\s+)*(?:option|choice|answer)(?:\s+is)?(?=[\s(:}])[\s:]*\}?)*
    (?:\(\s*([A-Ja-j])\s*\)|([A-J])\s*(?:[.):](?!\d)|(?=\}|$|\\q?quad)))[\s})]*(.*)$""",
    re.VERBOSE | re.IGNORECASE | re.DOTALL)
SCALED_OR_BASED = re.compile(r"million|thousand|billion|hundred|dozen|\d_|[0-9A-F]\}_")
# A letter that these follow is no choice: `B + 1`, `(A) and (B)`.
CONTINUES = re.compile(r"\\text\{\s*(and|or)\b|(and|or)\b|\\(cap|cup|cdot|times|in)\b")


def grade(answer, gold):
    """The verdict: "correct", "incorrect" or "ungradable"; None where the texts are not read here.

    Ungradable: the gold answer has no value, or none that can be worked out.
    """
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
    """The text as it is written, but for spaces and for braces around one character."""
    return re.sub(r"\{(.)\}", r"\1", "".join(clean(text).split()))


def too_long(text):
    """Numbers may be longer than other answers."""
    return len(text) > LONGEST and not (len(text) <= LONGEST_NUMBER and re.fullmatch(r"[-+]?[\d.,]+", text))


def unclosed(text):
    """Whether the braces do not match."""
    depth = 0
    for c in re.sub(r"\\.", "", text, flags=re.DOTALL):
        depth += {"{": 1, "}": -1}.get(c, 0)
        if depth < 0:
            return True
    return depth != 0


# ------------------------------------------------------------------------------------------------- choices


def choice(text):
    """The letter of a choice, as in `B`, `(B)`, `B. 12` or `\\textbf{(B) } 12`, and what follows it; else None."""
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
    """The verdict where the gold answer is a choice; None where it is none, or where the values decide."""
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
    """The verdict (None where the texts are not read), and in which ways the notation is ambiguous."""
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
    """Whether an answer that is not read here is wrong. math-verify would drop its dots, its scale word or its base."""
    return "..." in answer or "dots" in answer or bool(SCALED_OR_BASED.search(answer))
