"""Optimisation problems in words, after ORLM (arXiv:2405.17743): linear and integer programs, blends, assignments,
knapsacks and transports. The answer is the optimum's value. Two independent ways must find it: HiGHS through scipy, and
an exact search written here, over vertices in fractions, subsets, permutations or a grid.

Usage: optimisation.py [--seed N] [--split any|training|held_out] [--family NAME]
"""

import argparse
import itertools
import sys
from fractions import Fraction

try:
    import numpy
    from scipy.optimize import Bounds, LinearConstraint, linear_sum_assignment, linprog, milp
except ImportError:
    sys.exit("scipy is not installed here; run `make tasks` once")

from serving import Draws, is_held_out, serve, wordings

PLACES = ("A bakery", "A furniture workshop", "A pottery", "A toy maker", "A small brewery", "A print shop")
GOODS = {
    "A bakery": ("rye loaves", "fruit tarts", "seed rolls"), "A furniture workshop": ("chairs", "tables", "shelves"),
    "A pottery": ("bowls", "vases", "jugs"), "A toy maker": ("trains", "dolls", "puzzles"),
    "A small brewery": ("crates of ale", "crates of stout", "crates of cider"),
    "A print shop": ("posters", "calendars", "brochures"),
}
MEANS = ("hours of work", "hours on the main machine", "kilograms of material", "units of energy")

# -------------------------------------------------------------------------------------------- linear, integer


def vertices(rows, limits, size):
    """The corners of {x >= 0, rows x <= limits}, exactly."""
    planes = [(row, limit) for row, limit in zip(rows, limits)]
    planes += [([int(place == axis) for place in range(size)], 0) for axis in range(size)]
    for chosen in itertools.combinations(planes, size):
        point = solved([list(map(Fraction, row)) + [Fraction(limit)] for row, limit in chosen])
        if point and min(point) >= 0 and all(sum(a * x for a, x in zip(row, point)) <= limit
                                             for row, limit in zip(rows, limits)):
            yield point


def solved(matrix):
    """The solution of a square linear system by elimination; None where it has not exactly one."""
    size = len(matrix)
    for column in range(size):
        pivot = next((row for row in range(column, size) if matrix[row][column] != 0), None)
        if pivot is None:
            return None
        matrix[column], matrix[pivot] = matrix[pivot], matrix[column]
        matrix[column] = [value / matrix[column][column] for value in matrix[column]]
        for row in range(size):
            if row != column:
                matrix[row] = [a - matrix[row][column] * b for a, b in zip(matrix[row], matrix[column])]
    return [row[-1] for row in matrix]


def production(draws, whole):
    """How much of each good to make: `(text's parts, value)`; value None where the two ways do not agree."""
    place = draws.choice(PLACES)
    size = 3 if draws.below(2) else 2
    goods = draws.sample(GOODS[place], size)
    means = draws.sample(MEANS, draws.between(2, 3))
    profits = [draws.between(6, 40) for _ in goods]
    rows = [[draws.between(2, 9) for _ in goods] for _ in means]
    limits = [draws.between(40, 160) if whole else 10 * draws.between(6, 30) for _ in means]
    found = milp([-profit for profit in profits], constraints=LinearConstraint(rows, ub=limits),
                 integrality=[int(whole)] * size)
    if whole:
        best = max(sum(p * x for p, x in zip(profits, point)) for point in grid(rows, limits, size))
    else:
        best = max(sum(p * x for p, x in zip(profits, point)) for point in vertices(rows, limits, size))
    needs = "; ".join("one of the %s brings %d euros and takes %s" % (
        good, profit, listed("%d %s" % (row[place], mean) for row, mean in zip(rows, means)))
        for place, (good, profit) in enumerate(zip(goods, profits)))
    facts = "%s makes %s. Per piece: %s. Each week there are %s." % (
        place, listed(goods), needs, listed("%d %s" % pair for pair in zip(limits, means)))
    rule = ("Only whole pieces can be made." if whole else "Fractions of a piece are allowed.")
    return facts, rule, "the largest weekly profit in euros", checked(-found.fun, best)


def grid(rows, limits, size):
    """All whole points that keep the limits, the last coordinate as large as it may be."""
    bounds = [min(limit // row[axis] for row, limit in zip(rows, limits)) for axis in range(size)]
    for start in itertools.product(*(range(bound + 1) for bound in bounds[:-1])):
        left = [limit - sum(a * x for a, x in zip(row, start)) for row, limit in zip(rows, limits)]
        if min(left) >= 0:
            yield start + (min(free // row[-1] for row, free in zip(rows, left)),)


# ------------------------------------------------------------------------------- blend, assignment, knapsack, transport


def blend(draws):
    """The cheapest mixture that holds enough of everything."""
    kinds = draws.sample(("oats", "maize", "soy meal", "barley", "fish meal", "clover"), 3)
    nutrients = draws.sample(("protein", "fibre", "fat", "minerals"), 2)
    costs = [draws.between(12, 60) for _ in kinds]
    rows = [[draws.between(2, 12) for _ in kinds] for _ in nutrients]
    needs = [draws.between(40, 160) for _ in nutrients]
    found = linprog(costs, A_ub=[[-a for a in row] for row in rows], b_ub=[-need for need in needs])
    # The dual, whose corners can be listed: the largest need'y with rows' y <= costs.
    turned = [list(column) for column in zip(*rows)]
    best = max(sum(b * y for b, y in zip(needs, point)) for point in vertices(turned, costs, len(nutrients)))
    facts = "A farm mixes feed from %s. %s. The mixture needs at least %s." % (
        listed(kinds), ". ".join("One kilogram of %s costs %d cents and holds %s" % (
            kind, cost, listed("%d units of %s" % (row[place], nutrient) for row, nutrient in zip(rows, nutrients)))
            for place, (kind, cost) in enumerate(zip(kinds, costs))),
        listed("%d units of %s" % pair for pair in zip(needs, nutrients)))
    return facts, "Any fraction of a kilogram may be used.", "the lowest cost in cents", checked(found.fun, best)


def assignment(draws):
    people = draws.sample(("Anna", "Boris", "Chen", "Dalia", "Emil", "Farah", "Goran"), draws.between(4, 5))
    jobs = draws.sample(("the roof", "the walls", "the floor", "the garden", "the fence", "the cellar"), len(people))
    hours = [[draws.between(3, 29) for _ in jobs] for _ in people]
    rows, columns = linear_sum_assignment(hours)
    found = int(numpy.array(hours)[rows, columns].sum())
    best = min(sum(hours[person][job] for person, job in enumerate(order))
               for order in itertools.permutations(range(len(jobs))))
    facts = "%s share the jobs %s: one job each. %s." % (listed(people), listed(jobs), ". ".join(
        "%s needs %s" % (person, listed("%d hours for %s" % pair for pair in zip(row, jobs)))
        for person, row in zip(people, hours)))
    return facts, "", "the smallest total number of hours", checked(found, best)


def knapsack(draws):
    things = draws.sample(("a tent", "a stove", "a lamp", "a rope", "a radio", "a camera", "a telescope", "a blanket",
                           "a water filter", "a toolbox"), draws.between(7, 10))
    weights = [draws.between(3, 25) for _ in things]
    values = [draws.between(5, 60) for _ in things]
    limit = sum(weights) * draws.between(35, 60) // 100
    found = milp([-value for value in values], constraints=LinearConstraint([weights], ub=[limit]),
                 integrality=[1] * len(things), bounds=Bounds(0, 1))
    best = [0] * (limit + 1)
    for weight, value in zip(weights, values):
        for room in range(limit, weight - 1, -1):
            best[room] = max(best[room], best[room - weight] + value)
    facts = "A cart carries at most %d kilograms. To choose from: %s." % (limit, "; ".join(
        "%s of %d kilograms, worth %d euros" % row for row in zip(things, weights, values)))
    return facts, "Each thing is there once and cannot be divided.", "the largest total worth in euros", \
        checked(-found.fun, best[limit])


def transport(draws):
    mills = draws.sample(("Northfield", "Eastbrook", "Westham"), 2)
    shops = draws.sample(("Ashton", "Birling", "Corby", "Dunmore"), 3)
    needs = [draws.between(5, 20) for _ in shops]
    first = draws.between(sum(needs) // 3, sum(needs) * 2 // 3)
    stocks = [first, sum(needs) - first + draws.between(0, 6)]
    costs = [[draws.between(2, 19) for _ in shops] for _ in mills]
    flat = [cost for row in costs for cost in row]
    leaving = [[int(place // 3 == mill) for place in range(6)] for mill in range(2)]
    coming = [[int(place % 3 == shop) for place in range(6)] for shop in range(3)]
    found = linprog(flat, A_ub=leaving, b_ub=stocks, A_eq=coming, b_eq=needs)
    best = min(
        sum(costs[0][shop] * sent + costs[1][shop] * (needs[shop] - sent) for shop, sent in enumerate(plan))
        for plan in itertools.product(*(range(need + 1) for need in needs))
        if sum(plan) <= stocks[0] and sum(needs) - sum(plan) <= stocks[1])
    facts = "Two mills, %s, have %s sacks of flour. The shops %s want %s sacks. %s." % (
        listed(mills), listed(map(str, stocks)), listed(shops), listed(map(str, needs)), ". ".join(
            "From %s a sack costs %s" % (mill, listed("%d euros to %s" % pair for pair in zip(row, shops)))
            for mill, row in zip(mills, costs)))
    return facts, "Every shop gets what it wants.", "the lowest total cost in euros", checked(found.fun, best)


FAMILIES = {
    "linear": lambda draws: production(draws, False), "integer": lambda draws: production(draws, True), "blend": blend,
    "assignment": assignment, "knapsack": knapsack, "transport": transport,
}
WORDINGS = (
    "{facts} {rule} What is {asked}?",
    "{facts} {rule} Find {asked}.",
    "Work out {asked}. {facts} {rule}",
    "{rule} {facts} Determine {asked}.",
    "{facts} {rule} You may plan freely within these facts: what is {asked}?",
    "Here is a decision to make. {facts} {rule} Give {asked}.",
    "A planner asks for {asked}. The facts: {facts} {rule}",
    "{facts} {rule} Among all plans that the facts allow, what is {asked}?",
)

# ------------------------------------------------------------------------------------------------- answers, text


def checked(found, best):
    """The value as a text, where solver and search agree and a short decimal holds it; else None."""
    best = Fraction(best)
    if found is None or abs(float(best) - found) > 1e-6 * max(1, abs(found)):
        raise SystemExit("the solver found %s where the search finds %s" % (found, best))
    if best.denominator not in (1, 2, 4, 5, 10, 20, 50, 100):
        return None
    return str(best.numerator) if best.denominator == 1 else ("%.2f" % best).rstrip("0")


def listed(items):
    items = list(items)
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + " and " + items[-1]


class Optimisation:
    def __init__(self, seed, split, family):
        self.seed, self.split = seed, split
        self.families = [family] if family else list(FAMILIES)
        self.problems, self.seen = [], set()

    def problem(self, index):
        while len(self.problems) <= index:
            self.problems.append(self.next_problem(len(self.problems)))
        return self.problems[index]

    def next_problem(self, index):
        family = self.families[index % len(self.families)]
        for attempt in range(5000):
            draws = Draws("optimisation", self.seed, self.split, index, attempt)
            facts, rule, asked, answer = FAMILIES[family](draws)
            if answer is None or facts in self.seen:
                continue
            if self.split != "any" and is_held_out(facts) != (self.split == "held_out"):
                continue
            text = draws.choice(wordings(WORDINGS, self.split)).format(facts=facts, rule=rule, asked=asked)
            text = " ".join(text.split())
            if answer in text.replace(".", " ").replace(",", " ").replace(";", " ").split():
                continue
            self.seen.add(facts)
            return {"id": "optimisation-%s-%d-%s-%d" % (family, self.seed, self.split, index), "problem": text,
                    "answer": answer, "source": "martlet/optimisation/" + family}
        raise SystemExit("problem %d: no further one was found; ask for fewer problems" % index)


if __name__ == "__main__":
    options = argparse.ArgumentParser()
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--split", choices=("any", "training", "held_out"), default="any")
    options.add_argument("--family", choices=sorted(FAMILIES))
    options = options.parse_args()
    serve(Optimisation(options.seed, options.split, options.family))
