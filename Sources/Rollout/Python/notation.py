"""What an answer's text is made of: LaTeX, Unicode, plain and Python notation become one list of tokens.

A token is (kind, value, spaced): `spaced` says whether a space stood before it. Kinds: number, name, function,
constant, scale, word, op.
"""

import re
import unicodedata
from fractions import Fraction

from numerals import numerals

MOST_TOKENS = 1000
DEEPEST_FONT = 8


class Unreadable(Exception):
    """The notation is not read here."""


class Endless(Unreadable):
    """Longer or deeper than any answer."""


class Number:
    """A number as written: its exact value, the digits after its point (None: no decimal), whether dots cut it off,
    and, where commas stood between groups of three, the numbers of the list that it may be instead."""

    def __init__(self, value, places=None, digits=0, cut=False, parts=None, written=""):
        self.value = Fraction(value)
        self.places, self.digits, self.cut, self.parts, self.written = places, digits, cut, parts, written

    def based(self, base):
        """Its digits read in another base."""
        value = in_base(self.written, base)
        if value is None:
            raise Unreadable("base")
        return Number(value)


def in_base(written, base):
    """The value of digits, and letters for digits above nine, with a point or without; None where one is too large."""
    value, scale, point = 0, 1, False
    for c in written:
        if c == ".":
            point = True
            continue
        digit = int(c, 36)
        if digit >= base:
            return None
        value = value * base + digit
        scale *= base if point else 1
    return Fraction(value, scale)


SUPERSCRIPTS = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱˣʸᵃᵇᶜᵈᵉᵏᵐᵗ", "0123456789+-=()nixyabcdekmt"))
SUBSCRIPTS = dict(zip("₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₒₓₖₗₘₙₚₛₜᵢⱼ", "0123456789+-=()aeoxklmnpstij"))
DIGITS = "⁰¹²³⁴⁵⁶⁷⁸⁹", "₀₁₂₃₄₅₆₇₈₉"
FRACTIONS = {"½": "1/2", "⅓": "1/3", "⅔": "2/3", "¼": "1/4", "¾": "3/4", "⅕": "1/5", "⅖": "2/5", "⅗": "3/5", "⅘": "4/5",
             "⅙": "1/6", "⅚": "5/6", "⅐": "1/7", "⅛": "1/8", "⅜": "3/8", "⅝": "5/8", "⅞": "7/8",
             "⅑": "1/9", "⅒": "1/10"}
CHARACTERS = {
    "−": "-", "–": "-", "—": "-", "‐": "-", "‑": "-", "‒": "-", "﹣": "-", "×": r"\times ", "·": r"\cdot ",
    "⋅": r"\cdot ",
    "∙": r"\cdot ", "•": r"\cdot ", "∗": "*", "✕": r"\times ", "✖": r"\times ", "⨯": r"\times ", "‰": r"\cdot \frac{1}{1000}", "、": ",",
    "÷": "/", "∕": "/", "⁄": "/", "√": r"\sqrt ", "∛": r"\cbrt ",
    "∜": r"\fourthroot ", "≤": r"\leq ", "≥": r"\geq ", "⩽": r"\leq ", "⩾": r"\geq ", "≠": r"\neq ", "≈": r"\approx ",
    "≃": r"\approx ", "∞": r"\infty ", "∪": r"\cup ", "∩": r"\cap ", "∖": r"\setminus ",
    "Ø": r"\emptyset ", "∈": r"\in ",
    "∅": r"\emptyset ",
    "°": r"^\circ ", "º": r"^\circ ", "±": r"\pm ", "∓": r"\mp ", "…": "...", "⋯": "...", "⋮": "...", "π": r"\pi ",
    "′": "'", "’": "'", "⌊": r"\lfloor ", "⌋": r"\rfloor ", "⌈": r"\lceil ", "⌉": r"\rceil ", "⟨": r"\langle ",
    "〈": r"\langle ", "〉": r"\rangle ",
    "⟩": r"\rangle ", "∣": "|", "│": "|", "ℝ": r"\mathbb{R}", "ℤ": r"\mathbb{Z}", "ℚ": r"\mathbb{Q}",
    "ℕ": r"\mathbb{N}",
    "ℂ": r"\mathbb{C}", "ⅈ": "i", "ⅇ": "e", "ℯ": "e", "％": r"\%",
    "∶": ":", "‖": "|", "ϕ": r"\phi ", "φ": r"\phi ", "ϵ": r"\epsilon ", "∑": r"\sum ", "∫": r"\int ", "∏": r"\prod ",
}
GREEK = ("alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi rho sigma tau upsilon phi chi psi "
         "omega "
         "Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega").split()

FUNCTIONS = {name: name for name in (
    "sin cos tan cot sec csc sinh cosh tanh coth sech csch arcsin arccos arctan arccot arcsec arccsc log ln lg exp "
    "sqrt cbrt abs factorial binomial gcd lcm floor ceil min max pow Rational Fraction Matrix det cis arg "
    "FiniteSet Interval Intervalopen IntervalLopen IntervalRopen Union Eq Integer array").split()}
FUNCTIONS.update(asin="arcsin", acos="arccos", atan="arctan", acot="arccot", arsinh="arcsinh", asinh="arcsinh",
                 arcsinh="arcsinh", acosh="arccosh", arcosh="arccosh", arccosh="arccosh", atanh="arctanh",
                 artanh="arctanh", arctanh="arctanh", ceiling="ceil", comb="binomial", Abs="abs", tg="tan", ctg="cot",
                 log2="log2", log10="lg", fourthroot="fourthroot", arctg="arctan",
                 Ln="ln", Log="log", Arcsin="arcsin", Arccos="arccos", Arctan="arctan", Arg="arg", Re="re", Im="im",
                 sgn="sign", set="FiniteSet")
# Functions whose names in LaTeX are others, or none.
PYTHON = {"abs", "factorial", "pow", "comb", "set", *(name for name in FUNCTIONS.values() if name[0].isupper())}
CONSTANTS = {"pi": "pi", "infty": "inf", "infinity": "inf", "oo": "inf", "inf": "inf", "e": "e", "i": "i"}
SCALES = {"hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12,
          "quadrillion": 10**15, "lakh": 10**5, "crore": 10**7, "dozen": 12, "score": 20,
          "tenth": Fraction(1, 10), "hundredth": Fraction(1, 100),
          "thousandth": Fraction(1, 1000), "millionth": Fraction(1, 10**6), "billionth": Fraction(1, 10**9)}
SCALES.update({name + "s": factor for name, factor in list(SCALES.items())})
SMALL = "zero one two three four five six seven eight nine ten eleven twelve".split()
SCALES.update((name + "s", Fraction(1, n)) for n, name in enumerate(
    "halve third fourth fifth sixth seventh eighth ninth".split(), 2))
SCALES["quarters"] = Fraction(1, 4)
COUNTS = dict({word: n for n, word in enumerate(SMALL)}, a=1, half=Fraction(1, 2), quarter=Fraction(1, 4))
# Words after a number that change what it says: no units.
MEANINGFUL = set("""base pi half third quarter fourth fourths fifth fifths sixth sixths squared
    cubed factorial pair pairs times over plus minus mod modulo root roots not if for when where is are x y n all no
    none more less fewer than out between except one two three four five six seven eight nine ten eleven twelve thirteen
    fourteen fifteen sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty
    ninety""".split())
# Units that are written without \text, short ones; other words count as units from four letters on.
UNITS = set("""cm mm km dm nm kg mg ml mL dL ft lb lbs mph kph kmh rpm Hz kHz MHz kW kWh MB GB KB kJ kPa Pa atm mol eV hr
    hrs min mins sec secs deg rad usd USD EUR GBP yd oz th st nd rd""".split())
# Short words outside of \text that are no products of letters.
SHORT_WORDS = set("degree degrees deg and or percent base of per out the for not are one two six ten yes no".split())
FONTS = set("""text textbf textit textrm textsf texttt textnormal textup textsl textmd textsc mathrm mathbf mathit
    mathsf mathtt mathnormal mathup mathop mbox hbox operatorname boldsymbol bm rm bf it emph boxed fbox hspace""".split())
RELATIONS = {"=": "=", "=<": "<=", "==": "=", "<": "<", ">": ">", "<=": "<=", ">=": ">=", "!=": "!=", "leq": "<=",
             "le": "<=", "geq": ">=", "ge": ">=", "leqslant": "<=", "geqslant": ">=", "lt": "<", "gt": ">", "neq": "!=", "ne": "!=",
             "approx": "~", "simeq": "~", "sim": "~", "in": "in", "equiv": "=", "cong": "~"}
SAME = {"dfrac": "frac", "tfrac": "frac", "cfrac": "frac", "dbinom": "binom", "tbinom": "binom", "lbrace": "{",
        "rbrace": "}", "varnothing": "emptyset", "times": "*", "cdot": "*", "ast": "*", "div": "/", "varphi": "phi",
        "varepsilon": "epsilon", "vartheta": "theta", "lvert": "|", "rvert": "|", "vert": "|", "mid": "|",
        "ldots": "...", "cdots": "...", "dots": "...", "dotsc": "...", "dotsb": "...", "dotsm": "...", "vdots": "...",
        "lbrack": "[", "rbrack": "]", "land": ",", "lor": ",", "wedge": ",", "vee": ",", "degree": "degree",
        "setminus": "setminus", "backslash": "setminus", "uppi": "pi", "colon": ":", "prime": "'", "lparen": "(", "rparen": ")"}
DROPPED = set("""left right big Big bigg Bigg bigl bigr Bigl Bigr biggl biggr Biggl Biggr displaystyle textstyle limits
    quad qquad hfill nolimits mathstrut strut thinspace enspace space middle""".split())


def ascii_digits(text):
    return "".join(str(max(run.find(c) for run in DIGITS)) for c in text)


def plain(text):
    """Unicode mathematics as LaTeX; characters that nobody sees gone."""
    if text.isascii():
        return text
    text = "".join(c for c in text if c not in "\u200b\u200c\u200d\u2060\ufeff\u2061\u2062\u00ad")
    text = re.sub(r"(\d)[\u0304\u0305]", r"\\overline{\1}", text)
    text = re.sub(r"([A-Za-z])\u0304", r"\\bar{\1}", text)
    text = re.sub(r"([%sⁿᵏᵐ]+)√" % DIGITS[0],
                  lambda found: r"\sqrt[%s]" % "".join(SUPERSCRIPTS[c] for c in found.group(1)), text)
    text = re.sub(r"([%s]+)[⁄/]([%s]+)" % DIGITS,
                  lambda found: r"\frac{%s}{%s}" % tuple(map(ascii_digits, found.groups())), text)
    text = re.sub(r"(\d)\u0307", r"\\dot{\1}", text)
    text = text.replace("\u2063", ",")
    for table, mark in ((SUPERSCRIPTS, "^"), (SUBSCRIPTS, "_")):
        run = "[%s]+" % re.escape("".join(table))
        text = re.sub(run, lambda found: mark + "{" + "".join(table[c] for c in found.group()) + "}", text)
    text = re.sub("[%s]" % "".join(FRACTIONS),
                  lambda found: r"\frac{%s}{%s}" % tuple(FRACTIONS[found.group()].split("/")), text)
    text = "".join(CHARACTERS.get(c, c) for c in text)
    text = unicodedata.normalize("NFKC", text)
    result = ""
    for c in text:
        c = CHARACTERS.get(c, c)
        name = "" if c.isascii() or len(c) > 1 else unicodedata.name(c, "")
        if name.startswith("GREEK ") and " LETTER " in name:
            word = name.split()[-1].replace("LAMDA", "LAMBDA").lower()
            c = "\\" + (word.capitalize() if "CAPITAL" in name else word) + " "
        elif name and unicodedata.category(c) == "Sc":
            c = "\\$"
        result += c
    return result


UPRIGHT_DIGITS = re.compile(r"\\(?:text|mathrm|mathbf|texttt|mathtt|mathsf) ?"
                            r"\{ ?([0-9][0-9A-Fa-f]*|[A-F][0-9A-F]*(?=\}[0-9A-F]* ?_)) ?\}")
PREAMBLE = re.compile(r"^(?:\\text\{ ?)?(?:(?:so|thus|therefore|hence|the|final|correct),? ){0,4}answer ?(?:is|:) ?"
                      r"(?:\}|(?!.*\})(?=.))", re.IGNORECASE)
# {x | x > 3}: the inequality.
SET_BUILDER = re.compile(r"^(?:\\left ?)?\\\{ ?[a-z](?: ?\\in ?\\mathbb ?\{?R\}?)? ?(?:\\middle ?)?(?:\\mid|\\vert|[|:]) ?"
                         r"([^,;|{}]*?(?:[<>]|\\(?:ne|le|ge|lt|gt)[a-z]*)[^,;|{}]*?) ?(?:\\right ?)?\\\}$")
# Before a number: what is not exact all the same, and currencies.
BEFORE = re.compile(r"^(\\text\{ ?)?(?:about|around|approximately|roughly|exactly|USD|EUR|GBP|Rs\.?) ?(?=\}? ?\d)")
UNIT_FRACTION = re.compile(r"\\[dt]?frac\s*" + 2 * r"\{\s*\\(?:text|mathrm|textrm)\s*\{\s*([A-Za-z]+)\s*\}\s*\}")


# Ten choose three: ^{10}C_3, C(10, 3), nCr(10, 3).
CHOOSE = re.compile(r"(?<![\w}^\\)])(?:\{ ?\})? ?[\^_] ?\{? ?(\d+) ?\}? ?C ?_ ?\{? ?(\d+)(?: ?\})?")

CHOOSE_OF = re.compile(r"(?<![A-Za-z])(?:nCr|C)\(\s*(\d{1,9})\s*,\s*(\d{1,9})\s*\)")


def clean(text):
    """Without what never changes a value: mathematics signs, sizes, spacing commands, braces around commas."""
    text = " ".join(plain(text).split())
    text = re.sub(r"\\(?:text|mathrm) ?\{ ?(\\?[$%]) ?\}", r"\1", text)
    text = re.sub(r"\{ ?(\\(?:overline|bar|dot) ?\{\d+\}) ?\}", r"\1", text)
    text = UPRIGHT_DIGITS.sub(r"\1", text)
    text = re.sub(r"^(\*\*|`+)(.+)\1$", r"\2", text)
    text = text.replace("\\operatorname*", "\\operatorname")
    text = re.sub(r"\\operatorname\s*\{\s*\\([A-Za-z]+)\s*\}", r"\\\1 ", text)
    text = re.sub(r"(?<![.\d}])\\(?:over|under)line ?\{(\d+)\}(?= ?_)", r"\1", text)
    text = re.sub(r"\{\\[,;: !]\}|\\thinspace(?![A-Za-z]) ?", r"\\,", text)
    text = re.sub(r"(?<=\d)\\text\{,\}(?=\d)", "{,}", text)
    text = CHOOSE_OF.sub(lambda found: r"\binom{%s}{%s}" % found.groups() if int(found.group(2)) <= int(found.group(1))
                         else found.group(), text)
    text = re.sub(r"\[ ?(?=$|\\cup|[,;] )", ")", text)  # [0, 1[
    text = CHOOSE.sub(r"\\binom{\1}{\2}", text)
    text = re.sub(r"(?<=\d)(?<!(?<!\d)0)\s*[xX]\s*(?=\d)", r"\\times ", text)
    text = re.sub(r"\b(?:in|to) base\b", "base", text)
    text = re.sub(r"(?<=\d) ?(\\text ?\{ ?)?\(?\b(?:in )?(binary|ternary|octal)\b\)?",
                  lambda found: "%s base %d" % (found.group(1) or "", BASES[found.group(2)]), text)
    text = re.sub(r", ?(?=(?:\\text ?\{ ?)?base\b)", " ", text)
    text = re.sub(r"(?<![\^_A-Za-z}\]])(?<![\^_A-Za-z}\]] )\{ ?(\d+) ?\}(?= ?_)", r"\1", text)
    text = re.sub(r"(?<=\d)(\\text ?\{ ?)?-(?=(?:hundred|thousand|million|billion|trillion|dozen)s?\b)", r" \1", text)
    text = re.sub(r"(?<![A-Za-z\\])([dt]?frac)(?=\{)", r"\\\1", text)
    text = re.sub(r"float\(['\"]inf(?:inity)?['\"]\)", "inf", text)
    text = re.sub(r"(?<![A-Za-z])Interval\.([LR]?open)\(", r"Interval\1(", text)
    text = re.sub(r"(?<!\\)\\[()\[\]$/]|\$", "", text)
    text = re.sub(r"\s*,\\!\s*(?=\d)|\\!", lambda f: "{,}" if "," in f.group() else "", text)
    text = re.sub(r"(?<=\d)\{,\}\s*(?=\d{3})", "\\\\sep", text)
    text = re.sub(r"\{,\}", ",", text)
    text = re.sub(r"(?<!\\)\\[,;:> ]|~|\\q?quad(?![A-Za-z])", " ", text)
    text = UNIT_FRACTION.sub(r"\\text{\1/\2}", text)
    text = text.replace("\\%", "%").replace("\\&", "&").replace("\\#", "#").replace("\\_", "_")
    text = re.sub(r"\{\s*\\(rm|bf|it|sf)\s+([^{}]*)\}", r"\\mathrm{\2}", text)
    text = re.sub(r"(?<![A-Za-z\\])(math|cmath|np|numpy|sp|sympy)\.(?=[A-Za-z])", "", text)
    text = PREAMBLE.sub("", text.strip()).strip()
    text = SET_BUILDER.sub(r"\1", text)
    text = BEFORE.sub(lambda found: found.group(1) or "", text)
    text = numerals(re.sub(r"^(?:\\text ?\{ ?)?all real(?:s| numbers) ?\}?$", r"\\mathbb{R}", text))
    if text.endswith(".") and not text.endswith(".."):
        text = text[:-1]
    return text.strip().rstrip(",;").strip()


NUMBER = re.compile(r"""0[xX][0-9a-fA-F]+(?![0-9A-Za-z_]) | 0[bB][01]+(?![0-9A-Za-z_]) | 0[oO][0-7]+(?![0-9A-Za-z_])
    | \d{1,3}(?:\\sep\d{3})+(?!\d)(?:\.(?!\.)\d*)?
    | \d{1,3}(?:'\d{3})+(?!\d)(?:\.\d+)? | \d{1,3}(?:\.\d{3}){2,}(?![\d.])
    | \d{1,3}(?:_\d{3})+(?![\d_{])
    | (?!0)\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)?
    | \d{1,3}(?:[ ]\d{3})+(?![\d/])(?![ ]*/)(?:\.\d+)?
    | \d+(?:\.(?!\.)\d*)? | \.\d+ | \.(?=\\(?:overline|bar|dot)[^A-Za-z])""", re.VERBOSE)
PYTHON_COMPLEX = re.compile(r"\dj(?![A-Za-z])")
SYMPY = re.compile(r"(?:[\d\s.+*/()I-]|sqrt|exp|log|pi|sin|cos|E(?=\*))*")
VECTOR = re.compile(r"(?<![A-Za-z])[ik](?![A-Za-z])")
BASED = re.compile(r"([0-9]{1,4}(?: [0-9]{4})+|[0-9]{1,3}(?:(?:\\sep|,| )[0-9]{3})+"
                   r"|[0-9][0-9A-Za-z]{0,400}(?:\.[0-9A-Z]+)?|[A-F][0-9A-F]+)\s*_\s*"
                   r"(\{[^{}]*(?:\{[^{}]*\})?[^{}]*\}|\d+|\\(?:text|mathrm) ?\{[^{}]*\})")
BASES = dict(binary=2, bin=2, ternary=3, octal=8, oct=8, decimal=10, dec=10, hexadecimal=16, hex=16,
             two=2, three=3, four=4, five=5, six=6, seven=7, eight=8, nine=9, ten=10, eleven=11,
             twelve=12, sixteen=16)
SUBSCRIPT = re.compile(r" ?_ ?\{? ?(\d{1,2}) ?\}?")
EXPONENT = re.compile(r"[eE][+-]?\d+(?![\d.]|[A-Za-z])")
REPEATS = re.compile(r"\s*\\(?:overline|bar)\s*(?:\{\s*(\d+)\s*\}|(\d))|\((\d+)\)")
DOTTED = re.compile(r"\\dot\s*\{?(\d)\}?(?:(\d*)\\dot\s*\{?(\d)\}?)?")
DOTS = re.compile(r"\s*(?:\.\.\.|\\(?:ldots|cdots|dots)(?![A-Za-z]))")


class Tokens:
    """Splits a text. `scientific`: whether `2e-1` is a power of ten, not e less one; `ambiguous` holds that word where
    it matters."""

    def __init__(self, text, scientific=True):
        self.scientific, self.fonts = scientific, 0
        self.list, self.ambiguous = [], set()
        text = clean(text)
        self.latex = "\\" in text
        self.run(text)

    def add(self, kind, value, spaced=False):
        self.list.append((kind, value, spaced))

    def run(self, text):
        place, spaced = 0, False
        while place < len(text):
            if text[place].isspace():
                place, spaced = place + 1, True
                continue
            place = self.take(text, place, spaced)
            spaced = False
            if len(self.list) > MOST_TOKENS:
                raise Endless("long")
        self.counted()

    def counted(self):
        """`five thousand`, `a dozen`, `half a million`: a number before the scale."""
        for n in range(len(self.list) - 1, 0, -1):
            kind, value, spaced = self.list[n - 1]
            if self.list[n][0] != "scale" or kind not in ("word", "name"):
                continue
            count = COUNTS.get(value.lower())
            if value == "a" and n > 1 and self.list[n - 2][:2] == ("word", "half"):
                count, spaced = Fraction(1, 2), self.list[n - 2][2]
                del self.list[n - 2]
                n -= 1
            if count is not None:
                self.list[n - 1] = ("number", Number(count), spaced)

    def take(self, text, place, spaced):
        c = text[place]
        if c.isascii() and c.isalnum():
            end = self.based(text, place, spaced)
            if end is not None:
                return end
        if c.isdigit() and c.isascii() or c == "." and NUMBER.match(text, place):
            return self.number(text, place, spaced)
        if c == "\\":
            return self.command(text, place, spaced)
        if c.isascii() and c.isalpha():
            run = re.compile(r"[A-Za-z]+(?:(?<=log)(?:2|10)(?=\())?").match(text, place)
            letters = run.group()
            if letters == "E" and text.startswith("**", run.end()):  # Python's names for e and i
                letters = "e"
            if letters == "j" and PYTHON_COMPLEX.search(text) and not VECTOR.search(text):
                letters = "i"
            if letters == "I" and SYMPY.fullmatch(text):
                letters = "i"
            digit = re.compile(r"\d+").match(text, run.end())
            if digit and len(letters) == 1 and letters not in "eEiI" and not self.latex:  # x1
                self.add("name", "%s_%s" % (letters, digit.group()), spaced)
                return digit.end()
            self.letters(letters, spaced)
            return run.end()
        for op in ("...", "**", "<=", "=<", ">=", "==", "!="):
            if text.startswith(op, place):
                self.add("op", RELATIONS.get(op, op), spaced)
                return place + len(op)
        if c in "+-*/^_(){}[]|,;=<>!%&:'":
            self.add("op", c, spaced)
            return place + 1
        raise Unreadable(c)

    def based(self, text, place, spaced):
        """`1011_2`, `1A_{16}`: the place after it, or None where the subscript is no base."""
        found = BASED.match(text, place)
        if not found:
            return None
        written = re.sub(r"\\sep|[, ]", "", found.group(1))
        subscript = re.sub(r"\\[a-z]+|[^A-Za-z0-9]|base", "", found.group(2))
        base = int(subscript) if subscript.isdigit() and len(subscript) < 3 else BASES.get(subscript.lower(), 0)
        if not 2 <= base <= 36 or subscript.startswith("0"):
            return None
        value = in_base(written, base) if base == 16 or written.upper() == written else None
        if value is None:
            if written.isdigit():
                raise Unreadable("a digit too large for its base")
            return None
        self.add("number", Number(value), spaced)
        return found.end()

    def number(self, text, place, spaced):
        found = NUMBER.match(text, place)
        written, end = found.group(), found.end()
        if written[:2].lower() in ("0x", "0b", "0o"):
            self.add("number", Number(Fraction(int(written, 0))), spaced)
            return end
        parts = [int(part) for part in written.split(",")] if "," in written and "." not in written else None
        if ",0" in written:  # no number of a list begins so: `(1,000)` is a thousand
            parts = None
        if written.count(".") > 1:
            written = written.replace(".", "")
        digits = re.sub(r"\\sep|[,_' ]", "", written)
        whole, point, decimals = digits.partition(".")
        value, places = Fraction(int(whole + decimals or "0"), 10 ** len(decimals)), len(decimals) if decimals else None
        if point:
            end, value, places, cut = self.repeating(text, end, whole, decimals, value, places)
        else:
            cut = False
        power = EXPONENT.match(text, end)
        if power:
            e = power.group()
            if e[0] == "e" and e[1] in "+-":
                self.ambiguous.add("scientific")
            if self.scientific or e[0] == "E" or e[1] not in "+-":
                exponent = int(e[1:])
                if abs(exponent) > 50_000:  # not written out
                    self.list += [("number", Number(value), spaced), ("op", "*", False), ("number", Number(10), False),
                                  ("op", "^", False), ("op", "-" if exponent < 0 else "+", False),
                                  ("number", Number(abs(exponent)), False)]
                    return power.end()
                value *= Fraction(10) ** exponent
                places, end = None if places is None else max(0, places - exponent), power.end()
                places = places if places else (-exponent if exponent < 0 else None)
        self.add("number", Number(value, places, len((whole + decimals).lstrip("0")), cut, parts, digits),
                 spaced)
        return end

    def repeating(self, text, end, whole, decimals, value, places):
        """What follows the decimals: a period under a line, between dots or in parentheses, or dots that go on."""
        found = REPEATS.match(text, end)
        dotted = DOTTED.match(text, end)
        period = None
        if found:
            period, end = next(group for group in found.groups() if group), found.end()
        elif dotted:
            period, end = "".join(group or "" for group in dotted.groups()), dotted.end()
        dots = DOTS.match(text, end)
        cut = False
        if dots and dots.group().strip() and decimals and period is None:
            end = dots.end()
            for length in range(1, len(decimals) // 2 + 1):
                times = 3 if length == 1 else 2
                tail = decimals[-length:]
                if decimals.endswith(tail * times):
                    period = tail
                    break
            cut = period is None
        elif dots and period is not None:
            end = dots.end()
        if period is not None:
            base, subscript = 10, SUBSCRIPT.match(text, end)
            if subscript:  # 0.\overline{1}_2
                base, end = int(subscript.group(1)), subscript.end()
                value = in_base(whole + "." + decimals, base) if base > 1 else None
                if value is None or in_base(period, base) is None:
                    raise Unreadable("base")
            value += in_base(period, base) / (base ** len(decimals) * (base ** len(period) - 1))
            places = None
        return end, value, places, cut

    def command(self, text, place, spaced):
        found = re.compile(r"\\([A-Za-z]+|.)", re.DOTALL).match(text, place)
        if not found:
            raise Unreadable("backslash")
        name, end = found.group(1), found.end()
        if name in "{}":
            self.add("op", "\\" + name, spaced)
        elif name == "\\":
            self.add("op", "\\\\", spaced)
        elif name == "|":
            self.add("op", "|", spaced)
        elif name in FONTS:
            return self.font(text, end, spaced)
        elif name in DROPPED:
            if name in ("left", "right") and text[end:end + 1] == ".":
                end += 1
        elif name in RELATIONS:
            self.add("op", RELATIONS[name], spaced)
        elif SAME.get(name, name) in ("{", "}"):
            self.add("op", "\\" + SAME[name], spaced)
        elif SAME.get(name, "") and not SAME[name].isalpha():
            self.add("op", SAME[name], spaced)
        elif name == "mathbb" or name == "mathcal":
            inner = re.compile(r"\s*\{?\s*([A-Za-z])\s*\}?").match(text, end)
            if not inner:
                raise Unreadable(name)
            self.add("name", "\\%s %s" % (name, inner.group(1)), spaced)
            return inner.end()
        elif name in ("begin", "end"):
            inner = re.compile(r"\s*\{([a-z]*\*?)\}(?:\s*\{[lcr|]*\})?").match(text, end)
            if not inner:
                raise Unreadable(name)
            self.add("op", "%s %s" % (name, inner.group(1)), spaced)
            return inner.end()
        else:
            name = SAME.get(name, name)
            if name in FUNCTIONS and name not in PYTHON:
                self.add("function", FUNCTIONS[name], spaced)
            elif name in ("pi", "infty"):
                self.add("constant", CONSTANTS[name], spaced)
            elif name.startswith("up") and name[2:] in GREEK:
                self.add("name", name[2:], spaced)
            elif name in GREEK or name in ("ell", "hbar", "imath", "jmath"):
                self.add("name", name, spaced)
            elif name in ("frac", "binom", "pm", "mp", "cup", "cap", "setminus", "emptyset", "circ", "degree", "lfloor",
                          "rfloor", "lceil", "rceil", "langle", "rangle", "overline", "vec", "hat", "bar", "bmod",
                          "choose", "over", "tilde"):
                self.add("op", name, spaced)
            else:
                raise Unreadable("\\" + name)
        return end

    def font(self, text, place, spaced):
        """An upright or bold argument: a letter, a function, words, or mathematics like any other."""
        while place < len(text) and text[place].isspace():
            place += 1
        if text[place:place + 1] != "{":
            return place  # `\rm x`, `\mathbf x`
        depth, end = 0, place
        while end < len(text):
            depth += {"{": 1, "}": -1}.get(text[end], 0)
            if depth == 0:
                break
            end += 1
        inner = text[place + 1:end]
        if re.fullmatch(r"\s*\\[A-Za-z]+\s*(\{[^{}]*\})?\s*", inner):  # \mathop{\mathrm{sin}}
            self.run(inner)
            return end + 1
        unit = re.fullmatch(r"(\s*[A-Za-z]+)(?:\s*(?:/|per\b|\\cdot)\s*[A-Za-z]+)*(?:\^\{?-?\d\}?)?\s*", inner)
        if unit and not unit.group().strip().isalpha() and (self.follows_number() or self.follows_unit()):
            self.word(unit.group(1).strip(), spaced)
        elif re.fullmatch(r"[A-Za-z\s.,'-]*", inner) and re.search("[A-Za-z]", inner):
            self.words(inner, spaced or inner[:1].isspace(), upright=True)
        else:
            self.fonts += 1
            if self.fonts > DEEPEST_FONT:
                raise Endless("deep")
            self.add("op", "(font", spaced)
            self.run(inner)
            self.add("op", "font)", False)
            self.fonts -= 1
        return end + 1

    def words(self, inner, spaced, upright=False):
        words = re.findall(r"[A-Za-z'-]+|,", inner)
        if len(words) == 1 and not words[0].startswith(("'", "-")):
            word = words[0]
            if len(word) == 1 and not inner.endswith("."):
                self.letter(word, spaced, upright=self.follows_number())
            elif word in FUNCTIONS or word in CONSTANTS:
                self.letters(word, spaced)
            else:
                self.word(word, spaced)
            return
        joints = {"and", "or", ","}  # `A and B`
        letters = not joints.isdisjoint(words) and all(len(word) == 1 or word in joints for word in words)
        for word in words:
            if word == ",":
                self.add("op", ",", spaced)
            elif letters and len(word) == 1:
                self.letter(word, spaced)
            else:
                self.word(word, True)

    def follows_number(self):
        return bool(self.list) and (self.list[-1][0] in ("number", "scale") or self.list[-1][1] in ("}", "circ"))

    def follows_unit(self):
        """Whether a unit and a sign stand before: kg times m/s."""
        return [kind for kind, _, _ in self.list[-2:]] == ["word", "op"] and self.list[-1][1] in "*/"

    def word(self, word, spaced):
        low = word.lower()
        if low in ("and", "or"):
            self.add("op", ",", spaced)
        elif low in SCALES:
            self.add("scale", Fraction(SCALES[low]), spaced)
        elif low in ("percent", "pct"):
            self.add("op", "%", spaced)
        elif low == "base":
            self.add("op", "base", spaced)
        elif low in ("degree", "degrees", "deg") and self.follows_number():
            self.add("op", "degree", spaced)
        elif low == "i" and not spaced:
            self.letter("i", spaced)
        else:
            self.add("word", word, spaced)

    def letter(self, letter, spaced, upright=False):
        if letter == "I" and self.list[-1:] == [("op", "*", False)]:  # sympy's
            letter = "i"
        if letter in ("e", "i"):
            self.add("constant", letter, spaced)
        elif upright:
            self.add("word", letter, spaced)  # 5\text{ m}
        else:
            self.add("name", letter, spaced)

    def letters(self, run, spaced):
        """A run of letters outside \\text: names that are known, single letters, or a word."""
        if run in ("C", "F", "K") and [value for _, value, _ in self.list[-2:]] in (["^", "circ"], ["circ", "}"]):
            return self.add("word", run, spaced)  # 72 °F
        if run in FUNCTIONS:
            return self.add("function", FUNCTIONS[run], spaced)
        if run in CONSTANTS or run.lower() in ("infinity",):
            return self.add("constant", CONSTANTS.get(run, "inf"), spaced)
        if run in GREEK:
            return self.add("name", run, spaced)
        low = run.lower()
        if low in SCALES or low in SHORT_WORDS:
            return self.word(run, spaced)
        if run in UNITS and self.follows_number():
            return self.add("word", run, spaced)
        parts = self.segments(run)
        if parts is None:
            return self.add("word", run, spaced)
        for part in parts:
            if part in FUNCTIONS:
                self.add("function", FUNCTIONS[part], spaced)
            elif len(part) > 1 and part in CONSTANTS:
                self.add("constant", CONSTANTS[part], spaced)
            else:
                self.letter(part, spaced)
            spaced = False

    @staticmethod
    def segments(run):
        if len(run) <= 3 and not any(name in run.lower() for name in ("pi", "ln", "lg")):
            return list(run)
        names = ("arcsin", "arccos", "arctan", "sqrt", "sinh", "cosh", "tanh", "sin", "cos", "tan", "cot", "sec", "csc",
                 "log", "ln", "exp", "pi")
        parts, rest, single = [], run, 0
        while rest:
            name = next((name for name in names if rest.startswith(name)), None)
            parts.append(name or rest[0])
            single += name is None
            rest = rest[len(parts[-1]):]
        if single == len(parts):
            return parts if len(run) <= 3 else None
        return parts if single <= 2 else None
