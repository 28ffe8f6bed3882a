"""Real workers: on local processes and on a Dask cluster, some of which are killed."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gradcheck.base.options import SessionOptions
from gradcheck.isolation.parallel import WorkerPool, Workers
from gradcheck.isolation.tasks import Outcome, Task, perform
from gradcheck.program.errors import ProgramError
from tests.isolation.test_isolate import WRONG

pytestmark = pytest.mark.slow
STEPS = 60


@pytest.fixture(autouse=True)
def _nothing_left() -> Iterator[None]:
    """A Dask client that found no scheduler waits for its thread when it is collected; in a child that a later test
    forks off, there is no such thread."""
    yield
    gc.collect()


@pytest.fixture
def tasks(tmp_path: Path) -> dict[int, Task]:
    path = tmp_path / "program.py"
    path.write_text(WRONG.replace("STEPS", "1000"))
    session = SessionOptions(str(path))
    return {
        seed: Task(session, 0, (), (), seed, STEPS, 10, all_gradients=bool(seed % 2), directory=str(tmp_path))
        for seed in range(8)
    }


def kill_a_worker() -> None:
    psutil = pytest.importorskip("psutil")  # comes with distributed
    workers = [
        child
        for child in psutil.Process().children(recursive=True)
        if "spawn_main" in " ".join(child.cmdline())
    ]
    assert len(workers) >= 2, "several workers were asked for"
    workers[-1].kill()


def outcomes(
    tasks: dict[int, Task], workers: Workers, after_first: Callable[[], None] = lambda: None
) -> dict[int, Outcome]:
    found: dict[int, Outcome] = {}
    with WorkerPool(workers) as pool:
        assert len(pool.survey(tasks[0]).gradients) >= 6
        for number, outcome in pool.perform(tasks):
            if not found:
                after_first()
            found[number] = outcome
    return found


def test_a_killed_worker_takes_nobody_elses_results_with_it(tasks: dict[int, Task]) -> None:
    pytest.importorskip("distributed")
    found = outcomes(tasks, Workers(2, "dask"), kill_a_worker)
    assert set(found) == set(tasks)
    assert all(outcome.loss == outcome.loss and not outcome.error for outcome in found.values())
    for number in (3, 6):
        assert found[number] == perform(tasks[number])


def test_a_program_that_kills_its_process_is_named_and_the_others_are_trained(
    tasks: dict[int, Task], tmp_path: Path
) -> None:
    tasks = {number: tasks[number] for number in range(4)}
    deadly = tmp_path / "deadly.py"
    deadly.write_text("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n")
    tasks[2] = Task(SessionOptions(str(deadly)), 0, (), (), 2, STEPS, 10, directory=str(tmp_path))
    with WorkerPool(Workers(1)) as pool:
        assert "killed" in pool.survey(tasks[2]).error
        found = dict(pool.perform(tasks))
    assert set(found) == set(tasks)
    assert [number for number, outcome in found.items() if outcome.error] == [2]
    assert "killed" in found[2].error
    assert found[1] == perform(tasks[1])  # one worker, too, finds what this process finds


def test_a_backend_that_is_not_installed_is_named_with_the_way_to_get_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(ProgramError) as raised, WorkerPool(Workers(2, "ray")):
        pass
    assert raised.value.hint == "pip install 'gradcheck[ray]'"


def test_a_scheduler_that_is_not_there_is_named() -> None:
    pytest.importorskip("distributed")
    import dask  # comes with it

    with (
        # The client is closed when it is collected, and waits twice as long for a connection that there never was.
        dask.config.set({"distributed.comm.timeouts.connect": "0.5s"}),
        pytest.raises(ProgramError, match="no Dask scheduler"),
        WorkerPool(Workers(2, "dask", "nonsense://1")),
    ):
        pass
