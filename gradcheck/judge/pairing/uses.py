"""What the program does with a value that says what it is the gradient of: an update, a `.grad`, a returned gradient,
a `gradcheck.pair`."""

import ast
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import islice

from gradcheck import ops
from gradcheck.fronts import gradient_names
from gradcheck.fronts.markers import Inferred
from gradcheck.fronts.tape import Binding, Kind, Op, Recording, Value
from gradcheck.fronts.updates import Update
from gradcheck.graph import flow
from gradcheck.judge.pairing.names import NameIndex
from gradcheck.ops import Family
from gradcheck.replay.slices import Slicer

_MOST_FACTORS = 6  # between a gradient and the update that it is used in
_MOST_OPS = 40  # behind a value, among which there may be a gradient
_MOST_WRITES = 4  # that a value is made of
_SAME_NAME = 0.6


@dataclass(frozen=True, slots=True)
class Use:
    """`of` is what the value is used as the gradient of, `when` it is; `returned` is the op with which a Function
    returns it; `begins`: the backward pass begins with it, and no optimiser makes it."""

    of: Value
    evidence: str
    when: int
    returned: Op | None = None
    begins: bool = False
    divided: bool = False  # it is what moves `of`, divided by a count: the mean is taken there


class Uses:
    """`updates` are those that follow any pass, `forward_values` the values of all forward passes, `mutations` the ops
    that change each storage."""

    def __init__(
        self, recording: Recording, names: NameIndex, updates: list[Update],
        forward_values: Collection[Value], slicer: Slicer, mutations: Mapping[Value, list[Op]],
    ) -> None:  # fmt: skip
        self._names = names
        self._forward_values = forward_values
        self._slicer = slicer
        self._mutations = mutations
        self._paired = {pairing.gradient for pairing in recording.pairings}
        self._updates: dict[Value, list[int]] = defaultdict(list)  # by storage, where it moves a parameter
        self._found: dict[Value, Use] = {}
        # Who reads what is made by an update that is not in place, and what is computed from that.
        made = {u.op.out for u in updates if not u.in_place and isinstance(u.op.out, Value)}
        self._readers: dict[Value, list[Op]] = defaultdict(list)
        for op in flow.steps_from(recording.ops, made):
            for value in op.inputs:
                self._readers[value].append(op)
        self._collect(recording, updates)

    def of(self, value: Value) -> Use | None:
        return self._found.get(value)

    def items(self) -> list[tuple[Value, Use]]:
        return list(self._found.items())

    def first_update(self, value: Value, after: int, default: int) -> int:
        """The first op after `after` that moves a parameter by what is in this storage."""
        return next((index for index in self._updates.get(value.root, ()) if index > after), default)

    def _collect(self, recording: Recording, updates: list[Update]) -> None:
        for update in updates:
            if update.step is None or self._becomes_another(update):
                continue
            gradient, index = self._behind_scaling(update.step), update.op.index
            # `unscaled = g / scale`, in a line of its own, whose name says no more; `dw = dw / n` is a gradient.
            says_of = any(gradient_names.parse(b.name).stem for b in self._names.bindings(gradient))
            of = gradient if says_of else self.scaled_by(gradient) or gradient
            if of is not update.step and self._divides_by_a_count(update, of):
                evidence = "its use in the update of that parameter"
                self._found.setdefault(update.step, Use(update.parameter, evidence, index, divided=True))
            self._updates[gradient.root].append(index)
            if gradient.shape == update.parameter.shape and gradient.producer is not None:
                use = Use(update.parameter, "its use in the update of that parameter", index)
                self._found.setdefault(gradient, use)
        for op in recording.ops:
            if op.kind is Kind.GRAD_WRITE and len(op.args) > 1 and isinstance(op.args[1], Value):
                self._found[op.args[1]] = Use(op.args[0], "being assigned to its `.grad`", op.index)
        for op in recording.ops:
            # A difference with the other sign may be turned round in the next line, or by the update.
            if isinstance(op.func, Inferred) and op.func.slope > 0:
                for at, begun in zip(*op.args, strict=True):
                    if not self._names.bindings(begun):
                        continue
                    self._found[begun] = Use(
                        at, "being what the backward pass begins with", op.index, begins=True
                    )
        for pairing in recording.pairings:
            made = pairing.gradient.producer
            if made is not None:
                self._found[pairing.gradient] = Use(pairing.of, "`gradcheck.pair`", made.index + 1)
        for op in recording.ops:
            if op.kind is Kind.RETURNED:
                of, gradient = op.args
                function, argument = op.extra
                evidence = f"being returned by `{function}` for `{argument}`"
                self._found[gradient] = Use(of, evidence, op.index, op)

    def _becomes_another(self, update: Update) -> bool:
        """Whether what looks like the new value of a parameter gets a name, and not the parameter's: a term of a sum."""
        value = update.op.out
        for _ in range(_MOST_FACTORS):
            if update.in_place or not isinstance(value, Value):
                return False
            given = {b.name for b in self._names.bindings(value)}
            if given:
                own = {b.name for b in self._names.bindings(update.parameter)}
                return bool(own) and not given & own  # a name it had before all else may be unknown
            readers = self._readers.get(value, [])
            value = readers[0].out if len(readers) == 1 else None
        return False

    def _behind_scaling(self, step: Value) -> Value:
        """The gradient behind `lr * g`, or `lr * g.detach()`: what is left when multiplications with numbers are taken
        away, and copies."""
        for _ in range(_MOST_FACTORS):
            producer = step.producer
            if producer is None or self._names.bindings(step):
                break
            if not (_scales(producer) or _hands_on(producer)):
                break
            values = [a for a in producer.args if isinstance(a, Value) and a.shape == step.shape]
            others = [a for a in producer.args if isinstance(a, Value) and a.shape not in (step.shape, ())]
            if len(values) != 1 or others:
                break
            step = values[0]
        return step

    def _divides_by_a_count(self, update: Update, gradient: Value) -> bool:
        """Whether the person divides by a whole number, or by something that has a name, between the gradient and the
        move: `rate * grad / batch`, `rate / len(x) * grad`."""
        ops, step = [update.op], update.step
        while step is not gradient and step is not None and step.producer is not None:
            ops.append(step.producer)
            step = next(a for a in step.producer.args if isinstance(a, Value) and a.shape == step.shape)
        statements = {self._names.statement(op) for op in ops}
        return any(
            isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and _is_count(node.right)
            for statement in statements
            if statement is not None
            for node in ast.walk(statement)
        )

    # -- what an optimiser makes of a gradient ---------------------------------------------------------------------

    def is_optimisers(self, value: Value, parameter: Value) -> bool:
        """Whether a gradient of the parameter's shape has a name already, and this was made of it: then it is what an
        optimiser made (momentum, a running mean of squares), unless the person has said themselves that it is the
        gradient."""
        if value in self._paired:
            return False
        writes = [value.producer, *self._mutations.get(value.root, ())[:_MOST_WRITES]]
        made = max((op.index for op in writes if op is not None), default=0)
        behind = list(islice(self._slicer.backwards([value], made + 1), _MOST_OPS))[::-1]
        # An optimiser computes element by element, and puts no gradient of a layer together.
        others = (Family.PRODUCT, Family.REDUCTION)
        made_of = flow.backward(
            behind, [value], through=lambda op: op.operation.family not in others, key=flow.storage
        )
        return any(
            read.shape == parameter.shape
            and read.root in made_of
            and read.root not in (parameter.root, value.root)
            and read not in self._forward_values
            and any(self._may_be_of(binding.name, parameter) for binding in self._names.bindings(read))
            for op in behind
            for read in op.inputs
        )

    def _may_be_of(self, name: str, parameter: Value) -> bool:
        """Whether the name does not say that it is the gradient of something else, or no gradient: among numbers, all have
        the same shape."""
        if parameter.shape:
            return True
        said = gradient_names.parse(name)
        if said.form is gradient_names.Form.NONE or gradient_names.partial_derivative(name) is not None:
            return False
        stem = said.stem
        if stem is None or _is_of(stem, self._names.forward_names(parameter)):
            return True
        return not any(_is_of(stem, self._names.forward_names(value)) for value in self._forward_values)

    def is_step(self, use: Use, binding: Binding) -> bool:
        """Whether it is what an optimiser made, and not named after the parameter as a gradient is."""
        if use.returned is not None or use.begins or not self.is_optimisers(binding.value, use.of):
            return False
        names = self._names.forward_names(use.of)
        if gradient_names.may_be_velocity(binding.name):
            return not _is_of(binding.name[2:], names) or self._is_kept(binding, names)
        return not _is_of(gradient_names.parse(binding.name).stem, names)

    def _is_kept(self, binding: Binding, parameter: list[str]) -> bool:
        """Whether what is called `v_W` is made of a `v_W` that was there before, or of a gradient of `W`: a velocity."""
        producer = binding.value.producer
        made = producer.index + 1 if producer is not None else 0
        return any(
            named.name == binding.name or _is_of(gradient_names.parse(named.name).stem, parameter)
            for op in islice(self._slicer.backwards([binding.value], made), _MOST_OPS)
            for read in op.inputs
            for named in self._names.bindings(read)
            if named.when < binding.when
        )

    def scaled_by(self, value: Value) -> Value | None:
        """The other named tensor that it is a number of times: `step = lr * grad`."""
        producer = value.producer
        if producer is None or not _scales(producer):
            return None
        others = [a for a in producer.args if isinstance(a, Value) and a.shape == value.shape]
        return others[0] if len(others) == 1 and self._names.bindings(others[0]) else None


def _is_of(stem: str | None, names: list[str]) -> bool:
    """Whether the stem is one of the names, or its first letter: `b` of `self.bias`."""
    return stem is not None and any(
        gradient_names.name_affinity(stem, name) >= _SAME_NAME
        or (len(stem) == 1 and gradient_names.split_path(name)[1].startswith(stem))
        for name in names
    )


def _is_count(divisor: ast.expr) -> bool:
    """A whole number, a name, or the size of something; `(1 + decay * step)` and `sqrt(v)` are none."""
    if isinstance(divisor, ast.Call):
        return isinstance(divisor.func, ast.Name) and divisor.func.id in ("len", "float", "int")
    if isinstance(divisor, ast.Constant):
        return isinstance(divisor.value, (int, float)) and divisor.value > 1 and divisor.value % 1 == 0
    return isinstance(divisor, (ast.Name, ast.Attribute, ast.Subscript))


def _hands_on(op: Op) -> bool:
    """Whether its result is the same numbers, if it has the same shape."""
    operation = op.operation
    same = operation is ops.RESHAPE or (operation.family is Family.SAME and not operation.step)
    return same and op.kind is Kind.PURE


def _scales(op: Op) -> bool:
    return op.operation in ops.SCALING or op.operation is ops.CLAMP
