"""How every parameter moved in a step, and by which gradient.

What is followed is where numbers go, not what things are called: a gradient may reach its parameter through a learning
rate, momentum, Adam's moments, clipping or a list. Where the way cannot be followed to its end (through Python numbers,
NumPy, autograd) the parameter is `unchecked`, and nothing is said about it.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

import torch

from gradcheck.fronts.gradient_names import Form, name_affinity, parse
from gradcheck.fronts.tape import Op, Value
from gradcheck.judge.judge import Judge
from gradcheck.judge.judged import Judged
from gradcheck.judge.lines import line_of
from gradcheck.judge.step.effects import gradient_effects
from gradcheck.judge.step.parameters import Parameter, find_parameters, span_of
from gradcheck.judge.step.rebound import lost_in_loop, rebound
from gradcheck.judge.step.records import Movement, ParameterUpdate
from gradcheck.judge.step.still import may_be_still
from gradcheck.judge.step.trails import AUTOGRAD, Flow, Move, Trail
from gradcheck.judge.verdict import Verdict
from gradcheck.replay.compare import cosine, distance, norm
from gradcheck.replay.probes import Jittered
from gradcheck.replay.run import PassRun
from gradcheck.replay.runner import attempted

# A step that the gradient decides points along it; Adam's, of plus and minus ones, still has a cosine of about 0.8.
_ALONG = 0.3
_PARALLEL = 1 - 1e-9
_RIGHT = (Verdict.CORRECT, Verdict.INHERITED)


def parameter_updates(judge: Judge, flow: Flow) -> list[ParameterUpdate]:
    return _Updates(judge, flow).records()


class _Updates:
    def __init__(self, judge: Judge, flow: Flow) -> None:
        self._judge = judge
        self._flow = flow
        self._names = judge.names
        self._places = judge.places
        self._truth = judge.run.graph.truth
        self._parameters = find_parameters(judge, flow)
        self._roots = {parameter.value.root for parameter in self._parameters}

    def records(self) -> list[ParameterUpdate]:
        moved = [p for p in self._parameters if p.moves]
        effects = gradient_effects(
            self._judge,
            {p.value: span_of(p) for p in moved},
            [j.version for p in self._parameters for j in p.own],
        )
        found = {
            id(p): self._moved(p, effects.get(p.value))
            for p in self._parameters
            if p.moves or self._assigned(p)
        }
        siblings = [
            p
            for p in moved
            if found[id(p)].movement in (Movement.DESCENDS, Movement.ASCENDS, Movement.ANOTHERS)
        ]
        for p in self._parameters:
            if id(p) not in found and p.own:
                found[id(p)] = self._given_away(p) or self._not_moved(p, siblings)
        return [found[id(p)] for p in self._parameters if id(p) in found]

    def _assigned(self, parameter: Parameter) -> list[Move]:
        return self._flow.assigned.get(parameter.value.root, [])

    # -- how it moved ----------------------------------------------------------------------------------------------

    def _moved(self, parameter: Parameter, effect: torch.Tensor | None) -> ParameterUpdate:
        for move in self._assigned(parameter):
            sources = self._flow.judged_sources(move.trail)
            if AUTOGRAD not in move.trail and self._are_anothers(parameter, sources):
                return self._record(parameter, Movement.ANOTHERS, move.op, sources)
        if not parameter.moves:
            return self._unchecked(parameter, "its `.grad` was set, for an optimiser")
        op = parameter.deciding[-1].op
        trail = Trail().union(*(move.trail for move in parameter.moves))
        if AUTOGRAD in trail:
            found = self._unchecked(parameter, "autograd's gradient takes part in its move", op)
            return replace(found, unseen=False)
        sources = self._flow.judged_sources(trail)
        if not sources:
            return self._moved_without(parameter, op)
        own = [j for j in sources if self._belongs(j, parameter.value)]
        others = [j for j in sources if j not in own]
        if effect is None:
            return self._unchecked(parameter, "its move could not be replayed", op, sources)
        # Clipping by a common norm makes every step of all gradients; its direction is still that of one.
        decisive = [j for j in others if _is_along(effect, j, _PARALLEL)]
        undecided = any(_is_along(effect, j, _PARALLEL) for j in own)
        if not undecided and self._are_anothers(parameter, decisive):
            return self._record(parameter, Movement.ANOTHERS, op, decisive)
        if own:
            return self._along_own(parameter, op, sources, own[-1], effect)
        if self._are_anothers(parameter, sources) and any(_is_along(effect, j, _ALONG) for j in sources):
            return self._record(parameter, Movement.ANOTHERS, op, sources)
        return self._unchecked(parameter, "its step is made of several gradients", op, sources)

    def _along_own(
        self, parameter: Parameter, op: Op, sources: list[Judged], own: Judged, effect: torch.Tensor
    ) -> ParameterUpdate:
        along = _along(effect, own)
        if abs(along) < _ALONG:
            return self._unchecked(parameter, "its step does not follow the gradient", op, sources)
        uphill = along * (own.scale if own.scale is not None else 1.0) > 0
        if uphill and own.verdict not in _RIGHT:
            # A wrong sign in the gradient and another one in the update would make a right step of both.
            return self._unchecked(parameter, "its gradient is not right itself", op, sources)
        movement = Movement.ASCENDS if uphill else Movement.DESCENDS
        curved = uphill and self._is_curved(parameter.value)
        return self._record(parameter, movement, op, sources, curved=curved)

    def _moved_without(self, parameter: Parameter, op: Op) -> ParameterUpdate:
        reason = self._lost_track(parameter)
        if not reason and self._judge.plan.iteration is None:
            reason = "it is moved outside of a training loop"
        elif not reason and not parameter.own:
            reason = "no manual gradient of it was found"
        movement = Movement.UNCHECKED if reason else Movement.WITHOUT
        return self._record(parameter, movement, op, [], reason)

    def _given_away(self, parameter: Parameter) -> ParameterUpdate | None:
        """Its new value is computed, and does not become its value; or something else does."""
        if self._judge.plan.iteration is None or not any(_is_meant_for(j) for j in parameter.own):
            return None
        computed = [move.op for move in self._flow.moves.get(parameter.value.root, ()) if move.by_gradients]
        lost = lost_in_loop(parameter.value, computed, self._judge)
        if lost is not None:
            return self._record(parameter, Movement.LOST, lost, parameter.own)
        found = rebound(parameter.value, [j.version for j in parameter.own], self._judge)
        return self._record(parameter, found[0], found[1], parameter.own) if found is not None else None

    def _not_moved(self, parameter: Parameter, siblings: list[Parameter]) -> ParameterUpdate:
        reason = self._lost_track(parameter)
        moved = [p.value for p in self._parameters if p.moves]
        if not siblings:
            reason = "no parameter was seen to move by a manual gradient"
        elif not reason and not any(_is_meant_for(j) for j in parameter.own):
            reason = "no name says that the gradient is its own"
        elif not reason and not may_be_still(parameter.value, moved, self._judge):
            reason = "it may be an input, or be left alone on purpose"
        movement = Movement.UNCHECKED if reason else Movement.STILL
        return self._record(parameter, movement, None, [], reason)

    def _lost_track(self, parameter: Parameter) -> str:
        """Why its gradient may have reached it unseen."""
        if any(j.version in self._flow.escaped for j in parameter.own):
            return "its gradient was handed to Python or NumPy, where it is not followed"
        if any(any(j is met for j in parameter.own) for met in self._flow.met(parameter.value.root)):
            return "it met its gradient on a way that was not followed"
        return ""

    # -- whose gradient it is --------------------------------------------------------------------------------------

    def _belongs(self, judged: Judged, parameter: Value) -> bool:
        of = [v for v in (judged.of, *judged.alternatives) if v is not None]
        if any(value.root is parameter.root for value in of):
            return True
        truth = self._truth.get(parameter)
        if judged.found is not None and truth is not None and judged.found.numel() == truth.numel():
            tolerance = self._judge.tolerance(judged.version, norm(truth), judged.noise)
            if distance(judged.found, truth) <= tolerance:
                return True
        stem = parse(judged.candidate.name).stem
        named = self._names.forward_names(parameter)
        fits_of = max(
            (name_affinity(stem or "", n) for v in of for n in self._names.forward_names(v)), default=0.0
        )
        fits = max((name_affinity(stem or "", name) for name in named), default=0.0)
        return fits >= 0.6 and fits > fits_of

    def _are_anothers(self, parameter: Parameter, sources: list[Judged]) -> bool:
        """Whether they are the finished gradient of one other parameter, and of nothing else. (The first moment
        of Adam, corrected for its bias, is the gradient once more.)"""
        of = {judged.of.root for judged in sources if judged.of is not None}
        return (
            len(of) == 1
            and of <= self._roots - {parameter.value.root}
            and all(
                judged.verdict in _RIGHT
                and judged.of is not None
                and tuple(judged.of.shape) == tuple(parameter.value.shape)
                and not self._belongs(judged, parameter.value)
                for judged in sources
            )
        )

    def _is_curved(self, value: Value) -> bool:
        """Whether the loss is not linear in the value: its gradient changes as the value moves."""
        jittered = Jittered(self._judge.run, [value], seed=1)
        moved = attempted(PassRun, self._judge.prepared, torch.float64, jittered)
        here, there = self._truth.get(value), None if moved is None else moved.graph.truth.get(value)
        return here is not None and there is not None and distance(here, there) > 1e-6 * norm(here)

    # -- records ---------------------------------------------------------------------------------------------------

    def _unchecked(
        self, parameter: Parameter, reason: str, op: Op | None = None, sources: Sequence[Judged] = ()
    ) -> ParameterUpdate:
        return self._record(parameter, Movement.UNCHECKED, op, sources, reason)

    def _record(
        self, parameter: Parameter, movement: Movement, op: Op | None, sources: Sequence[Judged],
        reason: str = "", curved: bool = False,
    ) -> ParameterUpdate:  # fmt: skip
        gradient = parameter.own[-1] if parameter.own else None
        shown = self._names.shown_for(parameter.value, gradient.candidate.name if gradient else "")
        # That of a layer's output may move its bias as it is.
        seen = gradient is not None or any(self._belongs(judged, parameter.value) for judged in sources)
        return ParameterUpdate(
            parameter=shown,
            movement=movement,
            location=self._places.location(op) if op is not None else None,
            gradient=gradient.candidate.name if gradient else None,
            gradient_location=line_of(gradient.version, self._places) if gradient else None,
            moved_by=tuple(j.candidate.name for j in sources),
            moved_by_of=tuple(
                self._names.shown_for(j.of, j.candidate.name) for j in sources if j.of is not None
            ),
            curved=curved,
            reason=reason,
            unseen=not seen and op is not None and norm(self._truth[parameter.value]) > 0,
        )


def _along(effect: torch.Tensor, judged: Judged) -> float:
    """The cosine between a step and a gradient; 0 where there is none."""
    if judged.found is None or judged.found.numel() != effect.numel():
        return 0.0
    return cosine(effect, judged.found) or 0.0


def _is_along(effect: torch.Tensor, judged: Judged, least: float) -> bool:
    return abs(_along(effect, judged)) >= least


def _is_meant_for(judged: Judged) -> bool:
    named = parse(judged.candidate.name).form >= Form.BARE_D
    return named and (judged.verdict in _RIGHT or re.search(r"name|use|--pair", judged.evidence) is not None)
