"""`gradcheck isolate` from the command line to its files, with an experiment made by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gradcheck.base.options import SessionOptions
from gradcheck.cli import isolate as cli_isolate
from gradcheck.cli import run as cli_run
from gradcheck.isolation.records import Isolation
from gradcheck.isolation.run import Faults, IsolationOptions, Listener
from gradcheck.process.child import ChildResult
from gradcheck.program.errors import ProgramError
from gradcheck.report.model import Report
from tests.cli.conftest import Invoke
from tests.isolation.made import gradient, isolation

USUAL = {(): [3.0, 3.2], ("d_A",): [2.5, 2.7]}


class Experiments:
    """Stands in for the report and for the experiment."""

    def __init__(self) -> None:
        self.found = isolation(USUAL, gradient("d_A", 12))
        self.asked: list[IsolationOptions] = []
        self.error: ProgramError | None = None

    def isolate(
        self, faults: Faults, session: SessionOptions, asked: IsolationOptions, told: Listener
    ) -> Isolation:
        self.asked.append(asked)
        told.note("a note")
        if self.error is not None:
            raise self.error
        return self.found


@pytest.fixture
def experiments(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Experiments:
    monkeypatch.chdir(tmp_path)
    Path("a.py").write_text("pass\n")
    stand_in = Experiments()
    monkeypatch.setattr(
        cli_run, "run_in_child", lambda session, *_: ChildResult(Report(session.target), "", "")
    )
    monkeypatch.setattr(cli_isolate, "isolate", stand_in.isolate)
    return stand_in


def test_the_options_reach_the_experiment(experiments: Experiments, invoke: Invoke) -> None:
    done = invoke(
        "isolate", "a.py", "--seeds", "5", "--steps", "70", "-j", "2", "--by", "layer", "--layers", "--resume",
        "--backend", "dask", "--scheduler", "tcp://1:2",
    )  # fmt: skip
    (asked,) = experiments.asked
    assert done.status == 0
    assert (asked.experiment.seeds, asked.experiment.steps) == (5, 70)
    assert (asked.workers.jobs, asked.workers.backend, asked.workers.address) == (2, "dask", "tcp://1:2")
    assert (asked.by, asked.layers, asked.resume) == ("layer", True, True)
    assert asked.journal == Path("reports/a-isolation.jsonl")
    assert "`d_A` (line 12) costs 0.5" in done.out
    assert "a note" in done.err


def test_markdown_has_its_figure_and_its_journal_beside_it(experiments: Experiments, invoke: Invoke) -> None:
    assert invoke("isolate", "a.py", "--format", "markdown").status == 0
    text = Path("reports/a-isolation.md").read_text()
    assert "](<a-isolation-figures/loss-curves.png>)" in text
    assert Path("reports/a-isolation-figures/loss-curves.png").stat().st_size > 1000
    assert experiments.asked[0].journal == Path("reports/a-isolation.jsonl")


def test_json_is_the_report_with_its_isolation(experiments: Experiments, invoke: Invoke) -> None:
    done = invoke("isolate", "a.py", "--format", "json", "-o", "found.json")
    data = json.loads(Path("found.json").read_text())
    assert (done.out, data["isolation"]["finished"]) == ("", True)
    assert experiments.asked[0].journal == Path("found.jsonl")


def test_interrupted_it_writes_what_is_done(experiments: Experiments, invoke: Invoke) -> None:
    experiments.found = isolation({(): [3.0, 3.2], ("d_A",): [2.5]}, gradient("d_A", 12))
    done = invoke("isolate", "a.py")
    assert done.status == 130
    assert "Interrupted: 3 of 4 trainings are finished" in done.out


def test_a_step_that_cannot_be_trained_again_is_unusable(experiments: Experiments, invoke: Invoke) -> None:
    experiments.error = ProgramError("it cannot be")
    done = invoke("isolate", "a.py")
    assert (done.status, done.out) == (2, "")
    assert "error: it cannot be" in done.err


def test_a_scheduler_needs_the_kind_of_its_cluster(experiments: Experiments, invoke: Invoke) -> None:
    done = invoke("isolate", "a.py", "--scheduler", "tcp://1:2")
    assert done.status == 2
    assert "--backend dask" in done.err
    assert not experiments.asked
