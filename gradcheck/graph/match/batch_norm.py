"""What is known of a batch normalisation: the values it goes through, and what shifts and scales them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, NamedTuple

import torch

from gradcheck import ops
from gradcheck.fronts.tape import Op, Value
from gradcheck.graph.match.rows import reduced_axes
from gradcheck.ops import Family

_FUNCTIONAL = ("input", "running_mean", "running_var", "weight", "bias", "training", "momentum", "eps")
_BUILT_IN = (
    "input",
    "weight",
    "bias",
    "running_mean",
    "running_var",
    "training",
    "momentum",
    "eps",
    "cudnn_enabled",
)


class Role(Enum):
    """How something of one number per feature changes a batch."""

    SHIFT = auto()
    SCALE = auto()


class Origin(Enum):
    """What a shift or scale was made of."""

    OWN = auto()  # a statistic of the same batch, over the rows
    OTHER_AXES = auto()  # a statistic of the same batch, over something else
    FOREIGN = auto()  # a statistic of another value
    GIVEN = auto()  # no statistic of this stretch: calibrated, running, or any other number per feature


class Use(NamedTuple):
    """How a batch is shifted or scaled: by `value`, which `node` knows if it is a statistic."""

    role: Role
    origin: Origin
    node: Node | None
    value: Value


class BatchNormCall:
    """The arguments of torch's own batch normalisation, in either of its two orders."""

    def __init__(self, op: Op) -> None:
        order = _BUILT_IN if op.func is torch.batch_norm else _FUNCTIONAL
        given: dict[str, Any] = {**dict(zip(order, op.args, strict=False)), **(op.kwargs or {})}
        self.input: Value | None = given.get("input")
        self.weight: Value | None = given.get("weight")
        self.bias: Value | None = given.get("bias")
        self.running_mean: Value | None = given.get("running_mean")
        self.running_var: Value | None = given.get("running_var")
        self.uses_batch = bool(given.get("training", False)) or self.running_mean is None
        self.training = bool(given.get("training", False))
        self.momentum = given.get("momentum", 0.1)
        self.eps = float(given.get("eps", 1e-5))


def batch_norm_call(op: Op) -> BatchNormCall | None:
    if op.operation is not ops.BATCH_NORM or "instance" in op.name:
        return None
    call = BatchNormCall(op)
    return call if isinstance(call.input, Value) else None


@dataclass(eq=False)
class Node:
    """A value, as one op left it. `base` is the batch that it is a function of."""

    value: Value
    op: Op | None = None
    base: Node = field(init=False)
    inputs: tuple[Node, ...] = ()
    statistic: bool = False
    over_rows: bool = True  # of a statistic
    straight: bool = True  # of a whole: each number is a multiple of the same number of the base, and a shift
    mixed: bool = False  # of a statistic: numbers per feature from elsewhere (a running mean) are in it
    parameters: dict[Value, Role] = field(default_factory=dict)  # that this op puts in
    used: list[Use] = field(default_factory=list)  # by this op

    def __post_init__(self) -> None:
        self.base = self.inputs[0].base if self.inputs else self

    def ancestors(self) -> list[Node]:
        """All nodes of the same base that this one was computed from, itself among them, in the order of the tape."""
        found: dict[Node, None] = {}
        pending = [self]
        while pending:
            node = pending.pop()
            if node not in found:
                found[node] = None
                pending.extend(node.inputs)
        return sorted(found, key=lambda n: -1 if n.op is None else n.op.index)


@dataclass(eq=False)
class BatchNorm:
    """`entry` is the value that is normalised, `norm` the first value that is (before scale and shift, unless these
    are computed in the same expression), `output` what goes on to the next layer."""

    entry: Node
    norm: Node
    output: Node
    steps: list[Node]  # from the entry to the norm
    before: list[Node]  # from the base to the entry
    gammas: list[Value]
    betas: list[Value]
    call: BatchNormCall | None = None

    @property
    def used(self) -> list[Use]:
        return [use for node in self.steps for use in node.used]

    @property
    def mixed(self) -> bool:
        return any(node.mixed for node in self.steps)

    def origins(self, role: Role) -> set[Origin]:
        return {use.origin for use in self.used if use.role is role}

    @property
    def batch(self) -> int:
        """The numbers per feature that a statistic is taken of."""
        return math.prod(self.entry.value.shape[axis] for axis in self.axes)

    @property
    def axes(self) -> tuple[int, ...]:
        """The axes of the entry that the rows are on: all that the statistics go over."""
        shape = self.entry.value.shape
        if self.call is not None:
            return tuple(axis for axis in range(len(shape)) if axis != 1)
        for node in self.steps:
            found = reduced_axes(node.op) if node.op is not None else None
            if found is None or not node.statistic or not node.over_rows:
                continue
            read = node.inputs[0].value.shape
            # The statistics of a flattened batch are over all axes but the last.
            return found if len(read) == len(shape) else tuple(range(len(shape) - 1))
        return (0,)

    @property
    def biases(self) -> list[tuple[Value, Op]]:
        """What is added in front of it, with the operation that adds it: the subtraction of the mean cancels it."""
        found = [
            (value, node.op)
            for node in self.before
            for value, role in node.parameters.items()
            if role is Role.SHIFT and node.op is not None
        ]
        product = self.product
        return found + [(v, product) for v in product.inputs if len(v.shape) == 1] if product else found

    @property
    def product(self) -> Op | None:
        """The linear map in front of it."""
        op = self.before[0].value.producer
        return op if op is not None and op.operation.family is Family.PRODUCT else None
