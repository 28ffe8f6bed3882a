"""What a program can see of being recorded: what is known and told in the documentation, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fronts.torch import seen
from tests.fronts.torch.compared import ends_differently, looks, seen_differently


def test_in_the_midst_of_a_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)  # which says what a report says as well
    assert len(looks()) >= 60
    assert set(seen_differently(tmp_path)) == set(seen.SEEN)


def test_at_its_end(tmp_path: Path) -> None:
    end = f"{seen.ENDS['exit handlers']}\n{seen.ENDS['exit with a message']}"
    assert ends_differently(tmp_path, end) == []
