"""Runs Martlet and its rivals side by side on the same work, in turn, and prints medians and ratios.

    compare.py --case demo --case wide --case long
    compare.py --model FOLDER --case decode --case train --rounds 1 --repeats 1
    compare.py --case long --prompts 4 --samples 8      (another shape of a named GRPO case)
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile

import models

HERE = os.path.dirname(os.path.abspath(__file__))
PROGRAM = os.path.join(HERE, "..", "..", ".build", "release", "train")
PEERS = {"train_lora": "transformers + PEFT", "grpo_step": "TRL"}

# Name: (model, None being the given folder; work; its sizes). `tokens` of train are those of a batch.
CASES = {
    "decode": [(None, "decode", {"rows": rows, "prompt": 120, "tokens": 16}) for rows in (1, 8, 32, 64)],
    **{f"llama-{kind}": [(None, "decode", {"rows": rows, "prompt": 120, "tokens": 16}) for rows in (1, 8, 32)]
       for kind in ("f32", "bf16")},
    "prefill": [(None, "prefill", {"prompt": 512})],
    "train": [(None, "train", {"tokens": 1024})],
    "lora": [(None, "train_lora", {"tokens": 1024})],
    "0.5b": [(None, "grpo_step", {"prompts": 4, "samples": 8, "prompt": 64, "tokens": 64})],
    "wide": [("wide", "grpo_step", {"prompts": 4, "samples": 8, "prompt": 64, "tokens": 64})],
    "long": [("long", "grpo_step", {"prompts": 8, "samples": 16, "prompt": 300, "tokens": 256})],
    "demo": [
        ("demo", "decode", {"rows": 64, "prompt": 120, "tokens": 64}),
        ("demo", "train", {"tokens": 4096}),
        ("demo", "grpo_step", {"prompts": 4, "samples": 8, "prompt": 64, "tokens": 64}),
    ],
    "3.1m": [
        ("3.1m", "decode", {"rows": 64, "prompt": 120, "tokens": 64}),
        ("3.1m", "train", {"tokens": 4096}),
    ],
}


def physical_cores():
    """What `train` takes if no --threads is given."""
    cores, physical = set(), "0"
    with open("/proc/cpuinfo") as file:
        for line in file:
            name, _, value = line.partition(":")
            physical = value if name.strip() == "physical id" else physical
            if name.strip() == "core id":
                cores.add((physical, value))
    return min(len(cores) or os.cpu_count(), len(os.sched_getaffinity(0)))


# Without these glibc gives large tensors back to the system after each use, and PyTorch spends much of its time on page
# faults: a step of `wide` took TRL 78 s without and 30 s with them, on a machine that others used, too.
KEEP_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "20000000000"}


def run(command, threads, more={}):
    """Standard output of a program, and the most memory it took, in megabytes."""
    environment = dict(os.environ, OMP_NUM_THREADS=str(threads), TOKENIZERS_PARALLELISM="false", HF_HUB_OFFLINE="1",
                       **more)
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(command, stdout=output, stderr=errors, env=environment)
        try:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        finally:
            # Whoever is stopped while waiting leaves nobody behind.
            if process.returncode is None:
                process.kill()
        output.seek(0)
        if process.returncode != 0:
            errors.seek(0)
            sys.exit(errors.read().decode()[-4000:] + f"\n{' '.join(command)}: ended with {process.returncode}")
        return json.loads(output.read()), usage.ru_maxrss / 1000


def options(sizes):
    return [text for name, number in sizes.items() for text in (f"--{name}", str(number))]


def ours(a, path, work, sizes):
    command = [a.program, "bench", "--json", "--only", work, "--model", path, "--threads", str(a.threads)]
    answer, memory = run(command + options(sizes) + ["--repeats", str(a.repeats)], a.threads)
    # The last of decode's is that of prompts which have nothing in common, as the rival's are.
    result = answer["results"][-1]
    return {"value": result["value"], "unit": result["unit"], "memory": memory}


def llama_type(name):
    """The type of llama.cpp's weights in a case beside it, else None."""
    return name.removeprefix("llama-") if name.startswith("llama-") else None


def theirs(a, name, path, work, sizes):
    kind = llama_type(name)
    program = "llama.py" if kind else "rivals.py"
    command = [a.python, os.path.join(HERE, program), work, "--model", path, "--threads", str(a.threads)]
    command += ["--type", kind] if kind else []
    answer, memory = run(command + options(sizes) + ["--repeats", str(a.repeats)], a.threads, KEEP_MEMORY)
    return dict(answer, memory=memory)


def compare(a, name, path, work, sizes):
    rounds = []
    for place in range(a.rounds):
        print(f"{name}: {work} {sizes}, round {place + 1} of {a.rounds}", file=sys.stderr)
        rounds.append((ours(a, path, work, sizes), theirs(a, name, path, work, sizes)))
    mine, other = (statistics.median(pair[side]["value"] for pair in rounds) for side in (0, 1))
    unit = rounds[0][0]["unit"]
    assert unit == rounds[0][1]["unit"]
    return {
        "case": name, "work": work, "sizes": sizes, "unit": unit, "ours": mine, "theirs": other,
        # How many times as fast we are.
        "ratio": other / mine if unit == "s" else mine / other,
        "rival": "llama.cpp" if llama_type(name) else PEERS.get(work, "transformers"),
        "attention": rounds[0][1]["attention"],
        "our_megabytes": max(pair[0]["memory"] for pair in rounds),
        "their_megabytes": max(pair[1]["memory"] for pair in rounds),
        "values": [[pair[0]["value"], pair[1]["value"]] for pair in rounds],
    }


def table(results):
    lines = [
        "| case | work | Martlet | rival | times as fast | memory: Martlet, rival | rival is |",
        "|---|---|---|---|---|---|---|",
    ]
    for r in results:
        sizes = ", ".join(f"{number} {name}" for name, number in r["sizes"].items())
        lines.append(
            f"| {r['case']} | {r['work']}: {sizes} | {r['ours']:.4g} {r['unit']} | {r['theirs']:.4g} {r['unit']} "
            f"| {r['ratio']:.2f} | {r['our_megabytes']:.0f}, {r['their_megabytes']:.0f} MB "
            f"| {r['rival']}, {r['attention']} |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="a Hugging Face folder, for the cases decode, prefill, train, lora, 0.5b")
    parser.add_argument("--case", action="append", choices=CASES,
                        help="may be given several times; else all that can run")
    parser.add_argument("--rounds", type=int, default=3, help="processes of each side, in turn")
    parser.add_argument("--repeats", type=int, default=3, help="repeats in a process, after one to warm up")
    parser.add_argument("--threads", type=int, default=physical_cores())
    parser.add_argument("--program", default=PROGRAM)
    parser.add_argument("--python", default=sys.executable, help="with the rivals installed")
    parser.add_argument("--folder", default=os.path.join(HERE, ".models"), help="where random weights are kept")
    parser.add_argument("--json", metavar="FILE", help="write the results there, too")
    for name in ("prompts", "samples", "prompt", "tokens"):
        parser.add_argument(f"--{name}", type=int, help=f"instead of the case's own {name} (GRPO)")
    a = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    chosen = a.case or [name for name, works in CASES.items() if (a.model or works[0][0]) and not llama_type(name)]
    results = []
    try:
        run_cases(a, chosen, results)
    finally:
        # What was measured before somebody ended the rest is not lost.
        if results:
            print(table(results))


def run_cases(a, chosen, results):
    """Appends what each case measures."""
    for name in chosen:
        for shape, work, sizes in CASES[name]:
            if shape is None and a.model is None:
                sys.exit(f"{name}: needs --model")
            if work == "grpo_step":
                given = {key: getattr(a, key) for key in sizes}
                sizes = {key: given[key] or number for key, number in sizes.items()}
            path = a.model if shape is None else models.folder(shape, a.folder)
            results.append(compare(a, name, path, work, sizes))
            if a.json:
                with open(a.json, "w") as file:
                    json.dump({"threads": a.threads, "results": results}, file, indent=1)


if __name__ == "__main__":
    main()
