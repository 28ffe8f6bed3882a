"""Batch normalisation, recognised from what is computed from what, never from names.

Followed along the tape is what happens to a value with a batch of rows (`whole`: one number per row and feature) and
to the statistics taken of it (`statistic`: one number per feature). What is shifted by a statistic and scaled by a
statistic, at least one of them its own over the batch, is normalised, well or badly: a scale of the wrong power or
a mean over the wrong axis is recognised all the same.
"""

import math
from collections.abc import Callable, Collection, Iterable

from gradcheck import ops
from gradcheck.fronts.tape import Kind, Op, Value
from gradcheck.graph.match.batch_norm import (
    BatchNorm,
    BatchNormCall,
    Node,
    Origin,
    Role,
    Use,
    batch_norm_call,
)
from gradcheck.graph.match.products import factors
from gradcheck.graph.match.rows import reduced_axes
from gradcheck.ops import Family

_NONLINEAR = ops.POWERS | {ops.ABS}


_STATISTICS = (Origin.OWN, Origin.OTHER_AXES, Origin.FOREIGN)


def batch_norms(steps: Iterable[Op], is_parameter: Callable[[Value], bool]) -> list[BatchNorm]:
    """Those that take their statistics from the very batch, in the order of the tape."""
    return _Walk(steps, is_parameter).layers(_normalises_by_batch)


def fixed_norms(steps: Iterable[Op], is_parameter: Callable[[Value], bool]) -> list[BatchNorm]:
    """Those that are given statistics taken elsewhere: of a calibration, or running ones."""
    return _Walk(steps, is_parameter).layers(_normalises_by_given)


def _normalises_by_batch(uses: list[Use]) -> bool:
    return _shifts_and_scales(uses, _STATISTICS) and any(use.origin is Origin.OWN for use in uses)


def _normalises_by_given(uses: list[Use]) -> bool:
    elsewhere = (Origin.FOREIGN, Origin.GIVEN)
    return _shifts_and_scales(uses, elsewhere) and not any(use.origin is Origin.OWN for use in uses)


def _shifts_and_scales(uses: list[Use], origins: Collection[Origin]) -> bool:
    return {use.role for use in uses if use.origin in origins} == set(Role)


class _Walk:
    """Follows batches and their statistics along the ops."""

    def __init__(self, steps: Iterable[Op], is_parameter: Callable[[Value], bool]) -> None:
        self._is_parameter = is_parameter
        self._now: dict[Value, Node] = {}
        self._wholes: list[Node] = []
        self._readers: dict[Node, list[Node]] = {}
        self._calls: dict[Node, BatchNormCall] = {}
        steps = list(steps)
        self._leaves = _leaf_counts(steps)
        for op in steps:
            self._step(op)

    # -- along the tape ------------------------------------------------------------------------------------------

    def _step(self, op: Op) -> None:
        made = self._made(op) if op.kind in (Kind.PURE, Kind.MUTATE) else []
        changed = {value.root for value in op.mutated}
        if changed:
            for value in [v for v in self._now if v.root in changed]:
                del self._now[value]
        for value in op.outputs:
            self._now.pop(value, None)
        for node in made:
            self._now[node.value] = node
            if not node.statistic:
                self._wholes.append(node)
            for read in node.inputs:
                self._readers.setdefault(read, []).append(node)

    def _made(self, op: Op) -> list[Node]:
        call = batch_norm_call(op)
        if call is not None:
            return self._called(op, call)
        axes = reduced_axes(op)
        if axes is not None:
            return self._reduced(op, axes)
        if not isinstance(op.out, Value):
            return []
        values = op.inputs
        tracked = [self._now[value] for value in values if value in self._now]
        if op.operation.family is Family.BROADCAST:
            first = self._now.get(values[0]) if values else None
            return [self._statistic(op, [first])] if first is not None and first.statistic else []
        whole = [node for node in tracked if not node.statistic]
        if whole and all(node.base is whole[0].base for node in whole):
            return self._of_whole(op, whole, values)
        meets_batch = any(value not in self._now and _has_rows(value, op) for value in values)
        if not whole and tracked and tracked[0].statistic and not meets_batch:
            if all(node.base is tracked[0].base for node in tracked):
                return [self._statistic(op, tracked)]
            return []
        return self._begun(op, values)

    def _called(self, op: Op, call: BatchNormCall) -> list[Node]:
        if not isinstance(op.out, Value) or call.input is None or len(call.input.shape) < 2:
            return []
        node = Node(op.out, op, (self._whole(call.input),))
        if call.training:
            node.used = [Use(role, Origin.OWN, None, call.input) for role in Role]
        else:
            for role, given in ((Role.SHIFT, call.running_mean), (Role.SCALE, call.running_var)):
                if given is not None:
                    known = self._now.get(given)
                    origin = Origin.FOREIGN if known is not None and known.statistic else Origin.GIVEN
                    node.used.append(Use(role, origin, known, given))
        for value, role in ((call.weight, Role.SCALE), (call.bias, Role.SHIFT)):
            if value is not None:
                node.parameters[value] = role
        self._calls[node] = call
        return [node]

    def _reduced(self, op: Op, axes: tuple[int, ...]) -> list[Node]:
        source = op.args[0]
        if len(source.shape) < 2 or source.shape[0] < 2:
            return []
        known = self._now.get(source)
        if known is not None and known.statistic:
            return [self._statistic(op, [known])] if isinstance(op.out, Value) else []
        whole = self._whole(source)
        if whole.straight and _normalises_by_batch([use for one in whole.ancestors() for use in one.used]):
            whole = self._whole(source, again=True)
        over_rows = 0 in axes and len(axes) < len(source.shape)
        return [Node(out, op, (whole,), statistic=True, over_rows=over_rows) for out in op.outputs]

    def _begun(self, op: Op, values: list[Value]) -> list[Node]:
        """A batch that nothing was known of meets something per feature (`z + b`), is squared, or copied."""
        if _keeps(op) and values and len(values[0].shape) > 1 and values[0].shape[0] > 1:
            return self._of_whole(op, [self._whole(values[0])], values)
        if _role(op) is None and op.operation not in _NONLINEAR:
            return []
        full = list({v for v in values if v.shape == op.out.shape and len(v.shape) > 1})
        if len(full) != 1 or full[0].shape[0] < 2 or full[0] in self._now:
            return []
        return self._of_whole(op, [self._whole(full[0])], values)

    def _whole(self, value: Value, again: bool = False) -> Node:
        known = self._now.get(value)
        if known is None or again:
            known = self._now[value] = Node(value)
        return known

    def _of_whole(self, op: Op, whole: list[Node], values: list[Value]) -> list[Node]:
        base = whole[0].base
        node = Node(op.out, op, tuple(whole))
        node.straight = all(one.straight for one in whole)
        if _keeps(op):
            same = node.value.shape[-1:] == whole[0].value.shape[-1:] and len(node.value.shape) > 1
            return [node] if same and _numel(node.value) == _numel(whole[0].value) else []
        if node.value.shape != whole[0].value.shape:
            return []
        if op.operation is ops.NEG:
            return [node]
        if op.operation in _NONLINEAR:
            node.straight = False
            return [node]
        role = _role(op)
        if role is None or (op.operation is ops.DIV and op.args[0] not in self._now):
            return []  # something divided by the batch, or another operation
        if len(whole) > 1:
            node.straight = node.straight and role is Role.SHIFT
        for value in values:
            known = self._now.get(value)
            if known is not None and not known.statistic:
                continue
            if known is None and _numel(value) == 1:
                continue
            if _has_rows(value, op) and not (known is not None and known.statistic):
                return []
            if known is None:
                if self._is_parameter(value):
                    node.parameters[value] = role
                else:
                    node.used.append(Use(role, Origin.GIVEN, None, value))
            elif known.base is base:
                origin = Origin.OWN if known.over_rows else Origin.OTHER_AXES
                node.used.append(Use(role, origin, known, value))
                node.inputs = (*node.inputs, known)
            else:
                node.used.append(Use(role, Origin.FOREIGN, known, value))
        return [node]

    def _statistic(self, op: Op, tracked: list[Node]) -> Node:
        node = Node(op.out, op, tuple(tracked), statistic=True)
        node.over_rows = all(one.over_rows for one in tracked)
        role = Role.SHIFT if op.operation in ops.ADDITIVE else Role.SCALE
        for value in op.inputs:
            if value not in self._now and _numel(value) > 1:
                if self._is_parameter(value):
                    node.parameters[value] = role
                else:
                    node.mixed = True
        return node

    # -- layers --------------------------------------------------------------------------------------------------

    def layers(self, normalises: Callable[[list[Use]], bool]) -> list[BatchNorm]:
        found = []
        done: set[Node] = set()
        for node in self._wholes:
            if not node.straight:
                continue
            through = node.ancestors()
            if not done.isdisjoint(through):
                done.add(node)
                continue
            uses = [use for one in through for use in one.used]
            if not normalises(uses) or self._leaves.get(node.base.value.root, 1) < 2:
                continue
            done.add(node)
            layer = self._layer(node, through)
            if layer is not None:
                found.append(layer)
        return found

    def _layer(self, norm: Node, through: list[Node]) -> BatchNorm | None:
        if _features_first(norm.base, self._is_parameter):
            return None
        before, entry = self._entry(norm.base, through)
        steps = [one for one in through if one not in before]
        after = self._after(norm)
        affected = [norm, *after]
        parameters = [item for one in (*steps, *after) for item in one.parameters.items()]
        if any(_varies_along_rows(value, affected[-1]) for value, _ in parameters):
            return None
        return BatchNorm(
            entry,
            norm,
            affected[-1],
            steps,
            before,
            [value for value, role in parameters if role is Role.SCALE],
            [value for value, role in parameters if role is Role.SHIFT],
            self._calls.get(norm),
        )

    def _entry(self, base: Node, through: Collection[Node]) -> tuple[list[Node], Node]:
        """From the base on as long as there is one way, and nothing but parameters come in."""
        before, now = [base], base
        while True:
            readers = [one for one in self._readers.get(now, []) if one in through]
            if len(readers) != 1:
                break
            reader = readers[0]
            if reader.statistic or reader.used or not reader.straight or reader in self._calls:
                break
            now = reader
            before.append(now)
        return before, now

    def _after(self, norm: Node) -> list[Node]:
        """Scale and shift: what parameters are put to the normalised value, one after the other."""
        found: list[Node] = []
        now = norm
        while True:
            readers = [one for one in self._readers.get(now, []) if not one.statistic and one.straight]
            if len(readers) != 1 or not readers[0].parameters or readers[0].used:
                return found
            now = readers[0]
            found.append(now)


def _features_first(base: Node, is_parameter: Callable[[Value], bool]) -> bool:
    """Whether the first axis of the batch is that of a parameter: `W @ x` with examples as columns."""
    op = base.value.producer
    if op is None:
        return False
    if op.operation in ops.ADDITIVE:
        # A bias with one number for each row is one of a layer with examples as columns: `W @ x + b`.
        return any(len(v.shape) > 1 and v.shape[0] > 1 and _numel(v) == v.shape[0] for v in op.inputs)
    if op.operation.family is not Family.PRODUCT or op.operation in (ops.LINEAR, ops.CONVOLUTION):
        return False
    tensors = factors(op)
    return len(tensors) == 2 and is_parameter(tensors[0]) and not is_parameter(tensors[1])


def _keeps(op: Op) -> bool:
    return op.operation.family is Family.SAME or op.operation is ops.RESHAPE


def _role(op: Op) -> Role | None:
    """What the other operands of an operation are for a batch."""
    if op.operation in ops.ADDITIVE:
        return Role.SHIFT
    is_scale = op.operation is ops.MUL or (op.operation is ops.DIV and not op.reverse)
    return Role.SCALE if is_scale else None


def _varies_along_rows(value: Value, at: Node) -> bool:
    return at.op is not None and len(value.shape) >= len(at.value.shape) and value.shape[0] > 1


def _has_rows(value: Value, op: Op) -> bool:
    """Whether a value has a number of its own for every row of what the op computes."""
    rank = len(op.out.shape) if isinstance(op.out, Value) else 0
    return len(value.shape) == rank > 1 and value.shape[0] > 1


def _numel(value: Value) -> int:
    return math.prod(value.shape)


def _leaf_counts(steps: Iterable[Op]) -> dict[Value, int]:
    """Of how many tensors, 2 standing for more, each storage was computed: what is made of one alone is no batch
    that went through a layer."""
    leaves: dict[Value, frozenset[Value]] = {}
    for op in steps:
        read: set[Value] = set()
        for value in op.inputs:
            read |= leaves.get(value.root, frozenset((value.root,)))
        kept = frozenset(read if len(read) < 3 else sorted(read, key=lambda v: v.birth)[:2])
        for value in (*op.outputs, *op.mutated):
            leaves[value.root] = kept or frozenset((value.root,))
    return {root: len(found) for root, found in leaves.items()}
