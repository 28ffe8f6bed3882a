"""What becomes of the later gradients when the true gradient is put in the place of this one."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from functools import cached_property

import torch

from gradcheck.fronts.tape import Op, Value
from gradcheck.graph import flow
from gradcheck.judge.case import Case
from gradcheck.judge.judge import Judge
from gradcheck.replay.compare import differentiable, distance, norm, same_but_for_ones
from gradcheck.replay.passes import Blames, Version
from gradcheck.replay.track import Track

_ENOUGH = 16  # later gradients


class Effect(Enum):
    """Of putting the true gradient where this one is."""

    HEALS = auto()  # something that is wrong becomes right, more than what is right becomes wrong
    HELPS = auto()  # what is wrong stays wrong, and comes closer; what is right stays right
    NO_VICTIM = auto()  # everything computed from it is right as it is
    NONE = auto()  # what is wrong stays as wrong
    UNKNOWN = auto()  # the true gradient cannot be put there: it has another number of elements


@dataclass(frozen=True, slots=True)
class _Later:
    """A gradient that is computed from another: as it is written, and with the true one put there."""

    as_written: torch.Tensor
    with_truth: torch.Tensor
    was_right: bool
    is_right: bool
    is_output: bool


def has_victim(case: Case, partner: Value, scale: float | None = None) -> bool:
    """Whether a gradient that is not that of `partner` does harm: it is an output itself, or something that is wrong
    heals with the true gradient in its place. `scale`: it is kept as that multiple of the gradient."""
    if case.is_unsummed(partner):
        return True
    if case.outputs.is_replaced_unread(case.version) or not case.outputs.spoils_one(case.version):
        return False
    return _decided(case, Intervention(case, partner, scale).shows_harm)


def heals(case: Case, partner: Value) -> bool:
    """Whether something that is wrong becomes right with the gradient of `partner` in its place."""
    intervention = Intervention(case, partner, None)
    return _decided(case, lambda blames: intervention.effect(blames) is Effect.HEALS)


def _decided(case: Case, answer: Callable[[Blames], bool]) -> bool:
    """The answer as this pass blames. Where stricter ways decide otherwise, the pass knows: under the others, which share
    the replays, nothing changes."""
    plan = case.judge.plan
    found = answer(plan.blames)
    if plan.blames is Blames.WHAT_HELPS:
        plan.disputed |= {other for other in {*Blames} - plan.disputed if answer(other) != found}
    return found


def is_finished(case: Case) -> bool:
    """Whether it is not a stage of what the person sees as one variable, but for being clipped later on."""
    later = case.judge.relations.successor(case.version)
    if later is None:
        return case.version.final
    return case.judge.relations.only_rescales(later, case.version)


class Intervention:
    """The true gradient in the place of this one, and all wrong gradients found so far replaced by true ones as well: what
    becomes of the finished gradients that are computed from it, replayed as far as that is asked."""

    def __init__(self, case: Case, partner: Value, scale: float | None) -> None:
        self._case, self._partner, self._scale = case, partner, scale
        self._effects: dict[bool, Effect] = {}  # on all of them, and on outputs alone

    @cached_property
    def _truth(self) -> torch.Tensor | None:
        return _in_its_place(self._case, self._partner, self._scale, self._case.found)

    def shows_harm(self, blames: Blames) -> bool:
        case, finished = self._case, is_finished(self._case)
        if blames is Blames.WHAT_HEALS_OUTPUTS:
            is_output = case.outputs.is_one(case.version)
        else:
            is_output = not self._is_read_for_another
        if finished and (case.candidate.of is not None or is_output):
            return True
        effect = self.effect(blames)
        helps = finished and effect is Effect.HELPS and blames is Blames.WHAT_HELPS
        unknown = effect is Effect.UNKNOWN and not case.judge.multiplies_gradients(case.candidate.value)
        return helps or effect is Effect.HEALS or unknown

    @cached_property
    def _is_read_for_another(self) -> bool:
        """Whether the gradient of another value is computed from it, and not only the step of an optimiser."""
        case, judge = self._case, self._case.judge
        for version in case.consumers.versions:
            found = judge.captured(version)
            if version.candidate is case.candidate or found is None:
                continue
            proposal = judge.partners.propose(version.candidate, found, judge.paired, case.truth)
            if proposal is not None and proposal.value is not self._partner:
                return True
        return False

    def effect(self, blames: Blames) -> Effect:
        outputs = blames is Blames.WHAT_HEALS_OUTPUTS
        if self._truth is None:
            return Effect.UNKNOWN
        if outputs not in self._effects:
            self._effects[outputs] = self._effect(self._later, outputs)
        return self._effects[outputs]

    @cached_property
    def _there(self) -> Track:
        """The backward pass up to here; its line is put right in the other turns of a loop as well."""
        case, judge = self._case, self._case.judge
        if not self._other_turns:
            return case.outputs.healed(case.version)
        true = {id(version): tensor for version, tensor in judge.true_ones().items()}
        return judge.run.track({**self._other_turns, **true}).after(case.version)

    @cached_property
    def _other_turns(self) -> dict[int, torch.Tensor]:
        """The true gradients in the place of what its line makes in other turns of a loop, by the identity of the version."""
        case, judge, found = self._case, self._case.judge, {}
        line = _statement(judge, case.version)
        for candidate in judge.plan.candidates if line is not None else ():
            version = candidate.versions[-1]
            if candidate is case.candidate or candidate.name != case.candidate.name:
                continue
            captured = judge.captured(version) if _statement(judge, version) is line else None
            if captured is not None and (of := _meant(case, version, captured)) is not None:
                truth = _in_its_place(case, of, self._scale, captured)
                if truth is not None:
                    found[id(version)] = truth
        return found

    @cached_property
    def _later(self) -> list[_Later]:
        """Where more heals than breaks among those that come first, outputs too, it is not looked further: in a deep network
        everything else is computed from each gradient."""
        case, outputs, own = self._case, self._case.outputs, self._case.version
        assert self._truth is not None
        as_written, with_truth = self._there.fork(), self._there.fork()
        with_truth.replace(own, self._truth)
        found: list[_Later] = []
        for version in sorted(case.consumers.versions, key=lambda version: version.after):
            if not (version.final and outputs.spoils_one(version)):
                continue
            is_output = outputs.is_one(version)
            if _is_the_same(version, own) and not is_output:
                continue  # nothing but itself heals with it
            before = as_written.after(version).captured.get(id(version))
            after = with_truth.after(version).captured.get(id(version))
            if before is not None and after is not None and differentiable(before):
                was_right = outputs.is_right(version, before, self._scale)
                is_right = outputs.is_right(version, after, self._scale)
                found.append(_Later(before, after, was_right, is_right, is_output))
                if len(found) % _ENOUGH == 0 and _balance(found) > 0 < _balance(found, outputs=True):
                    break
        return found

    def _effect(self, later: list[_Later], outputs: bool) -> Effect:
        wrong = [each for each in later if not each.was_right and (each.is_output or not outputs)]
        if not wrong:
            return Effect.NO_VICTIM
        if _balance(later, outputs) > 0:
            return Effect.HEALS
        if any(each.was_right and not each.is_right for each in later if each.is_output or not outputs):
            return Effect.NONE
        closer = [_error(self._case, each.with_truth) < _error(self._case, each.as_written) for each in wrong]
        return Effect.HELPS if 2 * sum(closer) > len(closer) else Effect.NONE


def _balance(later: list[_Later], outputs: bool = False) -> int:
    """How many more heal than break."""
    return sum(each.is_right - each.was_right for each in later if each.is_output or not outputs)


def _in_its_place(
    case: Case, partner: Value, scale: float | None, found: torch.Tensor
) -> torch.Tensor | None:
    truth = case.truth.get(partner)
    if truth is None or truth.numel() != found.numel():
        return None
    return (truth if scale is None else scale * truth).reshape(found.shape)


def _meant(case: Case, version: Version, captured: torch.Tensor) -> Value | None:
    """What another gradient was meant to be the gradient of; looked for once."""
    known = case.outputs.meant
    if version not in known:
        known[version] = None
        other = Case(case.judge, version, captured, case.judge.influence(version), case.outputs)
        proposal = other.by_place or other.named
        if proposal is not None and proposal.value in case.truth:
            known[version] = proposal.value
    return known[version]


def _statement(judge: Judge, version: Version) -> object:
    return judge.names.statement(version.writes[-1]) if version.writes else None


def _is_the_same(version: Version, as_: Version) -> bool:
    """Whether it is those numbers in another shape or order."""
    found = flow.ancestors(version.candidate.value, through=_only_arranges)
    return as_.candidate.value in found and len(version.writes) <= 1


def _only_arranges(op: flow.Step) -> bool:
    return isinstance(op, Op) and op.operation.keeps_numbers


def _error(case: Case, found: torch.Tensor) -> float:
    """The distance to the nearest true gradient of its shape, relative to that."""
    own, truth, least = norm(found), case.truth, math.inf
    fitting = (
        v for v, t in truth.items() if same_but_for_ones(t.shape, found.shape) and truth.norm_of(v) > 0
    )
    apart = {value: abs(own - truth.norm_of(value)) / truth.norm_of(value) for value in fitting}
    for value in sorted(apart, key=apart.__getitem__):
        if apart[value] > least + 1e-9:
            break
        least = min(least, distance(found, truth[value]) / truth.norm_of(value))
    return least
