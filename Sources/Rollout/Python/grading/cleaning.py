"""An answer's text without what never changes its value, and in one notation where there are several."""

import re

from .characters import plain
from .literals import BASES
from .numerals import numerals


def steps(*pairs):
    return [(re.compile(pattern), replacement) for pattern, replacement in pairs]


def chosen(found):
    """`C(10, 3)`, which is a binomial only where it can be one."""
    n, k = map(int, found.groups())
    return r"\binom{%s}{%s}" % found.groups() if k <= n else found.group()


# Each pattern and what replaces it, in this order.
DRESS = steps(
    (r"\\(?:text|mathrm) ?\{ ?(\\?[$%]) ?\}", r"\1"),
    (r"\{ ?(\\(?:overline|bar|dot) ?\{\d+\}) ?\}", r"\1"),
    # Digits in an upright font.
    (r"\\(?:text|mathrm|mathbf|texttt|mathtt|mathsf) ?"
     r"\{ ?([0-9][0-9A-Fa-f]*|[A-F][0-9A-F]*(?=\}[0-9A-F]* ?_)) ?\}", r"\1"),
    # Bold and code in Markdown.
    (r"^(\*\*|`+)(.+)\1$", r"\2"),
    (r"\\operatorname\*", r"\\operatorname"),
    (r"\\operatorname\s*\{\s*\\([A-Za-z]+)\s*\}", r"\\\1 "),
    (r"(?<![.\d}])\\(?:over|under)line ?\{(\d+)\}(?= ?_)", r"\1"),
    # Spaces in braces, and a comma in text.
    (r"\{\\[,;: !]\}|\\thinspace(?![A-Za-z]) ?", r"\\,"),
    (r"(?<=\d)\\text\{,\}(?=\d)", "{,}"),
)
NOTATION = steps(
    # Ten choose three: C(10, 3), nCr(10, 3).
    (r"(?<![A-Za-z])(?:nCr|C)\(\s*(\d{1,9})\s*,\s*(\d{1,9})\s*\)", chosen),
    # A half-open interval, [0, 1[.
    (r"\[ ?(?=$|\\cup|[,;] )", ")"),
    # Ten choose three: ^{10}C_3.
    (r"(?<![\w}^\\)])(?:\{ ?\})? ?[\^_] ?\{? ?(\d+) ?\}? ?C ?_ ?\{? ?(\d+)(?: ?\})?", r"\\binom{\1}{\2}"),
    # 3 x 4, but not 0x4.
    (r"(?<=\d)(?<!(?<!\d)0)\s*[xX]\s*(?=\d)", r"\\times "),
    # Bases: `in base 2`, `in binary`, `1011, base 2`, `{1011}_2`.
    (r"\b(?:in|to) base\b", "base"),
    (r"(?<=\d) ?(\\text ?\{ ?)?\(?\b(?:in )?(binary|ternary|octal)\b\)?",
     lambda found: "%s base %d" % (found.group(1) or "", BASES[found.group(2)])),
    (r", ?(?=(?:\\text ?\{ ?)?base\b)", " "),
    (r"(?<![\^_A-Za-z}\]])(?<![\^_A-Za-z}\]] )\{ ?(\d+) ?\}(?= ?_)", r"\1"),
    # 3-million.
    (r"(?<=\d)(\\text ?\{ ?)?-(?=(?:hundred|thousand|million|billion|trillion|dozen)s?\b)", r" \1"),
    # A command that has lost its backslash, and names of Python and sympy.
    (r"(?<![A-Za-z\\])([dt]?frac)(?=\{)", r"\\\1"),
    (r"float\(['\"]inf(?:inity)?['\"]\)", "inf"),
    (r"(?<![A-Za-z])Interval\.([LR]?open)\(", r"Interval\1("),
)
SIGNS = steps(
    # The signs around mathematics.
    (r"(?<!\\)\\[()\[\]$/]|\$", ""),
    # Commas between groups of three.
    (r"\s*,\\!\s*(?=\d)|\\!", lambda found: "{,}" if "," in found.group() else ""),
    (r"(?<=\d)\{,\}\s*(?=\d{3})", "\\\\sep"),
    (r"\{,\}", ","),
    (r"(?<!\\)\\[,;:> ]|~|\\q?quad(?![A-Za-z])", " "),
    # A fraction of units.
    (r"\\[dt]?frac\s*" + 2 * r"\{\s*\\(?:text|mathrm|textrm)\s*\{\s*([A-Za-z]+)\s*\}\s*\}", r"\\text{\1/\2}"),
    (r"\\([%&#_])", r"\1"),
    (r"\{\s*\\(rm|bf|it|sf)\s+([^{}]*)\}", r"\\mathrm{\2}"),
    (r"(?<![A-Za-z\\])(math|cmath|np|numpy|sp|sympy)\.(?=[A-Za-z])", ""),
)
PREAMBLE = re.compile(r"^(?:\\text\{ ?)?(?:(?:so|thus|therefore|hence|the|final|correct),? ){0,4}answer ?(?:is|:) ?"
                      r"(?:\}|(?!.*\})(?=.))", re.IGNORECASE)
WORDS = steps(
    # {x | x > 3}: the inequality.
    (r"^(?:\\left ?)?\\\{ ?[a-z](?: ?\\in ?\\mathbb ?\{?R\}?)? ?(?:\\middle ?)?(?:\\mid|\\vert|[|:]) ?"
     r"([^,;|{}]*?(?:[<>]|\\(?:ne|le|ge|lt|gt)[a-z]*)[^,;|{}]*?) ?(?:\\right ?)?\\\}$", r"\1"),
    # Before a number: what makes it no less exact, and currencies.
    (r"^(\\text\{ ?)?(?:about|around|approximately|roughly|exactly|USD|EUR|GBP|Rs\.?) ?(?=\}? ?\d)",
     lambda found: found.group(1) or ""),
    (r"^(?:\\text ?\{ ?)?all real(?:s| numbers) ?\}?$", r"\\mathbb{R}"),
)


def clean(text):
    text = " ".join(plain(text).split())
    for pattern, replacement in DRESS + NOTATION + SIGNS:
        text = pattern.sub(replacement, text)
    text = PREAMBLE.sub("", text.strip()).strip()
    for pattern, replacement in WORDS:
        text = pattern.sub(replacement, text)
    text = numerals(text)
    if text.endswith(".") and not text.endswith(".."):
        text = text[:-1]
    return text.strip().rstrip(",;").strip()
