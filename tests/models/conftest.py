"""Small runs for the tests: a few words, a small network."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from models.settings import Settings
from models.trainer import Trainer
from models.words import BUNDLED, read_words

MakeTrainer = Callable[..., Trainer]


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    """A trainer sets the number of threads of the process: not for the tests that follow."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def words() -> list[str]:
    return read_words(BUNDLED)[::10]


@pytest.fixture
def make_trainer(words: list[str]) -> MakeTrainer:
    def make(**settings: Any) -> Trainer:
        return Trainer(Settings(**{"hidden": 32, "steps": 60, **settings}), words)

    return make
