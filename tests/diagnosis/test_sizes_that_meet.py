"""Sizes that meet by chance: a batch that is twice as wide as a layer, and a number that is worked out of a size."""

from gradcheck.replay.variation import Variation, resized
from tests.support import report_on_source

PROGRAM = """
    import torch
    import torch.nn.functional as F
    g = torch.Generator().manual_seed(42)
    rows, width, classes = 32, 16, 4
    x = torch.randn(rows, 10, generator=g)
    y = torch.randint(0, classes, (rows,), generator=g)
    W1 = torch.randn(10, width, generator=g) * 0.2
    W2 = torch.randn(width, classes, generator=g) * 0.2
    h = torch.tanh(x @ W1)
    logits = h @ W2
    loss = F.cross_entropy(logits, y, label_smoothing=0.1)
    wanted = F.one_hot(y, classes).float() * 0.9 + 0.1 / classes
    dlogits = (F.softmax(logits, 1) - wanted) / rows
    dW2 = h.T @ dlogits
    dh = dlogits @ W2.T
    dW1 = x.T @ (dh * (1 - h**2))
"""


def test_what_is_divided_by_a_batch_that_is_twice_as_wide_as_a_layer() -> None:
    report = report_on_source(PROGRAM.replace(" - wanted) / rows", " - wanted)"), fix_budget_s=10.0)
    (fix,) = [finding.fix for finding in report.findings]
    assert fix is not None
    assert fix.verified
    assert "/ rows" in fix.diff


def test_a_batch_that_is_written_out_and_is_as_large_as_a_weight() -> None:
    """32 is 4 * 8: no size can be another one by itself, unless the 32 in `/ 32` is one as well."""
    report = report_on_source(
        """
        import torch
        torch.manual_seed(0)
        x, y = torch.randn(32, 4), torch.randn(32, 1)
        W1, W2 = torch.randn(4, 8), torch.randn(8, 1)
        h = torch.tanh(x @ W1)
        out = h @ W2
        loss = ((out - y) ** 2).mean()
        dout = 2 * (out - y) / 32
        dW2 = h.T @ dout
        dh = dout @ W2.T
        dz = dh * (1 - h)
        dW1 = x.T @ dz
        """,
        fix_budget_s=10.0,
    )
    (fix,) = [finding.fix for finding in report.findings]
    assert fix is not None
    assert fix.verified
    assert fix.diff.endswith("\n+ dz = dh * (1 - h**2)")


def test_a_size_that_stays_is_not_twice_one_that_changes() -> None:
    class Shaped:
        shape = (2, 32, 16)

    variation = Variation(resized(16, 33, [Shaped()], multiples=False))  # type: ignore[list-item]
    assert variation.number(32) == 32
    assert variation.number(1 / 32) == 1 / 32
    assert variation.number(1 / 16) == 1 / 33
    assert type(variation.number(1)) is int  # an axis, and not two halves
