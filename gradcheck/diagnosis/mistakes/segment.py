"""The piece of the forward pass that one line differentiates: from its value to the values whose manual gradients
it reads."""

from collections.abc import Iterable
from dataclasses import dataclass

from gradcheck.fronts.tape import Kind, Op, Value
from gradcheck.graph import flow
from gradcheck.judge.judge import Judge
from gradcheck.judge.judged import Judged
from gradcheck.replay.forward import ForwardGraph
from gradcheck.replay.passes import Version

# A line that differentiates more steps than this is not taken apart any further: what lies beyond is left whole.
_MOST_EDGES = 80


@dataclass(frozen=True, slots=True)
class Edge:
    """`op` computes `target` from `source`."""

    op: Op
    source: Value
    target: Value

    @property
    def broadcast_dims(self) -> tuple[int, ...]:
        """The dimensions of the result along which the argument was repeated."""
        source, target = self.source.shape, self.target.shape
        padded = (1,) * (len(target) - len(source)) + tuple(source)
        if len(padded) != len(target):
            return ()
        return tuple(d for d, (a, b) in enumerate(zip(padded, target, strict=True)) if a != b)


class Segment:
    """`edges` start at the value itself and are in order of distance from it; `ends` have gradients that were
    given to the line, right or wrong."""

    def __init__(self, graph: ForwardGraph, at: Value, ends: Iterable[Value], ops: Iterable[Op]) -> None:
        self.at = at
        self.ends = set(ends)
        self.edges: list[Edge] = []
        known = set(graph.values)
        readers = flow.readers(op for op in ops if op.kind not in (Kind.ESCAPE, Kind.BACKWARD))
        reached = [at]
        seen = {at}
        while reached and len(self.edges) < _MOST_EDGES:
            value = reached.pop(0)
            for op in readers.get(value, ()):
                for target in op.outputs:
                    if target not in known or target is value:
                        continue
                    self.edges.append(Edge(op, value, target))
                    if target not in seen:
                        seen.add(target)
                        if target not in self.ends:
                            reached.append(target)

    @property
    def values(self) -> list[Value]:
        """Everything after the value itself, the nearest first."""
        return list(dict.fromkeys(edge.target for edge in self.edges))

    @property
    def ops(self) -> list[Op]:
        """In the order they ran."""
        return sorted({edge.op for edge in self.edges}, key=lambda op: op.index)

    def leaving(self, value: Value) -> list[Edge]:
        return [edge for edge in self.edges if edge.source is value]


def gradients_read(judged: Judged, judge: Judge, forward: set[Value]) -> list[Judged]:
    """The judged gradients that the line reads, directly or through values that are no gradients themselves."""
    own = judged.candidate.value
    earlier: dict[Value, Judged] = {}
    for other in sorted(judge.judged, key=lambda j: j.version.after):
        if other.candidate.value is not own and other.version.after < judged.version.after:
            earlier[other.candidate.value] = other
    start = [value for op in judged.version.writes for value in op.inputs]
    reached = flow.ancestors(*start, stop=lambda value: value in earlier or value in forward)
    return [earlier[value] for value in reached if value in earlier]


def earlier_gradients(judged: Judged, judge: Judge) -> list[Version]:
    """All manual gradients that existed when the line ran, finished or not, the latest first."""
    found = [
        version
        for candidate in judge.plan.candidates
        if candidate.value is not judged.candidate.value
        for version in candidate.versions
        if version.after < judged.version.after
    ]
    return sorted(found, key=lambda version: -version.after)
