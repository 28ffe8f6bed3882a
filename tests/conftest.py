"""What every test starts with, and the processes that it starts."""

from __future__ import annotations

import gc
import os

import pytest

# Small tensors gain nothing from a second thread, and several tests run at a time. Torch reads it when it is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_configure(config: pytest.Config) -> None:
    """Packages of plugins are rewritten so that their asserts explain themselves; these have hundreds of files."""
    packages = getattr(config.pluginmanager.rewrite_hook, "_must_rewrite", set())
    packages -= {"gradcheck", "hypothesis"}
    if config.getoption("dist", "no") == "no":  # it runs tests itself
        import torch._dynamo  # noqa: F401

        # What the libraries hold stays as it is: neither collections nor the search for a person's functions look through
        # it, and a fork leaves its memory alone.
        gc.collect()
        gc.freeze()
        import gradcheck.analysis.session  # noqa: F401  # which sees that it is frozen

        gc.freeze()


def pytest_collection_finish(session: pytest.Session) -> None:
    """Thousands of tests and all that they import are looked through at each full collection: there are fewer of them."""
    gc.collect()
    gc.set_threshold(50_000, 20, 50)


@pytest.fixture
def forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports are made in a fork of this process, which has imported torch, for what is not about that process."""
    from gradcheck.process import child
    from tests.support import started_by_fork

    monkeypatch.setattr(child, "_started", started_by_fork)
