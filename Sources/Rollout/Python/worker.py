"""Grades answers (grading.py, then math-verify), or renders chat templates with jinja2. Started by the trainer with a
stream socket on descriptor 3, one JSON object a line each way.

The parent only keeps the clock. A child, forked from it with everything imported and then confined, does the work and
is killed and forked anew when a request takes too long, eats too much memory or crashes: that costs milliseconds.
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

if sys.argv[1:] == ["grade"]:
    import grading

CONTROL = 3
MEMORY = 2 << 30
REQUESTS_PER_CHILD = 5000  # sympy's caches grow


# --------------------------------------------------------------------------------------------------- grading


def load_grader():
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


# ------------------------------------------------------------------------------------------------- templates


def load_templates():
    """Chat templates as Hugging Face models carry them: the dialect is described in transformers' documentation."""
    import datetime

    import jinja2
    import jinja2.debug  # otherwise imported at the first error, when files are out of reach
    import jinja2.ext
    import jinja2.meta
    import jinja2.sandbox

    class Generation(jinja2.ext.Extension):
        """`{% generation %}` marks what the assistant says; here it only shows its body."""

        tags = {"generation"}

        def parse(self, parser):
            line = next(parser.stream).lineno
            body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
            return jinja2.nodes.CallBlock(self.call_method("show"), [], [], body).set_lineno(line)

        def show(self, caller):
            return caller()

    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    def to_json(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols])
    environment.filters["tojson"] = to_json
    environment.globals["raise_exception"] = raise_exception
    compiled = {}

    def with_reasoning(message):
        """A message's reasoning under all names that templates read it by, as transformers gives it."""
        found = [message[name] for name in ("reasoning_content", "thinking", "reasoning") if message.get(name) is not None]
        return dict({"thinking": found[0]}, **dict(message, reasoning_content=found[0])) if found else message

    def render(request):
        text = request["template"]
        if request.get("names"):
            return {"names": sorted(jinja2.meta.find_undeclared_variables(environment.parse(text)))}
        if text not in compiled:
            if len(compiled) > 16:
                compiled.clear()
            compiled[text] = environment.from_string(text)
        # JSON inside JSON: the order of keys, which templates may print, stays as it is in the data.
        messages, tools, variables = (json.loads(request[name]) for name in ("messages", "tools", "variables"))
        today = datetime.datetime.now()
        if request["date"] is not None:
            today = datetime.datetime.strptime(request["date"], "%Y-%m-%d")
            variables.setdefault("date_string", today.strftime("%d %b %Y"))
        return {"text": compiled[text].render(
            messages=[with_reasoning(message) for message in messages], tools=tools, documents=None,
            add_generation_prompt=request["add_generation_prompt"], strftime_now=today.strftime, **variables)}

    # Once through what imports lazily: later, files may be out of reach.
    warm = """{%- set ns = namespace(n=0) %}{% macro f(x) %}{{ x | upper }}{% endmacro %}{{ f("a\\n'") }}
        {%- for m in messages if m.role %}{% generation %}{{ m | tojson(indent=2) | trim }}{% endgeneration %}
        {%- if loop.first %}{% continue %}{% endif %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ [1, 2] | join(", ") }}
        {{- messages | map(attribute="role") | list | length }}{{ "%s" | format("x") }}{{ strftime_now("%d %b %Y") }}
        {{- messages | selectattr("role", "equalto", "user") | first }}{{ none is defined }}{{ "a b".split(" ")[-1] }}
        {{- "{:>4}".format(3) }}{{ {"a": 1}.items() | list }}{{ raise_exception("warm") }}"""
    for text in (warm, "{% broken", "{{ ''.__class__ }}"):
        try:
            render({"template": text, "names": True})
            render({"template": text, "messages": '[{"role": "user", "content": "x"}]', "tools": '[{"type": "x"}]',
                    "add_generation_prompt": True, "variables": "{}", "date": "2026-01-02"})
        except jinja2.exceptions.TemplateError:
            pass
    compiled.clear()
    return render


# ----------------------------------------------------------------------------------------------- supervision


def folders():
    paths = [sys.prefix, sys.base_prefix] + sys.path
    return tuple(sorted({os.path.realpath(path) for path in paths if path and path not in ("/", "/tmp")}))


def confine(link):
    os.closerange(0, link)
    os.closerange(link + 1, 4096)
    os.open("/dev/null", os.O_RDWR)
    os.dup2(0, 1)
    os.dup2(0, 2)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    sandbox.prctl(sandbox.PR_SET_PDEATHSIG, signal.SIGKILL)
    readable = folders()
    if os.getuid() == 0:
        sandbox.become_nobody()
        sandbox.prctl(sandbox.PR_SET_PDEATHSIG, signal.SIGKILL)
    sandbox.limit(MEMORY, 4096, 1 << 20)
    sandbox.drop_capabilities()
    sandbox.prctl(sandbox.PR_SET_DUMPABLE, 0)
    try:
        sandbox.confine("T2", readable)
    except OSError:  # no Landlock here: the filter alone, which leaves reading open for late imports
        sandbox.seccomp(sandbox.ALWAYS + sandbox.NO_NAMESPACE, "group")


def child_main(link, work):
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
                child_main(link, self.work)
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
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [path for path in sys.path if path and os.path.abspath(path) != here]
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
