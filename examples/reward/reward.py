"""A reward: a right answer that gives its reasons is worth more. One JSON line in, one out."""

import json
import sys

for line in sys.stdin:
    episode = json.loads(line)
    own = [part["text"] for part in episode["segments"] if part["author"] == "model"]
    words = " ".join(own).split()
    reasons = sum(word.lower().strip(".,;") in ("because", "so", "since") for word in words)
    reward = min(0.5, 0.1 * reasons) if episode["verdict"] == "correct" else 0.0
    print(json.dumps({"reward": reward, "parts": {"reasons": reasons, "words": len(words)}}))
