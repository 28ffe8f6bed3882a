"""Libraries that were not installed: what is left out is said, and nothing fails because of it."""

from __future__ import annotations

import pytest

from gradcheck.base import extras
from gradcheck.health.records import Health
from gradcheck.isolation.parallel import WorkerPool, Workers
from gradcheck.program.errors import ProgramError
from tests.report.test_figures import health  # noqa: F401 - a fixture
from tests.support import report_on_source

SAMPLED = """
import torch
torch.manual_seed(0)
W = torch.randn(4, 2, requires_grad=True)
x, y = torch.randn(8, 4), torch.randn(8, 2)
loss = ((torch.tanh(x @ W) - y) ** 2).mean()
dout = 2 * (torch.tanh(x @ W) - y) / 16
"""


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda library: None)


def test_a_page_without_figures(health: Health) -> None:  # noqa: F811
    report = report_on_source(SAMPLED)
    report.health = health
    assert "<img" not in report.to_html()


def test_training_in_workers_says_what_is_missing() -> None:
    with pytest.raises(ProgramError, match="joblib") as raised, WorkerPool(Workers(1)):
        pass
    assert "gradcheck[isolate]" in raised.value.hint
