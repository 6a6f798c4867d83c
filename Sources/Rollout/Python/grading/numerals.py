"""Numbers in words: `twenty-five`, `two and a half million`, `three quarters`, `a dozen`."""

import re
from fractions import Fraction

ONES = ("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
        "seventeen eighteen nineteen").split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
SCALES = {"hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12,
          "quadrillion": 10**15, "lakh": 10**5, "crore": 10**7, "dozen": 12, "score": 20}
PARTS = {"half": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7, "eighth": 8,
         "ninth": 9, "tenth": 10, "hundredth": 100, "thousandth": 1000, "millionth": 10**6}
VALUES = dict({word: n for n, word in enumerate(ONES)}, **{word: 10 * n + 20 for n, word in enumerate(TENS)})

_words = "|".join(sorted([*VALUES, *SCALES, *PARTS, "halve"], key=len, reverse=True))
PHRASE = re.compile(r"(?<![\w\\-])(?:(?:%s)s?|an?|and|of|minus|negative)(?:[ -]+(?:(?:%s)s?|an?|and|of))*(?![\w-])" % (
    _words, _words), re.IGNORECASE)
INSIDE = re.compile(r"\\text ?\{ ?([A-Za-z-]+(?:[ -][A-Za-z-]+)*) ?\}")
ALONE = re.compile(r"(?:\\text ?\{ ?)?([A-Za-z, -]+?)\.? ?\}?")


def numerals(text):
    """The text with digits for its numbers in words: for all of it, or else for those with a scale, `two million`."""
    alone = ALONE.fullmatch(text)
    if alone:
        for pieces in ([alone.group(1)], re.split(r", ?(?:and )?| and ", alone.group(1))):
            values = [number(re.split("[ -]+", piece.lower())) for piece in pieces]
            if None not in values:
                return ", ".join(map(shown, values))
    text = INSIDE.sub(upright, text)
    return PHRASE.sub(lambda found: scaled(found.group()), text)


def upright(found):
    value = number(re.split("[ -]+", found.group(1).lower()))
    return found.group() if value is None else shown(value)


def scaled(phrase):
    words = re.split("[ -]+", phrase.lower())
    value = number(words) if len(words) > 1 and any(word.rstrip("s") in SCALES for word in words) else None
    return phrase if value is None else shown(value)


def shown(value):
    return str(value) if value.denominator == 1 else "{\\frac{%d}{%d}}" % (value.numerator, value.denominator)


def number(words):
    """The value of a number in words; None where they are none."""
    if words[0] in ("minus", "negative"):
        value = number(words[1:]) if words[1:] else None
        return None if value is None else -value
    total, group, part = Fraction(0), None, False
    for place, word in enumerate(words):
        after = words[place + 1] if place + 1 < len(words) else ""
        single = "half" if word == "halves" else word[:-1] if word.endswith("s") and word[:-1] in PARTS else word
        if word in ("a", "an"):
            if after not in PARTS and after not in SCALES:
                return None
            if words[place - 1:place] not in ([], ["and"], ["of"], ["half"]):
                return None
            continue
        if word == "and" and group is not None and after:
            continue
        if word == "of" and part and after == "a":
            continue
        if single in PARTS and not part:
            counted = counts_parts(words, place)
            if counted is None:
                return None
            if total and not group:  # `a million and a half` has two readings
                return None
            group, part = (group or 0) + counted, True
        elif word in VALUES and not part and (after in PARTS or after == "halves" or after[:-1] in PARTS):
            if group is not None and words[place - 1] != "and":
                return None
        elif word in VALUES and not part:
            if group is not None and not fits(group, VALUES[word]):
                return None
            group = (group or 0) + VALUES[word]
        elif word.rstrip("s") in SCALES and (group is not None or words[place - 1:place] == ["a"]):
            scale = SCALES[word.rstrip("s")]
            group = (1 if group is None else group) * scale
            if scale >= 1000:
                total, group = total + group, Fraction(0)
                part = False
        else:
            return None
    return None if group is None else Fraction(total + group)


def fits(group, value):
    """Whether a value may follow in a number: five after twenty, and all below a hundred after hundreds."""
    return group == 0 or group % 100 == 0 or value < 10 and group % 100 >= 20 and group % 10 == 0


def counts_parts(words, place):
    """The value of `half`, `a half` or `three quarters`; None for an ordinal number, as `third` alone."""
    word = words[place]
    single = "half" if word == "halves" else word[:-1] if word.endswith("s") else word
    before = words[place - 1] if place else ""
    size = Fraction(1, PARTS[single])
    if before in ("a", "an") or word == "half" and before in ("", "and"):
        return size
    if before in VALUES and VALUES[before]:
        return VALUES[before] * size
    return None
