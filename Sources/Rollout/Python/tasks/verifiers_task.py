"""Problems of a taskset of verifiers (v1), scored by the taskset's own rewards.

Usage: verifiers_task.py TASKSET [--config JSON]

TASKSET is an installed taskset, or the Python file of one; --config has its settings. Only tasks of one user
turn are served. Rewards that need a runtime of their own (containers, tool servers) or a judge model cannot be worked
out here, where there is no network, and end the program.
"""

import argparse
import asyncio
import inspect
import itertools
import json
import os
import sys

try:
    from verifiers.v1.configs.agent import AgentConfig
    from verifiers.v1.graph import MessageNode
    from verifiers.v1.trace import AgentInfo, Trace, TraceTask
    from verifiers.v1.types import AssistantMessage, SystemMessage, UserMessage
    from verifiers.v1.utils.loaders import load_taskset, taskset_config_type
except ImportError as error:
    sys.exit("verifiers 0.4 is not installed here (%s); install it into the Python of interpreter.python" % error)

from serving import serve


class Verifiers:
    def __init__(self, name, config):
        if name.endswith(".py"):
            sys.path.insert(0, os.path.dirname(os.path.abspath(name)))
            name = os.path.basename(name)[:-3]
        self.name = name
        self.stream = iter(load_taskset(taskset_config_type(name)(**dict(config, id=name))))
        self.tasks = []

    def task(self, index):
        self.tasks += itertools.islice(self.stream, max(0, index + 1 - len(self.tasks)))
        if index >= len(self.tasks):
            sys.exit("%s has %d tasks, so there is none with index %d" % (self.name, len(self.tasks), index))
        return self.tasks[index]

    def problem(self, index):
        task = self.task(index)
        refuse_runtimes(task)
        prompt = task.data.prompt_text
        if task.data.system_prompt:
            prompt = task.data.system_prompt + "\n\n" + prompt
        answer = getattr(task.data, "answer", None)
        return {"id": "%s-%s" % (self.name, task.data.id or index), "problem": prompt, "prompt": prompt,
                "answer": answer if isinstance(answer, str) else None, "source": "verifiers/" + self.name,
                "scored": True}

    def score(self, index, response):
        task = self.task(index)
        trace = conversation(task, "".join(
            part["text"] for part in response["segments"] if part["author"] in ("model", "hint")))
        asyncio.run(task.score(trace))
        rewards = {name: reward for name, reward in trace.rewards.items() if reward is not None}
        parts = {name: reward.score for name, reward in rewards.items()}
        parts.update((name, value) for name, value in trace.metrics.items() if value is not None)
        return {"score": sum(reward.value for reward in rewards.values()), "parts": parts}


def refuse_runtimes(task):
    """Ends the program where a reward needs more than the conversation."""
    for hook in task.hooks("reward") + [judge.score for judge in task.plugged_judges()]:
        parameter = inspect.signature(hook).parameters.get("runtime")
        if parameter is not None and parameter.default is inspect.Parameter.empty:
            sys.exit("%s: the reward %s needs a runtime" % (type(task).__name__, hook.__name__))
    if task.plugged_judges():
        sys.exit("%s: a judge model is asked, and there is no network here" % type(task).__name__)
    if task.toolsets(task.config):
        sys.exit("%s: has tool servers, which are not started here" % type(task).__name__)


def conversation(task, text):
    """The task's prompt and the response, as a trace of verifiers."""
    messages = [] if task.data.system_prompt is None else [SystemMessage(content=task.data.system_prompt)]
    messages += [UserMessage(content=task.data.prompt_text), AssistantMessage(content=text)]
    nodes = [MessageNode(message=message, parent=place - 1 if place else None, sampled=message is messages[-1])
             for place, message in enumerate(messages)]
    return Trace(task=TraceTask(type=type(task).__name__, data=task.data, key=task.key, hash=task.hash),
                 agent=AgentInfo(config=AgentConfig()), nodes=nodes)


if __name__ == "__main__":
    options = argparse.ArgumentParser()
    options.add_argument("taskset")
    options.add_argument("--config", type=json.loads, default={})
    options = options.parse_args()
    serve(Verifiers(options.taskset, options.config))
