"""The piece of the forward pass that one line differentiates: from its value to the values whose manual gradients
it reads."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from gradcheck.fronts.tape import Kind, Op, Value
from gradcheck.judge.judge import Judge
from gradcheck.judge.judged import Judged
from gradcheck.replay.forward import ForwardGraph
from gradcheck.replay.passes import Version

# A line that differentiates more steps than this is not taken apart any further: what lies beyond is left whole.
_MOST_EDGES = 80
_MOST_READS = 400


@dataclass(frozen=True, slots=True)
class Edge:
    """`op` computes `target` from `source`."""

    op: Op
    source: Value
    target: Value


class Segment:
    """`edges` start at the value itself and are in order of distance from it; `ends` have gradients that were
    given to the line, right or wrong."""

    def __init__(self, graph: ForwardGraph, at: Value, ends: Iterable[Value], ops: Iterable[Op]) -> None:
        self.at = at
        self.ends = set(ends)
        self.edges: list[Edge] = []
        self._known = set(graph.values)
        consumers: dict[Value, list[Op]] = defaultdict(list)
        for op in ops:
            if op.kind in (Kind.ESCAPE, Kind.BACKWARD):
                continue
            for value in dict.fromkeys(op.inputs):
                consumers[value].append(op)
        reached = [at]
        seen = {at}
        while reached and len(self.edges) < _MOST_EDGES:
            value = reached.pop(0)
            for op in consumers[value]:
                for target in op.outputs:
                    if target not in self._known or target is value:
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
    by_value: dict[Value, list[Judged]] = defaultdict(list)
    for other in judge.judged:
        if other is not judged:
            by_value[other.candidate.value].append(other)
    own = judged.candidate.value
    pending = [value for op in judged.version.writes for value in op.inputs]
    seen: set[Value] = set()
    found: list[Judged] = []
    while pending and len(seen) < _MOST_READS:
        value = pending.pop(0)
        if value in seen:
            continue
        seen.add(value)
        earlier = [j for j in by_value[value] if j.version.after < judged.version.after]
        if earlier and value is not own:
            found.append(max(earlier, key=lambda j: j.version.after))
        elif value not in forward and value.producer is not None:
            pending.extend(value.producer.inputs)
    return found


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
