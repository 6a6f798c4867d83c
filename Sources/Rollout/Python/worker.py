"""Grades answers (grading/, then math-verify), or renders chat templates (templates.py).

Started by the trainer with a stream socket on descriptor 3: one JSON object a line each way. The parent only keeps the
clock. A child, forked from it with everything imported and then confined, does the work. When a request takes too long,
takes too much memory or crashes, the child is killed and forked anew, which costs milliseconds.
"""

import json
import logging
import os
import select
import signal
import socket
import sys
import time

import sandbox
from sandbox import kernel, seccomp
from sandbox.calls import ALWAYS, NO_NAMESPACE

if sys.argv[1:] == ["grade"]:
    import grading

HERE = os.path.dirname(__file__)
CONTROL = 3
MEMORY = 2 << 30
REQUESTS_PER_CHILD = 5000  # sympy's caches grow


# --------------------------------------------------------------------------------------------------- grading


def load_grader():
    """What answers a request to grade. Raises ImportError without math-verify."""
    sandbox.hide_modules(HERE)
    logging.disable(logging.CRITICAL)
    from math_verify import parse, verify

    def read(text):
        # Dollars would end the mathematics of the box.
        return parse("\\boxed{%s}" % grading.plain(text).replace("\\$", "").replace("$", ""), parsing_timeout=None)

    def verified(answer, gold):
        wanted = read(gold)
        if not any(not isinstance(part, str) for part in wanted):
            return "ungradable"
        return "correct" if verify(wanted, read(answer), timeout_seconds=None) else "incorrect"

    def work(request):
        if "key" in request:
            return {"key": grading.key(request["key"])}
        if request.get("only") != "math_verify":
            verdict = grading.grade(request["answer"], request["gold"])
            if verdict:
                return {"verdict": verdict, "how": "value"}
        return {"verdict": verified(request["answer"], request["gold"]), "how": "math_verify"}

    if hasattr(sys, "set_int_max_str_digits"):
        sys.set_int_max_str_digits(0)
    for gold, answer in (("\\frac{1}{2}", "0.5"), ("x=5", "5"), ("(1,2]", "(1,2)"), ("\\sqrt{8}", "2\\sqrt2"),
                         ("1,2", "2,1"), ("\\text{east}", "west"), ("x^2-1", "(x-1)(x+1)"), ("50\\%", "1/2"),
                         ("\\sin x", "\\binom{n}{2} \\pi"), ("1.414", "\\sqrt2"), ("\\pi", "√2"),
                         ("\\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix}", "\\begin{pmatrix} 1 \\\\ 3 \\end{pmatrix}")):
        work({"gold": gold, "answer": answer})
        verified(answer, gold)
    return work


def load_templates():
    """What answers a request to render. Raises ImportError without jinja2."""
    import templates

    sandbox.hide_modules(HERE)
    templates.warm_up()
    return templates.render


# ----------------------------------------------------------------------------------------------- supervision


def folders():
    """What the child may read: this Python and its packages."""
    paths = [sys.prefix, sys.base_prefix] + sys.path
    return tuple(sorted({os.path.realpath(path) for path in paths if path and path not in ("/", "/tmp")}))


def confine(link):
    os.closerange(0, link)
    os.closerange(link + 1, 4096)
    os.open("/dev/null", os.O_RDWR)
    os.dup2(0, 1)
    os.dup2(0, 2)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    readable = folders()
    if os.getuid() == 0:
        kernel.become_nobody()
        kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    sandbox.limit(MEMORY, 4096, 1 << 20)
    kernel.drop_capabilities()
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    try:
        sandbox.confine("T2", readable)
    except OSError:  # no Landlock here: the filter alone, which leaves reading open for late imports
        seccomp.install(ALWAYS + NO_NAMESPACE, "group")


def answer_requests(link, work):
    """The child's life."""
    stream = socket.socket(fileno=link)
    reader = stream.makefile("rb")
    for line in reader:
        try:
            reply = work(json.loads(line))
        except MemoryError:
            reply = {"failed": "memory"}
        except RecursionError:
            reply = {"failed": "recursion"}
        except Exception as error:
            reply = {"failed": "error", "message": ("%s: %s" % (type(error).__name__, error))[:2000]}
        stream.sendall(json.dumps(reply).encode() + b"\n")


class Parent:
    """Keeps the clock of a child, and replaces it."""

    def __init__(self, work):
        self.work, self.child, self.link, self.served = work, 0, None, 0

    def fork(self):
        near, far = socket.socketpair()
        self.child = os.fork()
        if self.child == 0:
            try:
                near.close()
                link = far.detach()
                confine(link)
                answer_requests(link, self.work)
            finally:
                os._exit(70)
        far.close()
        self.link, self.served = near, 0

    def end_child(self):
        if self.child:
            os.kill(self.child, signal.SIGKILL)
            os.waitpid(self.child, 0)
            self.link.close()
            self.child = 0

    def answer(self, line):
        """The reply to one request line, in at most its own limit."""
        limit = float(json.loads(line)["limit"])
        if self.child == 0 or self.served >= REQUESTS_PER_CHILD:
            self.end_child()
            self.fork()
        self.served += 1
        end = time.monotonic() + limit
        poll = select.poll()
        poll.register(self.link.fileno(), select.POLLIN)
        try:
            self.link.sendall(line)
            reply = bytearray()
            while not reply.endswith(b"\n"):
                left = end - time.monotonic()
                if left <= 0 or not poll.poll(int(left * 1000) + 1):
                    if left > 0:
                        continue
                    self.end_child()
                    return b'{"failed": "timeout"}\n'
                part = self.link.recv(1 << 16)
                if not part:
                    raise OSError
                reply += part
            return bytes(reply)
        except OSError:
            self.end_child()
            return b'{"failed": "crashed"}\n'


def main():
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    control = socket.socket(fileno=CONTROL)
    try:
        work = load_grader() if sys.argv[1] == "grade" else load_templates()
    except ImportError as error:
        control.sendall(json.dumps({"missing": str(error)}).encode() + b"\n")
        os._exit(78)
    parent = Parent(work)
    control.sendall(b'{"ready": true}\n')
    for line in control.makefile("rb"):
        control.sendall(parent.answer(line))
    os._exit(0)


if __name__ == "__main__":
    main()
