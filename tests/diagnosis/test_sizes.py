"""A fix is proved at other sizes and with other constants too, or it is not called proved."""

from __future__ import annotations

import torch

from gradcheck.checks.finding import Finding
from gradcheck.patch.plan import plan_fixes
from gradcheck.replay.variation import Variation, resized
from tests.diagnosis.test_fixes import diff_of
from tests.support import report_on_source

# As many channels as twice the rows, so that `channels - 1` is the number of columns.
MEAN_OF_COLUMNS = """
    import torch

    torch.manual_seed(1)
    channels, columns, rows = 6, 5, 3
    signal = torch.randn(channels, rows, columns)
    weight = torch.randn(channels, 1, 1)
    scaled = signal * weight
    pooled = scaled.sum(2) / columns
    loss = (pooled**2).sum()

    d_pooled = 2 * pooled
    d_scaled = d_pooled[:, :, None].expand(channels, rows, columns) / rows
    d_weight = (d_scaled * signal).sum((1, 2), keepdim=True)
"""

FLIPPED_ONCE_TOO_OFTEN = """
    import torch

    torch.manual_seed(1)
    x = torch.randn(4, 4)
    mixing = torch.randn(4, 4)
    y = x @ mixing.flip(0).T
    loss = (y**3).sum()

    dy = 3 * y**2
    mixing = mixing.flip(0)
    mixing = mixing.flip(1)
    dx = dy @ mixing
"""

# The batch went through NumPy, and the numbers back: no replay at another point or size proves anything.
FROZEN = """
    import torch

    torch.manual_seed(1)
    x = torch.randn(6, 4)
    w = torch.randn(4, 3)
    y = x @ w
    top = float(y.abs().max())
    z = y / top
    z = y * (1 / 1.7)
    scale = float((x[0, 0] * 1.25))
    q = z * scale
    loss = (q**2).sum()

    dq = 2 * q
    dz = dq * scale
    dy = dz * 1.7
    dw = x.T @ dy
"""


def fixes(source: str, **changes: str) -> list[Finding]:
    report = report_on_source(source, fix_budget_s=20.0, **changes)
    return [finding for finding in report.findings if finding.fix is not None]


def test_a_number_that_happens_to_be_the_size_is_refuted() -> None:
    (finding,) = fixes(MEAN_OF_COLUMNS)
    assert diff_of(finding)[-1].endswith("/ columns")
    assert finding.fix is not None
    assert finding.fix.verified
    assert "other size" in finding.helps[-1]


def test_a_statement_too_many_is_deleted() -> None:
    (finding,) = fixes(FLIPPED_ONCE_TOO_OFTEN)
    assert diff_of(finding) == ["- mixing = mixing.flip(1)"]
    assert finding.helps[0].startswith("delete this line: proved by replay")


def test_what_could_be_replayed_nowhere_else_is_not_proved() -> None:
    report = report_on_source(FROZEN, fix_budget_s=20.0)
    (finding,) = (finding for finding in report.findings if finding.fix is not None)
    assert finding.fix is not None
    assert not finding.fix.verified
    assert (
        "it fits the recorded step; no other point could be replayed, so it is not proved"
        in finding.helps[-1]
    )
    assert not plan_fixes([report]).fixes
    assert len(plan_fixes([report], unproved=True).fixes) == 1


def test_sizes_and_what_is_computed_from_them() -> None:
    class Shaped:
        def __init__(self, *shape: int) -> None:
            self.shape = shape

    sizes = resized(4, 6, [Shaped(4, 5), Shaped(20), Shaped(3, 4, 8)], multiples=True)  # type: ignore[list-item]
    assert sizes[4] == 6
    assert sizes[20] == 30
    assert sizes[8] == 12  # as wide as two of them
    variation = Variation(sizes)
    assert variation.number(0.25) == 1 / 6
    assert variation.number(0.3) == 0.3
    assert variation.number(torch.pi) == torch.pi


# Of 18 rows the mask keeps 17: one more row that it keeps is one more in both counts.
MASKED = """
    import torch

    torch.manual_seed(77)
    n = 18
    x, goal = torch.randn(n, 5), torch.randn(n, 3)
    keep = (torch.rand(n, 1) > 0.3).float()
    W = torch.randn(5, 3)
    for step in range(2):
        pred = x @ W
        loss = (((pred - goal) ** 2) * keep).sum() / keep.sum()
        dpred = 2 * (pred - goal) * keep / n
        dW = x.T @ dpred
        W = W - 0.01 * dW
"""


def test_a_count_of_rows_is_not_one_less_than_the_rows() -> None:
    report = report_on_source(MASKED, fix_budget_s=3.0)
    (finding,) = [f for f in report.findings if f.rule == "GC101"]
    assert finding.fix is None or not finding.fix.verified or "n - 1" not in finding.fix.replacement


# Each label is one of two columns, by the way they are made: no replay has three.
TWO_COLUMNS = """
    import torch

    torch.manual_seed(5)
    x, W = torch.randn(7, 3), torch.randn(3, 2)
    on = (x[:, 0] > 0).float()
    diffs = x @ W - torch.stack([1 - on, on], 1)
    loss = diffs.pow(2).mean()

    g = 2 * diffs / x.shape[0]
    dW = x.T @ g
"""


def test_a_factor_that_may_be_a_size_is_proved_at_another_such_size() -> None:
    (finding,) = fixes(TWO_COLUMNS)
    assert finding.fix is not None
    assert not finding.fix.verified
    assert (
        "its factor may stand for the size 2, which could not be varied, so it is not proved"
        in finding.helps[-1]
    )
