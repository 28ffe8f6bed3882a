"""Collects the values that may be manual gradients, and tells to which pass each belongs."""

from __future__ import annotations

from collections import defaultdict

from gradcheck.fronts.gradient_names import Form, name_affinity, parse, split_path
from gradcheck.fronts.tape import Binding, Kind, Op, Recording, Value
from gradcheck.fronts.updates import Update
from gradcheck.judge.pairing.names import NameIndex
from gradcheck.judge.pairing.windows import PlanChooser, Step
from gradcheck.replay.compare import never_summed
from gradcheck.replay.passes import Candidate, PassPlan, Version

# Done to a finished gradient: clipping, and clearing it for the next step.
_POST_PROCESSING = {"clamp_", "clip_", "zero_", "nan_to_num_", "clamp_min_", "clamp_max_"}
_CLEARING = {"zero_", "fill_", "copy_"}
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


class CandidateCollector:
    """Fills in the candidates of `plans`. `updates` are those that follow any of them, in program order."""

    def __init__(
        self,
        recording: Recording,
        plans: list[PassPlan],
        names: NameIndex,
        steps: list[Step],
        updates: list[Update],
    ) -> None:
        self._recording = recording
        self._plans = plans
        self._names = names
        self._updates = updates
        self._chooser = PlanChooser(plans, steps)
        self._forward = {id(plan): plan.forward_values for plan in plans}
        self._forward_ops = {id(plan): set(plan.forward_ops) for plan in plans}
        self._all_forward = {value for values in self._forward.values() for value in values}
        self._mutations: dict[Value, list[Op]] = defaultdict(list)
        for op in recording.ops:
            for value in op.mutated:
                self._mutations[value.root].append(op)
        self._by_key: dict[tuple[int, Value], Candidate] = {}
        self._plan_of: dict[Value, PassPlan] = {}  # of the values that are candidates already
        # The updates that move a parameter by what is in a storage, behind the multiplication with a rate.
        self._uses_in_updates: dict[Value, list[int]] = defaultdict(list)
        for update in updates:
            if update.step is not None:
                self._uses_in_updates[self._behind_scaling(update.step).root].append(update.op.index)
        self._paired = {pairing.gradient for pairing in recording.pairings}
        self._near_gradients = self._computed_with_gradients()

    def collect(self) -> None:
        attached = self._attached()
        self._returned = self._returned_for()
        for binding in self._recording.bindings:
            self._consider(binding, attached)
        for value, (parameter, evidence, when) in attached.items():
            if value in self._plan_of:
                continue
            plan = self._chooser.choose(when)
            if plan is None or value.producer is None or self._was_made_of_it(value, parameter):
                continue
            name = self._names.text(value.producer)
            self._add(plan, Candidate(value, name, None, [], parameter, evidence))
        for value, (of, evidence, by) in self._returned.items():
            plan = self._plan_with(of, by.index)
            if value not in self._plan_of and plan is not None and value.producer is not None:
                name = self._names.returned_text(value.producer) or self._names.text(value.producer)
                self._add(plan, Candidate(value, name, None, [], of, evidence, returned=by))
        for plan in self._plans:
            for candidate in plan.candidates:
                candidate.versions = self._versions(plan, candidate)
            plan.candidates = [c for c in plan.candidates if c.versions]

    def _computed_with_gradients(self) -> set[Value]:
        """Values computed from something named as a gradient, or that such a thing was computed from: only these
        can be gradients under another name. The forward pass itself does not carry this on (an updated
        parameter is no gradient)."""
        ops = self._recording.ops
        forward_roots = {value.root for value in self._all_forward}
        after = {v for v in self._recording.gradient_named if v not in self._all_forward}
        after.update(op.out for op in ops if op.kind is Kind.UPSTREAM)
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
        if value.producer is None and (value.autograd_of is not None or not self._is_filled(value, binding)):
            return
        plan = self._choose_plan(value, max(binding.when, made + 1))
        if value in self._returned:
            plan = self._plan_with(self._returned[value][0], binding.when)
        if plan is None or value is plan.loss:
            return
        if binding.when <= plan.start or (plan.iteration is None and binding.when > plan.stop):
            return
        form = parse(binding.name).form
        told = value in attached or value in self._returned
        if form is Form.NONE and not told and value.root not in self._near_gradients:
            return
        if value.producer is not None and value.producer.kind is Kind.UPSTREAM:
            # `dxhat = dy`: what autograd has handed over, under the name of another gradient.
            if self._says_another(plan, binding, value.autograd_of):
                self._second_name(plan, value, binding).bindings.append(binding)
            return
        if value in self._forward[id(plan)]:
            # `dlogits = probs` and changes in place afterwards: a forward value turned into a gradient.
            changed_later = any(op.index >= binding.when for op in self._mutations[value.root])
            if not changed_later and self._says_another(plan, binding):
                # `dz = a`: a step was left out, and what should be a gradient is the forward value itself.
                self._second_name(plan, value, binding).bindings.append(binding)
                return
            if (
                form is Form.NONE
                or not changed_later
                or (binding.when <= plan.loss_op.index and value is plan.loss)
            ):
                return
            if any(
                op.index < plan.loss_op.index and op in self._forward_ops[id(plan)]
                for op in self._mutations[value.root]
                if op.index >= binding.when
            ):
                return
        candidate = self._by_key.get((id(plan), value))
        if candidate is not None and _names_another(binding, candidate):
            candidate = self._second_name(plan, value, binding)
        elif candidate is not None and self._lacks_a_sum(plan, binding, value):
            candidate = self._named_apart(plan, value, binding)
        elif candidate is not None and _set_on_another(binding, candidate):
            candidate = self._second_owner(plan, value, binding)
        if candidate is None:
            parameter, evidence, _ = attached.get(value, (None, "", 0))
            if parameter is not None and self._was_made_of_it(value, parameter):
                # The step an optimiser takes, however it is named; a gradient is named after its parameter.
                stem = parse(binding.name).stem
                names = self._names.forward_names(parameter)
                if stem is None or max((name_affinity(stem, n) for n in names), default=0.0) < 0.6:
                    if self._is_scaled(value):
                        return
                    parameter, evidence = None, ""
            if value in self._returned:
                parameter, evidence, _ = self._returned[value]
            elif binding.of is not None and form is Form.EXPLICIT and binding.of is not value:
                parameter, evidence = binding.of, f"being set as its attribute (`{binding.name}`)"
            candidate = Candidate(value, binding.name, binding, [], parameter, evidence)
            candidate.returned = self._returned[value][2] if value in self._returned else None
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

    def _is_filled(self, value: Value, binding: Binding) -> bool:
        """Of what no recorded op made: whether it may be a gradient all the same. What was there before all else is
        none, unless it is a buffer named for one that is filled now."""
        if value.birth > 0:
            return binding.code is not None
        return bool(self._mutations[value.root]) and parse(binding.name).form >= Form.BARE_D

    def _named_apart(self, plan: PassPlan, value: Value, binding: Binding) -> Candidate:
        for known in plan.candidates:
            if known.value is value and known.variable == binding.variable:
                return known
        candidate = Candidate(value, binding.name, binding, second_name=True)
        plan.candidates.append(candidate)
        return candidate

    def _lacks_a_sum(self, plan: PassPlan, binding: Binding, value: Value) -> bool:
        """`self.db = dout`: the gradient of a layer's result under the name of that of a parameter it was broadcast
        from, which it would have to be summed for. (Unless it is summed where the parameter is moved.)"""
        parsed = parse(binding.variable)
        if parsed.form < Form.BARE_D or parsed.stem is None or binding.alias or binding.code is None:
            return False
        if binding.when <= plan.loss_op.index:
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
                if name_affinity(parsed.stem, named.variable) >= 0.99:
                    return not self._named_already(plan, value, named)
        return False

    def _named_already(self, plan: PassPlan, value: Value, parameter: Binding) -> bool:
        """Whether this tensor has been given such a name before: `grads["b"] = db` says nothing new."""
        stems = [parse(known.variable).stem for known in plan.candidates if known.value is value]
        return any(name_affinity(stem, parameter.variable) >= 0.99 for stem in stems if stem is not None)

    def _second_owner(self, plan: PassPlan, value: Value, binding: Binding) -> Candidate:
        """`inp.g = out.g`: one tensor that is the gradient of two others."""
        for known in plan.candidates:
            if known.value is value and known.of is binding.of:
                return known
        candidate = Candidate(value, binding.name, binding, of=binding.of, second_name=True)
        candidate.of_evidence = f"being set as its attribute (`{binding.name}`)"
        plan.candidates.append(candidate)
        return candidate

    def _says_another(self, plan: PassPlan, binding: Binding, own: Value | None = None) -> bool:
        """Whether a statement after the loss gives a forward value (or the gradient of one, `own`) the name of the
        gradient of another one."""
        parsed = parse(binding.name)
        if parsed.form < Form.BARE_D or parsed.stem is None or binding.alias or binding.code is None:
            return False
        if binding.when <= plan.loss_op.index:
            return False
        return any(
            name_affinity(parsed.stem, name) >= 0.99
            for value in self._forward[id(plan)]
            if value.root is not (own or binding.value).root
            for name in self._names.forward_names(value)
        )

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

    def _was_made_of_it(self, value: Value, parameter: Value) -> bool:
        """Unless the person has said themselves that it is the gradient."""
        return value not in self._paired and self._made_from_named(value, parameter)

    def _made_from_named(self, value: Value, parameter: Value) -> bool:
        """Whether a gradient of the parameter's shape has a name already: then this is what an optimiser made
        of it (momentum, a running mean of squares), not a gradient."""
        writes = [value.producer, *self._mutations[value.root][:4]]
        done = max((op.index for op in writes if op is not None), default=0)
        pending, seen = [value], 0
        while pending and seen < 40:
            current = pending.pop()
            seen += 1
            makers = [current.producer, *self._mutations[current.root][:4]]
            # What is done to a parameter afterwards (the update that reads the gradient) made nothing of it.
            for read in [v for op in makers if op is not None and op.index <= done for v in op.inputs]:
                if read is current or read.root is value.root:
                    continue
                of_its_shape = read.shape == parameter.shape and read.root is not parameter.root
                if of_its_shape and self._names.bindings(read) and read not in self._all_forward:
                    return True
                pending.append(read)
        return False

    def _add(self, plan: PassPlan, candidate: Candidate) -> None:
        plan.candidates.append(candidate)
        self._by_key[id(plan), candidate.value] = candidate
        self._plan_of.setdefault(candidate.value, plan)

    def _choose_plan(self, value: Value, when: int) -> PassPlan | None:
        known = self._plan_of.get(value)
        if known is None:
            return self._chooser.choose(when)
        if self._mutations[value.root]:
            plan = self._chooser.choose(when)
            if plan is not None and plan is not known and self._filled_anew(value, known, plan, when):
                return plan
        return known

    def _filled_anew(self, value: Value, known: PassPlan, plan: PassPlan, when: int) -> bool:
        """Whether a buffer that was there in an earlier pass is a gradient of this later one: filled here, and there
        either left alone (it was made before both) or cleared since."""
        if plan.loss_op.index < known.loss_op.index:
            return False
        here = [op for op in self._mutations[value.root] if plan.start <= op.index < when]
        if not any(op.index > plan.loss_op.index for op in here):
            return False
        there = any(
            known.loss_op.index < op.index < plan.start and op.name not in _CLEARING
            for op in self._mutations[value.root]
        )
        return not there or any(op.name in _CLEARING for op in here)

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

    def _attached(self) -> dict[Value, tuple[Value, str, int]]:
        """Values tied to a parameter by what the program does with them."""
        found: dict[Value, tuple[Value, str, int]] = {}
        for update in self._updates:
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
        for pairing in self._recording.pairings:
            made = pairing.gradient.producer
            if made is not None:
                found[pairing.gradient] = (pairing.of, "`gradcheck.pair`", made.index + 1)
        return found

    def _plan_with(self, of: Value, when: int) -> PassPlan | None:
        """The pass whose forward pass holds `of`: a Function may be called outside of any (by autograd's own checker)."""
        nearest = self._chooser.choose(when)
        holding = [plan for plan in self._plans if of in self._forward[id(plan)]]
        if nearest is None or nearest in holding:
            return nearest
        return next((plan for plan in reversed(holding) if plan.loss_op.index < when), None)

    def _returned_for(self) -> dict[Value, tuple[Value, str, Op]]:
        """What the `backward` of a Function returns, by the argument that it is returned for."""
        found: dict[Value, tuple[Value, str, Op]] = {}
        for op in self._recording.ops:
            if op.kind is Kind.RETURNED:
                of, gradient = op.args
                function, argument = op.extra
                found[gradient] = of, f"being returned by `{function}` for `{argument}`", op
        return found

    def _versions(self, plan: PassPlan, candidate: Candidate) -> list[Version]:
        value = candidate.value
        first = candidate.binding.when if candidate.binding is not None else 0
        in_forward = value in self._forward[id(plan)]
        made_at = value.producer.index if value.producer is not None else 0
        used_at = next(
            (index for index in self._uses_in_updates.get(value.root, ()) if index > made_at), plan.stop
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
        # What a buffer held before this pass began was the gradient of another one, or nothing yet.
        writes = [op for op in writes if op.index >= plan.start] or writes
        while len(writes) > 1 and writes[-1].name in _POST_PROCESSING:
            writes.pop()
        # A loop that fills it element by element is one write: the last of each line counts.
        last_of_line = {self._names.line(op): i for i, op in enumerate(writes)}
        versions: list[Version] = []
        for i, op in enumerate(writes):
            if last_of_line[self._names.line(op)] == i:
                versions.append(Version(candidate, op.index, writes[: i + 1], final=i == len(writes) - 1))
        if not versions and candidate.second_name:
            versions.append(Version(candidate, max(0, first - 1), [], final=True))
        elif not versions and value.producer is None:
            versions.append(Version(candidate, max(0, value.birth - 1), [], final=True))
        if len(versions) > 8:
            versions = versions[-8:]
        return versions


def _set_on_another(binding: Binding, candidate: Candidate) -> bool:
    """Whether it is set as the gradient of another tensor than it is known to be of."""
    owner = binding.of
    explicit = parse(binding.name).form is Form.EXPLICIT
    return (
        explicit
        and owner is not None
        and candidate.of is not None
        and owner.root is not candidate.of.root
        and owner is not candidate.value
    )


def _names_another(binding: Binding, candidate: Candidate) -> bool:
    own = candidate.binding
    if own is None or binding.alias or own.alias or own.scope != binding.scope or own.name == binding.name:
        return False
    new, old = parse(binding.name), parse(own.name)
    if new.stem is None or old.stem is None or split_path(binding.name)[0] or split_path(own.name)[0]:
        return False
    return new.stem.strip("_").lower() != old.stem.strip("_").lower()


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
