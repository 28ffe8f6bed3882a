"""The case that a hypothesis is asked about: one gradient as the program computed it, and what to compare it with."""

import math
from dataclasses import dataclass, field
from functools import cached_property

import torch

from gradcheck.fronts.gradient_names import Form, parse
from gradcheck.fronts.markers import OUR_PLACE
from gradcheck.fronts.tape import Value
from gradcheck.judge.consumers import Consumers
from gradcheck.judge.judge import Judge
from gradcheck.judge.judged import Faults, Judged
from gradcheck.judge.outputs import Outputs
from gradcheck.judge.pairing.partners import BY_NAME, Proposal
from gradcheck.judge.verdict import Problem, Verdict
from gradcheck.replay.compare import Fingerprints, Measured, is_finite, never_summed, norm
from gradcheck.replay.passes import Candidate, Version


@dataclass(eq=False)
class Case:
    """`found` is what the program computed, replayed in float64; `faults` are the wrong gradients that it was computed
    from."""

    judge: Judge
    version: Version
    found: torch.Tensor
    faults: Faults
    outputs: Outputs
    kept: dict[Value, float | None] = field(default_factory=dict)  # by what factors, as the gradient of what

    @property
    def candidate(self) -> Candidate:
        return self.version.candidate

    # -- numbers ---------------------------------------------------------------------------------------------------

    @cached_property
    def noise(self) -> float:
        return self.judge.noise(self.version)

    @cached_property
    def size(self) -> float:
        return norm(self.found)

    @cached_property
    def tolerance(self) -> float:
        return self.judge.tolerance(self.version, self.size, self.noise)

    @property
    def is_zero(self) -> bool:
        return self.size <= self.tolerance

    @property
    def is_finite(self) -> bool:
        return math.isfinite(self.size) or is_finite(self.found)

    def says_something(self, numbers: torch.Tensor) -> bool:
        """Whether such numbers can say what they are the gradient of. A constant equals many gradients: only a name
        makes it one. A single number may be no constant: nobody writes one of sixteen digits."""
        flat = numbers.reshape(-1)
        if numbers.numel() == 1 and not numbers.is_complex() and not _is_round(float(flat[0])):
            return True
        return numbers.numel() > 0 and (
            not bool((flat == flat[0]).all()) or self.judge.partners.named(self.candidate)
        )

    # -- what to compare with --------------------------------------------------------------------------------------

    @property
    def truth(self) -> Measured:
        """The true gradient of every forward value."""
        return self.judge.run.graph.truth

    @property
    def true_fingerprints(self) -> Fingerprints:
        return self.judge.expectation(frozenset())[1]

    @property
    def gradients(self) -> dict[Value, torch.Tensor]:
        """The gradient of every forward value that follows from the program's own upstream gradients."""
        return self.judge.expectation(self.faults)[0]

    @property
    def fingerprints(self) -> Fingerprints:
        return self.judge.expectation(self.faults)[1]

    def admitted(self, values: list[Value]) -> list[Value]:
        """Of these, what it may be the gradient of: what a Function returns for an argument is that argument's, and what
        was paired with a value itself is that value's. What moves a parameter that the loss does not reach is none's."""
        paired = self.judge.partners.paired_with(self.candidate)
        if paired or self.judge.partners.is_out_of_reach(self.candidate, self.truth):
            return [value for value in values if value in paired]
        if not self.candidate.returned or not self.version.final:
            return values
        return [value for value in values if value is self.candidate.of]

    # -- what it was meant to be -----------------------------------------------------------------------------------

    @cached_property
    def consumers(self) -> Consumers:
        return Consumers(self.judge, self.version, self.found, self.faults)

    @cached_property
    def named(self) -> Proposal | None:
        """What its name or its use says it is the gradient of."""
        return self.judge.partners.propose(self.candidate, self.found, self.judge.paired, self.truth)

    @cached_property
    def proposal(self) -> Proposal | None:
        """The same, where what is computed from it does not say otherwise."""
        named = self.named
        if named is None or not named.certain or self._is_of_one_reading(named.value):
            found = self._by_place_or_what_follows(named)
            if found is not None or named is None:
                return found
        if named.evidence == BY_NAME and self.consumers.contradict(named.value):
            return self.consumers.agree_on(None) or named
        return named

    def _is_of_one_reading(self, parameter: Value) -> bool:
        """Whether the sum that it belongs to by its place reads a parameter that others read too, in each sample of a batch,
        say: the gradient of that sum is one part of the parameter's."""
        place = self.by_place
        made = place.value.producer if place is not None else None
        return made is not None and parameter in made.inputs and self.judge.products.is_shared(parameter)

    def _by_place_or_what_follows(self, named: Proposal | None) -> Proposal | None:
        """What it is multiplied with says so, unless nothing computed from it comes out right then, and something does for
        another value."""
        place = self.by_place
        if place is not None and not self.consumers.contradict(place.value):
            return place
        return self.consumers.agree_on(named) or place

    @cached_property
    def by_place(self) -> Proposal | None:
        """What it is multiplied with says so; of what has not the name of a gradient, both operands of the product."""
        return self.by_operands(2 if parse(self.candidate.name).form is Form.NONE else 1)

    def by_operands(self, least: int) -> Proposal | None:
        # A second name for what has one already is there for something else.
        binding = self.candidate.binding
        changed = binding is None or self.version.after >= binding.when
        named_twice = self.candidate.second_name and not changed
        value = None if named_twice else self.judge.place_of(self.version, least)
        if value is None:
            return None
        return Proposal(self._sum_of(value), "what it is multiplied with", certain=True)

    def _sum_of(self, term: Value) -> Value:
        """A term of a sum has the gradient of the sum: of those that have none yet, the one that explains most of what is
        computed from this gradient."""
        equal = self.true_fingerprints.equals(self.truth[term], self.tolerance)
        possible = [term, *(v for v in equal if v is not term and v not in self.judge.paired)]
        return max(possible, key=self.consumers.explained_by) if len(possible) > 1 else term

    def is_unsummed(self, parameter: Value) -> bool:
        """Whether it is what arrives at a sum with the parameter, kept for the parameter as it is: stored under its name, or
        handed to a layer, which need not compute it for anything else."""
        truth = self.truth.get(parameter)
        if truth is None or parameter in self.judge.forward_made or truth.numel() == self.found.numel():
            return False
        if not never_summed(tuple(self.found.shape), tuple(truth.shape)):
            return False
        if self.candidate.second_name and not self.candidate.name.isidentifier():
            return True
        forward_ops = self.judge.plan.forward_ops
        handed_in = {v for op in forward_ops if op.code.co_filename == OUR_PLACE for v in op.inputs}
        return not handed_in.isdisjoint(self.fingerprints.equals(self.found, self.tolerance))

    def is_used_for_another(self, partner: Value, equal: list[Value]) -> bool:
        """Whether no name says that it is the gradient of `partner`, and both operands of a product say another value, for
        which something computed from it comes out right: a line forgets a step."""
        named = self.judge.partners.is_named_for(self.candidate, partner)
        if named or self.candidate.of is not None or self.judge.place_of(self.version, 2) in equal:
            return False
        place = self.by_operands(2)
        if place is None or place.value in equal:
            return False
        return self.consumers.explained_by(place.value, finished=False) > 0

    # -- the outcome -------------------------------------------------------------------------------------------------

    def judged(
        self, proposal: Proposal | None, verdict: Verdict, problem: Problem = Problem.NONE,
        reason: str = "", *, expected: torch.Tensor | None = None, faults: Faults = frozenset(),
        scale: float | None = None,
    ) -> Judged:  # fmt: skip
        """It as the gradient of what is proposed. `scale`: it is kept as that multiple of the gradient."""
        of, evidence = (proposal.value, proposal.evidence) if proposal is not None else (None, "")
        judged = Judged(self.version, of, verdict, evidence, problem, reason, faults)
        judged.found, judged.noise, judged.scale = self.found, self.noise, scale
        judged.expected = _times(scale, expected)
        if of is not None:
            judged.truth = _times(scale, self.truth.get(of))
            judged.noise = max(self.noise, self.judge.noise_of(of))
            if verdict is not Verdict.INTRODUCED:
                partners = self.judge.partners
                judged.meant = partners.misnamed_for(self.candidate, of, self.found)
                if judged.meant is None:
                    judged.meant = partners.summed_for(self.candidate, of, self.found, self.truth)
        return judged


def _times(scale: float | None, gradient: torch.Tensor | None) -> torch.Tensor | None:
    return gradient if scale is None or gradient is None else scale * gradient


def _is_round(number: float) -> bool:
    """Whether it, or one over it, is a whole number of few digits, but for a power of two: a constant, a mean of ones."""
    return number == 0 or any((n * 2**20).is_integer() for n in (number, 1 / number))
