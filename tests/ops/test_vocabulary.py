"""The vocabulary: spellings lead to operations, and the derivatives in it are those of autograd."""

from __future__ import annotations

import pytest
import torch

from gradcheck import ops
from gradcheck.ops import Operation, operation_called, spelling


@pytest.mark.parametrize(
    ("spelled", "operation"),
    [
        ("__radd__", ops.ADD), ("add_", ops.ADD), ("__iadd__", ops.ADD), ("subtract", ops.SUB), ("__rsub__", ops.SUB),
        ("true_divide", ops.DIV), ("T", ops.PERMUTE), ("data", ops.DETACH), ("__matmul__", ops.MATMUL),
        ("zero_", ops.FILL), ("_foreach_add_", ops.OPTIMISER_STEP), ("kaiming_normal_", ops.DRAW),
        ("no_such_function", ops.OPAQUE), ("__no_such_method__", ops.OPAQUE),
    ],
)  # fmt: skip
def test_a_spelling_leads_to_its_operation(spelled: str, operation: Operation) -> None:
    assert operation_called(spelled) is operation


def test_operands_that_are_the_other_way_round() -> None:
    assert spelling("__rsub__").reverse
    assert spelling("rsub").reverse
    assert not spelling("__sub__").reverse
    assert not spelling("round").reverse


WITH_VJP = [thing for thing in vars(ops).values() if isinstance(thing, Operation) and thing.vjp]


@pytest.mark.parametrize("operation", WITH_VJP, ids=lambda operation: operation.name)
def test_the_derivatives_are_those_of_autograd(operation: Operation) -> None:
    x = torch.linspace(0.1, 2.0, 9, dtype=torch.float64)
    x = torch.cat([x, -x]) if operation not in (ops.LOG, ops.SQRT, ops.RSQRT, ops.LOG1P) else x
    x.requires_grad_()
    function = getattr(torch, operation.name, None) or getattr(torch.nn.functional, operation.name)
    along = (-1,) if operation.axis is not None else ()
    y = function(x, *along)
    g = torch.randn(x.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    (expected,) = torch.autograd.grad(y, x, g) if y.requires_grad else (torch.zeros_like(x),)
    found = eval(
        operation.vjp.format(g="g", x="x", y="y", axis="-1"), {"torch": torch, "g": g, "x": x, "y": y}
    )
    assert torch.allclose(found, expected, rtol=1e-12, atol=1e-14)
    assert operation.derivative
