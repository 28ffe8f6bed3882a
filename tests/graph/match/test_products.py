"""Which operand of a product is the weight, and where its units are."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from gradcheck.graph.match.products import LinearMap, is_linear_map, linear_map
from tests.graph.match.recorded import Recorded


@pytest.mark.parametrize(
    ("func", "weight_first", "shape", "axis", "fan_in"),
    [
        (torch.nn.functional.linear, False, (4, 3), -1, 3),
        (torch.matmul, False, (3, 4), -1, 3),
        (torch.Tensor.__matmul__, False, (3, 4), -1, 3),
        (torch.Tensor.__rmatmul__, True, (3, 4), -1, 3),  # `x @ W`, where it is `W` that knows how
        (torch.mm, True, (4, 6), -2, 6),
        (torch.nn.functional.conv1d, False, (4, 3, 2), 1, 6),
    ],
)
def test_the_weight_and_the_data(
    func: Callable[..., torch.Tensor], weight_first: bool, shape: tuple[int, ...], axis: int, fan_in: int
) -> None:
    tape = Recorded()
    weight = tape.given(torch.randn(shape))
    data = tape.given(torch.randn((6, 3, 5) if len(shape) == 3 else (6, 3)))
    tape.call(func, *((weight, data) if weight_first else (data, weight)))
    found = linear_map(tape.ops[0], lambda value: value if value is weight else None)
    assert is_linear_map(tape.ops[0])
    assert (found.weight, found.data, found.axis, found.fan_in) == (weight, data, axis, fan_in)
    assert found.read is weight
    assert weight_units(found) == tape.ops[0].out.shape[axis]


def weight_units(found: LinearMap) -> int:
    """The length of the axis of the units, by the weight."""
    assert found.read is not None
    return found.read.shape[found.read_axis]
