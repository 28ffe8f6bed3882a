"""Tries edits on one gradient at one point, as fast as may be: only what lies between the edit and it is run again."""

from dataclasses import dataclass

import torch

from gradcheck.diagnosis.evaluation import CannotEvaluateError, Evaluation, Tree
from gradcheck.diagnosis.namespace import BindingIndex
from gradcheck.diagnosis.patching import SitePatch, patches_for
from gradcheck.diagnosis.sites import Site
from gradcheck.fronts.tape import Op, Value
from gradcheck.judge.judge import Judge
from gradcheck.judge.judged import Judged
from gradcheck.replay.compare import NOISE_SHARE, RELATIVE_TOLERANCE, distance, norm
from gradcheck.replay.runner import Runner

_SAME = 1e-9  # relative: the unedited piece must give again what was recorded


@dataclass
class Setting:
    """A point at which a pass was replayed and judged: `replay` as it ended, and what the judge expects there."""

    judge: Judge
    replay: Runner


class Trial:
    """One site of one gradient at one setting."""

    def __init__(
        self, site: Site, judged: Judged, chain: list[Op], setting: Setting, index: BindingIndex
    ) -> None:
        self._site = site
        self._judged = judged
        self._setting = setting
        self._index = index
        changing = {v.root for op in chain for v in op.mutated}
        self._chain = [] if site.is_alias else _needed(site, chain, changing)
        made = {v for op in self._chain for v in op.outputs if v.producer is op}
        # A view of something made before is made here, and yet not what it is a view of.
        moved = {e.value.root for e in site.own if e.ops}  # what its executions change in place
        self._made = {v.root for v in made if v.root in made} | changing & {v.root for v in made} | moved
        self._known = {
            v: t for v, t in setting.replay.env.items() if v not in made and v.root not in self._made
        }
        inside = {index for e in site.own for index in (*e.ops, e.last)}
        self._outside = {
            v.root
            for op in self._chain
            if op.index not in inside
            for v in op.inputs
            if v not in made and v.root not in self._made
        }
        self._direct = (
            site.is_alias or (len(site.own) == 1 and not site.own[0].ops and site.own[0].value is judged.candidate.value
            and all(op.index == site.own[0].last for op in self._chain))
        )  # fmt: skip
        self._evaluation = self._remembering() if self._direct else None

    def _remembering(self) -> Evaluation:
        """What the parts of the piece give, which most edits leave as they are."""
        replay, names = self._setting.replay, self._site.namespace(self._site.own[0], self._index)
        return Evaluation(names, replay.tensor, replay.dtype, self._site.tree)

    @property
    def is_direct(self) -> bool:
        """Whether the piece gives the gradient itself."""
        return self._direct

    def tensor_of(self, value: Value) -> torch.Tensor:
        return self._setting.replay.tensor(value)

    def reproduces(self) -> bool:
        """Whether the piece, evaluated unedited, gives what the replay of the recording gave: only then are its
        names understood, and edits of it mean what they would have meant."""
        recorded = self._setting.judge.run.captured.get(id(self._judged.version))
        if recorded is None:
            return False
        try:
            found, _ = self.result(self._site.tree)
        except CannotEvaluateError:
            return False
        if found.shape != recorded.shape:
            return False
        if not bool(torch.isfinite(recorded).all()):
            return True
        return distance(found, recorded) <= _SAME * max(norm(recorded), norm(found)) + 1e-300

    def result(self, tree: Tree) -> tuple[torch.Tensor, tuple[Value, ...]]:
        """The gradient if the piece read so, and the values the piece would then read."""
        if self._evaluation is not None:
            reads = self._site.prepare(tree, self._site.own[0], self._index).reads
            return self._evaluation.result(tree), reads
        patches = patches_for(self._site, tree, self._index, self._site.own, apart=True)
        return self._through_chain(patches), tuple(
            value for patch in patches.values() for value in patch.reads
        )

    def expected(self, reads: tuple[Value, ...]) -> torch.Tensor | None:
        """What the gradient should be, computed from what it then is computed from."""
        judge = self._setting.judge
        own = {
            i for i, fault in enumerate(judge.faults)
            if fault.judged.version is self._judged.version or fault.judged.candidate.value.root in self._made
        }  # fmt: skip
        faults: frozenset[int] = frozenset()
        for root in (*self._outside, *(value.root for value in reads)):
            faults |= judge.influence_of(root)
        expected = (
            judge.expectation(faults - own)[0].get(self._judged.of) if self._judged.of is not None else None
        )
        if expected is not None and self._judged.scale is not None:
            return self._judged.scale * expected
        return expected

    def tolerance(self, expected: torch.Tensor) -> float:
        judge = self._setting.judge
        noise = judge.noise_of(self._judged.of) if self._judged.of is not None else 0.0
        return max(RELATIVE_TOLERANCE * norm(expected), NOISE_SHARE * noise, judge.rounding.floor)

    def _through_chain(self, patches: dict[int, SitePatch]) -> torch.Tensor:
        replay = Runner(self._setting.replay.dtype, known=self._known, patches=patches)
        with torch.no_grad():
            for op in self._chain:
                replay.step(op)
        value = self._judged.candidate.value
        if value in replay.broken:
            raise CannotEvaluateError(replay.broken[value])
        if value not in replay.env:
            raise CannotEvaluateError("it does not lead to the gradient")
        return replay.env[value].detach()


def _needed(site: Site, chain: list[Op], mutated: set[Value]) -> list[Op]:
    """Of the ops that led to the gradient (in order), those to run again: what depends on the piece, and all that
    makes a tensor which changes in place on the way."""
    ends = {e.last for e in site.own} | {i for e in site.own for i in e.ops}
    begin = min(e.first for e in site.own)
    moved = {e.value.root for e in site.own}
    while True:
        size = len(moved)
        for op in chain:
            if op.index in ends or (op.index >= begin and any(v.root in moved for v in op.inputs)):
                moved.update(v.root for v in (*op.outputs, *op.mutated))
        # Of what changes in place, the state at the time is known only if all its changes are made again.
        for op in chain:
            if any(v.root in moved for v in (*op.outputs, *op.mutated)):
                moved.update(v.root for v in op.inputs if v.root in mutated)
        if len(moved) == size:
            break
    kept = [
        op for op in chain if any(v.root in moved for v in (*op.outputs, *op.mutated)) or op.index in ends
    ]
    if any(root in mutated for root in moved):
        return kept
    return [op for op in kept if op.index >= min(ends)]
