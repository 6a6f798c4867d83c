"""Measures decoding with llama.cpp and prints a JSON object as rivals.py does.

Needs `pip install llama-cpp-python gguf`.

    llama.py decode --model FOLDER --rows 32 --prompt 120 --tokens 16 --threads 2 --type f32
"""

import argparse
import json
import os
import statistics
import time

import numpy as np

TYPES = ("f32", "bf16", "q8_0")


def convert(folder, path, kind):
    """Writes a Qwen2 folder's weights as GGUF, without a vocabulary: only token ids go in and out."""
    import gguf
    import torch
    from safetensors import safe_open

    with open(os.path.join(folder, "config.json")) as file:
        config = json.load(file)
    assert config["model_type"] == "qwen2", "only Qwen2 is written here"
    heads = config["num_attention_heads"]
    writer = gguf.GGUFWriter(path, "qwen2")
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(config["num_key_value_heads"])
    rope = config.get("rope_parameters") or config
    writer.add_rope_freq_base(float(rope.get("rope_theta", 10000.0)))
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_tokenizer_model("no_vocab")
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.QWEN2, config["num_hidden_layers"])
    quantization = {"f32": gguf.GGMLQuantizationType.F32, "bf16": gguf.GGMLQuantizationType.BF16,
                    "q8_0": gguf.GGMLQuantizationType.Q8_0}[kind]
    for part in sorted(name for name in os.listdir(folder) if name.endswith(".safetensors")):
        with safe_open(os.path.join(folder, part), framework="pt") as tensors:
            for name in tensors.keys():
                if name == "lm_head.weight" and config.get("tie_word_embeddings"):
                    continue
                numbers = tensors.get_tensor(name).to(torch.float32).numpy()
                target = names.get_name(name, try_suffixes=(".weight", ".bias"))
                if numbers.ndim == 1 or kind == "f32":
                    writer.add_tensor(target, numbers.astype(np.float32))
                else:
                    writer.add_tensor(target, gguf.quants.quantize(numbers, quantization), raw_dtype=quantization)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def decode(a, path):
    """Tokens a second of `rows` sequences behind a context each, drawn greedily from the logits of each row."""
    import llama_cpp as llama

    llama.llama_backend_init()
    parameters = llama.llama_model_default_params()
    model = llama.llama_model_load_from_file(path.encode(), parameters)
    assert model, f"{path}: not loaded"
    settings = llama.llama_context_default_params()
    settings.n_ctx = a.rows * (a.prompt + a.tokens + 8)
    settings.n_batch = settings.n_ubatch = max(512, a.rows)
    settings.n_seq_max = a.rows
    settings.n_threads = settings.n_threads_batch = a.threads
    context = llama.llama_init_from_model(model, settings)
    words = llama.llama_vocab_n_tokens(llama.llama_model_get_vocab(model))
    batch = llama.llama_batch_init(max(512, a.rows), 0, 1)

    def put(tokens):
        """(token, position, sequence, wants logits)"""
        batch.n_tokens = len(tokens)
        for place, (token, position, sequence, logits) in enumerate(tokens):
            batch.token[place], batch.pos[place], batch.n_seq_id[place] = token, position, 1
            batch.seq_id[place][0], batch.logits[place] = sequence, logits
        assert llama.llama_decode(context, batch) == 0

    def run():
        llama.llama_memory_clear(llama.llama_get_memory(context), True)
        draw = np.random.default_rng(1)
        for row in range(a.rows):
            prompt = draw.integers(0, words, a.prompt)
            put([(int(token), place, row, place == a.prompt - 1) for place, token in enumerate(prompt)])
        tokens = [1] * a.rows
        put([(token, a.prompt, row, True) for row, token in enumerate(tokens)])
        start = time.perf_counter()
        for step in range(1, a.tokens + 1):
            for row in range(a.rows):
                logits = np.ctypeslib.as_array(llama.llama_get_logits_ith(context, row), (words,))
                tokens[row] = int(logits.argmax())
            put([(token, a.prompt + step, row, True) for row, token in enumerate(tokens)])
        return time.perf_counter() - start

    run()
    return a.rows * a.tokens / statistics.median(run() for _ in range(a.repeats))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", choices=["decode"])
    parser.add_argument("--model", required=True)
    parser.add_argument("--type", choices=TYPES, default="f32")
    parser.add_argument("--folder", default=os.path.join(os.path.dirname(os.path.abspath(__file__)), ".models"))
    for name in ("threads", "rows", "prompt", "tokens", "repeats"):
        parser.add_argument(f"--{name}", type=int, default=1)
    a = parser.parse_args()
    output = os.dup(1)
    os.dup2(2, 1)
    os.makedirs(a.folder, exist_ok=True)
    path = os.path.join(a.folder, f"{os.path.basename(os.path.abspath(a.model))}-{a.type}.gguf")
    if not os.path.exists(path):
        convert(a.model, path + ".part", a.type)
        os.rename(path + ".part", path)
    value = decode(a, path)
    os.write(output, (json.dumps({"value": value, "unit": "tokens/s", "attention": a.type}) + "\n").encode())


if __name__ == "__main__":
    main()
