"""The non-linearities of a network, in order: found from the dataflow and from what they compute, never from names.

An activation is a value that is a function of one earlier value, element by element, and that something else then
reads. Which function it is shows when the operations are run again on a grid of numbers.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass

import torch

from gradcheck.fronts.tape import Op, Value
from gradcheck.graph.match.chains import Chain, find_chains
from gradcheck.graph.match.functions import Nonlinearity, is_affine, is_constant, recognise
from gradcheck.graph.match.products import LinearMap, is_linear_map
from gradcheck.health.network.linear import Ancestry
from gradcheck.health.network.probing import Stretch, fed
from gradcheck.replay.runner import ReplayError
from gradcheck.replay.slices import read_from_outside

_NUMBERS = torch.cat([torch.linspace(-12, 12, 96, dtype=torch.float64), torch.tensor([-40.0, 40.0]).double()])


@dataclass(frozen=True, slots=True, eq=False)
class Activation:
    """`output` is `function` of `argument`, made by `op`; `argument` is None where it was overwritten."""

    op: Op
    output: Value
    argument: Value | None
    function: Nonlinearity
    slope: float
    chain: Chain


@dataclass(slots=True)
class ActivationLayer:
    """`applied` holds the activation once for every time the layer was applied (over the steps of a sequence).
    `depth` counts the layers from the input. `hidden`: another layer follows. `axis` is that of the units."""

    applied: list[Activation]
    depth: int
    linear: LinearMap | None
    normalised: bool  # what the linear map computes, before the activation
    parameters: frozenset[Value]
    hidden: bool
    axis: int
    after: frozenset[int] = frozenset()  # the layers (by index) that this one is computed from, nearest alone

    @property
    def first(self) -> Activation:
        return self.applied[0]


def find_layers(stretch: Stretch, parameters: Collection[Value] = ()) -> list[ActivationLayer]:
    """In the order in which they are first computed."""
    found = find_activations(stretch)
    if not found:
        return []
    ancestry = Ancestry(stretch.ops, parameters)
    stop = {op for activation in found for op in activation.chain.ops}
    made_by = {op: activation for activation in found for op in activation.chain.ops}
    layers: list[ActivationLayer] = []
    index_of: dict[Activation, int] = {}
    by_key: dict[tuple[object, ...], int] = {}
    for activation in found:
        first = activation.chain.ops[0]
        source = activation.chain.start
        own = ancestry.parameters_of(source, first.index, stop)
        # The same for one layer that is applied several times, as over the steps of a sequence.
        key = (activation.op.code, activation.op.lasti, own)
        if own and key in by_key:
            number = by_key[key]
            layers[number].applied.append(activation)
            index_of[activation] = number
            continue
        makers = ancestry.makers([source.root], first.index, stop)
        after = frozenset(index_of[made_by[op]] for op in makers if made_by.get(op) in index_of)
        linear, normalised = ancestry.linear_behind(source, first.index, stop)
        index_of[activation] = by_key[key] = len(layers)
        layers.append(
            ActivationLayer(
                [activation],
                1 + max((layers[i].depth for i in after), default=0),
                linear,
                normalised,
                own,
                ancestry.reaches_parameters(activation.output, activation.op.index),
                _unit_axis(activation.output, linear),
                after,
            )
        )
    return layers


def find_activations(stretch: Stretch) -> list[Activation]:
    """Every application of a non-linearity, in order."""
    made = {value for op in stretch.ops for value in (*op.outputs, *op.mutated)}
    found = []
    for chain in find_chains(stretch.ops, stretch.known):
        if chain.start not in made or math.prod(chain.start.shape) < 2:
            continue  # a function of the data or of a parameter, or of a single number
        with suppress(ReplayError):
            found.extend(_activations_of(chain, stretch))
    return sorted(found, key=lambda activation: activation.op.index)


def _activations_of(chain: Chain, stretch: Stretch) -> list[Activation]:
    if not stretch.tensor(chain.start).is_floating_point():
        return []
    grid = _on_grid(chain, stretch)
    if grid is None:
        return []
    found: dict[Value, Activation] = {}
    for end, reader in chain.ends.items():
        if end not in grid.members or is_constant(grid.members[end]):
            continue
        activation = _recognised(chain, end, grid)
        if activation is None and is_linear_map(reader) and _is_curved(grid.start, grid.members[end]):
            argument = chain.start if chain.kept else None
            activation = Activation(_maker(chain, end), end, argument, Nonlinearity.OTHER, 0.0, chain)
        if activation is not None:
            found.setdefault(activation.output, activation)
    return list(found.values())


def _recognised(chain: Chain, end: Value, grid: _Grid) -> Activation | None:
    """`end`, or a member that it is a multiple of, as a known function of the start or of a multiple of that."""
    result = grid.members[end]
    others = {value: tensor for value, tensor in grid.members.items() if value is not end}
    arguments = [(chain.start if chain.kept else None, grid.start)]
    arguments += [(value, t) for value, t in others.items() if _is_straight(grid.start, t)]
    outputs = [(end, result), *((value, t) for value, t in others.items() if _is_straight(t, result))]
    for output, after in outputs:
        for argument, before in arguments:
            known = recognise(before, after) if before is not after else None
            if known is not None:
                return Activation(_maker(chain, output), output, argument, known.function, known.slope, chain)
    return None


def _is_straight(argument: torch.Tensor, result: torch.Tensor) -> bool:
    return not is_constant(argument) and not is_constant(result) and is_affine(argument, result)


def _is_curved(argument: torch.Tensor, result: torch.Tensor) -> bool:
    return bool(torch.isfinite(result).all()) and not is_affine(argument, result)


def _maker(chain: Chain, value: Value) -> Op:
    """The last op that wrote it: of a value filled in place the one that completed it."""
    return next(op for op in reversed(chain.ops) if value in op.outputs or value in op.mutated)


@dataclass(frozen=True, slots=True)
class _Grid:
    """Flat tensors: the numbers put in for the start of a chain, and what its members of floats became."""

    start: torch.Tensor
    members: dict[Value, torch.Tensor]


def _on_grid(chain: Chain, stretch: Stretch) -> _Grid | None:
    """None if the chain cannot be made again."""
    read = [value for value in read_from_outside(chain.ops) if value is not chain.start]
    known = {value: stretch.tensor(value).detach() for value in read}
    size = math.prod(chain.start.shape)
    rounds = -(-len(_NUMBERS) // size)
    numbers = _NUMBERS.repeat(-(-rounds * size // len(_NUMBERS)))[: rounds * size]
    parts: dict[Value, list[torch.Tensor]] = {value: [] for value in chain.members}
    for some in torch.split(numbers, size):
        replay = fed(chain.ops, {**known, chain.start: some.reshape(chain.start.shape).clone()})
        if replay.broken:
            return None
        for value, found in parts.items():
            found.append(replay.tensor(value).flatten())
    members = {value: torch.cat(found) for value, found in parts.items()}
    return _Grid(numbers, {value: t for value, t in members.items() if t.is_floating_point()})


def _unit_axis(output: Value, linear: LinearMap | None) -> int:
    """The axis along which the units lie, counted from the end: the channel of a convolution, the rows of `W @ x`,
    and the last one otherwise."""
    dimensions = len(output.shape)
    usual = -3 if dimensions == 4 else -1
    if linear is None or linear.axis is None or not isinstance(linear.op.out, Value):
        return usual
    made = linear.op.out.shape
    axis = linear.axis if linear.axis < 0 else linear.axis - len(made)
    if len(made) < -axis:
        return usual
    if len(made) == dimensions and made[axis] == output.shape[axis]:
        return axis
    same = [i - dimensions for i, length in enumerate(output.shape) if length == made[axis]]
    return same[0] if len(same) == 1 else usual
