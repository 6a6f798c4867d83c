"""The rules by which an answer equals the gold answer (docs/grading.md). What is not read here is math-verify's."""

import re
from fractions import Fraction

from expression import Reading, parts, read, show
from notation import Number, Unreadable, clean, plain
from values import TooLarge, Undefined, approximate, equal, exact, mp, symbols, walk

LONGEST = 10_000
# A gold decimal of at least so many digits may be a rounded value.
ROUNDED_DIGITS = 3
CHOICE = re.compile(r"""^(?:\\(?:text|textbf|mathrm|mathbf|textrm|bf|rm)\s*\{?|\{|\s|(?:option|choice|answer)(?=[\s(:]))*
    (?:\(\s*([A-Ja-j])\s*\)|([A-J])\s*(?:[.):](?!\d)|(?=\}|$)))[\s})]*(.*)$""", re.VERBOSE | re.IGNORECASE | re.DOTALL)


def grade(answer, gold):
    """"correct", "incorrect", "ungradable" (the gold answer has no value, or none that can be worked out); None: not read here."""
    if max(len(gold), len(answer)) > LONGEST:
        return None
    if unclosed(gold):
        return "ungradable"
    if unclosed(answer):
        return "incorrect"
    chosen = by_choice(answer, gold)
    if chosen is not None:
        return chosen
    verdict, ambiguous = by_value(answer, gold, Reading())
    if verdict in ("incorrect", None) and ambiguous:
        for n in range(1, 8):
            reading = Reading(not n & 1, bool(n & 2), not n & 4)
            flags = {"scientific": n & 1, "tight": n & 2, "ten": n & 4}
            if all(name in ambiguous for name, on in flags.items() if on):
                other, _ = by_value(answer, gold, reading)
                if other == "correct":
                    return other
    return verdict


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
    text = plain(text).replace("$", "").replace("\\ ", " ").replace("~", " ").strip()
    found = CHOICE.match(text)
    if not found:
        return None
    letter, rest = found.group(1) or found.group(2), found.group(3)
    if found.group(2) and letter.islower():
        return None
    rest = re.sub(r"^(\\[,;:! ]|\\q?quad|[\s:.,-])+", "", rest).strip()
    while unclosed(rest) and rest.endswith("}"):
        rest = rest[:-1].strip()
    if rest[:1] in "+*/^_=<>(!" and rest or re.match(r"\\text\{\s*(and|or)\b|(and|or)\b|\\(cap|cup|cdot|times|in)\b", rest) or letter.islower() and rest:
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
    except (Unreadable, RecursionError):
        return ("incorrect" if decided_without(answer, gold) else None), ambiguous
    comparison = Comparison(reading.ten)
    try:
        comparison.defined(wanted)
    except (Undefined, ArithmeticError, ValueError):
        return "ungradable", ambiguous
    try:
        return ("correct" if comparison.same(given, wanted) else "incorrect"), ambiguous
    except (Undefined, ArithmeticError, ValueError):
        return "incorrect", ambiguous
    except TooLarge:
        return ("incorrect" if comparison.workable(wanted) else "ungradable"), ambiguous


def decided_without(answer, gold):
    """Whether an answer that is not read here is wrong all the same: math-verify drops dots and scale words."""
    return "..." in answer or "dots" in answer or bool(re.search(r"million|thousand|billion|hundred|dozen|_", answer))


class Comparison:
    def __init__(self, ten):
        self.ten = ten

    def defined(self, node):
        """Raises Undefined where a number has no value."""
        for part in walk(node):
            if part[0] in ("div", "pow", "function") and not symbols(part) and not has(part, "pm", "dots"):
                try:
                    if exact(part, self.ten) is None:
                        approximate(part, 30, 0, self.ten)
                except TooLarge:
                    pass

    def workable(self, node):
        try:
            for part in walk(node):
                if part[0] in ("pow", "function", "mul", "add"):
                    exact(part, self.ten)
            return True
        except (TooLarge, Undefined):
            return False

    # ---------------------------------------------------------------------------- kinds

    def same(self, given, wanted):
        given, wanted = simple(given), simple(wanted)
        if show(given) == show(wanted):
            return True
        if "text" in (given[0], wanted[0]):
            return given == wanted
        if has(given, "dots") or has(wanted, "dots"):
            return self.sequences(given, wanted)
        given, wanted = both_signs(given), both_signs(wanted)
        if "relation" in (given[0], wanted[0]):
            return self.relations(given, wanted)
        if given[0] in ("union", "cap", "minus") or wanted[0] in ("union", "cap", "minus"):
            return self.unions(given, wanted)
        if "matrix" in (given[0], wanted[0]):
            return self.matrices(given, wanted)
        if "ratio" in (given[0], wanted[0]):
            return self.ratios(given, wanted)
        if collection(given) or collection(wanted):
            return self.collections(given, wanted)
        return self.scalars(given, wanted)

    def scalars(self, given, wanted):
        """Numbers and expressions. Percent may be left out on either side; degrees may be radians."""
        pairs = [(given, wanted)]
        if wanted[0] == "percent":
            pairs.append((given, wanted[1]))
        if given[0] == "percent":
            pairs.append((given[1], wanted[1] if wanted[0] == "percent" else wanted))
        if any(self.equal(one, other) for one, other in pairs):
            return True
        return self.rounds_to(given, wanted) or (
            wanted[0] == "percent" and (self.rounds_to(given, wanted[1])
                                        or given[0] == "percent" and self.rounds_to(given[1], wanted[1])))

    def equal(self, given, wanted):
        if equal(given, wanted, self.ten):
            return True
        turned = has(given, "degree"), has(wanted, "degree")
        return turned[0] != turned[1] and has(given if turned[1] else wanted, "constant") and equal(
            given, wanted, self.ten, turned)

    def rounds_to(self, given, wanted):
        """A gold decimal stands for what rounds to it: numbers that have no finite decimal of their own."""
        negative = wanted[0] == "neg"
        leaf = wanted[1] if negative else wanted
        if leaf[0] != "number" or leaf[1].places is None or symbols(given):
            return False
        number = leaf[1]
        if number.digits < ROUNDED_DIGITS and not number.cut or number.places < 0:
            return False
        target = -number.value if negative else number.value
        unit = Fraction(1, 10**number.places)
        value = exact(given, self.ten)
        if value is not None:
            if finite(value) or given[0] == "number" and given[1].cut:
                return False
            return abs(value - target) <= (unit if number.cut else unit / 2)
        value, _ = approximate(given, 60 + number.places, 0, self.ten)
        if mp.im(value) != 0 or mp.isinf(value):
            return False
        with mp.workdps(60 + number.places):
            distance = abs(value - mp.mpf(target.numerator) / target.denominator)
            return distance <= mp.mpf(unit.numerator) / unit.denominator / (1 if number.cut else 2)

    # ---------------------------------------------------------------------------- lists

    def collections(self, given, wanted):
        """Lists and sets are equal as sets, tuples and intervals in order; a bare list may stand for either."""
        if not collection(given) or not collection(wanted):
            one, other = (given, wanted) if collection(given) else (wanted, given)
            items = elements(one)
            return bracketless(one) and bool(items) and all(self.same(item, other) for item in items)
        ordered = {"group"}
        if given[0] == wanted[0] == "group":
            return brackets(given) == brackets(wanted) and self.in_order(elements(given), elements(wanted))
        if wanted[0] in ordered or given[0] in ordered:
            group, other = (wanted, given) if wanted[0] == "group" else (given, wanted)
            if other[0] == "set" or brackets(group) in ("(]", "[)", "]["):
                return False
            if wanted[0] == "list":
                return self.as_sets(elements(given), elements(wanted))
            if brackets(group) == "[]" and len(elements(group)) == 2:
                return False  # a closed interval
            return self.in_order(elements(given), elements(wanted))
        return self.as_sets(elements(given), elements(wanted))

    def in_order(self, given, wanted):
        return len(given) == len(wanted) and all(map(self.same, given, wanted))

    def as_sets(self, given, wanted):
        if len(given) * len(wanted) > 2500:
            return self.in_order(given, wanted)
        return (all(any(self.same(one, other) for other in wanted) for one in given)
                and all(any(self.same(one, other) for one in given) for other in wanted))

    def matrices(self, given, wanted):
        rows = []
        for node in (given, wanted):
            if node[0] == "matrix":
                rows.append((node[1], node[2]))
            elif node[0] == "group" and all(simple(part)[0] == "group" for part in node[3]):
                rows.append(("m", [elements(simple(part)) for part in node[3]]))
            else:
                return False
        return rows[0][0] == rows[1][0] and len(rows[0][1]) == len(rows[1][1]) and all(
            map(self.in_order, rows[0][1], rows[1][1]))

    def ratios(self, given, wanted):
        if given[0] == wanted[0] == "ratio":
            one, other = given[1], wanted[1]
            return len(one) == len(other) and all(
                self.equal(("mul", [a, other[0]]), ("mul", [one[0], b])) for a, b in zip(one, other))
        one, other = (given, wanted) if given[0] == "ratio" else (wanted, given)
        return len(one[1]) == 2 and not collection(other) and other[0] != "relation" and self.equal(
            ("div", *one[1]), other)

    def sequences(self, given, wanted):
        """With dots: shown terms agree from both ends; terms that only one shows go on as the other's do."""
        if not (collection(given) and collection(wanted) and given[0] == wanted[0]):
            return False
        sides = []
        for node in (given, wanted):
            items = elements(node)
            places = [n for n, item in enumerate(items) if item[0] == "dots"]
            if len(places) != 1 or any(has(item, "dots") for n, item in enumerate(items) if n not in places):
                return False
            sides.append((items[:places[0]], items[places[0] + 1:]))
        (head, tail), (first, last) = sides
        return (bool(tail) == bool(last) and self.agree(head, first)
                and self.agree(list(reversed(tail)), list(reversed(last))))

    def agree(self, one, other):
        short, long = sorted((one, other), key=len)
        if not all(map(self.same, short, long)):
            return False
        if len(short) == len(long):
            return True
        if len(short) < 2:
            return bool(short) and len(long) < 3
        step = ("add", [short[1], ("neg", short[0])])
        terms = zip(long[len(short) - 1:], long[len(short):])
        return all(self.equal(("add", [after, ("neg", before)]), step) for before, after in terms)

    # ---------------------------------------------------------------------------- relations and sets

    def relations(self, given, wanted):
        if given[0] != "relation" or wanted[0] != "relation":
            relation, other = (given, wanted) if given[0] == "relation" else (wanted, given)
            values = stated(relation)
            if values is not None:
                return any(self.same(*pair) for pair in (
                    ((value, other) if relation is given else (other, value)) for value in values))
            interval = as_interval(relation)
            return interval is not None and self.unions(*((interval, other) if relation is given else (other, interval)))
        one, other = named(given), named(wanted)
        if one and other:
            return (one[0] == other[0] or "(" in one[0] or "(" in other[0]) and self.same(one[1], other[1])
        if one or other:
            plain_values = [stated(node) for node in (given, wanted)]
            if all(plain_values) and not symbols(given) | symbols(wanted):
                return self.same(plain_values[0][-1], plain_values[1][-1])
        left, right = pairwise(given), pairwise(wanted)
        if left is None or right is None:
            return False
        return (len(left) == len(right) and all(any(self.same_relation(a, b) for b in right) for a in left)
                and all(any(self.same_relation(a, b) for a in left) for b in right))

    def same_relation(self, one, other):
        """Both sides moved to one: equal up to a factor without symbols, a positive one for inequalities."""
        (sign, a), (other_sign, b) = one, other
        if sign != other_sign:
            return False
        if not symbols(a) and not symbols(b):
            return self.equal(a, b)
        factors = []
        for point in range(3):
            try:
                top, most = approximate(a, 120, point, self.ten)
                bottom, more = approximate(b, 120, point, self.ten)
                with mp.workdps(120):
                    factors.append(top / bottom)
            except (Undefined, ZeroDivisionError):
                return False
        with mp.workdps(120):
            if any(abs(factor - factors[0]) > abs(factors[0]) * mp.mpf(10) ** -60 for factor in factors):
                return False
            return factors[0] != 0 and (sign in ("=", "!=") or mp.re(factors[0]) > 0)

    def unions(self, given, wanted):
        """Unions of intervals and finite sets, in any order."""
        one, other = pieces(given), pieces(wanted)
        if one is None or other is None:
            return given[0] == wanted[0] and given[0] in ("cap", "minus") and all(map(self.same, given[1:], wanted[1:]))
        return self.as_sets(one, other) or self.spans(one) == self.spans(other) != None

    def spans(self, list_of_pieces):
        """The union as separate spans in order, where all ends are rational or infinite; else None."""
        spans = []
        for piece in list_of_pieces:
            if piece[0] == "set":
                ends = [(end(item, self.ten),) * 2 + (True, True) for item in piece[1]]
            elif piece[0] == "group" and len(piece[3]) == 2:
                open_, close = brackets(piece)
                ends = [(end(piece[3][0], self.ten), end(piece[3][1], self.ten), open_ == "[", close == "]")]
            else:
                return None
            if any(low is None or high is None for low, high, _, _ in ends):
                return None
            spans += [span for span in ends if span[0] < span[1] or span[0] == span[1] and span[2] and span[3]]
        spans.sort(key=lambda span: (span[0], not span[2]))
        merged = []
        for low, high, closed, closes in spans:
            if merged and (low < merged[-1][1] or low == merged[-1][1] and (closed or merged[-1][3])):
                before = merged[-1]
                last = max((before[1], before[3]), (high, closes))
                merged[-1] = (before[0], last[0], before[2], last[1])
            else:
                merged.append((low, high, closed, closes))
        return merged


# ------------------------------------------------------------------------------------------------- shapes


def has(node, *kinds):
    return any(part[0] in kinds for part in walk(node))


def simple(node):
    """Without parentheses around one thing; `(1,234)` is a pair."""
    while node[0] == "group" and len(node[3]) == 1 and node[1] + node[2] in ("()", "[]"):
        inner = parts(node[3][0])
        if len(inner) > 1:
            return ("group", node[1], node[2], inner)
        node = node[3][0]
    if node[0] == "set" and len(node[1]) == 1 and len(parts(node[1][0])) > 1:
        return ("set", parts(node[1][0]))
    if node[0] == "neg" and simple(node[1]) is not node[1]:
        return ("neg", simple(node[1])) if not collection(simple(node[1])) else node
    return node


def both_signs(node):
    """A list of two where there is a plus-minus sign."""
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
    return node[0] in ("list", "set") or node[0] == "group" and (len(node[3]) != 1 or node[1] + node[2] not in ("()", "[]"))


def bracketless(node):
    return node[0] == "list"


def elements(node):
    return node[3] if node[0] == "group" else node[1]


def brackets(node):
    """`]1,2[` is `(1,2)`."""
    open_ = {"]": "("}.get(node[1], node[1])
    close = {"[": ")"}.get(node[2], node[2])
    return open_ + close


def variable(node):
    """The name of a symbol, or of a function of symbols as `f(x)`; else None."""
    if node is None:
        return ""
    if node[0] == "symbol":
        return node[1]
    if node[0] == "mul" and len(node[1]) == 2 and node[1][0][0] == "symbol" and node[1][1][0] == "group" and (
            all(part[0] == "symbol" for part in node[1][1][3])):
        return node[1][0][1] + "(" + ",".join(part[1] for part in node[1][1][3]) + ")"
    if node[0] == "group" and len(node[3]) > 1 and all(part[0] == "symbol" for part in node[3]):
        return ",".join(part[1] for part in node[3])
    return None


def named(relation):
    """(variable, value) of `x = 5`; None for other relations."""
    operators, nodes = relation[1:]
    name = variable(nodes[0])
    if set(operators) <= {"=", "~", "in"} and name:
        return name, nodes[-1] if "~" not in operators[1:] else nodes[1]
    if len(nodes) == 2 and operators == ["="] and nodes[0] and variable(nodes[1]) and not symbols(nodes[0]):
        return variable(nodes[1]), nodes[0]
    return None


def stated(relation):
    """The values that a relation states for something that is no relation: of `x = 5`, `x = 3 + 2 = 5`, `= 5`; else None."""
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
            if "~" in operators:
                return [nodes[0]]
            if all(equal(nodes[0], node) for node in nodes[1:]):
                return [nodes[-1]]
        except (Undefined, TooLarge):
            pass
    return None


def pairwise(relation):
    """Each comparison as (sign, difference): `<`, `<=`, `=` or `!=` and 0; None for what is no comparison of scalars."""
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
    """`1 < x \\leq 2`, `x > 3`: the interval of x; else None."""
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
        return ("group", "[" if operators[0] == "<=" else "(", "]" if operators[1] == "<=" else ")", [nodes[0], nodes[2]])
    return None


def pieces(node):
    """The intervals and sets of a union; None where there is anything else."""
    if node[0] == "union":
        one, other = pieces(node[1]), pieces(node[2])
        return one + other if one is not None and other is not None else None
    if node[0] == "group" and len(node[3]) == 2 or node[0] == "set":
        return [node]
    if node[0] == "group" and len(node[3]) == 1:
        return pieces(node[3][0])
    if node[0] == "minus" and node[2][0] == "set" and node[1] == ("symbol", "\\mathbb R"):
        ends = node[2][1]
        values = [exact(item) if not symbols(item) else None for item in ends]
        if any(value is None for value in values):
            return None
        order = [item for _, item in sorted(zip(values, ends), key=lambda pair: pair[0])]
        infinite = ("constant", "inf")
        bounds = [("neg", infinite), *order, infinite]
        return [("group", "(", ")", [low, high]) for low, high in zip(bounds, bounds[1:])]
    if node == ("symbol", "\\mathbb R"):
        return [("group", "(", ")", [("neg", ("constant", "inf")), ("constant", "inf")])]
    return None


def end(node, ten):
    """The end of an interval as a number that compares exactly; None where it is not rational."""
    if symbols(node):
        return None
    if node == ("constant", "inf"):
        return float("inf")
    if node == ("neg", ("constant", "inf")):
        return float("-inf")
    return exact(node, ten)


def finite(value):
    """Whether a rational has a finite decimal."""
    d = value.denominator
    for prime in (2, 5):
        while d % prime == 0:
            d //= prime
    return d == 1


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
        return node[0] + " " + " ".join(
            canonical(part) if isinstance(part, tuple) else "[%s]" % " ".join(
                canonical(item) if isinstance(item, tuple) else "[%s]" % " ".join(map(canonical, item)) for item in part)
            if isinstance(part, list) else str(part) for part in node[1:])
    names = sorted(symbols(node))
    value = exact(node) if not names else None
    if value is not None:
        return "%x/%x" % (value.numerator, value.denominator)
    values = [point_value(node, point) for point in (range(3) if names else range(1))]
    return " ".join(values)


def point_value(node, point):
    from values import MOST_DIGITS, size
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
