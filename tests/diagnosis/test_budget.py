"""The time for the fixes of all faults together."""

import pytest

from gradcheck.base.deadline import TimeIsUpError, check_time, within
from tests.support import report_on_source

DEEP = """
import torch
torch.manual_seed(0)
Ws = [torch.randn(16, 16) / 4 for _ in range(12)]
h0, y = torch.randn(8, 16), torch.randn(8, 16)
for step in range(5):
    hs = [h0]
    for W in Ws:
        hs.append(torch.tanh(hs[-1] @ W))
    loss = ((hs[-1] - y) ** 2).mean()
    dh = 2 * (hs[-1] - y) / y.numel()
    dWs = []
    for W, h, a in zip(reversed(Ws), reversed(hs[:-1]), reversed(hs)):
        dz = dh * (1 - a)
        dWs.append(h.T @ dz)
        dh = dz @ W.T
    for W, dW in zip(reversed(Ws), dWs):
        W -= 0.1 * dW
"""


def test_a_search_ends_in_the_middle_of_a_proof() -> None:
    """One fault, and no look at the clock between the trial of the first edit and the end of its proof."""
    (finding,) = report_on_source(DEEP, fix_budget_s=60.0, total_budget_s=0.05).findings
    assert finding.fix is None
    assert any("the search for a fix was not finished" in note for note in finding.notes)
    (finding,) = report_on_source(DEEP, fix_budget_s=60.0).findings
    assert finding.fix is not None
    assert finding.fix.verified


def test_nothing_swallows_the_end_of_the_time() -> None:
    def carefully() -> None:
        try:
            while True:
                check_time()
        except Exception:
            pytest.fail("it is no failure of what was tried")

    with pytest.raises(TimeIsUpError), within(10.0), within(0.01):
        carefully()
    check_time()


def test_the_shorter_time_holds() -> None:
    with within(0.0):
        with pytest.raises(TimeIsUpError), within(10.0):
            check_time()
        with pytest.raises(TimeIsUpError):
            check_time()
