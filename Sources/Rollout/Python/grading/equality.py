"""Whether two expressions have the same value.

They are compared at fixed points: exactly where they are rational, else to half the digits worked with, which are more
than twice those of all numbers in them.
"""

from .approximate import mp
from .errors import NotRational, TooLarge, Undefined
from .evaluation import Evaluation, approximate, exact, size
from .exact import Modular
from .tree import show, symbols, walk

MOST_DIGITS = 10_000  # that are worked with

def equal(a, b, ten=True, radians=(False, False)):
    """Whether two scalar trees have the same value at every point.

    Raises Undefined for a tree without a value, and TooLarge where it cannot be told.
    """
    if show(a) == show(b):
        return True
    names = symbols(a) | symbols(b)
    points = range(6) if names else range(1)
    digits = None
    for point in points:
        try:
            left, right = (exact(node, ten, turn, point) for node, turn in zip((a, b), radians))
        except TooLarge:
            left, right = (residue(node, ten, turn, point) for node, turn in zip((a, b), radians))
        if left is not None and right is not None:
            if left != right:
                return False
            continue
        if digits is None:
            digits = 60 + 2 * (size(a) + size(b))
        if not near(a, b, min(digits, MOST_DIGITS), point, ten, radians):
            return False
    if digits is not None and digits > MOST_DIGITS:
        raise TooLarge
    return True


def residue(node, ten, radians, point):
    """The value modulo a prime; None where it cannot be worked out."""
    try:
        return Evaluation(Modular(), point, ten, radians)(node) % Modular.PRIME
    except (NotRational, Undefined, TooLarge):
        return None


def apart(a, b, point, ten, radians):
    """Whether the values already differ in their first digits, and more digits would not change these."""
    pairs = [[approximate(node, digits, point, ten, turn)[0] for node, turn in zip((a, b), radians)]
             for digits in (50, 100)]
    if any(mp.isinf(value) for pair in pairs for value in pair):
        return False
    with mp.workdps(50):
        settled = all(abs(few - many) <= abs(many) * mp.mpf(10) ** -20 for few, many in zip(*pairs))
        return settled and abs(pairs[1][0] - pairs[1][1]) > max(map(abs, pairs[1])) * mp.mpf(10) ** -15


def near(a, b, digits, point, ten, radians):
    # Later points may lie outside a domain. There, what is real has no complex value on its way either.
    real = point >= 3 and not any(part == ("constant", "i") for part in [*walk(a), *walk(b)])
    try:
        if digits > 200 and point < 3 and apart(a, b, point, ten, radians):
            return False
        (left, most), (right, more) = (
            approximate(node, digits, point, ten, turn, real) for node, turn in zip((a, b), radians))
    except Undefined:
        if point < 3:
            raise
        return True
    if mp.isinf(left) or mp.isinf(right):
        return left == right
    if point >= 3 and (mp.im(left) != 0) != (mp.im(right) != 0):
        return True  # outside the domain of one of them
    with mp.workdps(digits):
        return abs(left - right) <= max(most, more) * mp.mpf(10) ** (-digits // 2)
