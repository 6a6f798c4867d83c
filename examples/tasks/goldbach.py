"""A task: two primes that add up to an even number. There are many right answers, so the program scores them itself."""

import json
import re
import sys


def is_prime(n):
    return n > 1 and all(n % factor for factor in range(2, int(n**0.5) + 1))


for line in sys.stdin:
    request = json.loads(line)
    number = 100 + 2 * (request["index"] * 7919 % 4000)
    if request["op"] == "problem":
        text = "Give two primes whose sum is %d." % number
        reply = {"id": "goldbach-%d" % number, "problem": text, "scored": True}
    else:
        found = [int(word) for word in re.findall(r"\d+", request["answer"] or "")]
        primes = sum(map(is_prime, found)) if len(found) == 2 and sum(found) == number else 0
        reply = {"score": primes / 2, "parts": {"primes": primes}}
    print(json.dumps(reply))
