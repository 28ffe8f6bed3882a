"""Finds the backward passes on a tape: each loss, its forward pass, and the values that may be gradients."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass, field

from gradcheck.recording.gradient_names import Form, is_loss_name, name_affinity, parse, split_path
from gradcheck.recording.tape import Binding, Kind, Op, Recording, Value
from gradcheck.recording.updates import Update, find_updates
from gradcheck.replay.names import NameIndex
from gradcheck.replay.slices import produced, slice_ops

_LOSS_FUNCTIONS = {
    "cross_entropy", "nll_loss", "mse_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits", "l1_loss",
    "smooth_l1_loss", "huber_loss", "kl_div", "hinge_embedding_loss", "soft_margin_loss", "multi_margin_loss",
    "poisson_nll_loss", "gaussian_nll_loss", "multilabel_soft_margin_loss",
}  # fmt: skip
_REPORTING = {"log10", "log", "sqrt", "detach", "clone", "data", "exp", "to", "cpu", "round"}


@dataclass(slots=True)
class Version:
    """A candidate gradient as it was after op `after`; `writes` are the ops that built it up to then."""

    candidate: Candidate
    after: int
    writes: list[Op]
    final: bool = False


@dataclass(slots=True)
class Candidate:
    """A value that may be a manual gradient."""

    value: Value
    name: str
    binding: Binding | None
    bindings: list[Binding] = field(default_factory=list)
    of: Value | None = None  # what it was attached to: p.grad = g, x.g = g, an update of p
    of_evidence: str = ""
    versions: list[Version] = field(default_factory=list)
    outer_name: str = ""  # what the caller of the function that computed it calls it
    second_name: bool = False  # of a tensor that is another gradient as well (`db = dz`)


@dataclass(slots=True)
class PassPlan:
    loss: Value
    loss_op: Op
    loss_name: str
    start: int
    forward_ops: list[Op]
    candidates: list[Candidate] = field(default_factory=list)
    updates: list[Update] = field(default_factory=list)
    alternatives: list[PassPlan] = field(
        default_factory=list
    )  # the same pass under another loss it may be for
    iteration: int | None = None
    stop: int = 0  # first op on the tape that is no longer part of this pass

    @property
    def forward_values(self) -> set[Value]:
        found = produced(self.forward_ops)
        for op in self.forward_ops:
            found.update(op.inputs)
        return found


def find_passes(recording: Recording, names: NameIndex, loss_name: str | None) -> list[PassPlan]:
    """All passes that have at least one candidate gradient, in program order."""
    ops = recording.ops
    losses = _differentiated(recording, _select_losses(recording, names, loss_name))
    plans: list[PassPlan] = []
    steps = _steps(recording)
    for number, (value, op, name) in enumerate(losses):
        start = max(
            _forward_start(recording, op, value, [loss[1] for loss in losses[:number]]),
            max((begin for begin, end, _ in steps if begin <= op.index < end), default=0),
        )
        plan = PassPlan(value, op, name, start, slice_ops(ops, [value], start, op.index + 1))
        plans.append(plan)
    _set_windows(recording, plans)
    plans = _merge_chains(plans)
    collector = _Collector(recording, plans, names)
    collector.collect()
    return [plan for plan in plans if any(_speaks_of_gradients(c) for c in plan.candidates)]


def _speaks_of_gradients(candidate: Candidate) -> bool:
    return candidate.of is not None or any(parse(b.name).form is not Form.NONE for b in candidate.bindings)


def _differentiated(recording: Recording, losses: list[tuple[Value, Op, str]]) -> list[tuple[Value, Op, str]]:
    """The losses near which something is computed that may be a gradient: not those of evaluation loops."""
    places = [loss[1].index for loss in losses]
    kept: set[int] = set()
    moments = [b.when for b in recording.bindings if parse(b.name).form is not Form.NONE]
    moments += [op.index for op in recording.ops if op.kind is Kind.GRAD_WRITE]
    moments += [begin + 1 for begin, _, _ in _steps(recording)]
    for when in moments:
        position = bisect_left(places, when)
        kept.update(i for i in (position - 1, position) if 0 <= i < len(losses))
    for begin, end, _ in _steps(recording):
        kept.update(range(bisect_left(places, begin), bisect_left(places, end)))
    return [loss for i, loss in enumerate(losses) if i in kept]


# -- losses ------------------------------------------------------------------------------------------------------


def _select_losses(recording: Recording, names: NameIndex, wanted: str | None) -> list[tuple[Value, Op, str]]:
    ops = recording.ops
    backward_called = {value for op in ops if op.kind is Kind.BACKWARD for value in op.inputs[:1]}
    ranked: list[tuple[int, Value, Op, str]] = []
    for op in ops:
        if op.kind in (Kind.ESCAPE, Kind.BACKWARD, Kind.RANDOM, Kind.GRAD_READ):
            continue
        for value in op.outputs:
            scalar = all(size == 1 for size in value.shape)
            if value.producer is not op:
                if op.kind is Kind.MUTATE and scalar and value in backward_called | _loss_named(names, value):
                    ranked = [entry for entry in ranked if entry[1] is not value]
                else:
                    continue
            name = names.loss_name(value)
            if wanted is not None:
                if wanted in names.all_names(value):
                    ranked.append((9, value, op, wanted))
                continue
            if not scalar or not any(isinstance(v, Value) for v in op.inputs):
                continue
            rank = _loss_rank(op, value, name, value in backward_called)
            if rank:
                ranked.append((rank, value, op, name or names.statement_name(op) or op.name))
    if not ranked:
        return []
    # Where real losses exist, other scalars (accuracies, means) are not mistaken for one.
    best = max(rank for rank, *_ in ranked)
    floor = 2 if best >= 2 else best
    return [(value, op, name) for rank, value, op, name in ranked if rank >= floor]


def _loss_named(names: NameIndex, value: Value) -> set[Value]:
    return {value} if names.loss_name(value) else set()


def _loss_rank(op: Op, value: Value, name: str | None, backward_called: bool) -> int:
    if backward_called:
        return 4
    if name is not None and is_loss_name(name):
        return 0 if op.name in _REPORTING and all(v.shape == value.shape for v in op.inputs) else 3
    if op.name in _LOSS_FUNCTIONS:
        return 2
    return 1 if name is not None and op.name not in _REPORTING else 0


def _forward_start(recording: Recording, loss_op: Op, loss: Value, earlier: list[Op]) -> int:
    """Where the forward pass of this loss begins: after the last parameter update it depends on."""
    ops = recording.ops
    if not earlier:
        return 0
    whole = set(slice_ops(ops, [loss], 0, loss_op.index + 1))
    start = 0
    for previous in earlier:
        before = slice_ops(ops, previous.outputs, 0, previous.index + 1)
        used = {value.root for op in before for value in op.inputs}
        for update in find_updates(recording, previous.index + 1, loss_op.index, used):
            if update.op in whole:
                start = max(start, update.op.index + 1)
    return start


def _merge_chains(plans: list[PassPlan]) -> list[PassPlan]:
    """A loss that another one is made of (a data term, a running sum over chunks) is no pass of its own; which of
    them the gradients are of is told by trying."""
    kept: list[PassPlan] = []
    for i, plan in enumerate(plans):
        outer: PassPlan | None = next(
            (
                later
                for later in plans[i + 1 :]
                if later.iteration == plan.iteration and plan.loss_op in set(later.forward_ops)
            ),
            None,
        )
        if outer is None:
            kept.append(plan)
        else:
            outer.alternatives.extend([plan, *plan.alternatives])
    for plan in kept:
        plan.alternatives = plan.alternatives[:1] + plan.alternatives[1:][-3:]
    return kept


# -- windows -----------------------------------------------------------------------------------------------------


def _set_windows(recording: Recording, plans: list[PassPlan]) -> None:
    steps = _steps(recording)
    for plan in plans:
        plan.stop = len(recording.ops)
        for begin, end, number in steps:
            if begin <= plan.loss_op.index < end:
                plan.iteration = number
                plan.stop = end


def _steps(recording: Recording) -> list[tuple[int, int, int]]:
    """(first op, first op after, number) of the recorded training iterations."""
    found: list[tuple[int, int, int]] = []
    opened: dict[int, int] = {}
    for mark in recording.marks:
        if mark.what == "step":
            opened[mark.loop] = mark.when
        elif mark.what == "step-end" and mark.loop in opened:
            found.append((opened.pop(mark.loop), mark.when, mark.number))
    return found


def _plan_for(plans: list[PassPlan], steps: list[tuple[int, int, int]], when: int) -> list[PassPlan]:
    """The passes a value made at `when` may belong to, likeliest first: the loss that precedes it."""
    inside = next(((begin, end) for begin, end, _ in steps if begin < when <= end), None)
    eligible = plans
    if inside is not None:
        eligible = [p for p in plans if inside[0] <= p.loss_op.index < inside[1]]
    else:
        eligible = [p for p in plans if p.iteration is None] or plans
    before = [p for p in eligible if p.loss_op.index < when]
    after = [p for p in eligible if p.loss_op.index >= when]
    return before[::-1] + after[:1]


# -- candidates --------------------------------------------------------------------------------------------------


class _Collector:
    def __init__(self, recording: Recording, plans: list[PassPlan], names: NameIndex) -> None:
        self._recording = recording
        self._plans = plans
        self._names = names
        self._steps = _steps(recording)
        self._forward = {id(plan): plan.forward_values for plan in plans}
        self._all_forward = {value for values in self._forward.values() for value in values}
        self._mutations: dict[Value, list[Op]] = defaultdict(list)
        for op in recording.ops:
            for value in op.mutated:
                self._mutations[value.root].append(op)
        self._by_key: dict[tuple[int, Value], Candidate] = {}

    def collect(self) -> None:
        updates = self._updates()
        self._near_gradients = self._computed_with_gradients()
        for each in self._plans:
            each.updates = [u for u in updates if each.loss_op.index < u.op.index < each.stop]
        attached = self._attached(updates)
        for binding in self._recording.bindings:
            self._consider(binding, attached)
        for value, (parameter, evidence, when) in attached.items():
            if not any(key[1] is value for key in self._by_key):
                plan = self._choose_plan(value, when)
                if (
                    plan is not None
                    and value.producer is not None
                    and not self._made_from_named(value, parameter)
                ):
                    name = self._names.text(value.producer)
                    self._add(plan, Candidate(value, name, None, [], parameter, evidence))
        for plan in self._plans:
            for candidate in plan.candidates:
                candidate.versions = self._versions(plan, candidate, updates)
            plan.candidates = [c for c in plan.candidates if c.versions]

    def _computed_with_gradients(self) -> set[Value]:
        """Values computed from something named as a gradient, or that such a thing was computed from: only these
        can be gradients under another name. The forward pass itself does not carry this on (an updated
        parameter is no gradient)."""
        ops = self._recording.ops
        forward_roots = {value.root for value in self._all_forward}
        after = {v for v in self._recording.gradient_named if v not in self._all_forward}
        near = {v.root for v in after}
        for op in ops:
            if op.kind in (Kind.ESCAPE, Kind.BACKWARD):
                continue
            if any(v.root in near or v in after for v in op.inputs):
                near.update(v.root for v in (*op.outputs, *op.mutated) if v.root not in forward_roots)
        before = {v.root for v in after}
        for op in reversed(ops):
            if op.kind in (Kind.ESCAPE, Kind.BACKWARD):
                continue
            if any(v.root in before for v in (*op.outputs, *op.mutated)):
                before.update(v.root for v in op.inputs if v.root not in forward_roots)
        return near | before

    def _consider(self, binding: Binding, attached: dict[Value, tuple[Value, str, int]]) -> None:
        value = binding.value
        made = value.producer.index if value.producer is not None else value.birth
        if value.producer is not None and value.producer.kind in (Kind.RANDOM, Kind.GRAD_READ):
            return
        if value.producer is None and (value.birth == 0 or value.autograd_of is not None):
            return
        plan = self._choose_plan(value, max(binding.when, made + 1))
        if plan is None or value is plan.loss:
            return
        if binding.when <= plan.start or (plan.iteration is None and binding.when > plan.stop):
            return
        form = parse(binding.name).form
        if form is Form.NONE and value not in attached and value.root not in self._near_gradients:
            return
        if value in self._forward[id(plan)]:
            # `dlogits = probs` and changes in place afterwards: a forward value turned into a gradient.
            changed_later = any(op.index >= binding.when for op in self._mutations[value.root])
            if (
                form is Form.NONE
                or not changed_later
                or (binding.when <= plan.loss_op.index and value is plan.loss)
            ):
                return
            if any(
                op.index < plan.loss_op.index and op in plan.forward_ops
                for op in self._mutations[value.root]
                if op.index >= binding.when
            ):
                return
        candidate = self._by_key.get((id(plan), value))
        if candidate is not None and _names_another(binding, candidate):
            candidate = self._second_name(plan, value, binding)
        if candidate is None:
            parameter, evidence, _ = attached.get(value, (None, "", 0))
            if parameter is not None and self._made_from_named(value, parameter):
                # The step an optimiser takes, however it is named; a gradient is named after its parameter.
                stem = parse(binding.name).stem
                names = self._names.forward_names(parameter)
                if stem is None or max((name_affinity(stem, n) for n in names), default=0.0) < 0.6:
                    if self._is_scaled(value):
                        return
                    parameter, evidence = None, ""
            if binding.of is not None and form is Form.EXPLICIT and binding.of is not value:
                parameter, evidence = binding.of, f"being set as its attribute (`{binding.name}`)"
            candidate = Candidate(value, binding.name, binding, [], parameter, evidence)
            self._add(plan, candidate)
        elif _better_name(binding, candidate.binding):
            candidate.name, candidate.binding = binding.name, binding
        elif _callers_name(binding, candidate.binding):
            candidate.outer_name = binding.name
        if (
            candidate.of is None
            and binding.of is not None
            and form is Form.EXPLICIT
            and binding.of is not value
        ):
            candidate.of = binding.of
            candidate.of_evidence = f"being set as its attribute (`{binding.name}`)"
        candidate.bindings.append(binding)

    def _second_name(self, plan: PassPlan, value: Value, binding: Binding) -> Candidate:
        """`db = dz`: one tensor that is two gradients."""
        for known in plan.candidates:
            if known.value is value and not _names_another(binding, known):
                return known
        candidate = Candidate(value, binding.name, binding, second_name=True)
        plan.candidates.append(candidate)
        return candidate

    def _is_scaled(self, value: Value) -> bool:
        """Whether it is another named tensor times a number: `step = lr * grad`."""
        producer = value.producer
        if producer is None or producer.name not in _THROUGH:
            return False
        others = [a for a in producer.args if isinstance(a, Value) and a.shape == value.shape]
        return len(others) == 1 and bool(self._names.bindings(others[0]))

    def _made_from_named(self, value: Value, parameter: Value) -> bool:
        """Whether a gradient of the parameter's shape has a name already: then this is what an optimiser made
        of it (momentum, a running mean of squares), not a gradient."""
        pending, seen = [value], 0
        while pending and seen < 40:
            current = pending.pop()
            seen += 1
            makers = [current.producer, *self._mutations[current.root][:4]]
            for read in [v for maker in makers if maker is not None for v in maker.inputs]:
                if read is current:
                    continue
                of_its_shape = read.shape == parameter.shape and read.root is not parameter.root
                if of_its_shape and self._names.bindings(read) and read not in self._all_forward:
                    return True
                pending.append(read)
        return False

    def _add(self, plan: PassPlan, candidate: Candidate) -> None:
        plan.candidates.append(candidate)
        self._by_key[id(plan), candidate.value] = candidate

    def _choose_plan(self, value: Value, when: int) -> PassPlan | None:
        known = [plan for plan in self._plans if (id(plan), value) in self._by_key]
        if known:
            return known[0]
        plans = _plan_for(self._plans, self._steps, when)
        return plans[0] if plans else None

    def _updates(self) -> list[Update]:
        found: list[Update] = []
        for plan in self._plans:
            used = {value.root for op in plan.forward_ops for value in op.inputs}
            found.extend(find_updates(self._recording, plan.loss_op.index + 1, plan.stop, used))
        unique: dict[int, Update] = {update.op.index: update for update in found}
        return [unique[index] for index in sorted(unique)]

    def _behind_scaling(self, step: Value) -> Value:
        """The gradient behind `lr * g`: what is left when multiplications with numbers are taken away."""
        for _ in range(6):
            producer = step.producer
            if producer is None or producer.name not in _THROUGH or self._names.bindings(step):
                break
            values = [a for a in producer.args if isinstance(a, Value) and a.shape == step.shape]
            others = [a for a in producer.args if isinstance(a, Value) and a.shape not in (step.shape, ())]
            if len(values) != 1 or others:
                break
            step = values[0]
        return step

    def _attached(self, updates: list[Update]) -> dict[Value, tuple[Value, str, int]]:
        """Values tied to a parameter by what the program does with them."""
        found: dict[Value, tuple[Value, str, int]] = {}
        for update in updates:
            if update.step is not None:
                gradient = self._behind_scaling(update.step)
                if gradient.shape == update.parameter.shape and gradient.producer is not None:
                    found.setdefault(
                        gradient,
                        (update.parameter, "its use in the update of that parameter", update.op.index),
                    )
        for op in self._recording.ops:
            if op.kind is Kind.GRAD_WRITE and len(op.args) > 1 and isinstance(op.args[1], Value):
                found[op.args[1]] = (op.args[0], "being assigned to its `.grad`", op.index)
        return found

    def _versions(self, plan: PassPlan, candidate: Candidate, updates: list[Update]) -> list[Version]:
        value = candidate.value
        first = candidate.binding.when if candidate.binding is not None else 0
        in_forward = value in self._forward[id(plan)]
        used_at = min(
            (
                u.op.index
                for u in updates
                if u.step is not None
                and self._behind_scaling(u.step).root is value.root
                and u.op.index > (value.producer.index if value.producer else 0)
            ),
            default=plan.stop,
        )
        writes: list[Op] = []
        if value.producer is not None and not in_forward:
            writes.append(value.producer)
        for op in self._mutations[value.root]:
            made = value.producer.index if value.producer is not None else value.birth - 1
            if (
                op.index > made
                and op.index < min(used_at, plan.stop)
                and (not in_forward or op.index >= first)
            ):
                writes.append(op)
        while len(writes) > 1 and writes[-1].name in _POST_PROCESSING:
            writes.pop()
        # A loop that fills it element by element is one write: the last of each line counts.
        last_of_line = {self._names.line(op): i for i, op in enumerate(writes)}
        versions: list[Version] = []
        for i, op in enumerate(writes):
            if last_of_line[self._names.line(op)] == i:
                versions.append(Version(candidate, op.index, writes[: i + 1], final=i == len(writes) - 1))
        if not versions and value.producer is None:
            versions.append(Version(candidate, max(0, value.birth - 1), [], final=True))
        if len(versions) > 8:
            versions = versions[-8:]
        return versions


def _names_another(binding: Binding, candidate: Candidate) -> bool:
    own = candidate.binding
    if own is None or binding.alias or own.alias or own.scope != binding.scope or own.name == binding.name:
        return False
    new, old = parse(binding.name), parse(own.name)
    if new.stem is None or old.stem is None or split_path(binding.name)[0] or split_path(own.name)[0]:
        return False
    return new.stem.strip("_").lower() != old.stem.strip("_").lower()


# Done to a finished gradient: clipping, and clearing it for the next step.
_POST_PROCESSING = {"clamp_", "clip_", "zero_", "nan_to_num_", "clamp_min_", "clamp_max_"}
_THROUGH = {
    "mul",
    "mul_",
    "__mul__",
    "__rmul__",
    "multiply",
    "neg",
    "div",
    "true_divide",
    "__truediv__",
    "clamp",
    "clip",
}


def _better_name(new: Binding, old: Binding | None) -> bool:
    """Whether `new` says more about what it is the gradient of."""
    if old is None:
        return True
    if old.alias != new.alias:
        return old.alias
    if new.alias or split_path(new.name)[1].lstrip("-").isdigit():
        return False
    new_form, old_form = parse(new.name).form, parse(old.name).form
    strength = (Form.NONE, Form.GENERIC, Form.BARE_D, Form.EXPLICIT)
    named = (Form.BARE_D, Form.EXPLICIT)
    return old_form not in named and strength.index(new_form) > strength.index(old_form)


def _callers_name(new: Binding, old: Binding | None) -> bool:
    if old is None or new.alias or new.scope == old.scope or split_path(new.name)[1].lstrip("-").isdigit():
        return False
    parsed = parse(new.name)
    return parsed.form is not Form.NONE and parsed.stem is not None
