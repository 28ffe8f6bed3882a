"""What a gradient was meant to be the gradient of: the evidence of names, attributes, updates and the person's word."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from gradcheck.fronts.gradient_names import Form, name_affinity, parse, split_path
from gradcheck.fronts.tape import Binding, Value
from gradcheck.judge.pairing.names import NameIndex
from gradcheck.judge.pairing.stated import Stated
from gradcheck.replay.compare import distance, never_summed, same_but_for_ones
from gradcheck.replay.passes import Candidate, PassPlan

if TYPE_CHECKING:
    from gradcheck.judge.judged import Judged

_GOOD_AFFINITY = 0.6
BY_NAME = "its name"
_WHOLE = 0.95  # `d_out_b` may be dout/db; where there is an `out_b` it is the gradient of that


@dataclass(slots=True)
class Proposal:
    value: Value
    evidence: str
    certain: bool = False
    alternatives: list[Value] = field(default_factory=list)


class Partners:
    """`stated` is what the person said themselves, which settles what names and use only suggest."""

    def __init__(self, plan: PassPlan, names: NameIndex, stated: Stated) -> None:
        self._plan = plan
        self.names = names
        self._stated = stated
        self._forward: list[Value] = []
        seen: set[Value] = set()
        for op in plan.forward_ops:
            for value in (*op.inputs, *op.outputs):
                if value not in seen:
                    seen.add(value)
                    self._forward.append(value)
        self._order = {value: i for i, value in enumerate(self._forward)}
        self._forward_names = {value: names.forward_names(value) for value in self._forward}
        self._affinities: dict[tuple[int, Value], float] = {}

    def nameless_origins(self) -> set[Value]:
        """What a named value was first made of (`randn(5, 3)` in `W = randn(5, 3) * 0.1`) and has no name itself:
        nobody computes its gradient."""
        found: set[Value] = set()
        for op in self._plan.forward_ops:
            if all(v in found for v in op.inputs):
                found.update(v for v in op.outputs if v.producer is op and not self.names.bindings(v))
        return found

    def shown(self, value: Value) -> str:
        return self.names.shown(value)

    def named(self, candidate: Candidate) -> bool:
        """Whether anything but its numbers says that this is a gradient."""
        return (
            candidate.of is not None
            or self.propose_by_name(candidate) is not None
            or bool(self._stated_values(candidate))
        )

    def is_stated(self, candidate: Candidate, value: Value) -> bool:
        """Whether the person has said themselves that it is the gradient of this value."""
        return value in self._stated_values(candidate)

    def score(self, candidate: Candidate, value: Value) -> float:
        told = self._stated_values(candidate)
        if told and value in told:
            return 3.0
        if candidate.of is not None and candidate.of.root is value.root:
            return 2.0
        return self._affinity(candidate, value)

    def choose(self, candidate: Candidate, equal: list[Value], paired: Mapping[Value, Judged]) -> Proposal:
        """Among values that have the very gradient found: the one meant."""

        def rank(value: Value) -> tuple[float, bool, bool, int]:
            return (
                self.score(candidate, value),
                bool(self._forward_names.get(value)),
                value not in paired,
                self._order.get(value, -1),
            )

        chosen = max(equal, key=rank)
        score = self.score(candidate, chosen)
        if candidate.returned and chosen is candidate.of:
            return Proposal(chosen, f"{candidate.of_evidence} and its numbers")
        if score >= _GOOD_AFFINITY:
            return Proposal(chosen, f"its {'name' if score <= 1 else 'use'} and its numbers")
        return Proposal(chosen, "its numbers")

    def propose(
        self,
        candidate: Candidate,
        found: torch.Tensor,
        paired: Mapping[Value, Judged],
        truth: Mapping[Value, torch.Tensor],
    ) -> Proposal | None:
        """What it was meant to be the gradient of, although its numbers do not say so."""
        told = [v for v in self._stated_values(candidate) if v in truth]
        if told:
            value = self._closest(told, found, truth, paired)
            return Proposal(value, self._word(candidate), certain=True)
        if candidate.returned and candidate.of is not None:
            return Proposal(candidate.of, candidate.of_evidence, certain=True)
        if candidate.of is not None:
            same_storage = [v for v in self._forward if v.root is candidate.of.root and v in truth]
            fitting = [v for v in same_storage if tuple(truth[v].shape) == tuple(found.shape)] or same_storage
            if fitting:
                value = candidate.of if candidate.of in fitting else fitting[0]
                by_name = self.propose_by_name(candidate)
                if (
                    by_name is None
                    or any(option.root is value.root for option in self._by_name(candidate))
                    or candidate.of_evidence.startswith("being")
                ):
                    return Proposal(value, candidate.of_evidence, certain=True)
        options = self._by_name(candidate)
        options = [v for v in options if v in truth]
        if not options:
            return None
        fitting = [v for v in options if truth[v].shape == found.shape] or [
            v for v in options if same_but_for_ones(truth[v].shape, found.shape)
        ]
        if (
            not fitting
            and parse(candidate.name).form < Form.EXPLICIT
            and self._affinity(candidate, options[0]) < 1
        ):
            return None
        best = self._closest(fitting or options, found, truth, paired)
        return Proposal(best, BY_NAME, certain=len(fitting) == 1, alternatives=fitting)

    def propose_by_name(self, candidate: Candidate) -> Proposal | None:
        options = self._by_name(candidate)
        return Proposal(options[-1], BY_NAME) if options else None

    def meant_instead(
        self, candidate: Candidate, of: Value, found: torch.Tensor, *, of_unnamed: bool = False
    ) -> Value | None:
        """Another forward value, of the shape of what was found, whose name or use fits clearly better.
        `of_unnamed`: also if `of` has no name with which it could be confused."""
        if of in self._stated_values(candidate):
            return None
        if candidate.of is not None:
            used_for = candidate.of if candidate.of in self._order else None
            if used_for is None or used_for.root is of.root or self._is_only_misused(candidate, of):
                return None
            return used_for
        if not (of_unnamed or self._forward_names.get(of)) or self._affinity(candidate, of) >= 0.5:
            return None
        if parse(candidate.name).form < Form.BARE_D:
            return None
        for value in self._by_name(candidate):
            if value is not of and value.root is not of.root:
                other_shape = value.shape != tuple(found.shape) and not candidate.second_name
                if other_shape and not (of_unnamed and never_summed(tuple(found.shape), value.shape)):
                    continue
                if self._affinity(candidate, value) >= 0.99:
                    return value
        return None

    def _is_only_misused(self, candidate: Candidate, of: Value) -> bool:
        """Whether the gradient is right, and only the update applies it to another parameter: its numbers say
        `of`, and its name does not contradict them."""
        assert candidate.of is not None
        own, other = self._affinity(candidate, of), self._affinity(candidate, candidate.of)
        if own >= _GOOD_AFFINITY and own > other:
            return True
        moved = {update.parameter.root for update in self._plan.updates}
        return other < _GOOD_AFFINITY and of.root in moved and of.shape == candidate.of.shape

    def _by_name(self, candidate: Candidate) -> list[Value]:
        """Forward values whose name fits best, in program order."""
        best: list[Value] = []
        top = _GOOD_AFFINITY - 1e-9
        for value in self._forward:
            affinity = self._affinity(candidate, value)
            if affinity > top + 1e-9:
                best, top = [value], affinity
            elif abs(affinity - top) <= 1e-9 and best:
                best.append(value)
        return best

    def _affinity(self, candidate: Candidate, value: Value) -> float:
        key = (id(candidate), value)
        known = self._affinities.get(key)
        if known is None:
            known = self._affinities[key] = self._measure(candidate, value)
        return known

    def _measure(self, candidate: Candidate, value: Value) -> float:
        forward_names = self._forward_names.get(value)
        if not forward_names:
            return 0.0
        best = 0.0
        owners = {b.owner for b in self.names.bindings(value) if b.owner}
        bases = {split_path(b.variable)[0] for b in self.names.bindings(value) if b.owner}
        for binding in candidate.bindings:
            parsed = parse(binding.variable)
            exact = _WHOLE * any(name in _after_d(binding.variable) for name in forward_names)
            if not exact and (parsed.form is Form.NONE or parsed.stem is None):
                continue
            if parsed.stem is not None and _names_an_operation(binding, parsed.stem):
                continue
            affinity = max(exact, *(name_affinity(parsed.stem or "", name) for name in forward_names))
            if binding.alias:
                affinity *= 0.8
            if affinity >= _GOOD_AFFINITY and binding.owner and owners:
                # self.dW and self.W of the same object belong together; those of two objects do not.
                if binding.owner in owners:
                    affinity += 0.2
                elif (
                    split_path(binding.variable)[0] in bases
                ):  # grads['b'] and params['b'] are two dicts anyway
                    affinity -= 0.25
            best = max(best, affinity)
        return best

    def _stated_values(self, candidate: Candidate) -> list[Value]:
        paired = self._stated.paired(candidate.value)
        if paired:
            return [value for value in paired if value in self._order]
        wanted = {told[0] for b in candidate.bindings if (told := self._stated.value_of(b))}
        if not wanted:
            return []
        return [v for v in self._forward if wanted & set(self._forward_names[v])]

    def _word(self, candidate: Candidate) -> str:
        """By what the person told it."""
        if self._stated.paired(candidate.value):
            return "`gradcheck.pair`"
        word = next(told[1] for b in candidate.bindings if (told := self._stated.value_of(b)))
        return f"{word}, by name"

    def _closest(
        self,
        values: list[Value],
        found: torch.Tensor,
        truth: Mapping[Value, torch.Tensor],
        paired: Mapping[Value, Judged],
    ) -> Value:
        def rank(value: Value) -> tuple[bool, bool, float, int]:
            expected = truth[value]
            far = distance(found, expected) if expected.numel() == found.numel() else float("inf")
            return (expected.shape != found.shape, value in paired, far, -self._order[value])

        return min(values, key=rank)


def _after_d(name: str) -> tuple[str, ...]:
    """What follows the d of a plain name: `out_b` for `d_out_b`, `s` for `ds`."""
    return (name[1:], name[2:]) if name.startswith("d_") else (name[1:],) if name.startswith("d") else ()


def _names_an_operation(binding: Binding, stem: str) -> bool:
    """`mean_grad = grad.mean(-1)` is the mean of a gradient, and says nothing of a forward value `mean`."""
    producer = binding.value.producer
    name = split_path(binding.variable)[1]
    return producer is not None and producer.name == stem and name.startswith(f"{stem}_")
