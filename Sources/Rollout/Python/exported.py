"""Reads an exported folder with transformers, for `train export`.

Standard input is {"folder", "texts"}. Standard output ends with a line of JSON: the ids of the texts, or
{"missing": true} where transformers is not installed.
"""

import importlib.util
import json
import sys


def main():
    request = json.load(sys.stdin)
    if importlib.util.find_spec("transformers") is None:
        return {"missing": True}
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(request["folder"], local_files_only=True)
    config = transformers.AutoConfig.from_pretrained(request["folder"], local_files_only=True)
    return {
        "version": transformers.__version__, "vocabulary": config.vocab_size,
        "ids": [tokenizer(text, add_special_tokens=False)["input_ids"] for text in request["texts"]],
        "begin": tokenizer("a")["input_ids"][:-len(tokenizer("a", add_special_tokens=False)["input_ids"])],
    }


print("\n" + json.dumps(main()))
