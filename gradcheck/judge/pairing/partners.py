"""What a gradient was meant to be the gradient of: the evidence of names, attributes, updates and the person's word."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from gradcheck.fronts.gradient_names import Form, is_delta, is_loss_name, name_affinity, parse
from gradcheck.fronts.markers import OUR_PLACE
from gradcheck.fronts.tape import Kind, Op, Value
from gradcheck.graph import flow
from gradcheck.judge.pairing.affinity import ALIAS, GOOD_AFFINITY, Affinity
from gradcheck.judge.pairing.names import NameIndex
from gradcheck.judge.pairing.stated import Stated
from gradcheck.replay.compare import Measured, distance, never_summed, norm, same_but_for_ones
from gradcheck.replay.earlier import EarlierVersion, as_of_now, earlier_versions
from gradcheck.replay.passes import Candidate, PassPlan

if TYPE_CHECKING:
    from gradcheck.judge.judged import Judged

_NAMED = 0.5  # of a score
BY_NAME = "its name"


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
        earlier = earlier_versions(plan.forward_ops)
        self._first = {as_of_now(version): version for version in reversed(earlier.values())}
        self.nameless = self._nameless_origins(earlier)
        self._forward = self._in_order(earlier)
        self._order = {value: i for i, value in enumerate(self._forward)}
        self._forward_names = {value: self._names_of(value) for value in self._forward}
        self._bearers: dict[str, list[Value]] = defaultdict(list)
        for value, its in self._forward_names.items():
            for name in its:
                self._bearers[name].append(value)
        self._affinities = affinity = Affinity(names, self._forward_names, plan.loss)
        self._affinity, self._of_variables = affinity.between, affinity.of_variables
        self._best_named: dict[Candidate, list[Value]] = {}
        self._in_storage: dict[Value, list[Value]] = defaultdict(list)
        for value in self._forward:
            self._in_storage[value.root].append(value)

    def _in_order(self, earlier: Mapping[int, EarlierVersion]) -> list[Value]:
        """The values of the forward pass, and what they were before they were changed in place."""
        found: dict[Value, None] = {}
        for op in self._plan.forward_ops:
            found.update(dict.fromkeys(op.inputs))
            version = earlier.get(op.index)
            if version is not None:
                del found[as_of_now(version)]
                found |= {version: None, as_of_now(version): None}
            found.update(dict.fromkeys(op.outputs))
        return [value for value in found if value not in self.nameless]

    def _names_of(self, value: Value) -> list[str]:
        """Its own, and those of its copies: the backward pass may run on a copy of what the forward pass read."""
        copies = (copy for copy in self.names.copies(value) if copy not in self._order)
        return [name for held in (value, *copies) for name in self.names.forward_names(held)]

    def _nameless_origins(self, earlier: Mapping[int, EarlierVersion]) -> set[Value]:
        """What a named value was first made of (`randn(5, 3)` in `W = randn(5, 3) * 0.1`, or before `W *= 0.1`) and has
        no name itself, and what only we compute, on the way to a layer's loss: nobody computes its gradient. (Of an
        argument that is changed in place, somebody does.)"""
        stated = {self._first.get(value) for value in self._stated.all_paired}
        found: set[Value] = set()
        for op in self._plan.forward_ops:
            ours = op.code.co_filename == OUR_PLACE and op is not self._plan.loss_op
            if any(v in found for v in op.inputs):  # `randn(5, 3) * np.sqrt(1 / 3)`
                numbers = (v for v in op.inputs if v.producer is None and v.shape == ())
                found.update(v for v in numbers if not self.names.bindings(v))
            if ours or all(v in found for v in op.inputs):
                found.update(v for v in op.outputs if v.producer is op and not self.names.bindings(v))
        for version in earlier.values():
            if version not in stated and all(v in found for v in _made_of(version)):
                found.add(version)
        return found

    def shown(self, value: Value) -> str:
        return self.names.shown(value)

    def has_name(self, value: Value) -> bool:
        return bool(self._forward_names.get(value))

    def named(self, candidate: Candidate) -> bool:
        """Whether anything but its numbers says that this is a gradient."""
        if candidate.of is not None or self.is_said_to_be_one(candidate):
            return True
        return self.propose_by_name(candidate) is not None

    def is_said_to_be_one(self, candidate: Candidate) -> bool:
        """Whether the person has said themselves that it is a gradient."""
        return bool(self._stated_values(candidate))

    def is_stated(self, candidate: Candidate, value: Value) -> bool:
        """Whether the person has said themselves that it is the gradient of this value."""
        return value in self._stated_values(candidate)

    def score(self, candidate: Candidate, value: Value) -> float:
        if self.is_stated(candidate, value):
            return 3.0
        if candidate.of is not None and candidate.of.root is value.root:
            return 2.0
        return self._affinity(candidate, value)

    def is_named_for(self, candidate: Candidate, value: Value) -> bool:
        """Whether its name, its use or the person says that it is the gradient of `value`."""
        return self.score(candidate, value) >= _NAMED

    def is_given_name_for(self, candidate: Candidate, value: Value) -> bool:
        """The same, where the name of a parameter that it is handed over as does not count."""
        return self.score(candidate, value) > ALIAS

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
        if score >= GOOD_AFFINITY:
            return Proposal(chosen, f"its {'name' if score <= 1 else 'use'} and its numbers")
        return Proposal(chosen, "its numbers")

    def propose(
        self, candidate: Candidate, found: torch.Tensor, paired: Mapping[Value, Judged], truth: Measured
    ) -> Proposal | None:
        """What it was meant to be the gradient of, although its numbers do not say so."""
        stated = [v for v in self._stated_values(candidate) if v in truth]
        if stated:
            value = self._closest(stated, found, truth, paired)
            return Proposal(value, self._word(candidate), certain=True)
        if candidate.returned and candidate.of is not None:
            return Proposal(candidate.of, candidate.of_evidence, certain=True)
        if candidate.of is not None and self.is_out_of_reach(candidate, truth):
            return Proposal(candidate.of, candidate.of_evidence)
        return self._propose_by_use(candidate, found, truth) or self._propose_by_fitting_name(
            candidate, found, paired, truth
        )

    def is_out_of_reach(self, candidate: Candidate, truth: Measured) -> bool:
        """Whether the loss does not reach what it is used for, whose name fits as well as any: a parameter of another
        network may have the same name."""
        used_for = candidate.of
        if used_for is None or candidate.returned:
            return False
        if any(value in truth for value in self._in_storage.get(used_for.root, ())):
            return False
        stem, names = parse(candidate.name).stem or candidate.name, self.names.forward_names(used_for)
        own = max((name_affinity(stem, name) for name in names), default=0.0)
        return all(own >= self._of_variables(candidate, value) for value in self._by_name(candidate))

    def _propose_by_use(self, candidate: Candidate, found: torch.Tensor, truth: Measured) -> Proposal | None:
        if candidate.of is None:
            return None
        moved = math.prod(candidate.of.shape)
        same_storage = [v for v in self._in_storage.get(candidate.of.root, ()) if v in truth]
        # A part of what is moved has a gradient of its own: of one flat tensor, say, that all parameters are views of.
        same_storage = [v for v in same_storage if math.prod(v.shape) == moved]
        fitting = [v for v in same_storage if tuple(truth[v].shape) == tuple(found.shape)] or same_storage
        if not fitting:
            return None
        value = candidate.of if candidate.of in fitting else fitting[0]
        named = self._by_name(candidate)
        # An update may use the wrong gradient: there, a name that says otherwise counts more.
        settled = not named or candidate.of_evidence.startswith("being")
        if settled or any(option.root is value.root for option in named):
            return Proposal(value, candidate.of_evidence, certain=True)
        return None

    def _propose_by_fitting_name(
        self, candidate: Candidate, found: torch.Tensor, paired: Mapping[Value, Judged], truth: Measured
    ) -> Proposal | None:
        named = self._by_name(candidate)
        options = [v for v in named if v in truth]
        # Of a buffer that a loop writes slice by slice, the slices have gradients of their own.
        parts = [part for v in options for part in self._in_storage[v.root] if part in truth]
        fitting = (
            [v for v in options if truth[v].shape == found.shape]
            or [v for v in options if same_but_for_ones(truth[v].shape, found.shape)]
            or [v for v in parts if truth[v].shape == found.shape]
        )
        # What the loss does not reach has no gradient here; where it alone fits, the name means it.
        unreached = [v for v in named if v not in truth and v.shape == tuple(found.shape)]
        if unreached and not fitting:
            return Proposal(unreached[-1], BY_NAME)
        # `s` of every turn of a loop, and a gradient of another rank: it may be that of all of them, stacked.
        if len(options) > 1 and not fitting and all(truth[v].dim() != found.dim() for v in options):
            return None
        if not options or (
            not fitting
            and parse(candidate.name).form < Form.EXPLICIT
            and self._affinity(candidate, options[0]) < 1
            and not never_summed(tuple(found.shape), options[0].shape)
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
                unsummed = never_summed(tuple(found.shape), value.shape)
                other_shape = value.shape != tuple(found.shape) and not candidate.second_name
                if other_shape and not (of_unnamed and unsummed):
                    continue
                if is_delta(candidate.name) and self._is_before(of, value):
                    continue
                if self._affinity(candidate, value) >= (GOOD_AFFINITY if unsummed else 0.99):
                    return value
        return None

    def misnamed_for(self, candidate: Candidate, of: Value, found: torch.Tensor) -> Value | None:
        """The value that its name says it is the gradient of, if a reader would take that for a mistake: a layer's name
        serves for what comes before its activation, where that has none, and `dy` for the prediction of `y`."""
        value = self.meant_instead(candidate, of, found)
        if value is None or of in self.names.copies(value) or candidate.of is not None:
            return value if candidate.of is not None else None
        if _is_what_arrived(candidate.value) or is_loss_name(parse(candidate.name).stem or ""):
            return None  # `loss_grad` is that of what the loss is computed from
        moved = {update.parameter.root for update in self._plan.updates}
        is_data = bool(moved) and moved.isdisjoint(made.root for made in flow.ancestors(value))
        has_own = any(not binding.alias for binding in self.names.bindings(of))
        behind_activation = not has_own and any(self._is_before(of, v) for v in self._by_name(candidate))
        return None if is_data or behind_activation else value

    def _is_before(self, before: Value, value: Value) -> bool:
        """Whether a layer's output is computed from the value element by element."""
        behind = flow.ancestors(
            value, through=lambda step: isinstance(step, Op) and step.operation.is_elementwise
        )
        return before.shape == value.shape and before in behind

    def summed_for(
        self, candidate: Candidate, of: Value, found: torch.Tensor, truth: Measured
    ) -> Value | None:
        """The value its name means, whose gradient has the numbers of `found` in all the places that the nameless sum
        `of` took together."""
        if self._forward_names.get(of) or candidate.of is not None:
            return None
        for value in self._by_name(candidate):
            if (
                value in truth
                and never_summed(tuple(truth[value].shape), tuple(found.shape))
                and self._affinity(candidate, value) >= 0.99
                and torch.allclose(
                    truth[value], found.expand_as(truth[value]).to(truth[value].dtype), rtol=1e-6
                )
            ):
                return value
        return None

    def _is_only_misused(self, candidate: Candidate, of: Value) -> bool:
        """Whether the gradient is right, and only the update applies it to another parameter: its numbers say
        `of`, and its name does not contradict them."""
        assert candidate.of is not None
        own, other = self._of_variables(candidate, of), self._of_variables(candidate, candidate.of)
        if own >= GOOD_AFFINITY and own > other:
            return True
        moved = {update.parameter.root for update in self._plan.updates}
        return other < GOOD_AFFINITY and of.root in moved and of.shape == candidate.of.shape

    def _by_name(self, candidate: Candidate) -> list[Value]:
        """Forward values whose name fits best, in program order."""
        if candidate not in self._best_named:
            self._best_named[candidate] = self._named_best(candidate)
        return self._best_named[candidate]

    def _named_best(self, candidate: Candidate) -> list[Value]:
        best: list[Value] = []
        top = GOOD_AFFINITY - 1e-9
        fitting = self._affinities.fitting(candidate, self._bearers)
        near = {value for name in fitting for value in self._bearers[name]}
        near.update(self._affinities.beside(candidate))
        for value in sorted(near, key=self._order.__getitem__):
            affinity = self._affinity(candidate, value)
            if affinity > top + 1e-9:
                best, top = [value], affinity
            elif abs(affinity - top) <= 1e-9 and best:
                best.append(value)
        return best

    def paired_with(self, candidate: Candidate) -> list[Value]:
        """The values themselves that it was paired with."""
        paired = (self._as_it_came(value) for value in self._stated.paired(candidate.value))
        return [value for value in paired if value in self._order]

    def _as_it_came(self, value: Value) -> Value:
        """Of an input that the forward pass changes in place, what it was before."""
        first = self._first.get(value)
        return first if first is not None and not _made_of(value) else value

    def _stated_values(self, candidate: Candidate) -> list[Value]:
        if paired := self.paired_with(candidate):
            return paired
        wanted = {stated[0] for b in candidate.bindings if (stated := self._stated.value_of(b))}
        if not wanted:
            return []
        found = [v for v in self._forward if wanted & set(self._forward_names[v])]
        # Of several values of that name, the one that it is used for (a parameter, and not what is made of it).
        used = [v for v in found if candidate.of is not None and v.root is candidate.of.root]
        return used or found

    def _word(self, candidate: Candidate) -> str:
        """How the person stated it."""
        if self._stated.paired(candidate.value):
            return "`gradcheck.pair`"
        word = next(stated[1] for b in candidate.bindings if (stated := self._stated.value_of(b)))
        return f"{word}, by name"

    def _closest(
        self, values: list[Value], found: torch.Tensor, truth: Measured, paired: Mapping[Value, Judged]
    ) -> Value:
        def rank(value: Value) -> tuple[bool, bool]:
            return truth[value].shape != found.shape, value in paired

        first = min(map(rank, values)) if len(values) > 1 else None
        values = values if first is None else [value for value in values if rank(value) == first]
        values = sorted(values, key=lambda value: -self._order[value])
        if len(values) == 1 or not bool(found.any()):
            return values[0]  # from nothing, the smallest gradient is the nearest
        own, best, least = norm(found), values[0], math.inf
        apart = {v: abs(own - truth.norm_of(v)) for v in values if truth[v].numel() == found.numel()}
        for value in sorted(apart, key=apart.__getitem__):
            if apart[value] > least + 1e-9 * own:
                break
            far = distance(found, truth[value])
            if far < least or (far == least and self._order[value] > self._order[best]):
                best, least = value, far
        return best


def _made_of(value: Value) -> list[Value]:
    return value.producer.inputs if value.producer is not None else []


def _is_what_arrived(value: Value) -> bool:
    """Whether it is a copy of what autograd has handed to a `backward`, to be made the gradient that its name says."""
    made = flow.copied(value).producer
    return made is not None and made.kind is Kind.UPSTREAM
