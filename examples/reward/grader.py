"""A grader: any answer that the gold answer divides is right. One JSON line in, one out."""

import json
import sys

for line in sys.stdin:
    episode = json.loads(line)
    try:
        correct = int(episode["answer"]) % int(episode["gold"]) == 0
    except (TypeError, ValueError):
        correct = False
    print(json.dumps({"correct": correct}))
