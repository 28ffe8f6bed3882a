"""The parts that a gradient is the sum of: one for each path from its value to the loss."""

from dataclasses import dataclass

import torch

from gradcheck.diagnosis.mistakes.case import Case
from gradcheck.diagnosis.mistakes.scene import Scene
from gradcheck.diagnosis.mistakes.segment import Edge
from gradcheck.diagnosis.mistakes.wording import described, line, name
from gradcheck.fronts.tape import Value
from gradcheck.replay.compare import distance, norm

_MOST_BRANCHES = 32
_MOST_PAIRS = 40


@dataclass(frozen=True, slots=True)
class Branch:
    """The part of the gradient that comes through one value, through one step from a value to the next, or through
    two given steps."""

    through: Value | Edge | tuple[Edge, Edge]

    @property
    def edges(self) -> tuple[Edge, ...]:
        if isinstance(self.through, Value):
            return ()
        return self.through if isinstance(self.through, tuple) else (self.through,)

    def part(self, scene: Scene) -> torch.Tensor | None:
        if isinstance(self.through, Value):
            return scene.through(self.through)
        first, last = self.edges[0], self.edges[-1]
        local = scene.local(last.op, last.source)
        if local is None or first is last:
            return scene.pushed(last.source, local) if local is not None else None
        reached = scene.pushed_to(first.target, last.source, local)
        return scene.local_with(first.op, first.source, seed=reached) if reached is not None else None


def branches_of(case: Case) -> list[tuple[Branch, torch.Tensor]]:
    """All different parts, the most telling first: named values near the gradient's own, then steps."""
    segment, scene = case.segment, case.first
    values = sorted(segment.values, key=lambda v: not case.is_named(v))
    candidates: list[Value | Edge | tuple[Edge, Edge]] = [*values, *segment.edges]
    starts = segment.leaving(case.at)
    if len(starts) > 1:
        later = [edge for edge in segment.edges if edge.source is not case.at]
        candidates += [
            (first, last)
            for first in starts
            for last in later
            if first.target.shape == first.source.shape and len(first.op.outputs) == 1
        ][:_MOST_PAIRS]
    found: list[tuple[Branch, torch.Tensor]] = []
    for branch in map(Branch, candidates):
        if len(found) >= _MOST_BRANCHES:
            break
        part = branch.part(scene)
        if part is None or norm(part) <= scene.tolerance or distance(part, scene.expected) <= scene.tolerance:
            continue
        if not any(distance(part, other) <= scene.tolerance for _, other in found):
            found.append((branch, part))
    return found


def shown(case: Case, branch: Branch) -> str:
    """`the path through the mean mu (line 12)`"""
    if isinstance(branch.through, Value):
        return f"the path through {described(case, branch.through)}"
    first, last = branch.edges[0], branch.edges[-1]
    if first is last and first.source is case.at and not case.is_named(first.target):
        return f"the path through {described(case, first.target)}"
    by = f" by {name(case, first.target)}" if first is not last else ""
    return f"the direct path from {name(case, first.source)}{by} to {name(case, last.target)} ({line(case, last.op)})"


def plain(case: Case, branch: Branch) -> str:
    shown = case.judgement.names.shown
    if isinstance(branch.through, Value):
        return shown(branch.through)
    return " -> ".join([shown(branch.edges[0].source), *dict.fromkeys(shown(e.target) for e in branch.edges)])
