#!/usr/bin/env python3
"""Build a small tokenizer.json whose words are whole tokens and whose digits are single ones.

Usage:  demo-tokenizer.py WORDS.txt -o tokenizer.json [--special '<|im_end|>' ...] [--check TEXT.txt]

WORDS.txt holds one token a line as a JSON string (" multiply", "\\n", "print(", "```python\\n"); empty lines and lines
starting with # are skipped, repeats are ignored. Standard library only.

Ids: 0-255 the bytes (so any text can be encoded), then the words in their order, then those that cross the borders of
the splitting pattern, then the special tokens (<|endoftext|>, <|im_start|>, <|im_end|> unless given).

How it works: the text is split by Qwen2's pattern (digits one by one); a piece that is a word of the vocabulary is one
token (ignore_merges, as in Llama 3), any other piece is spelt in bytes. There are no merges, so no word is ever broken
into parts of others. What the pattern would cut ("print(", "```python\\n") becomes an added token, not special, which
is found anywhere in the text, longest first: so do not list such tokens where they may stand inside others by accident.
"""
import argparse
import json
import pathlib
import sys
import unicodedata

PATTERN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
           r"|\s+(?!\S)|\s+")
CONTRACTIONS = ("s", "t", "re", "ve", "m", "ll", "d")
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def byte_alphabet() -> list[str]:
    """The printable character that stands for each byte in a byte-level vocabulary."""
    plain = [*range(0x21, 0x7f), *range(0xa1, 0xad), *range(0xae, 0x100)]
    others = iter(range(0x100, 0x200))
    return [chr(b if b in plain else next(others)) for b in range(256)]


def kind(c: str) -> str:
    category = unicodedata.category(c)[0]
    if c.isspace() and c not in "\x1c\x1d\x1e\x1f":
        return "space"
    return {"L": "letter", "N": "digit"}.get(category, "other")


def match_end(text: str, start: int) -> int:
    """Where the pattern's match that starts at `start` ends."""
    def run(i: int, test) -> int:
        while i < len(text) and test(text[i]):
            i += 1
        return i
    if text[start] == "'":
        for c in CONTRACTIONS:
            if text[start + 1:start + 1 + len(c)].lower() == c:
                return start + 1 + len(c)
    first, after = kind(text[start]), kind(text[start + 1]) if start + 1 < len(text) else "end"
    if first == "letter" or after == "letter" and first != "digit" and text[start] not in "\r\n":
        return run(start + 1, lambda c: kind(c) == "letter")
    if first == "digit":
        return start + 1
    if first == "other" or text[start] == " " and after == "other":
        return run(run(start + 1, lambda c: kind(c) == "other"), lambda c: c in "\r\n")
    end = run(start, lambda c: kind(c) == "space")
    last_line_end = max(text.rfind("\n", start, end), text.rfind("\r", start, end))
    if last_line_end >= 0:
        return last_line_end + 1
    return end - 1 if end < len(text) and end - start > 1 else end


def build(words: list[str], special: list[str]) -> dict:
    alphabet = byte_alphabet()

    def spelling(text: str) -> str:
        return "".join(alphabet[b] for b in text.encode())

    words = list(dict.fromkeys(words))
    for text in words + special:
        if not text:
            raise ValueError("an empty token")
        if unicodedata.normalize("NFC", text) != text:
            raise ValueError(f"{json.dumps(text)} is not in normal form C")
    vocabulary = {c: i for i, c in enumerate(alphabet)}
    crossing = []
    for word in words:
        if word in special:
            continue
        if match_end(word, 0) == len(word):
            vocabulary.setdefault(spelling(word), len(vocabulary))
        else:
            crossing.append(word)
    added = [dict(id=len(vocabulary) + i, content=text, single_word=False, lstrip=False, rstrip=False, normalized=False,
                  special=text in special) for i, text in enumerate(crossing + special)]
    byte_level = dict(type="ByteLevel", add_prefix_space=False, trim_offsets=False, use_regex=False)
    split = dict(type="Split", pattern=dict(Regex=PATTERN), behavior="Isolated", invert=False)
    return dict(version="1.0", truncation=None, padding=None, added_tokens=added, normalizer=dict(type="NFC"),
                pre_tokenizer=dict(type="Sequence", pretokenizers=[split, byte_level]), post_processor=None,
                decoder=byte_level,
                model=dict(type="BPE", dropout=None, unk_token=None, continuing_subword_prefix="",
                           end_of_word_suffix="",
                           fuse_unk=False, byte_fallback=False, ignore_merges=True, vocab=vocabulary, merges=[]))


def pieces(tokenizer: dict, text: str) -> list[tuple[str, bool]]:
    """The tokens of a text, each with whether it had to be spelt in bytes. For text in normal form C."""
    alphabet, vocabulary = byte_alphabet(), tokenizer["model"]["vocab"]
    added = sorted((t["content"] for t in tokenizer["added_tokens"]), key=len, reverse=True)
    result, start = [], 0
    while start < len(text):
        ends = {i: a for a in reversed(added) if (i := text.find(a, start)) >= 0}
        end = min(ends, default=len(text))
        segment, at = text[start:end], 0
        while at < len(segment):
            stop = match_end(segment, at)
            piece, at = segment[at:stop], stop
            known = "".join(alphabet[b] for b in piece.encode()) in vocabulary
            letters = [(chr(b) if b < 128 else f"<{b:02x}>", True) for b in piece.encode()]
            result += [(piece, False)] if known else letters
        if ends:
            result.append((ends[end], False))
            end += len(ends[end])
        start = end
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", type=pathlib.Path)
    parser.add_argument("-o", "--output", type=pathlib.Path, required=True)
    parser.add_argument("--special", action="append")
    parser.add_argument("--check", type=pathlib.Path, help="a text: report which of its pieces are spelt in bytes")
    arguments = parser.parse_args()
    words = []
    for number, line in enumerate(arguments.words.read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            word = json.loads(line)
            assert isinstance(word, str)
        except (ValueError, AssertionError):
            sys.exit(f"{arguments.words}:{number}: not a JSON string: {line[:60]}")
        words.append(word)
    try:
        tokenizer = build(words, arguments.special or SPECIAL)
    except ValueError as error:
        sys.exit(f"{arguments.words}: {error}")
    arguments.output.write_text(json.dumps(tokenizer, ensure_ascii=False, indent=1) + "\n")
    crossing = [t["content"] for t in tokenizer["added_tokens"] if not t["special"]]
    count = len(tokenizer["model"]["vocab"]) + len(tokenizer["added_tokens"])
    print(f"{arguments.output}: {count} tokens; found anywhere in text, as the pattern would cut them: "
          f"{', '.join(map(json.dumps, crossing)) or 'none'}", file=sys.stderr)
    if arguments.check:
        found = pieces(tokenizer, arguments.check.read_text())
        spelt, counts = [p for p, b in found if b], {}
        for run in "".join(p if b else "\0" for p, b in found).split("\0"):
            if len(run) > 1:
                counts[run] = counts.get(run, 0) + 1
        print(f"{arguments.check}: {len(found)} tokens, {len(spelt)} of them spelt in bytes", file=sys.stderr)
        for run, n in sorted(counts.items(), key=lambda item: -item[1])[:40]:
            print(f"  {n:6} x {json.dumps(run)}", file=sys.stderr)


if __name__ == "__main__":
    main()
