"""Pairs every manual gradient with the forward value it belongs to, and judges it.

The tape is followed once, in the order the program ran. At each gradient the question is: does it equal the
gradient of some forward value, given the person's own upstream gradients? If so, that is its partner and its line
is right. If not, the evidence of names and dataflow decides what it was meant to be, it is `introduced`, and from
there on everything computed from it is held against the VJP of *it*: faults do not cascade.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import torch

from gradcheck.recording.gradient_names import Form, parse
from gradcheck.recording.tape import Kind, Number, Op, Value
from gradcheck.replay.compare import (
    FLOAT32_TOLERANCE,
    NOISE_SHARE,
    RELATIVE_TOLERANCE,
    ROUNDING_FLOOR,
    Fingerprints,
    distance,
    norm,
    same_but_for_ones,
)
from gradcheck.replay.engine import Patch
from gradcheck.replay.evidence import Partners, Proposal
from gradcheck.replay.passes import Candidate, PassPlan, Version
from gradcheck.replay.run import PassRun
from gradcheck.replay.verdict import Problem, Verdict

Faults = frozenset[int]  # indices into Judge.faults


@dataclass(slots=True)
class Judged:
    """One judged gradient. `expected` is what its line should have computed from its own upstream gradients."""

    version: Version
    of: Value | None
    verdict: Verdict
    evidence: str = ""
    problem: Problem = Problem.NONE
    reason: str = ""
    faults: Faults = frozenset()  # of the gradients it was computed from
    expected: torch.Tensor | None = None
    truth: torch.Tensor | None = None
    found: torch.Tensor | None = None
    noise: float = 0.0
    scale: float | None = None
    alternatives: list[Value] = field(default_factory=list)  # other values with the same gradient here
    meant: Value | None = None  # what its name says it is the gradient of, where that is another value

    @property
    def candidate(self) -> Candidate:
        return self.version.candidate


@dataclass(slots=True)
class _Fault:
    judged: Judged
    at: Value | None
    gradient: torch.Tensor | None  # None where it cannot stand in the graph (wrong shape, not finite)


@dataclass
class Judge:
    """Judges the candidates of one pass from a float64 run and a float32 run of it."""

    plan: PassPlan
    ops: list[Op]
    run: PassRun
    coarse: PassRun | None
    partners: Partners
    opaque: set[Value]
    judged: list[Judged] = field(default_factory=list)
    faults: list[_Fault] = field(default_factory=list)
    hidden: dict[int, float] = field(default_factory=dict)  # local error at the worst probe point

    def __post_init__(self) -> None:
        self._expectations: dict[Faults, tuple[dict[Value, torch.Tensor], Fingerprints]] = {}
        self._influence: dict[Value, Faults] = {}
        self._derived: set[Value] = set()  # computed from the forward pass or from gradients
        self._live: set[Value] = set()  # computed from what the network computes
        self._autograd: set[Value] = set()
        self._paired: dict[Value, Judged] = {}
        self._truth_noise: dict[Value, float] = {}
        self._version_noise: dict[int, float] = {}
        self._skip: set[int] = set()
        self._rewired: dict[int, list[Value]] = {}
        self._cut: set[int] = set()
        adding = [u for u in self.plan.updates if u.op.name in ("add_", "add", "__iadd__", "__add__")]
        self._ascends = bool(adding) and all(_adds_plainly(u.op) for u in adding)

    # -- the walk ------------------------------------------------------------------------------------------------

    def judge_all(self) -> list[Judged]:
        by_op: dict[int, list[Version]] = {}
        for candidate in self.plan.candidates:
            for version in candidate.versions:
                by_op.setdefault(version.after, []).append(version)
        self._derived.update(v.root for v in self.plan.forward_values)
        self._live.update(v.root for v in self._forward_made() if not _selected(v))
        last = max(by_op, default=-1)
        for op in self.ops[self.plan.start : last + 1]:
            self.follow(op)
            for version in by_op.get(op.index, ()):
                self._judge(version)
        self.judged = [judged for judged in self.judged if not self._on_the_way(judged)]
        return self.judged

    def _on_the_way(self, judged: Judged) -> bool:
        """Whether a right value is only a stage of the gradient its name stands for: what is built over several
        lines is one gradient, and its last value counts."""
        if judged.verdict not in (Verdict.CORRECT, Verdict.UNOBSERVABLE) or judged.of is None:
            return False
        later = self._successor(judged.version)
        final = next((j for j in self.judged if later is not None and j.version is later), None)
        if final is None or final.of is None:
            return False
        own = self.partners.score(judged.candidate, judged.of)
        return final.of is judged.of or (own < 0.5 <= self.partners.score(final.candidate, final.of))

    def rewire(self, patches: Mapping[int, Patch]) -> None:
        """Follow a program in which some statements are changed: a patched one is computed from what the patch reads,
        not from what is on the tape."""
        self._rewired = {index: list(patch.reads) for index, patch in patches.items()}
        self._cut = {index for patch in patches.values() for index in patch.skipped}

    def follow(self, op: Op) -> None:
        if op.kind in (Kind.ESCAPE, Kind.BACKWARD):
            return
        if op.kind is Kind.GRAD_READ:
            self._autograd.update(v for v in op.outputs if v.autograd_of is not None)
            return
        inputs = self._rewired.get(op.index, op.inputs if op.index not in self._cut else [])
        touched = [*op.outputs, *op.mutated]
        faults: Faults = frozenset()
        for value in inputs:
            faults |= self._influence.get(value.root, frozenset())
        if faults:
            for value in touched:
                self._influence[value.root] = self._influence.get(value.root, frozenset()) | faults
        if any(value.root in self._derived for value in inputs):
            self._derived.update(value.root for value in touched)
        if any(value.root in self._live for value in inputs):
            self._live.update(value.root for value in touched)
        floats = [v for v in inputs if v in self._autograd]
        if floats and op.name in _COPIES and op.kind is Kind.PURE:
            self._autograd.update(op.outputs)

    def influence(self, version: Version) -> Faults:
        """The faults that what this gradient was computed from carries."""
        return self._influence.get(version.candidate.value.root, frozenset())

    def influence_of(self, root: Value) -> Faults:
        """The faults that the storage `root` carries, as far as the tape has been followed."""
        return self._influence.get(root, frozenset())

    # -- expectations --------------------------------------------------------------------------------------------

    def expectation(self, faults: Faults) -> tuple[dict[Value, torch.Tensor], Fingerprints]:
        found = self._expectations.get(faults)
        if found is None:
            replaced = {}
            for index in sorted(faults):
                fault = self.faults[index]
                if fault.at is not None and fault.gradient is not None:
                    replaced[fault.at] = fault.gradient
            gradients = self.run.graph.gradients(replaced) if replaced else self.run.graph.truth
            found = self._expectations[faults] = (gradients, Fingerprints(gradients))
        return found

    def _poisoned(self, faults: Faults) -> bool:
        return any(self.faults[i].gradient is None for i in faults)

    def noise_of(self, value: Value) -> float:
        """How far the float32 truth lies from the float64 truth: rounding as it really is here."""
        known = self._truth_noise.get(value)
        if known is None:
            known = 0.0
            if self.coarse is not None and value in self.coarse.graph.truth:
                known = distance(self.coarse.graph.truth[value].double(), self.run.graph.truth[value])
            self._truth_noise[value] = known if math.isfinite(known) else 0.0
        return self._truth_noise[value]

    def noise(self, version: Version) -> float:
        """How far the float32 replay of this gradient lies from the float64 replay."""
        known = self._version_noise.get(id(version))
        if known is None:
            known = self._version_noise[id(version)] = self._measure_noise(version)
        return known

    def _measure_noise(self, version: Version) -> float:
        if self.coarse is None or id(version) not in self.coarse.captured:
            return 0.0
        found, coarse = self.run.captured[id(version)], self.coarse.captured[id(version)]
        if found.shape != coarse.shape or not found.is_floating_point():
            return 0.0
        noise = distance(coarse.double(), found)
        return noise if math.isfinite(noise) else 0.0

    def tolerance(self, version: Version, size: float, noise: float) -> float:
        if version.candidate.value.root in self.opaque:
            return max(FLOAT32_TOLERANCE * size, 4 * noise)
        return max(RELATIVE_TOLERANCE * size, NOISE_SHARE * noise, self.rounding_floor)

    @cached_property
    def rounding_floor(self) -> float:
        """What float64 itself leaves of a sum that is zero by invariance: its rounding, relative to the largest
        gradient of the step. (The float32 noise of such a sum can be exactly zero by chance.)"""
        sizes = [norm(gradient) for gradient in self.run.graph.truth.values()]
        return ROUNDING_FLOOR * max((size for size in sizes if math.isfinite(size)), default=0.0)

    # -- one gradient --------------------------------------------------------------------------------------------

    def _judge(self, version: Version) -> None:
        candidate = version.candidate
        if id(version) in self._skip:
            return
        broken = self.run.broken.get(id(version))
        if broken is not None:
            self._unreplayable(version, broken)
            return
        found = self.run.captured.get(id(version))
        if found is None or not found.is_floating_point() or found.numel() == 0:
            return
        if candidate.value in self._autograd:
            return
        unmarked = candidate.of is None and parse(candidate.name).form is Form.NONE
        if unmarked and candidate.value.root not in self._live:
            return  # data, not computed from the network
        faults = self._influence.get(candidate.value.root, frozenset())
        if not bool(torch.isfinite(found).all()):
            self._not_finite(version, found, faults)
            return
        noise = self.noise(version)
        if self._matches(version, found, faults, noise):
            return
        self._mismatch(version, found, faults, noise)

    def _matches(self, version: Version, found: torch.Tensor, faults: Faults, noise: float) -> bool:
        """Whether the gradient equals that of some forward value; if so, it is judged here."""
        size = norm(found)
        tolerance = self.tolerance(version, size, noise)
        if size <= tolerance:
            return self._matches_zero(version, found, faults, noise)
        gradients, fingerprints = self.expectation(faults)
        if self._trivial(version, found):
            return False
        for reshaped in (False, True):
            equal = fingerprints.equals(found, tolerance, reshaped=reshaped)
            if equal:
                partner, evidence = self.partners.choose(version.candidate, equal, self._paired)
                if self._meant_for_another(version, found, partner, faults):
                    return False
                truth = self.run.graph.truth.get(partner)
                off = distance(found, truth) if truth is not None else 0.0
                inherits = bool(faults) and off > self.tolerance(
                    version, size, max(noise, self.noise_of(partner))
                )
                verdict = Verdict.INHERITED if inherits else Verdict.CORRECT
                judged = Judged(
                    version, partner, verdict, evidence, faults=faults if inherits else frozenset()
                )
                judged.alternatives = [value for value in equal if value is not partner]
                if reshaped:
                    judged.problem = Problem.SHAPE_NOTE
                    judged.reason = (
                        f"the numbers are right but the shape is {tuple(found.shape)}, "
                        f"not {tuple(gradients[partner].shape)}"
                    )
                self._accept(judged, found, gradients[partner], noise)
                return True
        if faults:
            _, true_fingerprints = self.expectation(frozenset())
            equal = true_fingerprints.equals(found, tolerance)
            if equal:
                partner, evidence = self.partners.choose(version.candidate, equal, self._paired)
                judged = Judged(version, partner, Verdict.COMPENSATED, evidence, faults=faults)
                judged.problem = Problem.WRONG_VALUE
                self._accept(judged, found, gradients.get(partner), noise)
                # The faults cancel here: what is computed from it is held against it, not against them.
                self.add_fault(judged, partner, found)
                return True
        return False

    def _meant_for_another(
        self, version: Version, found: torch.Tensor, partner: Value, faults: Faults
    ) -> bool:
        """Whether a gradient that equals that of `partner` was written, and is used, as that of another value: a
        wrong gradient. (If everything computed from it is right, it is only misnamed.)"""
        meant = self.partners.meant_instead(version.candidate, partner, found)
        if meant is None or meant not in self.run.graph.truth:
            return False
        previous = self._paired.get(meant)
        if previous is not None and previous.candidate.name == version.candidate.name:
            return False
        if meant not in self._forward_made():
            return True
        given = Fingerprints(self._given(faults, {meant: found}))
        plain = self.expectation(faults)[1]
        for consumer in self._consumers(version):
            tensor = self.run.captured.get(id(consumer))
            if tensor is None or not tensor.is_floating_point() or not bool(torch.isfinite(tensor).all()):
                continue
            tolerance = self.tolerance(consumer, norm(tensor), self.noise(consumer))
            if norm(tensor) <= tolerance or plain.equals(tensor, tolerance, reshaped=True):
                continue
            if given.equals(tensor, tolerance, reshaped=True):
                return True
        return False

    def _trivial(self, version: Version, found: torch.Tensor) -> bool:
        """A constant equals many gradients; only a name that says so makes it one."""
        flat = found.reshape(-1)
        constant = bool((flat == flat[0]).all())
        return constant and not self.partners.named(version.candidate)

    def _matches_zero(self, version: Version, found: torch.Tensor, faults: Faults, noise: float) -> bool:
        """A gradient that is zero but for rounding: only its name or use can say what of."""
        if not version.final:
            return True  # a buffer that is filled later
        proposal = self.partners.propose(version.candidate, found, self._paired, self.run.graph.truth)
        if proposal is None:
            return version.final is False or not self.partners.named(version.candidate)
        partner = proposal.value
        expected = self.expectation(faults)[0].get(partner)
        if expected is None:
            return False
        size = norm(expected)
        if size > max(NOISE_SHARE * max(noise, self.noise_of(partner)), self.rounding_floor):
            return False
        verdict = Verdict.UNOBSERVABLE
        judged = Judged(version, partner, verdict, proposal.evidence)
        judged.reason = "the true gradient is zero here, but for rounding"
        self._accept(judged, found, expected, noise)
        return True

    def _accept(
        self, judged: Judged, found: torch.Tensor, expected: torch.Tensor | None, noise: float
    ) -> None:
        judged.found = found
        judged.expected = expected
        judged.noise = noise
        if judged.of is not None:
            judged.truth = self.run.graph.truth.get(judged.of)
            if judged.verdict is not Verdict.INTRODUCED:
                judged.meant = self.partners.meant_instead(judged.candidate, judged.of, found)
            self._paired[judged.of] = judged
            judged.noise = max(noise, self.noise_of(judged.of))
        self.judged.append(judged)

    # -- gradients that match nothing ----------------------------------------------------------------------------

    def _mismatch(self, version: Version, found: torch.Tensor, faults: Faults, noise: float) -> None:
        candidate = version.candidate
        successor = self._successor(version)
        if successor is None and not version.final:
            return
        if self._only_rescaled(version) or self._replaced_unread(version, found):
            return
        if candidate.value.root not in self._derived and candidate.of is None:
            return
        if version.final and self._scaled_by_convention(version, found, faults, noise):
            return
        proposal = self.partners.propose(candidate, found, self._paired, self.run.graph.truth)
        if proposal is None or not proposal.certain:
            agreed = self._agreed_by_consumers(version, found, faults, proposal)
            proposal = agreed or proposal
        # `dx = a; dx = dx + b`: the first is not yet the gradient, unless the second follows from it.
        if successor is not None and (
            proposal is None or not self._follows_from(successor, found, proposal.value, faults)
        ):
            return
        if proposal is not None and self._contributes_to(version, proposal.value, faults):
            return
        if self._poisoned(faults):
            self._after_poison(version, found, proposal, faults)
            return
        if proposal is None:
            self._unpaired(version, found)
            return
        expected = self.expectation(faults)[0].get(proposal.value)
        if expected is None:
            judged = Judged(version, proposal.value, Verdict.UNCHECKED, proposal.evidence, Problem.UNREACHED)
            judged.reason = "the loss does not reach this value, so there is nothing to compare with"
            self._accept(judged, found, None, noise)
            return
        judged = Judged(version, proposal.value, Verdict.INTRODUCED, proposal.evidence, faults=faults)
        judged.problem = Problem.WRONG_VALUE
        seed: torch.Tensor | None = found
        if found.shape != expected.shape:
            if same_but_for_ones(found.shape, expected.shape):
                seed = found.reshape(expected.shape)
            else:
                judged.problem = Problem.SHAPE
                judged.reason = (
                    f"its shape is {tuple(found.shape)}, but `{self.partners.shown(proposal.value)}` has shape "
                    f"{tuple(expected.shape)}"
                )
                seed = _reduced(found, expected)
        self._accept(judged, found, expected, noise)
        self.add_fault(judged, proposal.value, seed)

    def _only_rescaled(self, version: Version) -> bool:
        """Clipping by norm: an already judged gradient, multiplied with a number made from the gradients."""
        versions = version.candidate.versions
        position = versions.index(version)
        if position == 0 or not any(j.version is versions[position - 1] for j in self.judged):
            return False
        for op in version.writes[len(versions[position - 1].writes) :]:
            if op.name not in _RESCALES or len(op.args) < 2:
                return False
            factor = op.args[1]
            from_gradients = isinstance(factor, Value) and factor.shape == () and factor.root in self._derived
            if not from_gradients and not isinstance(factor, Number) and not self._numbers_escaped_before(op):
                return False
        return True

    def _numbers_escaped_before(self, op: Op) -> bool:
        """Whether Python was handed a number made from the finished gradients shortly before."""
        for earlier in reversed(self.ops[max(self.plan.loss_op.index, op.index - 200) : op.index]):
            if earlier.kind is Kind.ESCAPE and earlier.inputs and earlier.inputs[0].root in self._derived:
                return earlier.inputs[0] is not self.plan.loss and earlier.name != "__bool__"
        return False

    def _replaced_unread(self, version: Version, found: torch.Tensor) -> bool:
        """A first try: its name is given to another tensor later on, and no gradient was computed from it (or it
        is a buffer of zeros that was never filled)."""
        binding = version.candidate.binding
        if binding is None:
            return False
        replaced = any(
            b.name == binding.name
            and (b.scope == binding.scope or (b.owner != 0 and b.owner == binding.owner))
            and b.when > binding.when
            for other in self.plan.candidates
            if other is not version.candidate
            for b in other.bindings
        )
        if not replaced:
            return False
        return norm(found) == 0 or not any(
            c.candidate is not version.candidate for c in self._consumers(version)
        )

    def add_fault(self, judged: Judged, at: Value | None, seed: torch.Tensor | None) -> None:
        self.faults.append(_Fault(judged, at, seed))
        root = judged.candidate.value.root
        self._influence[root] = self._influence.get(root, frozenset()) | {len(self.faults) - 1}

    def _contributes_to(self, version: Version, partner: Value, faults: Faults) -> bool:
        """Whether it is one branch of a gradient that comes out right: what is computed from it, for the same
        forward value (or, if that has its gradient already, for another one), is the true gradient."""
        gradients, fingerprints = self.expectation(faults)
        expected = gradients.get(partner)
        if expected is None:
            return False
        known = self._paired.get(partner)
        has_another = known is not None and known.candidate is not version.candidate and not known.faults
        for consumer in self._consumers(version):
            tensor = self.run.captured.get(id(consumer))
            if tensor is None or not tensor.is_floating_point():
                continue
            tolerance = self.tolerance(consumer, norm(tensor), self.noise(consumer))
            if norm(tensor) <= tolerance:
                continue
            if tensor.shape == expected.shape and distance(tensor, expected) <= tolerance:
                return True
            if has_another and fingerprints.equals(tensor, tolerance):
                return True
        return False

    def _successor(self, version: Version) -> Version | None:
        """The next version of what the person sees as one variable: changed in place, or rebound from itself."""
        candidate = version.candidate
        if not version.final:
            position = candidate.versions.index(version)
            return candidate.versions[position + 1]
        if candidate.binding is None:
            return None
        best: Candidate | None = None
        for other in self.plan.candidates:
            if other.value is candidate.value or other.value.producer is None:
                continue
            for binding in other.bindings:
                if (
                    binding.name == candidate.binding.name
                    and binding.scope == candidate.binding.scope
                    and binding.when > candidate.binding.when
                    and other.value.producer.index > version.after
                    and self._computed_from(other.value, candidate.value)
                    and (best is None or binding.when < (best.binding.when if best.binding else 0))
                ):
                    best = other
        return best.versions[0] if best is not None and best.versions else None

    def _computed_from(self, value: Value, source: Value) -> bool:
        """Whether the statement that made `value` read `source`."""
        pending, seen = [value], 0
        while pending and seen < 12:
            producer = pending.pop().producer
            seen += 1
            if producer is None:
                continue
            for read in producer.inputs:
                if read.root is source.root:
                    return True
                if (
                    read.producer is not None
                    and source.producer is not None
                    and read.producer.index > source.producer.index
                ):
                    pending.append(read)
        return False

    def _follows_from(self, later: Version, found: torch.Tensor, at: Value, faults: Faults) -> bool:
        """Whether `later`, which is right for nothing else, is what follows if `found` is the gradient at `at`."""
        following = self.run.captured.get(id(later))
        if following is None or not following.is_floating_point():
            return False
        noise = self.noise(later)
        tolerance = self.tolerance(later, norm(following), noise)
        if self.expectation(faults)[1].equals(following, tolerance):
            return False
        expected = self.run.graph.truth.get(at)
        if expected is None or expected.shape != found.shape:
            return False
        given = self._given(faults, {at: found})
        return bool(Fingerprints(given).equals(following, tolerance))

    def _given(self, faults: Faults, more: dict[Value, torch.Tensor]) -> dict[Value, torch.Tensor]:
        replaced = {}
        for index in sorted(faults):
            fault = self.faults[index]
            if fault.at is not None and fault.gradient is not None:
                replaced[fault.at] = fault.gradient
        replaced.update(more)
        return self.run.graph.gradients(replaced)

    def _agreed_by_consumers(
        self, version: Version, found: torch.Tensor, faults: Faults, named: Proposal | None
    ) -> Proposal | None:
        """The forward value for which everything later that is computed from this gradient comes out right."""
        if parse(version.candidate.name).form is Form.NONE and version.candidate.of is None:
            return None  # nothing says that this is a gradient at all
        consumers = list(self._consumers(version))[:8]
        plain = self.expectation(faults)[1]
        open_consumers = []
        for consumer in consumers:
            tensor = self.run.captured.get(id(consumer))
            if tensor is None or not tensor.is_floating_point() or not bool(torch.isfinite(tensor).all()):
                continue
            size = norm(tensor)
            tolerance = self.tolerance(consumer, size, self.noise(consumer))
            if not consumer.final or (tensor.shape == found.shape and distance(tensor, found) <= tolerance):
                continue
            if size > tolerance and not plain.equals(tensor, tolerance):
                open_consumers.append((tensor, tolerance))
        if not open_consumers:
            return None
        truth = self.run.graph.truth
        options = [v for v, g in truth.items() if g.shape == found.shape and v is not self.plan.loss]
        if named is not None and named.alternatives:
            options = [v for v in named.alternatives if v in truth and truth[v].shape == found.shape]
        options.sort(key=lambda v: distance(found, truth[v]))
        best: tuple[int, Value] | None = None
        for value in options[:16]:
            given = Fingerprints(self._given(faults, {value: found}))
            score = sum(bool(given.equals(tensor, tolerance)) for tensor, tolerance in open_consumers)
            if score and (best is None or score > best[0]):
                best = (score, value)
                if score == len(open_consumers):
                    break
        if best is None:
            return None
        return Proposal(best[1], "what is computed from it", certain=True)

    def _consumers(self, version: Version) -> Iterator[Version]:
        """Later candidate versions computed from this one."""
        reached = {version.candidate.value.root}
        made: dict[Value, int] = {}
        for op in self.ops[version.after + 1 : self.plan.stop]:
            if op.kind in (Kind.ESCAPE, Kind.BACKWARD):
                continue
            if any(value.root in reached for value in op.inputs):
                for value in (*op.outputs, *op.mutated):
                    reached.add(value.root)
                    made[value.root] = op.index
        for candidate in self.plan.candidates:
            if candidate is version.candidate:
                position = candidate.versions.index(version)
                yield from candidate.versions[position + 1 :]
                continue
            for other in candidate.versions:
                if candidate.value.root in made and other.after > version.after:
                    yield other

    def _scaled_by_convention(
        self, version: Version, found: torch.Tensor, faults: Faults, noise: float
    ) -> bool:
        """`dZ = A - Y` with the 1/m applied later, in dW: m times the gradient, and everything it is for is right."""
        gradients, _ = self.expectation(faults)
        best: tuple[float, Value] | None = None
        fitting: list[Value] = []
        size = norm(found)
        unnamed = version.candidate.binding is None
        for value, expected in gradients.items():
            if expected.shape != found.shape:
                continue
            expected_size = norm(expected)
            if expected_size == 0:
                continue
            factor = float((found * expected).sum()) / expected_size**2
            if self._ascends:
                factor = -factor  # `error = target - output` and `W += lr * ...`
            if not (
                _is_count(factor) or (self._ascends and abs(factor - 1) < 1e-9) or (unnamed and factor > 0)
            ):
                continue
            if self._ascends:
                factor = -factor
            tolerance = self.tolerance(version, size, noise)
            if distance(found, factor * expected) <= tolerance:
                fitting.append(value)
                evidence = self.partners.score(version.candidate, value)
                if best is None or evidence > self.partners.score(version.candidate, best[1]):
                    best = (factor, value)
        if best is None:
            return False
        factor, partner = best
        if partner is self.plan.loss:
            return False
        if not (unnamed or self._ascends or self._consumers_end_right(version, gradients, factor)):
            return False
        if unnamed and (version.candidate.of is None or partner.root is not version.candidate.of.root):
            return False
        expected = gradients[partner]
        judged = Judged(
            version,
            partner,
            Verdict.CORRECT,
            f"its numbers, {factor:g} times the true gradient",
            scale=factor,
        )
        judged.alternatives = [value for value in fitting if value is not partner]
        self._accept(judged, found, factor * expected, noise)
        judged.truth = factor * self.run.graph.truth[partner] if partner in self.run.graph.truth else None
        return True

    def _consumers_end_right(
        self, version: Version, gradients: dict[Value, torch.Tensor], factor: float
    ) -> bool:
        """Whether what is computed from this gradient is either the true gradient again or scaled alike, and
        some of it is the true one: the factor is made good where it matters."""
        plain = Fingerprints(gradients)
        scaled = Fingerprints({v: factor * g for v, g in gradients.items()})
        right = 0
        for consumer in self._consumers(version):
            tensor = self.run.captured.get(id(consumer))
            if not consumer.final or tensor is None or not tensor.is_floating_point():
                continue
            tolerance = self.tolerance(consumer, norm(tensor), self.noise(consumer))
            if norm(tensor) <= tolerance:
                continue
            if plain.equals(tensor, tolerance, reshaped=True):
                right += 1
            elif not scaled.equals(tensor, tolerance, reshaped=True) and self.partners.named(
                consumer.candidate
            ):
                return False
        return right > 0

    def _forward_made(self) -> set[Value]:
        """Forward values computed from others that can have a gradient: everything but parameters and inputs."""
        truth = self.run.graph.truth
        return {
            value
            for op in self.plan.forward_ops
            for value in op.outputs
            if value.producer is op and any(v in truth for v in op.inputs)
        }

    # -- gradients nothing can be told about ---------------------------------------------------------------------

    def _not_finite(self, version: Version, found: torch.Tensor, faults: Faults) -> None:
        if not version.final:
            return
        proposal = self.partners.propose(version.candidate, found, self._paired, self.run.graph.truth)
        if proposal is None and parse(version.candidate.name).form < Form.EXPLICIT:
            return
        blamed = any(self.faults[i].judged.problem is Problem.NON_FINITE for i in faults)
        judged = Judged(
            version,
            proposal.value if proposal else None,
            Verdict.INHERITED if blamed else Verdict.INTRODUCED,
            proposal.evidence if proposal else "",
            Problem.NONE if blamed else Problem.NON_FINITE,
            faults=faults,
        )
        bad = int((~torch.isfinite(found)).sum())
        judged.reason = f"{bad} of {found.numel()} elements are NaN or infinite"
        expected = self.expectation(frozenset())[0].get(proposal.value) if proposal else None
        if expected is not None and not bool(torch.isfinite(expected).all()):
            judged.verdict = Verdict.UNCHECKED
            judged.reason = "the true gradient is not finite here either"
        self._accept(judged, found, expected, 0.0)
        if judged.verdict is Verdict.INTRODUCED:
            self.add_fault(judged, judged.of, None)

    def _after_poison(
        self, version: Version, found: torch.Tensor, proposal: Proposal | None, faults: Faults
    ) -> None:
        if proposal is None:
            return
        judged = Judged(
            version, proposal.value, Verdict.UNCHECKED, proposal.evidence, Problem.UNREACHED, faults=faults
        )
        names = [
            self.faults[i].judged.candidate.name for i in sorted(faults) if self.faults[i].gradient is None
        ]
        judged.reason = f"it is computed from `{names[0]}`, which cannot stand in for a gradient"
        self._accept(judged, found, None, 0.0)

    def _unpaired(self, version: Version, found: torch.Tensor) -> None:
        candidate = version.candidate
        form = parse(candidate.name).form
        if form is Form.GENERIC and not any(True for _ in self._consumers(version)):
            return
        if form < Form.GENERIC or candidate.binding is None or candidate.binding.alias:
            return
        judged = Judged(version, None, Verdict.UNCHECKED, "", Problem.UNPAIRED)
        judged.reason = "no forward value was found that this could be the gradient of"
        self._accept(judged, found, None, 0.0)

    def _unreplayable(self, version: Version, reason: str) -> None:
        candidate = version.candidate
        if not version.final or parse(candidate.name).form < Form.BARE_D:
            return
        proposal = self.partners.propose_by_name(candidate)
        if proposal is None:
            return
        judged = Judged(version, proposal.value, Verdict.UNCHECKED, proposal.evidence, Problem.UNREACHED)
        judged.reason = reason
        self.judged.append(judged)


_RESCALES = {"mul_", "div_", "__imul__", "__itruediv__", "multiply_", "divide_", "true_divide_"}
_COPIES = {"clone", "detach", "data", "to", "float", "double", "cpu", "view", "reshape", "contiguous"}


def _selected(value: Value) -> bool:
    return value.producer is not None and value.producer.name in ("__getitem__", "getitem", "index_select")


def _adds_plainly(op: Op) -> bool:
    """`W += rate * delta`: no minus sign on the way."""
    alpha = (op.kwargs or {}).get("alpha", 1)
    if isinstance(alpha, (int, float)) and alpha < 0:
        return False
    step = op.args[1] if len(op.args) > 1 else None
    for _ in range(4):
        if not isinstance(step, Value) or step.producer is None:
            break
        producer = step.producer
        if producer.name in ("neg", "sub", "__sub__", "__rsub__"):
            return False
        if any(isinstance(a, (int, float)) and a < 0 for a in producer.args):
            return False
        values = [a for a in producer.args if isinstance(a, Value) and a.shape == step.shape]
        step = values[0] if len(values) == 1 else None
    return True


def _is_count(factor: float) -> bool:
    """A whole number of at least 2, or one over it: what a sum over a batch differs by from a mean."""
    if factor < 0:
        return False
    count = factor if factor > 1 else (1 / factor if factor > 0 else 0)
    return count > 1.5 and abs(count - round(count)) < 1e-6 * count


def _reduced(found: torch.Tensor, expected: torch.Tensor) -> torch.Tensor | None:
    """What a gradient that was never summed over its broadcast dimensions stands for, if that is clear."""
    try:
        return found.sum_to_size(expected.shape)
    except RuntimeError:
        return None
