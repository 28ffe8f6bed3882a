"""What the gradients computed from a gradient say about it: those come out right if it is taken for what it is."""

import math
from dataclasses import dataclass
from functools import cached_property

import torch

from gradcheck.fronts.gradient_names import Form, parse
from gradcheck.fronts.tape import Value
from gradcheck.graph import flow
from gradcheck.judge.influence import Mark
from gradcheck.judge.judge import Gradients, Judge
from gradcheck.judge.judged import Faults
from gradcheck.judge.pairing.partners import Proposal
from gradcheck.replay.compare import Fingerprints, distance, inner, is_finite, norm, same_but_for_ones
from gradcheck.replay.passes import Version

_MOST = 8  # consumers that are asked
_MOST_ENDS = 32
_MOST_VALUES = 16  # that a gradient is tried as: those whose gradients are nearest to it
_MOST_NEAR = 6  # and of those next to what it is computed from


@dataclass(frozen=True, slots=True)
class Consumer:
    """A later gradient, and what the program computed as it."""

    version: Version
    found: torch.Tensor
    size: float
    noise: float
    tolerance: float

    @property
    def is_finite(self) -> bool:
        return math.isfinite(self.size) or is_finite(self.found)

    def is_one_of(self, gradients: Gradients, *, reshaped: bool = False, same_sign: bool = False) -> bool:
        """Whether it is one of these gradients; or, where it is the step of an update (`rate * x.T @ delta`), a
        multiple of the one of its parameter, with the same sign or with either."""
        candidate = self.version.candidate
        is_step = candidate.of is not None and candidate.binding is None and candidate.returned is None
        step = gradients[0].get(candidate.of) if is_step and candidate.of is not None else None
        if step is not None and step.shape == self.found.shape:
            factor = inner(self.found, step) / max(norm(step) ** 2, 1e-300)
            fits = factor > 0 if same_sign else factor != 0
            return fits and distance(self.found, factor * step) <= self.tolerance
        return bool(gradients[1].equals(self.found, self.tolerance, reshaped=reshaped))


class Consumers:
    """The gradients computed from `version`, of which `found` is the value and `faults` are the faults upstream."""

    def __init__(self, judge: Judge, version: Version, found: torch.Tensor, faults: Faults) -> None:
        self._judge = judge
        self._version = version
        self._found = found
        self._faults = faults

    @cached_property
    def versions(self) -> list[Version]:
        return [v for v in self._judge.relations.consumers(self._version) if not v.candidate.divided]

    @property
    def ends(self) -> list[Consumer]:
        """The first finished gradients, and the first moves of parameters, divided by a count on the way: no gradients, and no
        evidence of what this is one of."""
        own, later = self._version.candidate, list(self._judge.relations.consumers(self._version))
        later.sort(key=lambda version: version.after)
        finished = [v for v in later if v.final and v.candidate is not own and not v.candidate.divided]
        steps = [v for v in later if v.candidate.divided]
        ends = (*finished[:_MOST_ENDS], *steps[:_MOST_ENDS])
        return [c for version in ends if (c := self._consumer(version)) is not None]

    @cached_property
    def all(self) -> list[Consumer]:
        return [c for version in self.versions if (c := self._consumer(version)) is not None]

    @cached_property
    def finished(self) -> list[Consumer]:
        """Final values of other candidates."""
        own = self._version.candidate
        return [c for c in self.all if c.version.final and c.version.candidate is not own]

    @property
    def is_read(self) -> bool:
        """Whether another gradient is computed from it."""
        return any(version.candidate is not self._version.candidate for version in self.versions)

    def _consumer(self, version: Version) -> Consumer | None:
        judge, found = self._judge, self._judge.captured(version)
        if found is None:
            return None
        size, noise = norm(found), judge.noise(version)
        return Consumer(version, found, size, noise, judge.tolerance(version, size, noise))

    @cached_property
    def _telling(self) -> list[Consumer]:
        """The first ones, but for zeros and mere copies."""
        nearest = sorted(self.versions, key=lambda version: (not version.final, version.after))
        first = [self._consumer(version) for version in nearest[:_MOST]]
        # What is zero but for rounding agrees with anything that is.
        return [
            c
            for c in first
            if c is not None and c.is_finite and c.size > max(c.tolerance, c.noise) and not self._is_copy(c)
        ]

    def _is_copy(self, consumer: Consumer) -> bool:
        found = consumer.found
        return found.shape == self._found.shape and distance(found, self._found) <= consumer.tolerance

    @property
    def nothing_is_right(self) -> bool:
        """Whether something is computed from this gradient, and all of it is wrong."""
        gradients = self._judge.expectation(self._faults)
        finished = [c for c in self._telling if c.version.final]
        return bool(finished) and not any(c.is_one_of(gradients, reshaped=True) for c in finished)

    def use_it_for_another(self, equal: list[Value]) -> bool:
        """Whether nothing computed from it is right, and some would be were it the gradient of another value than those
        whose numbers it has: a line forgets a step. (It is the last of those with the same numbers that does.) The gradient
        of a result with a name is right as it stands, if the other has none: what reads it forgets the step."""
        if any(self._is_copy(c) for c in self.finished) or not self.nothing_is_right:
            return False
        other, judge = self._agree_on(None), self._judge
        if other is None or 2 * self.explained_by(other.value) <= len(self._unexplained()):
            return False  # (some may have a fault of their own)
        has_name = judge.partners.has_name
        return has_name(other.value) or not any(v in judge.forward_made and has_name(v) for v in equal)

    def explained_by(self, value: Value, *, finished: bool = True) -> int:
        """How many come out right only if this is taken for the gradient of `value`."""
        return self._explained(value, self._unexplained(finished))

    def contradict(self, value: Value) -> bool:
        """Whether not one of those that are wrong otherwise takes it for the gradient of `value`."""
        waiting = self._unexplained()
        return bool(waiting) and self._explained(value, waiting) == 0

    def agree_on(self, named: Proposal | None, besides: Value | None = None) -> Proposal | None:
        """The forward value, another than `besides`, for which everything later that is computed from this gradient comes
        out right."""
        judge, candidate = self._judge, self._version.candidate
        is_called_so = judge.partners.named(candidate) or parse(candidate.name).form is not Form.NONE
        graded = judge.influences.has(candidate.value, Mark.GRADED)
        if not is_called_so and not self.nothing_is_right:
            return None
        found = self._agree_on(named, besides)
        # A mask, a slope: something that gradients are computed with, unless it alone explains what is wrong.
        if found is None or is_called_so or graded:
            return found
        return found if self.explained_by(found.value) == len(self._unexplained()) else None

    def _agree_on(self, named: Proposal | None, besides: Value | None = None) -> Proposal | None:
        judge, found = self._judge, self._found
        if named is None and self._are_its_negative:
            return None  # what it is turned into is judged
        waiting = self._unexplained()
        if not waiting:
            return None
        truth = judge.run.graph.truth
        out = {judge.plan.loss, besides, *judge.partners.nameless}
        options = [v for v, g in truth.items() if same_but_for_ones(g.shape, found.shape) and v not in out]
        if named is not None and named.alternatives:
            options = [v for v in options if v in named.alternatives]
        # `a + b + c` has the gradient of each of its terms: the sum, which is nearer to the loss, decides.
        order = {value: i for i, value in enumerate(truth)}
        options.sort(
            key=lambda v: (
                truth[v].shape != found.shape,
                float(f"{distance(found.reshape(truth[v].shape), truth[v]):.9g}"),
                -order[v],
            )
        )
        # In a loop, values of all turns have this shape: those next to what its upstream gradients are of come as well.
        behind = self._behind_upstream()
        near = sorted((v for v in options[_MOST_VALUES:] if v in behind), key=lambda v: -order[v])
        best, most = None, 0
        for value in (*options[:_MOST_VALUES], *near[:_MOST_NEAR]):
            score = self._explained(value, waiting)
            if score > most:
                best, most = value, score
            if most == len(waiting):
                break
        return Proposal(best, "what is computed from it", certain=True) if best is not None else None

    def _behind_upstream(self) -> set[Value]:
        """What the values are computed from whose gradients it reads."""
        judge = self._judge
        of = {j.candidate.value: j.of for j in judge.judged if j.of is not None}
        read = [of[value] for value in judge.relations.nearest(self._version, of)]
        return set(flow.ancestors(*read))

    @property
    def _are_its_negative(self) -> bool:
        """Whether it is handed on with the other sign, under a name that speaks of gradients: `return -grad`. A forward
        pass with a `-x` in it has the gradients of both signs, so that the rest would agree with either."""
        return any(
            parse(c.version.candidate.name).form is not Form.NONE
            and same_but_for_ones(c.found.shape, self._found.shape)
            and norm(self._found) > 0
            and torch.equal(c.found.reshape(self._found.shape), -self._found)
            for c in self.finished
        )

    def _unexplained(self, finished: bool = True) -> list[Consumer]:
        plain = self._judge.expectation(self._faults)
        return [c for c in self._telling if (c.version.final or not finished) and not c.is_one_of(plain)]

    def _explained(self, value: Value, waiting: list[Consumer]) -> int:
        truth, found = self._judge.run.graph.truth.get(value), self._found
        if not waiting or truth is None:  # what the loss does not reach explains nothing
            return 0
        found = found.reshape(truth.shape) if truth.numel() == found.numel() else found
        sizes = {c.found.numel() for c in waiting}
        gradients = self._judge.changed(self._faults, value, found, sizes)
        given = gradients, Fingerprints(gradients)
        # Where updates add the gradients as they are, all of them have the sign that this one has.
        return sum(c.is_one_of(given, same_sign=self._judge.ascends) for c in waiting)
