#!/usr/bin/env python3
"""Write Sources/Transformer/UnicodeTables.swift: the character properties the `tokenizers` library works with.

Usage:  unicode-tables.py > Sources/Transformer/UnicodeTables.swift     (about 2 minutes)
Needs:  tokenizers==0.23.3

The library mixes three Unicode versions (its regex engine's, its normaliser's and the standard library's of its
language), none of them ours, so every property is asked of the library itself, scalar by scalar.
"""
import unicodedata

import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers

SCALARS = [chr(c) for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]
CHUNK = 4096


def members(pattern: str) -> set[str]:
    """The scalars that the library's regex engine takes for `pattern`."""
    split, found = pre_tokenizers.Split(Regex(pattern), "removed"), set()
    for start in range(0, len(SCALARS), CHUNK):
        chunk = SCALARS[start:start + CHUNK]
        kept = [False] * len(chunk)
        for _, (a, b) in split.pre_tokenize_str("".join(chunk)):
            kept[a:b] = [True] * (b - a)
        found.update(c for c, k in zip(chunk, kept) if not k)
    return found


def numeric() -> set[str]:
    """What the Digits pre-tokenizer takes for a digit."""
    digits, found = pre_tokenizers.Digits(individual_digits=True), set()
    for start in range(0, len(SCALARS), CHUNK):
        chunk = SCALARS[start:start + CHUNK]
        for _, (a, b) in digits.pre_tokenize_str("".join(f"a{c}a" for c in chunk)):
            if b - a == 1 and a % 3 == 1:
                found.add(chunk[a // 3])
    return found


def beside_added_token(left: bool) -> tuple[set[str], set[str]]:
    """(word, space): scalars that keep a single_word token from matching, and that a stripping token swallows."""
    def make(**flags):
        tokenizer = Tokenizer(models.BPE({"a": 0}, []))
        tokenizer.add_tokens([AddedToken("<x>", normalized=False, **flags)])
        return tokenizer
    single, strip = make(single_word=True), make(lstrip=left, rstrip=not left)
    texts = [c + "<x>" if left else "<x>" + c for c in SCALARS]
    word, space = set(), set()
    for start in range(0, len(texts), CHUNK):
        chunk = texts[start:start + CHUNK]
        for c, a, b in zip(SCALARS[start:], single.encode_batch(chunk), strip.encode_batch(chunk)):
            if not any(token == "<x>" for token in a.tokens):
                word.add(c)
            if any(end - begin == 4 for begin, end in b.offsets):
                space.add(c)
    return word, space


def combining_classes(decomposed: dict[str, str]) -> dict[str, int]:
    """The canonical combining class the library's normaliser gives each scalar, read off from where it sorts it."""
    representative, nfd, found = {}, normalizers.NFD(), {}
    for c in SCALARS:  # one mark of each class, of those old enough for the library to know
        k = unicodedata.combining(c)
        if k and c not in decomposed and (k == 240 or nfd.normalize_str("x\u0345" + c) != "x\u0345" + c):
            representative.setdefault(k, c)
    order = sorted(representative)
    marks = "".join(representative[k] for k in order)
    assert nfd.normalize_str("x" + marks[::-1]) == "x" + marks
    for c in SCALARS:
        if c in decomposed or "\uac00" <= c <= "\ud7a3":
            continue
        plain, ordered = "x" + marks + c, nfd.normalize_str("x" + marks + c)
        if ordered != plain:  # it was moved to right behind the last mark whose class is not above its own
            found[c] = order[next(i for i, (a, b) in enumerate(zip(ordered, plain)) if a != b) - 2]
        elif nfd.normalize_str("x" + c + marks) != "x" + c + marks:
            found[c] = order[-1]
    for c, k in found.items():
        assert unicodedata.combining(c) == k, (hex(ord(c)), k, unicodedata.combining(c))
    return found


def literal(name: str, doc: str, words: list[str]) -> None:
    print(f"\n  /// {doc}\n  static let {name} = \"\"\"")
    line = ""
    for word in words:
        if len(line) + len(word) + 1 > 110:
            print("    " + line)
            line = ""
        line += (" " if line else "") + word
    print("    " + line + "\n    \"\"\"")


def runs_of(sets: list[set]) -> list[str]:
    """Each run of scalars that are in the same sets, as `length:flags`."""
    runs, last, length = [], None, 0
    for code in range(0x110000):
        c = chr(code)
        flags = 0 if 0xD800 <= code <= 0xDFFF else sum(1 << i for i, s in enumerate(sets) if c in s)
        if flags != last and length:
            runs.append(f"{length:x}:{last:x}")
            length = 0
        last, length = flags, length + 1
    runs.append(f"{length:x}:{last:x}")
    return runs


def main() -> None:
    letters, numbers, spaces, digits = members(r"\p{L}"), members(r"\p{N}"), members(r"\s"), numeric()
    marks = members(r"\p{M}")
    assert members(r"[^\s\p{L}\p{N}]") == set(SCALARS) - letters - numbers - spaces
    (word, space), (word_right, space_right) = beside_added_token(True), beside_added_token(False)
    assert word == word_right and space == space_right == spaces, "the added tokens' classes differ"
    sets = [letters, numbers, spaces, digits, word, marks]

    nfd, nfc = normalizers.NFD(), normalizers.NFC()
    decomposed = {c: d for c in SCALARS if not "\uac00" <= c <= "\ud7a3" and (d := nfd.normalize_str(c)) != c}
    classes = combining_classes(decomposed)
    steps, previous = [], 0
    for c in sorted(decomposed):
        parts = [chr(int(x, 16)) for x in unicodedata.decomposition(c).split()]
        assert 1 <= len(parts) <= 2 and nfd.normalize_str("".join(parts)) == decomposed[c], hex(ord(c))
        composes = len(parts) == 2 and nfc.normalize_str("".join(parts)) == c
        steps.append(f"{ord(c) - previous:x}{'=' if composes else '-'}" + "+".join(f"{ord(p):x}" for p in parts))
        previous = ord(c)

    ordered, previous, at = [], 0, 0
    codes = sorted(ord(c) for c in classes)
    while at < len(codes):
        end = at
        while end + 1 < len(codes) and codes[end + 1] == codes[end] + 1 and \
                classes[chr(codes[end + 1])] == classes[chr(codes[at])]:
            end += 1
        ordered.append(f"{codes[at] - previous:x},{end - at + 1:x},{classes[chr(codes[at])]:x}")
        previous, at = codes[at], end + 1

    print("// swift-format-ignore-file")
    print(f"// Written by tools/unicode-tables.py from tokenizers {tokenizers.__version__}; do not edit.\n")
    print("/// Character properties as the `tokenizers` library sees them, run-length coded; all numbers are "
          "hexadecimal.")
    print("enum UnicodeTables {", end="")
    literal("properties", "Runs of scalars from 0 on, `length:flags`, flags as in `UnicodeProperties`.",
            runs_of(sets))
    literal("decompositions",
            "`distance from the last scalar`, `=` if its parts compose again else `-`, canonical parts.",
            steps)
    literal("combiningClasses", "Runs of marks: `distance of the first from the last run's first,length,class`.",
            ordered)
    print("}")


if __name__ == "__main__":
    main()
