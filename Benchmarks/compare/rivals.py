"""Measures one piece of work with transformers, PEFT or TRL, and prints a JSON object: value, unit, what was chosen.

Each at its best reasonable setting on a CPU: fp32, the faster one of PyTorch's two attentions, the given threads, no
gradient checkpointing, no padding, fused AdamW, nothing logged or saved. `compare.py` adds the environment. One run to
warm up is not counted.
"""

import argparse
import json
import os
import statistics
import tempfile
import time

import torch
from transformers import AutoModelForCausalLM, GenerationConfig, StoppingCriteria, StoppingCriteriaList

import models

# A GRPO batch goes through TRL's trainer in so many pieces: as fast as at once or faster, with a quarter of the logits.
PIECES = 4


def elapsed(body):
    start = time.perf_counter()
    body()
    return time.perf_counter() - start


def seconds(body, repeats):
    body()
    return statistics.median(elapsed(body) for _ in range(repeats))


def load(path):
    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, attn_implementation="sdpa")
    model.generation_config = GenerationConfig(pad_token_id=0)
    return model


def choose_attention(model, body):
    """Leaves the model with the attention that `body` is faster with, and returns its name."""
    taken = {}
    for name in ("eager", "sdpa"):
        model.set_attn_implementation(name)
        body()
        taken[name] = elapsed(body)
    best = min(taken, key=taken.get)
    model.set_attn_implementation(best)
    return best


def random_tokens(model, rows, length):
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, model.config.vocab_size, (rows, length), generator=generator)


class Clock(StoppingCriteria):
    """Notes when each token is there, and never stops."""

    def __init__(self):
        self.times = []

    def __call__(self, tokens, scores, **_):
        self.times.append(time.perf_counter())
        return torch.zeros(tokens.shape[0], dtype=torch.bool)


def decode(model, a):
    """Tokens a second behind a context; the reading of the context is not counted."""
    ids = random_tokens(model, a.rows, a.prompt)
    settings = GenerationConfig(
        max_new_tokens=a.tokens + 1, do_sample=True, temperature=1.0, top_k=0, top_p=1.0, pad_token_id=0)

    def run():
        clock = Clock()
        with torch.inference_mode():
            model.generate(
                ids, attention_mask=torch.ones_like(ids), generation_config=settings,
                stopping_criteria=StoppingCriteriaList([clock]))
        assert len(clock.times) == a.tokens + 1
        return clock.times[-1] - clock.times[0]

    model.eval()
    chosen = choose_attention(model, run)
    taken = statistics.median(run() for _ in range(a.repeats))
    return a.rows * a.tokens / taken, "tokens/s", chosen


def prefill(model, a):
    ids = random_tokens(model, 1, a.prompt)

    def run():
        with torch.inference_mode():
            model.model(ids, use_cache=True)

    model.eval()
    chosen = choose_attention(model, run)
    return a.prompt / seconds(run, a.repeats), "tokens/s", chosen


def train(model, a):
    """Forward, backward, AdamW over `tokens` tokens in sequences of 128."""
    ids = random_tokens(model, a.tokens // 128, 128)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-6, fused=True)

    def run():
        optimizer.zero_grad(set_to_none=True)
        model(input_ids=ids, labels=ids, use_cache=False).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    model.train()
    base = model.get_base_model() if a.work == "train_lora" else model
    chosen = choose_attention(base, run)
    return ids.numel() / seconds(run, a.repeats), "tokens/s", chosen


def train_lora(model, a):
    from peft import LoraConfig, get_peft_model

    matrices = [f"{name}_proj" for name in ("q", "k", "v", "o", "gate", "up", "down")]
    return train(get_peft_model(model, LoraConfig(r=16, lora_alpha=32, target_modules=matrices)), a)


def grpo_step(model, a):
    """Seconds of a step of TRL's GRPOTrainer: beta 0, one update a batch, responses of one length."""
    from datasets import Dataset
    from transformers import PreTrainedTokenizerFast, TrainerCallback
    from trl import GRPOConfig, GRPOTrainer

    ids = random_tokens(model, 2, a.prompt + a.tokens)

    def taste():
        model(input_ids=ids, labels=ids).loss.backward()
        model.zero_grad()
        with torch.no_grad():
            model.generate(ids[:, : a.prompt], attention_mask=torch.ones_like(ids[:, : a.prompt]), max_new_tokens=8)

    chosen = choose_attention(model, taste)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=os.path.join(a.model, "tokenizer.json"), eos_token=models.END, pad_token=models.END)
    texts = models.prompts(tokenizer, a.prompts * (a.repeats + 1), a.prompt)
    times = []
    pieces = PIECES if a.prompts * a.samples % PIECES == 0 else 1

    class Times(TrainerCallback):
        def on_step_begin(self, *_, **__):
            self.start = time.perf_counter()

        def on_step_end(self, *_, **__):
            times.append(time.perf_counter() - self.start)

    with tempfile.TemporaryDirectory() as folder:
        trainer = GRPOTrainer(
            model=model, processing_class=tokenizer, train_dataset=Dataset.from_dict({"prompt": texts}),
            reward_funcs=lambda completions, **_: [float(place % 2) for place in range(len(completions))],
            callbacks=[Times()],
            args=GRPOConfig(
                output_dir=folder, use_cpu=True, bf16=False, gradient_checkpointing=False, max_steps=a.repeats + 1,
                per_device_train_batch_size=a.prompts * a.samples // pieces, gradient_accumulation_steps=pieces,
                num_generations=a.samples,
                max_completion_length=a.tokens, beta=0.0, num_iterations=1, loss_type="grpo", learning_rate=1e-6,
                logging_strategy="no", save_strategy="no", report_to="none", disable_tqdm=True))
        # No token ends a response, so that all are of one length.
        trainer.generation_config.eos_token_id = None
        trainer.eos_token_ids = [model.config.vocab_size]
        lengths = []
        generate = model.generate
        model.generate = lambda *args, **kw: lengths.append(generate(*args, **kw)) or lengths[-1]
        trainer.train()
    shape = (a.prompts * a.samples, a.prompt + a.tokens)
    assert all(tuple(made.shape) == shape for made in lengths), f"{[made.shape for made in lengths]} instead of {shape}"
    return statistics.median(times[1:]), "s", chosen


WORKS = {"decode": decode, "prefill": prefill, "train": train, "train_lora": train_lora, "grpo_step": grpo_step}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", choices=WORKS)
    parser.add_argument("--model", required=True)
    for name in ("threads", "rows", "prompt", "tokens", "prompts", "samples", "repeats"):
        parser.add_argument(f"--{name}", type=int, default=1)
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    # What libraries print goes to standard error: standard output has the result alone.
    output = os.dup(1)
    os.dup2(2, 1)
    value, unit, attention = WORKS[a.work](load(a.model), a)
    os.write(output, (json.dumps({"value": value, "unit": unit, "attention": attention}) + "\n").encode())


if __name__ == "__main__":
    main()
