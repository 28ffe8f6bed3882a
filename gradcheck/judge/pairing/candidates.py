"""Collects the values that may be manual gradients, each for the pass that it belongs to."""

from collections import defaultdict
from collections.abc import Callable, Collection
from functools import cached_property

from gradcheck import ops
from gradcheck.fronts.gradient_names import (
    Form,
    name_affinity,
    parse,
    partial_derivative,
    same_name,
    split_path,
)
from gradcheck.fronts.tape import Binding, Kind, Op, Recording, Value
from gradcheck.fronts.updates import Update
from gradcheck.graph import flow
from gradcheck.judge.pairing.bindings import is_better, is_callers, names_another, set_on, set_on_another
from gradcheck.judge.pairing.names import NameIndex
from gradcheck.judge.pairing.uses import Uses
from gradcheck.judge.pairing.versions import versions_of
from gradcheck.judge.pairing.windows import PlanChooser, Step
from gradcheck.replay.compare import never_summed
from gradcheck.replay.passes import Candidate, PassPlan, Version
from gradcheck.replay.slices import Slicer

_SAME_NAME = 0.99


class CandidateCollector:
    """Fills in the candidates of `plans`. `updates` are those that follow any of them, in program order; `said` are the
    names of which the person has said that they are gradients."""

    def __init__(
        self, recording: Recording, plans: list[PassPlan], names: NameIndex, steps: list[Step],
        updates: list[Update], said: Collection[Binding] = (),
    ) -> None:  # fmt: skip
        self._recording = recording
        self._plans = plans
        self._said = set(said)
        self._names = names
        self._chooser = PlanChooser(plans, steps)
        self._forward = {id(plan): plan.forward_values for plan in plans}
        self._all_forward = {value for values in self._forward.values() for value in values}
        self._mutations: dict[Value, list[Op]] = defaultdict(list)
        for op in recording.ops:
            for value in op.mutated:
                self._mutations[value.root].append(op)
        slicer = plans[0].slicer if plans else Slicer(recording.ops)
        self._uses = Uses(recording, names, updates, self._all_forward, slicer, self._mutations)
        self._moved = {value for update in updates if not update.in_place for value in update.op.outputs}
        self._by_key: dict[tuple[int, Value], Candidate] = {}
        self._plan_of: dict[Value, PassPlan] = {}  # of the values that are candidates already
        self._near_gradients = self._computed_with_gradients()

    def collect(self) -> None:
        for binding in self._recording.bindings:
            self._consider(binding)
        for value, use in self._uses.items():
            made = value.producer
            if value in self._plan_of or made is None:
                continue
            plan = self._chooser.choose(use.when)
            name = self._names.text(made)
            if use.returned is not None:
                plan = self._plan_with(use.of, use.when)
                name = self._names.returned_text(made) or name
            elif not use.divided and self._uses.is_optimisers(value, use.of):
                continue
            if plan is not None:
                of = Candidate(value, name, None, [], use.of, use.evidence, use.returned, use.divided)
                self._add(plan, of)
        for plan in self._plans:
            for candidate in plan.candidates:
                candidate.versions = self._versions(plan, candidate)
            plan.candidates = [c for c in plan.candidates if c.versions]

    def _versions(self, plan: PassPlan, candidate: Candidate) -> list[Version]:
        value = candidate.value
        made = value.producer.index if value.producer is not None else 0
        used_at = self._uses.first_update(value, made, plan.stop)
        in_forward = value in self._forward[id(plan)]
        return versions_of(candidate, plan, self._mutations[value.root], used_at, in_forward, self._names)

    def _computed_with_gradients(self) -> set[Value]:
        """The storages computed from something named as a gradient, or that such a thing was computed from: only these
        can be gradients under another name. The forward pass itself does not carry this on (an updated
        parameter is no gradient)."""
        tape = self._recording.ops
        forward_roots = {value.root for value in self._all_forward}
        gradients = {v for v in self._recording.gradient_named if v not in self._all_forward}
        gradients.update(op.out for op in tape if op.kind is Kind.UPSTREAM)

        def computes(op: Op) -> bool:
            return op.kind not in (Kind.ESCAPE, Kind.BACKWARD)

        def is_outside(value: Value) -> bool:
            return value.root not in forward_roots

        after = flow.forward(tape, gradients, through=computes, into=is_outside, key=flow.storage)
        before = flow.backward(tape, gradients, through=computes, into=is_outside, key=flow.storage)
        return after | before

    # -- one name of a value -----------------------------------------------------------------------------------------

    def _consider(self, binding: Binding) -> None:
        value = binding.value
        plan = self._plan_for(binding)
        if plan is None or binding.name == "_":  # what nobody wants
            return
        if binding not in self._said and self._is_of_another(plan, binding):
            return
        form = parse(binding.name).form
        known = self._uses.of(value) is not None or (
            value.root in self._near_gradients and value not in self._moved
        )
        if form is Form.NONE and not known and binding not in self._said:
            return
        if value.producer is not None and value.producer.kind is Kind.UPSTREAM:
            # `dxhat = dy`: what autograd has handed over, under the name of another gradient.
            if self._says_another(plan, binding, value.autograd_of):
                self._second_name(plan, binding).bindings.append(binding)
            return
        if self._names.original(value) in self._forward[id(plan)] and not self._turns_into_gradient(
            plan, binding
        ):
            # `dz = a`: a step was left out, and what should be a gradient is the forward value itself.
            if not self._is_changed_after(binding) and self._says_another(plan, binding):
                self._second_name(plan, binding).bindings.append(binding)
            return
        candidate = self._candidate(plan, binding)
        if candidate is None:
            return
        if is_better(binding, candidate.binding):
            candidate.name, candidate.binding = binding.name, binding
        elif is_callers(binding, candidate.binding):
            candidate.outer_name = binding.name
        if candidate.of is None and set_on(binding) is not None:
            candidate.of, candidate.of_evidence = set_on(binding), _attribute(binding)
        candidate.bindings.append(binding)

    def _is_of_another(self, plan: PassPlan, binding: Binding) -> bool:
        """`dout_dh`: the derivative of a value that is not the loss, with which gradients are multiplied."""
        parts = partial_derivative(binding.name)
        if parts is None or set_on(binding) is not None:
            return False
        of, by = parts
        losses = self._names.all_names(plan.loss)
        ofs = [is_array for name, is_array in self._called.items() if same_name(name, of)]
        known = any(ofs) or (bool(ofs) and any(same_name(name, by) for name in self._called))
        return known and not any(same_name(each, of) for each in losses)

    @cached_property
    def _called(self) -> dict[str, bool]:
        """What values are called in the program, without the objects that they are on, and whether it is an array's name."""
        found: dict[str, bool] = {}
        for binding in self._recording.bindings:
            name = split_path(binding.variable)[1]
            found[name] = found.get(name, False) or binding.value.shape != ()
        return found

    def _candidate(self, plan: PassPlan, binding: Binding) -> Candidate | None:
        """The candidate that the name is one of: a new one, if the value is none yet or is named as another one."""
        known = self._by_key.get((id(plan), binding.value))
        if known is None:
            return self._new(plan, binding)
        if names_another(binding, known):
            return self._second_name(plan, binding)
        if self._is_taken_over(binding, known) or self._lacks_a_sum(plan, binding):
            return self._another(plan, binding, lambda c: c.variable == binding.variable)
        if set_on_another(binding, known):
            second = self._another(plan, binding, lambda c: c.of is binding.of)
            second.of, second.of_evidence = binding.of, _attribute(binding)
            return second
        return known

    def _new(self, plan: PassPlan, binding: Binding) -> Candidate | None:
        value, use = binding.value, self._uses.of(binding.value)
        candidate = Candidate(value, binding.name, binding)
        # The step an optimiser takes, however it is named; a gradient is named after its parameter.
        if use is not None and self._uses.is_step(use, binding):
            if self._uses.scaled_by(value) is not None:
                return None
            use = None
        if use is not None:
            candidate.of, candidate.of_evidence, candidate.returned = use.of, use.evidence, use.returned
        if candidate.returned is None and set_on(binding) is not None:
            candidate.of, candidate.of_evidence = set_on(binding), _attribute(binding)
        self._add(plan, candidate)
        return candidate

    def _add(self, plan: PassPlan, candidate: Candidate) -> None:
        plan.candidates.append(candidate)
        self._by_key[id(plan), candidate.value] = candidate
        self._plan_of.setdefault(candidate.value, plan)

    # -- one tensor that is two gradients ----------------------------------------------------------------------------

    def _second_name(self, plan: PassPlan, binding: Binding) -> Candidate:
        """`db = dz`: one tensor that is two gradients."""
        return self._another(plan, binding, lambda known: not names_another(binding, known))

    def _another(self, plan: PassPlan, binding: Binding, is_same: Callable[[Candidate], bool]) -> Candidate:
        for known in plan.candidates:
            if known.value is binding.value and is_same(known):
                return known
        candidate = Candidate(binding.value, binding.name, binding, second_name=True)
        plan.candidates.append(candidate)
        old = self._by_key.get((id(plan), binding.value))
        if old is not None and self._is_for(binding, old) and not self._is_for(old.binding, old):
            # `dx = dz`, and `dx` is returned: it is what the line of that name makes of it.
            candidate.of, candidate.of_evidence, candidate.returned = old.of, old.of_evidence, old.returned
            old.of, old.of_evidence, old.returned = None, "", None
        return candidate

    def _is_for(self, binding: Binding | None, used: Candidate) -> bool:
        """Whether the name says that it is the gradient of what the candidate is used for."""
        stem = parse(binding.name).stem if binding is not None else None
        names = self._names.forward_names(used.of) if used.of is not None else []
        return stem is not None and any(name_affinity(stem, name) >= _SAME_NAME for name in names)

    def _says_another(self, plan: PassPlan, binding: Binding, own: Value | None = None) -> bool:
        """Whether a statement after the loss gives a forward value (or the gradient of one, `own`) the name of the
        gradient of another one."""
        stem = _said_after_loss(plan, binding)
        return stem is not None and any(
            name_affinity(stem, name) >= _SAME_NAME
            for value in self._forward[id(plan)]
            if value.root
            not in (own.root if own else binding.value.root, self._names.original(binding.value).root)
            for name in self._names.forward_names(value)
        )

    def _lacks_a_sum(self, plan: PassPlan, binding: Binding) -> bool:
        """`self.db = dout`: the gradient of a layer's result under the name of that of a parameter it was broadcast
        from, which it would have to be summed for. (Unless it is summed where the parameter is moved.)"""
        stem, value = _said_after_loss(plan, binding, binding.variable), binding.value
        if stem is None:
            return False
        moved = {update.parameter.root for update in plan.updates}
        for other in self._forward[id(plan)]:
            computed = other.producer is not None and bool(other.producer.inputs)
            if computed or other.root in moved or not never_summed(value.shape, other.shape):
                continue
            for named in self._names.bindings(other):
                same_base = split_path(named.variable)[0] == split_path(binding.variable)[0]
                if same_base and named.owner != binding.owner:
                    continue  # the parameter of another layer
                if name_affinity(stem, named.variable) >= _SAME_NAME:
                    return not self._is_named_already(plan, value, named)
        return False

    def _is_named_already(self, plan: PassPlan, value: Value, parameter: Binding) -> bool:
        """Whether this tensor has been given such a name before: `grads["b"] = db` says nothing new."""
        stems = [parse(known.variable).stem for known in plan.candidates if known.value is value]
        return any(name_affinity(s, parameter.variable) >= _SAME_NAME for s in stems if s is not None)

    def _is_taken_over(self, binding: Binding, known: Candidate) -> bool:
        """`da = layer.backward(dh)` and `da *= slope`: changed in place under the name that the caller gives it."""
        if binding.alias or known.binding is None or known.binding.scope == binding.scope:
            return False
        new, old = parse(binding.name).stem, parse(known.binding.name).stem
        if new is None or new == old:
            return False
        later = [op for op in self._mutations[binding.value.root] if op.index >= binding.when]
        return any(op.scope == binding.scope for op in later)

    # -- forward values that turn into gradients ---------------------------------------------------------------------

    def _turns_into_gradient(self, plan: PassPlan, binding: Binding) -> bool:
        """`dlogits = probs` and changes in place afterwards, none of which the forward pass makes. What is moved stays what
        it is: `dz_dx = self.w`."""
        if parse(binding.name).form is Form.NONE or not self._is_changed_after(binding):
            return False
        if binding.value.root in {update.parameter.root for update in plan.updates}:
            return False
        forward = set(plan.forward_ops)
        return not any(
            binding.when <= op.index < plan.loss_op.index and op in forward
            for op in self._mutations[binding.value.root]
        )

    def _is_changed_after(self, binding: Binding) -> bool:
        return any(op.index >= binding.when for op in self._mutations[binding.value.root])

    # -- whose pass it is --------------------------------------------------------------------------------------------

    def _plan_for(self, binding: Binding) -> PassPlan | None:
        """The pass that the value may be a gradient of, at the time of this name."""
        value, use = binding.value, self._uses.of(binding.value)
        if value.producer is not None:
            if value.producer.kind in (Kind.RANDOM, Kind.GRAD_READ):
                return None
        elif value.autograd_of is not None or not self._is_filled(value, binding):
            return None
        if use is not None and use.returned is not None:
            plan = self._plan_with(use.of, binding.when)
        else:
            made = value.producer.index if value.producer is not None else value.birth
            plan = self._choose_plan(value, max(binding.when, made + 1))
            # After a parameter of this pass has moved, the forward pass of the next begins.
            plan = next((p for p in self._plans if plan and self._begins_after(plan, p, value)), plan)
        if plan is None or value is plan.loss or binding.when <= plan.start:
            return None
        return plan if plan.iteration is not None or binding.when <= plan.stop else None

    def _begins_after(self, plan: PassPlan, later: PassPlan, value: Value) -> bool:
        """Whether the value is of the forward pass of one that begins after the loss of `plan`."""
        return later.start > plan.loss_op.index and value in self._forward[id(later)]

    def _is_filled(self, value: Value, binding: Binding) -> bool:
        """Of what no recorded op made: whether it may be a gradient all the same. What was there before all else is
        none, unless it is a buffer named for one that is filled now."""
        if value.birth > 0:
            return binding.code is not None
        return bool(self._mutations[value.root]) and parse(binding.name).form >= Form.BARE_D

    def _choose_plan(self, value: Value, when: int) -> PassPlan | None:
        known = self._plan_of.get(value)
        plan = self._chooser.choose(when)
        if known is None or plan is None:
            return known or plan
        return plan if self._is_filled_again(value, known, plan, when) else known

    def _is_filled_again(self, value: Value, known: PassPlan, plan: PassPlan, when: int) -> bool:
        """Whether a buffer that was there in an earlier pass is a gradient of this later one: filled here, and there
        either left alone (it was made before both) or cleared since."""
        if plan.loss_op.index < known.loss_op.index:
            return False
        changes = self._mutations[value.root]
        here = [op for op in changes if plan.start <= op.index < when]
        if not any(op.index > plan.loss_op.index for op in here):
            return False
        there = [op for op in changes if known.loss_op.index < op.index < plan.start]
        return all(_clears(op) for op in there) or any(_clears(op) for op in here)

    def _plan_with(self, of: Value, when: int) -> PassPlan | None:
        """The pass whose forward pass holds `of`: a Function may be called outside of any (by autograd's own checker)."""
        nearest = self._chooser.choose(when)
        holding = [plan for plan in self._plans if of in self._forward[id(plan)]]
        if nearest is None or nearest in holding:
            return nearest
        return next((plan for plan in reversed(holding) if plan.loss_op.index < when), None)


def _said_after_loss(plan: PassPlan, binding: Binding, name: str = "") -> str | None:
    """What a statement after the loss says, by the name it gives, that the value is the gradient of."""
    parsed = parse(name or binding.name)
    if binding.alias or binding.code is None or binding.when <= plan.loss_op.index:
        return None
    return parsed.stem if parsed.form >= Form.BARE_D else None


def _attribute(binding: Binding) -> str:
    return f"being set as its attribute (`{binding.name}`)"


def _clears(op: Op) -> bool:
    return op.operation in (ops.FILL, ops.COPY_INTO)
