"""The outputs of a backward pass: the gradients that leave it, and which of them are wrong."""

from collections import defaultdict
from functools import cached_property

import torch

from gradcheck.fronts.gradient_names import Form, parse
from gradcheck.fronts.tape import Value
from gradcheck.graph import flow
from gradcheck.judge.consumers import Consumer
from gradcheck.judge.judge import Judge
from gradcheck.judge.rates import is_of_another_rate, usual_rate
from gradcheck.judge.uphill import may_go_that_way
from gradcheck.ops import Family
from gradcheck.replay.compare import differentiable, distance, is_finite, norm, same_but_for_ones
from gradcheck.replay.passes import Version
from gradcheck.replay.track import Track


class Outputs:
    """Blame needs a victim (principle 2): what moves a parameter, is returned or set as an attribute, and named
    gradients that nothing reads. A value that nothing reads and whose name is bound again is none."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._consumers: dict[Version, list[Version]] = {}
        self.meant: dict[Version, Value | None] = {}  # what interventions at other turns of a loop found out
        self._track: Track | None = None
        self._true: set[Version] = set()  # for which it has the true ones

    def healed(self, version: Version) -> Track:
        """The backward pass up to `version`, had all wrong gradients found so far been the true ones. The gradients are asked
        for in the order of the program: one replay goes along with them."""
        true, track = self._judge.true_ones(), self._track
        new = {at: truth for at, truth in true.items() if at not in self._true}
        if track is None or not all(map(track.can_replace, (version, *new))):
            track = self._track = self._judge.run.track({id(at): truth for at, truth in true.items()})
        else:
            for at, truth in new.items():
                track.replace(at, truth)
        self._true = set(true)
        return track.after(version)

    def with_true_upstream(self, version: Version) -> torch.Tensor | None:
        """What this gradient would have been, had the wrong ones it was computed from been the true ones."""
        found = self.healed(version).captured.get(id(version))
        return found if found is not None and differentiable(found) else None

    def is_one(self, version: Version) -> bool:
        candidate, relations = version.candidate, self._judge.relations
        if not version.final or relations.successor(version) is not None:
            return False
        if candidate.of is not None:
            return True
        if self._judge.is_of_whole_numbers(version):
            return False
        return not self._is_read(version) and not self.is_replaced_unread(version)

    def is_replaced_unread(self, version: Version) -> bool:
        """Whether its name is given to another tensor later on, and neither a gradient nor the move of a parameter was
        computed from it."""
        unread = version.candidate.of is None and not self._is_read(version) and not self._moves(version)
        return unread and self._judge.relations.renamed_later(version)

    def _moves(self, version: Version) -> bool:
        """Whether a parameter is moved by it, through momentum or whatever else."""
        return any(index > version.after for index in self._moving.get(version.candidate.value.root, ()))

    @cached_property
    def _moving(self) -> dict[Value, list[int]]:
        """By storage, the ops that read it on its way into the move of a parameter."""
        plan = self._judge.plan
        moves = [update.op for update in plan.updates]
        moved = [value for op in moves for value in (*op.outputs, *op.mutated)]
        found: dict[Value, list[int]] = defaultdict(list)
        last = max((op.index for op in moves), default=-1)
        for op in plan.slicer.slice(moved, plan.loss_op.index, last + 1):
            for value in op.inputs:
                found[value.root].append(op.index)
        return found

    def spoils_one(self, version: Version) -> bool:
        """Whether it is, or something computed from it is, an output that is wrong."""
        return version in self._wrong or any(later in self._wrong for later in self._read_by(version))

    def _is_read(self, version: Version) -> bool:
        return any(later.candidate is not version.candidate for later in self._read_by(version))

    def _read_by(self, version: Version) -> list[Version]:
        if version not in self._consumers:
            later = self._judge.relations.consumers(version)
            self._consumers[version] = [v for v in later if not v.candidate.divided]
        return self._consumers[version]

    @cached_property
    def _wrong(self) -> set[Version]:
        versions = (c.versions[-1] for c in self._judge.plan.candidates if not c.divided)
        return {version for version in versions if self.is_one(version) and self._is_wrong(version)}

    def _is_wrong(self, version: Version) -> bool:
        found = self._judge.captured(version)
        if self._judge.partners.is_out_of_reach(version.candidate, self._judge.run.graph.truth):
            return False  # nobody can say that it is, nor what heals it
        if found is None:
            return True  # of what is not there, nobody can say that it is right
        return not self.is_right(version, found) and not self._is_moment(version)

    def _is_moment(self, version: Version) -> bool:
        """Whether it is what an optimiser keeps of right gradients: made of them element by element, one of them that of
        a parameter. It has no true value of its own, so that it is as right as they are."""
        named = any(parse(b.name).form is not Form.NONE for b in version.candidate.bindings)
        if named or version.candidate.of is not None:
            return False
        sources = self._made_of(version)
        return any(self._moves_by_itself(source) for source in sources) and all(
            self._moves_by_itself(source) or not self._is_wrong(source) for source in sources
        )

    def _moves_by_itself(self, version: Version) -> bool:
        """Whether it is the true gradient of a parameter that is moved."""
        judge, found = self._judge, self._judge.captured(version)
        if found is None or not is_finite(found):
            return False
        truths = [judge.run.graph.truth.get(parameter) for parameter in self._moved]
        tolerance = judge.tolerance(version, norm(found), judge.noise(version))
        return any(
            truth is not None and truth.shape == found.shape and distance(found, truth) <= tolerance
            for truth in truths
        )

    @cached_property
    def _moved(self) -> list[Value]:
        return list(dict.fromkeys(update.parameter for update in self._judge.plan.updates))

    def _made_of(self, version: Version) -> list[Version]:
        """The nearest gradients of its shape that it is made of element by element, as they were then."""
        own = version.candidate.value
        known = {c.value: c for c in self._judge.plan.candidates if c.value.shape == own.shape}

        def stop(value: Value) -> bool:
            made = value.producer
            is_sum = made is not None and made.operation.family in (Family.PRODUCT, Family.REDUCTION)
            return value in known or made is None or is_sum

        inputs = [value for op in version.writes for value in op.inputs]
        found: list[Version] = []
        for value in dict.fromkeys(flow.ancestors(*inputs, stop=stop)):
            if value in known and value.root is not own.root:
                found += [v for v in known[value].versions if v.after < version.after][-1:]
        return found

    def is_right(self, version: Version, found: torch.Tensor, scale: float | None = None) -> bool:
        """Whether `found` would be right there: the true gradient of what it is named or used for; of anything, where
        nothing says that. With `scale`, that multiple of it is right as well."""
        judge = self._judge
        size, noise = norm(found), judge.noise(version)
        consumer = Consumer(version, found, size, noise, judge.tolerance(version, size, noise))
        if not consumer.is_finite:
            return False
        gradients = judge.expectation(frozenset())
        meant = judge.partners.propose(version.candidate, found, judge.paired, judge.run.graph.truth)
        truth = gradients[0].get(meant.value) if meant is not None else None
        scales = (1.0,) if scale is None else (1.0, scale)
        if meant is None or truth is None or not same_but_for_ones(truth.shape, found.shape):
            # `db = dz`: a second name, and nothing else is made of it.
            if meant is not None and version.candidate.second_name and not self._is_read(version):
                return False
            # What is returned for a value, or moves it, is of that value, whatever else it equals.
            return version.candidate.of is None and (
                consumer.is_one_of(gradients, reshaped=True)
                or any(
                    gradients[1].equals(found / factor, consumer.tolerance / abs(factor), reshaped=True)
                    for factor in scales[1:]
                )
            )
        tolerance = judge.tolerance(version, size, max(noise, judge.noise_of(meant.value)))
        is_step = version.candidate.binding is None and not version.candidate.returned
        if is_step and consumer.is_one_of(gradients, reshaped=True):
            # What an update moves a parameter by: a multiple of the gradient.
            rate = usual_rate(judge, version.candidate) if found.numel() == 1 and truth.any() else None
            if rate is not None and is_of_another_rate(float(found) / float(truth), rate):
                return False
            return may_go_that_way(judge.plan, version.candidate.value, found, truth)
        return any(distance(found, factor * truth) <= tolerance for factor in scales)
