"""A taskset of verifiers: words to write backwards."""

import verifiers.v1 as vf

__all__ = ["ReversalTaskset"]
WORDS = ("river", "stone", "candle", "garden", "window", "harbour", "letter", "mountain")


class ReversalData(vf.TaskData):
    answer: str


class ReversalTask(vf.Task[ReversalData, vf.State, vf.TaskConfig]):
    @vf.reward
    async def exact(self, trace: vf.Trace) -> float:
        return float(self.last(trace) == self.data.answer)

    @vf.reward(weight=0.5)
    async def letters(self, trace: vf.Trace) -> float:
        return float(sorted(self.last(trace)) == sorted(self.data.answer))

    @staticmethod
    def last(trace):
        words = trace.nodes[-1].message.content.split()
        return words[-1] if words else ""


class ReversalTaskset(vf.Taskset[ReversalTask, vf.TasksetConfig]):
    def load(self):
        for word in WORDS:
            yield ReversalTask(ReversalData(
                id=word, prompt="Write the word '%s' backwards. End with that word." % word, answer=word[::-1]))
