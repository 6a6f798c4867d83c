"""Whether two trees are equal by the rules of docs/grading.md."""

from fractions import Fraction

from .approximate import mp
from .equality import equal
from .errors import TooLarge, Undefined
from .evaluation import approximate, exact
from .shapes import (REALS, alternatives, both_signs, brackets, collection, elements, finite, has, interval_end, named,
                     pairwise, pieces, simple, solution_set, stated, written_out)
from .tree import show, symbols, walk

# A gold decimal may be a rounded value from so many digits on.
ROUNDED_DIGITS = 3


def angle(node):
    return any(part[0] == "function" and part[1].startswith("arc") for part in walk(node))


def scalar(node):
    return not (symbols(node) or collection(node) or node[0] in ("relation", "union", "text", "matrix", "ratio"))


class Comparison:
    """`ten`: whether `log` without a base has base ten."""

    def __init__(self, ten):
        self.ten = ten

    def defined(self, node):
        """Raises Undefined where a number in the tree has no value."""
        for part in walk(node):
            if part[0] in ("div", "pow", "function") and not symbols(part) and not has(part, "pm", "dots"):
                try:
                    if exact(part, self.ten) is None:
                        approximate(part, 30, 0, self.ten)
                except TooLarge:
                    pass

    def workable(self, node):
        """Whether the numbers in the tree can be worked out."""
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
        if wanted[0] == "union" and alternatives(given):  # x < 1 or x > 2
            given = alternatives(given)
        elif given[0] == "union" and alternatives(wanted):
            wanted = alternatives(wanted)
        if {given[0], wanted[0]} & {"union", "cap", "minus"} or REALS in (given, wanted):
            return self.unions(given, wanted)
        if "matrix" in (given[0], wanted[0]):
            return self.matrices(given, wanted)
        if "clock" in (given[0], wanted[0]):
            return given[0] in ("clock", "ratio") and wanted[0] in ("clock", "ratio") and self.in_order(
                given[1], wanted[1])
        if "ratio" in (given[0], wanted[0]):
            return self.ratios(given, wanted)
        if collection(given) or collection(wanted):
            return self.collections(given, wanted)
        return self.scalars(given, wanted)

    def scalars(self, given, wanted):
        """Numbers and expressions. The percent sign may be missing on either side, and degrees may be radians."""
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
        other = given if turned[1] else wanted
        return turned[0] != turned[1] and (has(other, "constant") or angle(other)) and equal(
            given, wanted, self.ten, turned)

    def rounds_to(self, given, wanted):
        """Whether `given` rounds to a gold decimal. Only a number without a finite decimal of its own may."""
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
        """Lists and sets are equal in any order, tuples and intervals in theirs. A bare list may stand for either."""
        if not collection(given) or not collection(wanted):
            one, other = (given, wanted) if collection(given) else (wanted, given)
            items = elements(one)
            return one[0] == "list" and bool(items) and all(self.same(item, other) for item in items)
        if not elements(given) and not elements(wanted):
            return True
        if given[0] == wanted[0] == "group":
            vectors = len(elements(given)) > 2 and {brackets(given), brackets(wanted)} <= {"()", "[]"}
            return (vectors or brackets(given) == brackets(wanted)) and self.in_order(elements(given), elements(wanted))
        if "group" in (given[0], wanted[0]):
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
            values = [{exact(item, self.ten) if scalar(item) else None for item in side} for side in (given, wanted)]
            return self.in_order(given, wanted) if None in values[0] | values[1] else values[0] == values[1]
        return (all(any(self.same(one, other) for other in wanted) for one in given)
                and all(any(self.same(one, other) for one in given) for other in wanted))

    def matrices(self, given, wanted):
        """Matrices, which may be written as groups of groups."""
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
        """Lists with dots. The terms agree from both ends; terms that only one of them shows go on at the same step."""
        if not (collection(given) and collection(wanted) and given[0] == wanted[0]):
            return False
        if not has(given, "dots") or not has(wanted, "dots"):
            given, wanted = written_out(given), written_out(wanted)
            return not has(given, "dots") and not has(wanted, "dots") and self.same(given, wanted)
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
        """Whether the terms of two sequences agree, and the longer goes on by the shorter's last step."""
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
            solutions = solution_set(relation)
            return solutions is not None and (
                self.unions(solutions, other) if relation is given else self.unions(other, solutions))
        solutions = [solution_set(node) for node in (given, wanted)]
        if all(solutions) and symbols(given) == symbols(wanted):
            return self.unions(*solutions)
        one, other = named(given), named(wanted)
        if one and other:
            numbered = "/" in one[0] + other[0]  # f(2) is not f(3)
            same_name = one[0] == other[0] or not numbered and ("(" in one[0] or "(" in other[0])
            return same_name and self.same(one[1], other[1])
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
        """Whether the differences of both sides are equal up to a constant factor, a positive one for inequalities."""
        (sign, a), (other_sign, b) = one, other
        if sign != other_sign:
            return False
        if not symbols(a) and not symbols(b):
            return self.equal(a, b)
        factors = []
        for point in range(6):
            try:
                top, bottom = (approximate(side, 120, point, self.ten)[0] for side in (a, b))
                if point >= 3 and (mp.im(top) != 0 or mp.im(bottom) != 0):
                    continue  # outside a domain
                with mp.workdps(120):
                    factors.append(top / bottom)
            except (Undefined, ZeroDivisionError):
                if point < 3:
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
        """The union as spans that do not touch, in order; None where an end is neither rational nor infinite."""
        spans = []
        for piece in list_of_pieces:
            if piece[0] == "set":
                ends = [(interval_end(item, self.ten),) * 2 + (True, True) for item in piece[1]]
            elif piece[0] == "group" and len(piece[3]) == 2:
                open_, close = brackets(piece)
                low, high = (interval_end(part, self.ten) for part in piece[3])
                ends = [(low, high, open_ == "[", close == "]")]
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
