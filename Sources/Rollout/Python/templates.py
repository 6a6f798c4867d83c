"""Chat templates as Hugging Face models carry them, in the dialect that the documentation of transformers describes."""

import datetime
import json

import jinja2
import jinja2.debug  # otherwise imported at the first error, when files are out of reach
import jinja2.ext
import jinja2.meta
import jinja2.sandbox

MOST_COMPILED = 16


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
    """A message's reasoning under all the names that templates read it by, as transformers gives it."""
    names = ("reasoning_content", "thinking", "reasoning")
    found = [message[name] for name in names if message.get(name) is not None]
    return {"thinking": found[0], **message, "reasoning_content": found[0]} if found else message


def render(request):
    """The text that a template makes of messages; or, for a request with `names`, the names that it reads."""
    text = request["template"]
    if request.get("names"):
        return {"names": sorted(jinja2.meta.find_undeclared_variables(environment.parse(text)))}
    if text not in compiled:
        if len(compiled) > MOST_COMPILED:
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


def warm_up():
    """Runs once through all that jinja2 imports at its first use. Later, files may be out of reach."""
    everything = """{%- set ns = namespace(n=0) %}{% macro f(x) %}{{ x | upper }}{% endmacro %}{{ f("a\\n'") }}
        {%- for m in messages if m.role %}{% generation %}{{ m | tojson(indent=2) | trim }}{% endgeneration %}
        {%- if loop.first %}{% continue %}{% endif %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ [1, 2] | join(", ") }}
        {{- messages | map(attribute="role") | list | length }}{{ "%s" | format("x") }}{{ strftime_now("%d %b %Y") }}
        {{- messages | selectattr("role", "equalto", "user") | first }}{{ none is defined }}{{ "a b".split(" ")[-1] }}
        {{- "{:>4}".format(3) }}{{ {"a": 1}.items() | list }}{{ raise_exception("warm") }}"""
    for text in (everything, "{% broken", "{{ ''.__class__ }}"):
        try:
            render({"template": text, "names": True})
            render({"template": text, "messages": '[{"role": "user", "content": "x"}]', "tools": '[{"type": "x"}]',
                    "add_generation_prompt": True, "variables": "{}", "date": "2026-01-02"})
        except jinja2.exceptions.TemplateError:
            pass
    compiled.clear()
