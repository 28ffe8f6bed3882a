"""The person's word on what a gradient is the gradient of: `--pair`, and a comment on the line."""

from __future__ import annotations

import pytest

from gradcheck.judge.verdict import GradientResult, Problem, Verdict
from tests.support import report_on_source

PROGRAM = """\
import torch
torch.manual_seed(0)
X, Y = torch.randn(8, 3), torch.randint(0, 4, (8,))
W1, W2 = torch.randn(3, 5) * 0.3, torch.randn(5, 4) * 0.3
h_pre = X @ W1
h = torch.tanh(h_pre)
logits = h @ W2
loss = torch.nn.functional.cross_entropy(logits, Y)
dlogits = (torch.softmax(logits, 1) - torch.eye(4)[Y]) / 8
{lines}
W1 -= 0.1 * dW1
W2 -= 0.1 * dW2
"""
MISNAMED = """\
dh = (
    (dlogits @ W2.T) * (1 - h**2)
){comment}
dW2, dW1 = h.T @ dlogits, X.T @ dh
"""
UNNAMED = """\
dW2 = h.T @ dlogits
dh = dlogits @ W2.T
u = (dlogits @ W2.T) * h{comment}
dW1 = X.T @ (dh * (1 - h**2))
"""
SEVERAL = """\
dW2 = h.T @ dlogits
dh_pre = (dlogits @ W2.T) * (1 - h**2)
dW1 = X.T @ dh_pre
first, second = (h**2).T @ dlogits, (X**2).T @ dh_pre{comment}
"""


def rows(lines: str, comment: str = "", **options: object) -> dict[str, GradientResult]:
    text = PROGRAM.format(lines=lines.format(comment=comment and f"  # gradcheck: {comment}"))
    report = report_on_source(text, **options)
    return {row.name: row for row in report.rows}


def test_without_a_word_the_name_is_held_against_the_numbers() -> None:
    row = rows(MISNAMED)["dh"]
    assert (row.of, row.problem) == ("h_pre", Problem.MISNAMED)
    assert "u" not in rows(UNNAMED)


@pytest.mark.parametrize(("comment", "pairs"), [("of h_pre", {}), ("", {"dh": "h_pre"})])
def test_the_word_settles_a_name_that_says_another(comment: str, pairs: dict[str, str]) -> None:
    row = rows(MISNAMED, comment, pairs=pairs)["dh"]
    assert (row.of, row.problem, row.verdict) == ("h_pre", Problem.NONE, Verdict.CORRECT)


def test_a_word_that_the_numbers_contradict_settles_nothing() -> None:
    row = rows(MISNAMED, "of logits")["dh"]
    assert (row.of, row.problem) == ("h_pre", Problem.MISNAMED)


@pytest.mark.parametrize(
    ("comment", "pairs", "evidence"),
    [("of h", {}, "its comment, by name"), ("", {"u": "h"}, "`--pair`, by name")],
)
def test_the_word_makes_a_gradient_of_what_has_no_name_of_one(
    comment: str, pairs: dict[str, str], evidence: str
) -> None:
    row = rows(UNNAMED, comment, pairs=pairs)["u"]
    assert (row.of, row.verdict, row.evidence) == ("h", Verdict.INTRODUCED, evidence)


def test_the_command_line_overrules_the_comment() -> None:
    row = rows(UNNAMED, "of h", pairs={"u": "h_pre"})["u"]
    assert (row.of, row.evidence) == ("h_pre", "`--pair`, by name")


def test_several_gradients_of_one_statement_have_as_many_values() -> None:
    told = rows(SEVERAL, "of W2, W1")
    assert (told["first"].of, told["second"].of) == ("W2", "W1")
    assert {told[name].verdict for name in ("first", "second")} == {Verdict.INTRODUCED}
    untold = rows(SEVERAL, "of W2")
    assert not {"first", "second"} & set(untold)


ARRIVED = """\
import torch
torch.manual_seed(0)
class Spike(torch.autograd.Function):
    @staticmethod
    def forward(ctx, input):
        ctx.save_for_backward(input)
        return (input > 0).to(input.dtype)
    @staticmethod
    def backward(ctx, grad_output):
        input, = ctx.saved_tensors
        grad_input = grad_output.clone()
        grad = grad_input / (1 + input.abs()) ** 2
        return grad
above = torch.randn(5, 4) @ torch.randn(4, 3, requires_grad=True) - 1.0
out = Spike.apply(above)
loss = (out - torch.rand(5, 3)).pow(2).sum()
loss.backward()
"""


def test_what_arrives_may_be_named_for_what_is_made_of_it():
    report = report_on_source(ARRIVED)
    assert report.rows
    assert "GC107" not in {finding.rule for finding in report.findings}
