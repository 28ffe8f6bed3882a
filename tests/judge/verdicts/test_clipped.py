"""Clipping makes new tensors of gradients and is no fault; a wrong gradient that is a product with a number is one."""

from __future__ import annotations

import pytest

from tests.support import report_on_source

PROGRAM = """
import torch
torch.manual_seed(0)
x, y, W = torch.randn(8, 4), torch.randn(8, 2), torch.randn(4, 2)
slope = torch.tensor(0.7)
pred = (x @ W) * slope
loss = ((pred - y) ** 2).mean()
dpred = 2 * (pred - y) / 16
print(loss.item())
grads = {}
grads["W"] = x.T @ (dpred * slope)
%s
"""


def verdicts(lines: str) -> list[str]:
    (judged,) = report_on_source(PROGRAM % lines).passes
    return [row.verdict.value for row in judged.gradients]


@pytest.mark.parametrize(
    "factor", ["(0.05 / norm.item())", "(0.05 / norm)", "share"], ids=["number", "tensor", "name"]
)
def test_clipping_by_norm_is_no_fault(factor: str) -> None:
    norm = "norm = grads['W'].norm()\nshare = 0.05 / norm.item()\n"
    found = verdicts(norm + f"grads['W'] = grads['W'] * {factor}\nW -= 0.1 * grads['W']")
    assert set(found) == {"correct"}


@pytest.mark.parametrize("factor", ["slope", "0.5", "rate"])
def test_another_product_with_a_number_is_a_fault(factor: str) -> None:
    found = verdicts(f"rate = 0.5\ngrads['W'] = grads['W'] * {factor}\nW -= 0.1 * grads['W']")
    assert "introduced" in found


def test_clipping_and_then_normalising_in_place_is_no_fault() -> None:
    found = verdicts(
        "g = grads['W']\nnorm = g.norm()\ng.mul_(0.05 / (norm + 1e-6))\ng /= g.norm() + 1e-6\nW -= 0.1 * g"
    )
    assert set(found) == {"correct"}
