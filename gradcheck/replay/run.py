"""One replay of a whole pass at one point: forward under autograd, and the person's backward as they wrote it."""

import math
from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch

from gradcheck.fronts.gradient_names import Form, parse
from gradcheck.fronts.markers import ONLY_THROUGH_THESE
from gradcheck.fronts.tape import Kind, Op, Value
from gradcheck.graph import flow
from gradcheck.graph.node import Node
from gradcheck.graph.precision import default_dtype
from gradcheck.replay.fidelity import Fidelity
from gradcheck.replay.forward import ForwardGraph, vector_jacobian
from gradcheck.replay.passes import PassPlan, Version
from gradcheck.replay.runner import LARGE, Patch, Runner
from gradcheck.replay.slices import Slicer, last_used, last_writes, leading_to, read_from_outside
from gradcheck.replay.track import Track
from gradcheck.replay.variation import Variation


class PassOps:
    """The ops a pass needs, found once and replayed under many conditions."""

    def __init__(self, plan: PassPlan, also: Iterable[Value] = ()) -> None:
        """`also` are further values a replay is to compute, as far as they exist by then."""
        self.plan = plan
        also = list(also)
        candidates = [c.value for c in plan.candidates]
        last = max(plan.last_op, plan.loss_op.index)
        wanted = [*candidates, plan.loss, *also]
        # What a pass after an earlier update starts from is whatever the earlier ops left.
        needed = plan.slicer.slice(wanted, 0, last + 1)
        self.manual = [plan.instead.get(op.index, op) for op in needed]
        forward = plan.replayed_ops
        if also:
            forward = plan.slicer.slice([plan.loss, *also], plan.start, plan.loss_op.index + 1)
        self.forward = [plan.instead.get(op.index, op) for op in forward]
        shapes = {value.shape for value in candidates}
        for value in (value for op in self.forward for value in op.inputs if value.shape in shapes):
            value.whole = True
        self.large = {v for v in read_from_outside(self.forward) if math.prod(v.shape) > LARGE}
        sizes = {*map(math.prod, shapes)}
        self.ungraded = {v for v in self.large if math.prod(v.shape) not in sizes}  # data, as a rule
        self.mutated = last_writes(needed)
        self.versions_after: dict[int, list[Version]] = defaultdict(list)
        for candidate in plan.candidates:
            for version in candidate.versions:
                self.versions_after[version.after].append(version)
        again = [op for op in needed if op.kind is Kind.UPSTREAM and op.extra == ONLY_THROUGH_THESE]
        read = {value for op in again for each in computed_again(plan.slicer, op) for value in each.inputs}
        self.wanted = {*wanted, *read}
        self.last_used = last_used(needed, self.wanted)
        # A leaf that was filled in place before the start (`torch.empty(..).normal_()`) is not what it was when it
        # was first seen, either.
        changed_before = {v.root for op in needed if op.index < plan.start for v in op.mutated}
        self.leaves_at_start = {
            value
            for op in self.forward
            for value in op.inputs
            if (value.producer is not None and value.producer.index < plan.start)
            or (value.producer is None and value.root in changed_before)
        }

    @cached_property
    def fidelity(self) -> Fidelity:
        """The pass replayed as it ran, its updates included, and held to what the program computed."""
        plan = self.plan
        ends = (plan.last_op, plan.loss_op.index, *(update.op.index for update in plan.updates))
        ops = plan.slicer.all_of(plan.start, max(ends) + 1)
        return Fidelity(ops, last_used(ops, set()), self.versions_after)


@dataclass(slots=True)
class _Results:
    captured: dict[int, torch.Tensor]
    broken: dict[int, str]
    manual: Runner | None


class PassRun:
    """`captured` holds each candidate version as the replay computed it, `broken` why it could not; `graph` is the
    forward pass under autograd. A run in less than float64 only measures rounding: of its graph, the true gradients
    are left."""

    def __init__(
        self, prepared: PassOps, dtype: torch.dtype, overrides: Mapping[Value, torch.Tensor] | None = None,
        patches: Mapping[int, Patch] | None = None, keep: int | None = None,
        variation: Variation | None = None, at_once: bool = True,
        undifferentiated: Container[Value] = frozenset(),
    ) -> None:  # fmt: skip
        """`keep` the replay of the manual backward pass as it was after that op, in `manual`: what comes later may change
        tensors in place, and is left out. What is not replayed `at_once` is when somebody asks for it. The leaves
        `undifferentiated` have no true gradients, until they are released."""
        self.prepared = prepared
        self._dtype = dtype
        self._moved = prepared.plan.moved, overrides or {}
        self._patches = patches
        self._keep = keep
        self._variation = variation
        self._undifferentiated = undifferentiated
        if at_once:
            _ = self._there

    def release(self) -> None:
        """Let go of all tensors. Whoever asks for one again has it all replayed again."""
        for held in ("_there", "_forward"):
            vars(self).pop(held, None)
        self._undifferentiated = frozenset()

    @property
    def _overrides(self) -> dict[Value, torch.Tensor]:
        leaves, others = self._moved
        return {**leaves, **others}

    @property
    def graph(self) -> ForwardGraph:
        """The forward pass alone, as long as nobody asks for more; of less than float64, what is left of it."""
        if self._dtype is not torch.float64:
            _ = self._there
        return self._forward

    @property
    def captured(self) -> dict[int, torch.Tensor]:
        return self._there.captured

    @property
    def broken(self) -> dict[int, str]:
        return self._there.broken

    @property
    def manual(self) -> Runner | None:
        return self._there.manual

    @cached_property
    def _forward(self) -> ForwardGraph:
        prepared = self.prepared
        graph = ForwardGraph(
            prepared.forward,
            prepared.plan.loss,
            self._dtype,
            overrides=self._overrides,
            start_from=self._started(),
            patches=self._patches,
            variation=self._variation,
            carried=prepared.plan.carried,
            undifferentiated=self._undifferentiated,
        )
        share, variation = prepared.plan.share, self._variation
        if share != 1:
            graph.loss_tensor = graph.loss_tensor * (share if variation is None else variation.number(share))
        return graph

    @cached_property
    def _there(self) -> _Results:
        graph = self._forward
        end = math.inf if self._keep is None else self._keep + 1
        track = self._track(graph, {}, {}).until(end)
        if self._dtype is not torch.float64:
            graph.release()
        return _Results(track.captured, track.broken, None if self._keep is None else track.runner)

    def with_replaced(
        self,
        replaced: Mapping[int, torch.Tensor],
        arriving: Mapping[Value, torch.Tensor] | None = None,
        wanted: Iterable[Version] | None = None,
    ) -> dict[int, torch.Tensor]:
        """What every version would have been, had those in `replaced` (by identity) been what is given there, and had
        autograd handed over what `arriving` gives for a value. If only some are `wanted`, only what leads to them is run."""
        if wanted is None or self._patches:
            return self.track(replaced, arriving).until().captured
        prepared, asked = self.prepared, set(wanted)
        last = max((version.after for version in asked), default=-1)
        given = {
            after: [v.candidate.value for v in versions if id(v) in replaced]
            for after, versions in prepared.versions_after.items()
        }
        ops = [op for op in prepared.manual if op.index <= last]
        roots = {version.candidate.value.root for version in asked}
        ops = leading_to(ops, roots, given, self._shared_with(self.graph))
        versions = {
            after: [v for v in those if v in asked or id(v) in replaced]
            for after, those in prepared.versions_after.items()
        }
        return self._track(self.graph, replaced, arriving or {}, ops, versions).until(last + 1).captured

    def track(
        self, replaced: Mapping[int, torch.Tensor], arriving: Mapping[Value, torch.Tensor] | None = None
    ) -> Track:
        """The same, to be followed step by step."""
        return self._track(self.graph, replaced, arriving or {})

    def _track(
        self,
        graph: ForwardGraph,
        replaced: Mapping[int, torch.Tensor],
        arriving: Mapping[Value, torch.Tensor],
        ops: list[Op] | None = None,
        versions: Mapping[int, list[Version]] | None = None,
    ) -> Track:
        prepared, dtype = self.prepared, self._dtype
        truth = dict(graph.truth)
        known = self._shared_with(graph)
        hands_over = any(op.kind is Kind.UPSTREAM for op in prepared.manual)
        if dtype is not torch.float64 and not hands_over:
            graph.release()
        runner = Runner(
            dtype,
            overrides=self._overrides,
            autograd_truth=truth,
            known=known,
            patches=self._patches,
            upstream=Arriving(graph, truth, arriving, prepared.plan.slicer),
            variation=self._variation,
        )
        keeps = self._keep is not None
        last_used = {} if keeps else prepared.last_used
        if ops is None:
            ops = prepared.manual
            if known and prepared.leaves_at_start:  # what only those are made of
                ops = leading_to(ops, {value.root for value in prepared.wanted}, {}, known)
        mutated = None if self._patches or keeps else prepared.mutated
        return Track(runner, ops, versions or prepared.versions_after, last_used, known, replaced, mutated)

    def start_tensors(self) -> dict[Value, torch.Tensor]:
        """The values that the ops before the pass leave to it. They are those of this run: not to be written to."""
        return self.graph.start_tensors()

    def _started(self) -> dict[Value, torch.Tensor]:
        prepared = self.prepared
        kept = prepared.leaves_at_start
        replay = Runner(self._dtype, overrides=self._overrides, variation=self._variation)
        with torch.no_grad(), default_dtype(self._dtype):
            for op in prepared.manual if kept else ():
                if op.index >= prepared.plan.start:
                    break
                replay.step(op)
                for value in prepared.last_used.get(op.index, ()):
                    if value not in kept:
                        replay.forget(value)
        return {value: replay.env[value] for value in kept if value in replay.env}

    def _shared_with(self, graph: ForwardGraph) -> dict[Value, torch.Tensor]:
        """What the forward pass computed need not be computed again, where nothing changes it in place later."""
        if self._patches:
            return {}
        return {
            value: tensor.detach()
            for value, tensor in graph.computed()
            if value.root not in self.prepared.mutated
        }


@dataclass
class Arriving:
    """What autograd hands to a `backward` of the person's, given what other ones have returned before; `instead` of what
    arrives at some values."""

    _graph: ForwardGraph
    _truth: Mapping[Value, torch.Tensor]
    _instead: Mapping[Value, torch.Tensor]
    _slicer: Slicer
    _known: dict[tuple[tuple[Value, int], ...], dict[Value, torch.Tensor]] = field(default_factory=dict)
    _held: list[torch.Tensor] = field(default_factory=list)

    def __call__(self, node: Node, handed: Mapping[Value, torch.Tensor], run: Runner) -> torch.Tensor | None:
        of = node.args[0]
        if node.event.extra == ONLY_THROUGH_THESE:
            return vector_jacobian(computed_again(self._slicer, node.event), of, handed, run)
        if of in self._instead:
            return self._instead[of]
        wrong = {value: given for value, given in handed.items() if not self._is_true(value, given)}
        gradients = self._truth if not wrong else self._given(wrong)
        return gradients.get(of)

    def _given(self, wrong: dict[Value, torch.Tensor]) -> dict[Value, torch.Tensor]:
        key = tuple((value, id(given)) for value, given in wrong.items())
        if key not in self._known:
            fitting = {
                v: given for v, given in wrong.items() if given.numel() == self._graph.tensor(v).numel()
            }
            self._known[key] = self._graph.gradients(fitting)
            self._held += wrong.values()
        return self._known[key]

    def _is_true(self, value: Value, given: torch.Tensor) -> bool:
        true = self._truth.get(value)
        if true is None:
            return not bool(given.any())
        if true.shape != given.shape:
            return False
        off = float((given - true).abs().max()) if true.numel() else 0.0
        return off <= _TRUE_ENOUGH[given.dtype] * float(true.abs().max())


_TRUE_ENOUGH = {torch.float64: 1e-12, torch.float32: 1e-4, torch.complex128: 1e-12, torch.complex64: 1e-4}


def computed_again(slicer: Slicer, op: Op) -> list[Op]:
    """What autograd goes back through where it is given gradients of some values and asked for that of another."""
    of, ends = op.args[0], [value for value, _ in op.args[1:]]
    return flow.between(slicer.slice(ends, of.birth + 1, op.index), [of], ends, key=flow.storage)


def opaque_values(ops: Sequence[Op], plan: PassPlan) -> set[Value]:
    """Floating values that entered the step from outside torch after it had begun, and all computed from them:
    their numbers are float32 in every replay."""
    tainted: set[Value] = {c.value.root for c in plan.candidates if _came_late(c.value, plan)}
    forward = set(plan.forward_ops)
    for candidate in plan.candidates:
        value = candidate.value
        if not value.shape and candidate.of is None and parse(candidate.name).form is Form.NONE:
            continue  # `np.sqrt(5)`: a number like any that is written down
        held = value.data if value.producer is None and value.birth > plan.loss_op.index else None
        if held is not None and (held.is_floating_point() or held.is_complex()):  # and no positions
            tainted.add(value.root)
    for op in ops[plan.start : plan.last_op + 1]:
        if op.kind in (Kind.ESCAPE, Kind.BACKWARD):
            continue
        for value in op.inputs:
            if op not in forward and _came_late(value, plan):
                tainted.add(value.root)
        if any(value.root in tainted for value in op.inputs):
            tainted.update(value.root for value in (*op.outputs, *op.mutated))
    return tainted


def _came_late(value: Value, plan: PassPlan) -> bool:
    of = value.autograd_of
    foreign = value.producer is None if of is None else of not in plan.forward_values
    late = foreign and value.birth > plan.loss_op.index
    return late and value.data is not None and _not_exact(value.data)


def _not_exact(tensor: torch.Tensor) -> bool:
    if not tensor.is_floating_point() or tensor.dtype == torch.float64:
        return False
    return bool((tensor != tensor.round()).any())
