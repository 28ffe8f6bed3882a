"""Where there is no derivative every slope between those on both sides is right; what is wrong beside it is wrong."""

from __future__ import annotations

import pytest

from gradcheck.judge import judgement
from gradcheck.judge.kinks import points_beside
from gradcheck.judge.verdict import Verdict
from tests.support import report_on_source

TORCH = """
    import torch
    torch.manual_seed(0)
    X = torch.randn(6, 3).abs()
    X[0] = 0
    y = torch.randn(6, 2)
    W1, b1 = torch.randn(3, 4), torch.zeros(4)
    W2, b2 = torch.randn(4, 2), torch.zeros(2)
    Z1 = X @ W1 + b1
    A1 = {forward}
    Z2 = A1 @ W2 + b2
    loss = ((Z2 - y) ** 2).sum()
    dZ2 = 2 * (Z2 - y)
    dW2 = A1.T @ dZ2{more}
    db2 = dZ2.sum(0)
    dA1 = dZ2 @ W2.T
    dZ1 = dA1 * {slope}
    dW1 = X.T @ dZ1
    db1 = dZ1.sum(0)
"""
NUMPY = """
    import numpy as np
    X = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    y = np.array([[0.0], [1.0], [1.0], [0.0]])
    np.random.seed(1)
    W1, b1 = np.random.randn(2, 3), np.zeros(3)
    W2 = np.random.randn(3, 1)
    Z1 = X @ W1{bias}
    H = np.maximum(Z1, 0)
    out = H @ W2
    loss = ((out - y) ** 2).mean()
    d_out = 2 * (out - y) / len(y)
    d_W2 = H.T @ d_out
    d_H = d_out @ W2.T
    d_Z1 = d_H * {slope}
    d_W1 = X.T @ d_Z1
    d_b1 = d_Z1.sum(0)
"""


def verdicts(text: str) -> dict[str, Verdict]:
    return {row.name: row.verdict for row in report_on_source(text).rows}


@pytest.mark.parametrize(
    "forward", ["torch.relu(Z1)", "Z1.clamp(min=0)", "torch.maximum(Z1, torch.zeros(()))"]
)
@pytest.mark.parametrize("slope", ["(Z1 > 0)", "(Z1 >= 0)", "(A1 > 0)"])
def test_any_slope_at_zero_is_right(forward: str, slope: str) -> None:
    found = verdicts(TORCH.format(forward=forward, slope=slope, more=""))
    assert set(found.values()) == {Verdict.CORRECT}


@pytest.mark.parametrize("seed", [0, 1, 10])
@pytest.mark.parametrize("forward", ["torch.relu(Z1)", "torch.maximum(Z1, torch.zeros(()))"])
def test_one_unit_may_move_to_either_side(forward: str, seed: int) -> None:
    text = TORCH.format(forward=forward, slope="(Z1 >= 0)", more="")
    one = text.replace("randn(3, 4), torch.zeros(4)", "randn(3, 1), torch.zeros(1)").replace(
        "randn(4, 2)", "randn(1, 2)"
    )
    report = report_on_source(one.replace("manual_seed(0)", f"manual_seed({seed})"))
    assert not [row.name for row in report.rows if row.verdict is Verdict.INTRODUCED]
    assert report.exit_status == 0  # nor is the number that ran called imprecise


@pytest.mark.parametrize("seed", [54, 170])
def test_a_small_gradient_at_the_kink_among_large_ones(seed: int) -> None:
    text = TORCH.format(forward="torch.relu(Z1)", slope="(Z1 >= 0)", more="")
    two = text.replace("randn(3, 4), torch.zeros(4)", "randn(3, 2), torch.zeros(2)").replace(
        "randn(4, 2)", "randn(2, 2)"
    )
    assert report_on_source(two.replace("manual_seed(0)", f"manual_seed({seed})")).exit_status == 0


def test_what_is_wrong_elsewhere_is_the_only_one_accused() -> None:
    found = verdicts(TORCH.format(forward="torch.relu(Z1)", slope="(Z1 >= 0)", more=" / 2"))
    assert {name for name, verdict in found.items() if verdict is not Verdict.CORRECT} == {"dW2"}
    assert found["dW2"] is Verdict.INTRODUCED


def test_a_slope_that_is_wrong_beside_the_kink_too_is_accused() -> None:
    found = verdicts(TORCH.format(forward="torch.relu(Z1)", slope="(Z1 > 0.5)", more=""))
    assert found["dZ1"] is Verdict.INTRODUCED


@pytest.mark.parametrize("slope", ["(Z1 > 0)", "(Z1 >= 0)"])
def test_biases_that_begin_at_zero_and_inputs_that_are_zero(slope: str) -> None:
    assert set(verdicts(NUMPY.format(bias=" + b1", slope=slope)).values()) == {Verdict.CORRECT}


def test_whole_numbers_move_where_nothing_else_leads_away() -> None:
    found = verdicts(NUMPY.format(bias="", slope="(Z1 > 0)"))
    del found["d_b1"]  # of no bias
    assert set(found.values()) == {Verdict.CORRECT}


def test_the_maximum_of_equal_numbers_may_be_any_of_them() -> None:
    text = """
        import numpy as np
        rng = np.random.RandomState(0)
        X, w = rng.randn(5, 4), rng.randn(4, 6)
        X[1:3] = 0
        z = X @ w
        h = np.maximum(z, 0)
        top = h.max(axis=1, keepdims=True)
        loss = (top**2).sum()
        dtop = 2 * top
        dh = dtop * (h == top)
        dz = dh * (z > 0)
        dw = X.T @ dz
    """
    assert set(verdicts(text).values()) == {Verdict.CORRECT}


@pytest.mark.parametrize(
    ("forward", "slope", "points"), [("torch.tanh(Z1)", "(1 - A1)", 0), ("torch.relu(Z1)", "2 * (Z1 > 0)", 2)]
)
def test_numbers_are_moved_only_where_a_gradient_jumps(
    forward: str, slope: str, points: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To judge a wrong gradient at two more points takes three times as long."""
    tried: list[object] = []

    def counted(judge: judgement.Judge) -> list[object]:
        tried.extend(points_beside(judge))
        return tried

    monkeypatch.setattr(judgement, "points_beside", counted)
    found = verdicts(TORCH.format(forward=forward, slope=slope, more=""))
    assert found["dZ1"] is Verdict.INTRODUCED
    assert len(tried) == points


POOLED = """
    import torch
    torch.manual_seed(0)
    X, F, y = torch.randn(8, 12), torch.randn(12, 8), torch.randn(8, 4)
    Z = X @ F
    A = torch.relu(Z)
    blocks = A.reshape(8, 4, 2)
    P = blocks.amax(2)
    loss = ((P - y) ** 2).sum()
    dP = 2 * (P - y)
    dblocks = (blocks == P[:, :, None]) * dP[:, :, None]
    dA = dblocks.reshape(8, 8)
    dZ = dA * ({slope})
    dF = X.T @ dZ
    F -= 0.01 * dF
"""


def test_all_of_a_window_that_a_relu_has_made_zero() -> None:
    """Whichever of them is taken, the maximum is right: only the line behind it is wrong."""
    assert not wrong_lines("Z > 0")
    for slope in ("Z > -9", "A >= 0"):
        assert wrong_lines(slope) == [13]


def wrong_lines(slope: str) -> list[int]:
    findings = report_on_source(POOLED.format(slope=slope)).findings
    return [f.location.line for f in findings if f.rule == "GC101" and f.location is not None]
