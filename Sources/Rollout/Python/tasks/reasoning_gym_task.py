"""Problems of reasoning-gym, scored by its own scorers. Families take turns; difficulty and options may be set.

Usage: reasoning_gym_task.py --families NAME,NAME,... [--seed N] [--level N] [--options JSON]

    --level     of each family's curriculum, from 0; without it, the family's default settings
    --options   settings by family: {"lcm": {"max_value": 50}}

The answer is what stands in the last <answer>...</answer> of the model's own words, else in its last box.
"""

import argparse
import json
import re
import sys

try:
    import reasoning_gym
    from reasoning_gym.factory import CURRICULA, DATASETS
except ImportError:
    sys.exit("reasoning-gym is not installed here; run `make tasks` once")

from serving import digest, serve

CHUNK = 1000  # problems of one data set; some families make all of theirs at once


class ReasoningGym:
    def __init__(self, families, seed, level, options):
        for name in families + sorted(options):
            if name not in DATASETS or name not in families:
                sys.exit("%s: no family of reasoning-gym, or not among --families; there are: %s"
                         % (name, ", ".join(sorted(DATASETS))))
            if level is not None and name not in CURRICULA:
                sys.exit("%s: has no levels; leave out --level, or this family" % name)
        self.families, self.seed, self.level, self.options = families, seed, level, options
        self.datasets = {}

    def dataset(self, name, chunk):
        """The data set of a family's chunk. Its seed is drawn, since items of neighbouring seeds are often equal."""
        if (name, chunk) not in self.datasets:
            settings = dict(self.options.get(name, {}), size=CHUNK, seed=digest(self.seed, name, chunk) >> 33)
            if self.level is None:
                made = reasoning_gym.create_dataset(name, **settings)
            else:
                curriculum = CURRICULA[name]()
                curriculum.set_global_level(self.level)
                made = DATASETS[name][0](curriculum.generate_configuration(settings))
            self.datasets[name, chunk] = made
        return self.datasets[name, chunk]

    def entry(self, index):
        """The family of a problem, its number there, its data set and its entry."""
        name, number = self.families[index % len(self.families)], index // len(self.families)
        dataset = self.dataset(name, number // CHUNK)
        return name, number, dataset, dataset[number % CHUNK]

    def problem(self, index):
        name, number, _, entry = self.entry(index)
        level = "" if self.level is None else "-level%d" % self.level
        answer = entry["answer"]
        return {"id": "reasoning-gym-%s-%d%s-%d" % (name, self.seed, level, number), "problem": entry["question"],
                "answer": answer if isinstance(answer, str) else None, "source": "reasoning-gym/" + name,
                "scored": True}

    def score(self, index, response):
        _, _, dataset, entry = self.entry(index)
        try:
            score = float(dataset.score_answer(given(response), entry))
        except Exception as error:  # of a scorer that cannot read the answer
            print("problem %d: %s: %s" % (index, type(error).__name__, error), file=sys.stderr)
            score = 0.0
        return {"score": score, "correct": score >= 1}


def given(response):
    """The answer that the model gives; None: none."""
    own = "".join(part["text"] for part in response["segments"] if part["author"] in ("model", "hint"))
    marked = re.findall(r"<answer>\s?(.*?)\s?</answer>", own, re.DOTALL)
    return marked[-1].strip() if marked else response["answer"]


if __name__ == "__main__":
    options = argparse.ArgumentParser()
    options.add_argument("--families", required=True)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--level", type=int)
    options.add_argument("--options", type=json.loads, default={})
    options = options.parse_args()
    serve(ReasoningGym(options.families.split(","), options.seed, options.level, options.options))
