"""One pass as far as it has been judged: its replays, the evidence, and what was found so far.

The tape is followed once, in the order the program ran (`gradcheck.judge.loop`). At each gradient the question is:
does it equal the gradient of some forward value, given the person's own upstream gradients? If so, that is its partner
and its line is right. If not, the evidence of names and dataflow decides what it was meant to be, it is `introduced`,
and everything computed from it is compared with the VJP of *it*: faults do not cascade.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import torch

from gradcheck.fronts.gradient_names import Form, parse
from gradcheck.fronts.tape import Op, Value
from gradcheck.graph import flow
from gradcheck.judge.data_rounding import DataRounding
from gradcheck.judge.influence import Influence, Mark
from gradcheck.judge.judged import Fault, Faults, Judged, Ruling, replaced_by
from gradcheck.judge.pairing.partners import Partners
from gradcheck.judge.pairing.products import Products
from gradcheck.judge.pairing.relations import Relations
from gradcheck.judge.uphill import goes_uphill
from gradcheck.judge.verdict import Verdict
from gradcheck.ops import MUL, Family
from gradcheck.replay.compare import Fingerprints, differentiable, multiple_of, norm, same_but_for_ones
from gradcheck.replay.earlier import as_of_now
from gradcheck.replay.passes import Candidate, PassPlan, Version
from gradcheck.replay.rounding import Rounding
from gradcheck.replay.run import PassRun
from gradcheck.replay.runner import Patch

Gradients = tuple[dict[Value, torch.Tensor], Fingerprints]


@dataclass
class Judge:
    """Answers what a gradient should be, from a float64 run and a float32 run of the pass. Only `follow` and
    `accept` change it."""

    plan: PassPlan
    ops: list[Op]
    run: PassRun
    coarse: PassRun | None
    partners: Partners
    opaque: set[Value]
    judged: list[Judged] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    elsewhere: Judge | None = None  # of the same pass at another point, where it was judged before

    def __post_init__(self) -> None:
        self.names, self.prepared = self.partners.names, self.run.prepared
        self.places = self.names.places
        self.paired: dict[Value, Judged] = {}
        truth = self.run.graph.truth
        # Forward values computed from others that can have a gradient: everything but parameters and inputs. What a
        # parameter was first made of (`W = randn(5, 3) * 0.1`) is no other.
        nameless = self.partners.nameless
        self.forward_made = {
            value
            for op in self.plan.forward_ops
            for value in op.outputs
            if value.producer is op and any(v in truth and v not in nameless for v in op.inputs)
        }
        self.forward_made |= {v for v in truth if as_of_now(v) in self.forward_made}
        self.rounding = Rounding(self.run, self.coarse, self.opaque)
        self.data_rounding = DataRounding(self.run)
        self.influences = Influence(self.plan, self.ops, self.forward_made)
        if self.elsewhere is None:
            self.relations = Relations(self.plan, self.ops, self.names)
            self.products = Products(self.plan, self.ops)
        else:  # the tape is the same
            self.relations, self.products = self.elsewhere.relations, self.elsewhere.products
        self.ascends = goes_uphill(self.plan) and not self._has_true_gradients
        self._expectations: dict[Faults, Gradients] = {}

    @property
    def _has_true_gradients(self) -> bool:
        """Whether more parameters are moved by their gradient, as it is, than by a multiple of its negative."""
        factors = [factor for candidate, of, factor in self.multiples if of is candidate.of]
        return sum(abs(factor - 1) < 1e-6 for factor in factors) > sum(factor < 0 for factor in factors)

    @cached_property
    def multiples(self) -> list[tuple[Candidate, Value, float]]:
        """Each gradient with what a use or a name says it is of, and by what factor it is that; 0 if it is no multiple."""
        found: list[tuple[Candidate, Value, float]] = []
        for candidate in self.plan.candidates:
            named = self.partners.propose_by_name(candidate)
            of = candidate.of or (named.value if named is not None else None)
            truth = self.run.graph.truth.get(of) if of is not None else None
            own = self.captured(candidate.versions[-1])
            if of is not None and truth is not None and own is not None:
                found.append((candidate, of, multiple_of(own, truth, 1e-6 * norm(own))))
        return found

    # -- what changes it -----------------------------------------------------------------------------------------

    def rewire(self, patches: Mapping[int, Patch]) -> None:
        """Follow a program in which some statements are changed: a patched one is computed from what the patch reads,
        not from what is on the tape."""
        self.influences.rewire(patches)

    def follow(self, op: Op) -> None:
        self.influences.follow(op)

    def accept(self, ruling: Ruling) -> None:
        judged = ruling.judged
        if judged is None:
            return
        if judged.found is not None:
            if judged.of is not None:
                self.paired[judged.of] = judged
            self.influences.add(judged.candidate.value, Mark.GRADED)
        self.judged.append(judged)
        if ruling.fault is not None:
            self.add_fault(ruling.fault)

    def add_fault(self, fault: Fault) -> None:
        self.faults.append(fault)
        self.influences.add(fault.judged.candidate.value, len(self.faults) - 1)

    @property
    def rooted(self) -> list[Judged]:
        """Those that are known to be gradients of their values."""
        return [judged for judged in self.judged if judged.verdict is not Verdict.UNCHECKED]

    # -- what the replay gives -----------------------------------------------------------------------------------

    def captured(self, version: Version) -> torch.Tensor | None:
        """What the program computed there, replayed in float64; None if that is no tensor of floats."""
        found = self.run.captured.get(id(version))
        return found if found is not None and differentiable(found) else None

    def influence(self, version: Version) -> Faults:
        """The faults that what this gradient was computed from carries."""
        return self.influences.of(version.candidate.value)

    def place_of(self, version: Version, least: int = 1) -> Value | None:
        """The value whose gradient it is used as, by `least` or more operands of a product."""
        candidate = version.candidate
        # What no gradient was computed into, and no name calls one, is what gradients are multiplied with.
        may_be_slope = parse(candidate.name).form is Form.NONE and not self.influences.has(
            candidate.value, Mark.GRADED
        )
        value = self.products.belongs_to(candidate.value, version.after, least, may_be_slope=may_be_slope)
        return value if value in self.run.graph.truth and value not in self.partners.nameless else None

    def multiplies_gradients(self, value: Value) -> bool:
        """Whether a gradient that is not computed from it is multiplied with it. A backward pass is linear in gradients: it
        is the derivative of something else, whatever its name is."""
        gradients = {candidate.value for candidate in self.plan.candidates}
        after = flow.forward(self.ops[self.plan.loss_op.index : self.plan.stop], {value})
        return not self.influences.has(value, Mark.GRADED) and any(
            read in gradients and read not in after
            for op in self.ops[self.plan.loss_op.index : self.plan.stop]
            if value in op.inputs and (op.operation is MUL or op.operation.family is Family.PRODUCT)
            for read in op.inputs
        )

    def is_of_whole_numbers(self, version: Version) -> bool:
        """Whether it is made as the gradient of a factor of whole numbers, which has none."""
        factors = self.products.operands_of(version.candidate.value)
        return bool(factors) and not any(differentiable(self.run.graph.tensor(value)) for value in factors)

    def influence_of(self, root: Value) -> Faults:
        """The faults that the storage `root` carries, as far as the tape has been followed."""
        return self.influences.of(root)

    def listed(self, faults: Faults) -> list[Fault]:
        return [self.faults[index] for index in sorted(faults)]

    def real(self, faults: Faults) -> Faults:
        """Without those that are only the rounding of the data, or on purpose."""
        judged = {i: self.faults[i].judged for i in faults}
        return frozenset(i for i in faults if not (judged[i].rounded_data or judged[i].surrogate))

    def expectation(self, faults: Faults) -> Gradients:
        """The gradient of every forward value, given the wrong gradients of `faults`."""
        found = self._expectations.get(faults)
        if found is None:
            gradients = self.given(faults, {})
            comparable = {v: g for v, g in gradients.items() if v not in self.partners.nameless}
            found = self._expectations[faults] = (gradients, Fingerprints(comparable))
        return found

    def given(self, faults: Faults, more: dict[Value, torch.Tensor]) -> dict[Value, torch.Tensor]:
        """The same, given other gradients too."""
        graph = self.run.graph
        replaced = replaced_by(self.listed(faults))
        replaced |= {at: g for at, g in more.items() if g.numel() == graph.tensor(at).numel()}
        return graph.gradients(replaced) if replaced else graph.truth

    def changed(
        self,
        faults: Faults,
        value: Value,
        found: torch.Tensor,
        sizes: Collection[int] = (),
        wanted: list[Value] | None = None,
    ) -> dict[Value, torch.Tensor]:
        """The gradients of so many elements, or those wanted, that are others if that of `value` is what was found:
        derivatives are linear, so that only what lies behind it need be followed."""
        graph, plain = self.run.graph, self.expectation(faults)[0]
        fixed = replaced_by(self.listed(faults))
        if value not in plain or found.numel() != plain[value].numel():
            return self.given(faults, {value: found})
        was = fixed.pop(value, plain[value]).reshape(plain[value].shape)
        if wanted is None:
            wanted = [v for v, gradient in plain.items() if gradient.numel() in sizes and v is not value]
        by = found.reshape(was.shape) - was
        changes = graph.changes(value, by, fixed, wanted) if wanted else {}
        return {value: found} | {v: plain[v] + change for v, change in changes.items()}

    def ways_back(self, value: Value, faults: Faults) -> list[torch.Tensor]:
        """The terms of the gradient of `value`, one for each operation that reads it."""
        return self.run.graph.ways_back(value, replaced_by(self.listed(faults)))

    def true_ones(self) -> dict[Version, torch.Tensor]:
        """The true gradients (of this point) to put in the place of the wrong ones found so far."""
        made: dict[Version, torch.Tensor] = {}
        for judged in (fault.judged for fault in self.faults):
            truth = self.run.graph.truth.get(judged.of) if judged.of is not None else None
            found = self.run.captured.get(id(judged.version))
            if truth is not None and found is not None and judged.truth is not None:
                scaled = (judged.scale or 1.0) * truth
                alike = same_but_for_ones(found.shape, scaled.shape)
                made[judged.version] = scaled.reshape(found.shape) if alike else scaled
        return made

    # -- rounding ------------------------------------------------------------------------------------------------

    def noise_of(self, value: Value) -> float:
        return self.rounding.noise_of(value)

    def noise(self, version: Version) -> float:
        return self.rounding.noise(version)

    def tolerance(self, version: Version, size: float, noise: float) -> float:
        return self.rounding.tolerance(version, size, noise)
