"""Model folders with random weights, the same on every machine: configuration, weights, a small tokenizer."""

import os

# layers, width, MLP, query heads, key/value heads, words, context
SHAPES = {
    "wide": (4, 256, 704, 4, 2, 151_936, 2048),
    "long": (4, 256, 704, 4, 2, 4096, 2048),
    "demo": (5, 192, 512, 6, 3, 467, 1024),
    "3.1m": (4, 256, 704, 4, 2, 512, 1024),
}


def folder(name, root):
    """The folder of `name`, written where it is missing."""
    path = os.path.join(root, name)
    if not os.path.exists(os.path.join(path, "model.safetensors")):
        write(path, *SHAPES[name])
    return path


def write(path, layers, width, mlp, heads, key_value_heads, words, context):
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    os.makedirs(path, exist_ok=True)
    tokenizer(words).save(os.path.join(path, "tokenizer.json"))
    torch.manual_seed(0)
    config = Qwen2Config(
        hidden_size=width, intermediate_size=mlp, num_hidden_layers=layers, num_attention_heads=heads,
        num_key_value_heads=key_value_heads, vocab_size=words, max_position_embeddings=context,
        tie_word_embeddings=True, bos_token_id=None, eos_token_id=None, dtype="float32")
    Qwen2ForCausalLM(config).save_pretrained(path)


END = "<|endoftext|>"


def tokenizer(words):
    """The 256 bytes, then words of letters with a space before them, then the end token."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    names = sorted(pre_tokenizers.ByteLevel.alphabet()) + ["Ġ" + letters(i) for i in range(words - 257)] + [END]
    vocabulary = {name: place for place, name in enumerate(names)}
    made = Tokenizer(models.BPE(vocab=vocabulary, merges=[], ignore_merges=True))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([AddedToken(END, special=True)])
    return made


def letters(number):
    """Four letters: aaaa, aaab, ..."""
    text = ""
    for _ in range(4):
        number, place = divmod(number, 26)
        text = chr(ord("a") + place) + text
    return text


def prompts(tokenizer, count, length):
    """Texts of exactly `length` tokens: words that are one token each."""
    import random

    words = sorted(
        text for text in (tokenizer.convert_tokens_to_string([token]) for token in tokenizer.get_vocab())
        if text.startswith(" ") and text[1:].isascii() and text[1:].isalpha() and text[1:].islower())
    draw = random.Random(0)
    texts = ["".join(draw.choice(words) for _ in range(length)) for _ in range(count)]
    for text in texts:
        found = len(tokenizer(text, add_special_tokens=False)["input_ids"])
        assert found == length, f"a prompt has {found} tokens instead of {length}"
    return texts
