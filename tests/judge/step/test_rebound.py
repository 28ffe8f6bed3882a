"""Updates after which a parameter is not one step further: they are found, and updates of every other form are not."""

from __future__ import annotations

import pytest

from tests.support import in_child, report_on_source

_STEP = """
import torch
torch.manual_seed(3)
x, y = torch.randn(20, 4), torch.randn(20, 2)
A = torch.randn(4, 6) * 0.3
a = torch.zeros(6)
B = torch.randn(6, 2) * 0.3
for step in range(40):
    h = torch.tanh(x @ A + a)
    out = h @ B
    loss = ((out - y) ** 2).mean()
    dout = 2 * (out - y) / 40
    dB = h.T @ dout
    dpre = dout @ B.T * (1 - h * h)
    dA = x.T @ dpre
    da = dpre.sum(0)
"""
_FUNCTION = """
    A, a, B = moved(A, dA), moved(a, da), moved(B, dB)
"""


def _found(update: str, before: str = "") -> list[tuple[str, int, str]]:
    text = before + _STEP + update
    report = in_child(lambda: report_on_source(text, fix_budget_s=0.0))
    first = text.splitlines().index("    da = dpre.sum(0)") + 2
    return [
        (f.rule, f.location.line - first + 1, f.message)
        for f in report.findings
        if f.rule in ("GC104", "GC105") and f.location is not None
    ]


WRONG = [
    ("    for p, g in zip((A, a, B), (dA, da, dB)):\n        p = p - 0.1 * g\n",
     2, "the new values of `A`, `a` and `B` are lost"),
    ("    A -= 0.1 * dA\n    a =- 0.1 * da\n    B -= 0.1 * dB\n", 2, "`a` is replaced by its step"),
    ("    A = A - 0.1 * dA\n    a = a - 0.1 * da\n    B = 0.1 * dB - B\n", 3, "`B` changes its sign in this update"),
]  # fmt: skip

RIGHT = [
    "    for p, g in zip((A, a, B), (dA, da, dB)):\n        p -= 0.1 * g\n",
    "    A, a, B = [p - 0.1 * g for p, g in zip((A, a, B), (dA, da, dB))]\n",
    "    new = []\n    for p, g in zip((A, a, B), (dA, da, dB)):\n"
    "        p = p - 0.1 * g\n        new.append(p)\n    A, a, B = new\n",
    "    A = 0.999 * A - 0.1 * dA\n    a = a - 0.1 * da\n    B = B * 0.9 + 0.1 * (B - dB)\n",
    "    A = (A - 0.1 * dA) / (A - 0.1 * dA).norm()\n    a = a - 0.1 * da\n    B = (B - 0.1 * dB).clamp(-0.5, 0.5)\n",
]  # fmt: skip


@pytest.mark.parametrize(("update", "line", "message"), WRONG)
def test_what_does_not_go_on_from_the_parameter_is_found(update: str, line: int, message: str) -> None:
    assert _found(update) == [("GC104", line, message)]


@pytest.mark.parametrize("update", RIGHT)
def test_other_updates_are_not(update: str) -> None:
    assert _found(update) == []


def test_weights_copied_from_a_master_are_not() -> None:
    update = "    master -= 0.1 * dA\n    A = master.clone()\n    a = a - 0.1 * da\n    B = B - 0.1 * dB\n"
    text = _STEP.replace("for step", "master = A.clone()\nfor step")
    report = in_child(lambda: report_on_source(text + update, fix_budget_s=0.0))
    assert not [f for f in report.findings if f.rule == "GC104"]


def test_a_function_that_gives_the_new_value_back_is_not() -> None:
    assert _found(_FUNCTION, "def moved(w, g):\n    w = w - 0.1 * g\n    return w\n") == []
