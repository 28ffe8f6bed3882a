"""From a report to an isolation, with real trainings."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from gradcheck.analysis.session import run_report
from gradcheck.base.options import SessionOptions
from gradcheck.isolation import run
from gradcheck.isolation.experiment import ExperimentOptions
from gradcheck.isolation.records import Isolation
from gradcheck.isolation.run import Faults, IsolationOptions, Listener, isolate
from gradcheck.program.errors import ProgramError
from tests.isolation.made import SameProcess, fix_in
from tests.isolation.made import finding as made_finding
from tests.isolation.programs import inline
from tests.isolation.test_training import MINIBATCH
from tests.support import torch_settings_kept

RIGHT = inline(forward=MINIBATCH)
WRONG = inline(
    forward=MINIBATCH.replace("dh * (1 - h ** 2)", "dh * (1 - h)").replace(
        "db2 = dlogits.sum(0)", "db2 = -dlogits.sum(0)"
    )
)


class Program:
    """A file with its report, isolated as often as wanted."""

    def __init__(self, path: Path, text: str) -> None:
        path.write_text(text.replace("STEPS", "100"))
        self.path = path
        self.session = SessionOptions(str(path), fix_budget_s=0.0, timeout_s=60.0)
        with torch_settings_kept():
            report = run_report(self.session)
        self.faults = Faults(report.passes, report.findings, report.health.updates)
        self.notes: list[str] = []
        self.counts: list[tuple[int, int]] = []
        self.stop_after: int | None = None
        self.pools: list[SameProcess] = []

    def isolated(self, **options: object) -> Isolation:
        def done(number: int, of: int) -> None:
            self.counts.append((number, of))
            if number == self.stop_after:
                raise KeyboardInterrupt

        experiment = ExperimentOptions(int(options.pop("seeds", 2)), int(options.pop("steps", 40)))  # type: ignore[call-overload]
        asked = IsolationOptions(self.path.with_suffix(".jsonl"), experiment, **options)  # type: ignore[arg-type]
        with torch_settings_kept():
            return isolate(self.faults, self.session, asked, Listener(done=done, note=self.notes.append))


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    monkeypatch.setattr(run, "WorkerPool", SameProcess)
    return Program(tmp_path / "program.py", WRONG)


def test_each_fault_is_trained_with_and_without(program: Program) -> None:
    found = program.isolated()
    assert {c.key for c in found.components} == {"dz", "db2"}
    assert found.finished
    assert len(found.variants) == 4
    written, repaired = found.as_written, found.all_repaired
    assert written is not None
    assert repaired is not None
    assert written.loss is not None
    assert repaired.loss is not None
    assert sum(cost.share or 0.0 for cost in found.costs) == pytest.approx(written.loss - repaired.loss)
    assert program.counts[-1] == (8, 8)
    assert "randint" in found.draws


def test_the_same_seeds_give_the_same_table(program: Program) -> None:
    first = program.isolated()
    assert program.isolated() == first


def test_interrupted_it_tells_what_is_done_and_resumed_it_does_the_rest(program: Program) -> None:
    whole = program.isolated()
    program.stop_after = 5
    part = program.isolated()
    assert (part.done, part.wanted, part.finished) == (5, 8, False)
    program.stop_after = None
    program.counts.clear()
    assert program.isolated(resume=True) == whole
    assert program.counts[0] == (5, 8)
    assert program.notes == []


def test_more_seeds_go_on_from_those_that_are_there(program: Program) -> None:
    program.isolated()
    program.counts.clear()
    program.isolated(seeds=3, resume=True)
    assert program.counts[0] == (8, 12)


def test_a_program_that_was_changed_is_trained_anew_and_that_is_said(program: Program) -> None:
    program.isolated()
    program.counts.clear()
    program.path.write_text(program.path.read_text() + "\nprint('another')\n")
    program.isolated(resume=True)
    assert program.counts[0] == (0, 8)
    (told,) = program.notes
    assert "belongs to another program" in told


def test_without_a_journal_resuming_begins_and_says_so(program: Program) -> None:
    program.isolated(resume=True)
    (told,) = program.notes
    assert "there is no" in told


def test_an_edit_joins_the_variants(program: Program) -> None:
    text = program.path.read_text()
    program.path.write_text(text.replace("p -= 0.5 * g", "p -= 0.0 * g"))
    fix = fix_in(program.path, "0.0 * g", "0.5 * g")
    program.faults.findings.append(made_finding("GC104", fix.location, fix))
    found = program.isolated()
    edit = f"line {fix.location.line}"
    assert edit in {c.key for c in found.components}
    alone, nothing = found.variant([edit]), found.as_written
    assert alone is not None
    assert nothing is not None
    assert alone.curve[0] == nothing.curve[0]
    assert alone.loss != nothing.loss
    assert program.path.read_text().count("0.0 * g") == 1, "the file stays as it is"


def test_a_variant_that_cannot_be_trained_does_not_stop_the_others(program: Program) -> None:
    fix = fix_in(program.path, "p -= 0.5 * g", "p.no_such_thing(g)")
    program.faults.findings.append(made_finding("GC104", fix.location, fix))
    found = program.isolated(seeds=1)
    edit = f"line {fix.location.line}"
    failed = [variant for variant in found.variants if variant.error]
    assert failed
    assert all(edit in variant.repaired for variant in failed)
    assert len(failed) == len(found.variants) / 2
    assert found.finished


def test_gradients_are_taken_by_layer_where_that_is_asked_for(program: Program) -> None:
    found = program.isolated(by="layer", seeds=1)
    assert {c.key: [key.name for key in c.gradients] for c in found.components} == {
        "layer 1": ["dz"],
        "layer 2": ["db2"],
    }


def test_on_a_right_program_true_gradients_change_nothing(program: Program, tmp_path: Path) -> None:
    found = Program(tmp_path / "right.py", RIGHT).isolated()
    assert found.components == []
    assert found.replaced >= 6
    assert found.difference is not None
    assert found.first_difference is not None
    assert 0 <= found.first_difference < 1e-5
    assert found.difference < 1e-4


def test_a_step_that_cannot_be_trained_again_is_told_with_the_reason(
    program: Program, tmp_path: Path
) -> None:
    still = Program(tmp_path / "still.py", inline("\n    pass\n", forward=MINIBATCH))
    with pytest.raises(ProgramError, match="cannot be trained again: the recorded step moves no parameter"):
        still.isolated()


BACK = """
    dh2 = dlogits @ W2.T
    dz2 = dh2 * (h2 > 0)
    dV = h.T @ dz2
    dc = dz2.sum(0)
    dh = dz2 @ V.T
"""
DEEP = inline(
    forward=MINIBATCH.replace("logits = h @ W2", "h2 = torch.relu(h @ V + c)\n    logits = h2 @ W2")
    .replace("dW2 = h.T", "dW2 = h2.T")
    .replace("    dh = dlogits @ W2.T", BACK.strip("\n")),
    update="\n    for p, g in zip([W1, b1, W2, b2, V, c], [dW1, db1, dW2, db2, dV, dc]):\n        p -= 0.5 * g\n",
    before="V = torch.randn(6, 6) * 0.5\nc = torch.zeros(6)",
)


def test_hidden_layers_are_switched_off_where_shapes_allow(program: Program, tmp_path: Path) -> None:
    found = Program(tmp_path / "deep.py", DEEP).isolated(layers=True, steps=30)
    (layer,) = found.layers
    assert (layer.number, layer.name, layer.network) == (2, "h2", "as written")
    assert layer.loss is not None
    assert layer.saves == pytest.approx((layer.with_all or 0.0) * -1 + layer.loss)


def test_a_network_of_one_hidden_layer_says_why_none_is_switched_off(program: Program) -> None:
    found = program.isolated(layers=True, seeds=1)
    assert found.layers == []
    assert found.no_layers == "the network has one hidden layer"


def test_fields_of_an_isolation_have_defaults() -> None:
    """A report of an earlier version is read by a later one."""
    assert all(
        f.default is not dataclasses.MISSING or f.default_factory is not dataclasses.MISSING
        for f in dataclasses.fields(Isolation)
    )
