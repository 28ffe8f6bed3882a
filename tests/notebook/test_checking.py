"""`%%gradcheck` in a shell: which lines are run, how often, and what is said about them."""

from __future__ import annotations

import gc

import pytest
import torch

from gradcheck.analysis.session import analyse
from gradcheck.notebook import checking
from gradcheck.notebook.checking import CellRecorder

SET_UP = """\
import torch
torch.manual_seed(1)
x, target = torch.randn(16, 5), torch.randn(16, 2)
W = torch.randn(5, 2)"""
STEP = """\
    y = x @ W
    loss = ((y - target) ** 2).sum()
    dy = 2 * (y - target)
    dW = x.T @ dy
    W -= 0.01 * dW
    steps.append(loss.item())"""
LOOP = f"for i in range(500):\n{STEP}"
WRONG = LOOP.replace("2 * (y - target)", "3 * (y - target)")
OPTIONS = "--no-health --fix-budget 0"


def verdicts(report):
    return {row.name: row.verdict.value for row in report.rows}


@pytest.fixture
def trained(notebook):
    """A notebook whose next cell, the second, may train."""
    notebook.run(SET_UP + "\nsteps = []")
    return notebook


def test_one_step_of_a_loop_is_run(trained):
    before = trained.names["W"].clone()
    report = trained.check(f"%%gradcheck {OPTIONS}\n{LOOP}")
    assert verdicts(report) == {"dy": "correct", "dW": "correct"}
    assert len(trained.names["steps"]) == 1
    assert trained.names["i"] == 0
    moved = before - 0.01 * trained.names["dW"]
    assert torch.equal(trained.names["W"], moved)
    (note,) = report.program.notes
    assert "the training loop in cell 3 line 2 was left after its iteration 0" in note
    assert "moved by 1 step," in note
    assert "was left after its iteration 0" in trained.page
    assert "One step was checked: the training loop was left after it" in trained.page


@pytest.mark.parametrize("header", ["while True:", "for epoch in range(3):\n  for i in range(500):"])
def test_other_loops_are_left_too(trained, header):
    trained.check(f"%%gradcheck {OPTIONS}\n{header}\n{STEP}")
    assert len(trained.names["steps"]) == 1


def test_other_iterations(trained):
    report = trained.check(f"%%gradcheck {OPTIONS} --at 0,3\n{LOOP}")
    assert [step.iteration for step in report.passes] == [0, 3]
    assert len(trained.names["steps"]) == 4
    assert "moved by 4 steps," in report.program.notes[0]


def test_the_cell_runs_as_it_would_without(trained):
    plain = f"noise = torch.randn(3)\n{LOOP.replace('500', '1')}\nlater = torch.randn(3)\nlen(steps)"
    kept = trained.names["W"].clone()
    torch.manual_seed(3)
    without = trained.run(plain)
    names = {name: trained.names[name].clone() for name in ("W", "noise", "later", "dW")}
    trained.names["W"].copy_(kept)
    trained.names["steps"].clear()
    torch.manual_seed(3)
    checked = trained.run(f"%%gradcheck {OPTIONS}\n{plain}")
    assert without.success
    assert checked.success
    assert all(torch.equal(trained.names[name], held) for name, held in names.items())
    assert "the training loop" not in "".join(trained.report.program.notes)  # it ended by itself
    assert "One step was checked" not in trained.page


def test_lines_are_counted_as_the_notebook_counts_them(trained):
    report = trained.check(f"\n\n%%gradcheck {OPTIONS}\n\n# a comment\n{WRONG}")
    (finding,) = report.findings
    assert (finding.location.cell, finding.location.line) == (3, 9)
    assert report.excerpt(finding.location).lines == ("    dy = 3 * (y - target)",)
    assert report.target == "cell 3"


def test_empty_lines_at_both_ends(trained):
    report = trained.check(f"\n%%gradcheck {OPTIONS}\n{WRONG}\n\n\n")
    assert [f.location.line for f in report.findings] == [6]


def test_a_fault_in_a_function_of_another_cell(trained):
    trained.run("def backward(y):\n    return 3 * (y - target)")
    report = trained.check(f"%%gradcheck {OPTIONS}\n{LOOP.replace('2 * (y - target)', 'backward(y)')}")
    (finding,) = report.findings
    assert (finding.location.cell, finding.location.line) == (3, 2)
    assert "3 * (y - target)" in trained.page


def test_a_function_of_a_checked_cell_is_left_as_well(trained):
    function = "def train():\n" + "\n".join("    " + line for line in ["global W", *LOOP.split("\n")])
    first = trained.run(f"%%gradcheck {OPTIONS}\n{function}")
    assert first.success
    assert "Nothing to check" in trained.plain[-1]
    report = trained.check(f"%%gradcheck {OPTIONS}\ntrain()")
    assert len(trained.names["steps"]) == 1
    assert "the training loop in cell 3 line 4" in report.program.notes[0]
    trained.names["steps"].clear()
    trained.run("train()")
    assert len(trained.names["steps"]) == 500  # whoever calls it without the magic trains


def test_a_function_of_an_unchecked_cell_runs_to_its_end(trained):
    function = "def train():\n" + "\n".join("    " + line for line in ["global W", *LOOP.split("\n")])
    trained.run(function)
    report = trained.check(f"%%gradcheck {OPTIONS}\ntrain()")
    assert len(trained.names["steps"]) == 500
    assert verdicts(report) == {"dy": "correct", "dW": "correct"}
    assert len(report.passes) == 1


def test_magics_and_shell_lines_run(trained, capfd):
    cell = f"%%gradcheck {OPTIONS} --allow-writes\n%time a = 1\n!echo one \\\n  two\nhere = %pwd\nfound = !echo three\n{WRONG}"
    report = trained.check(cell)
    assert capfd.readouterr().out.split() == ["one", "two"]
    assert trained.names["found"] == ["three"]
    assert trained.names["here"]
    assert trained.names["a"] == 1
    assert [(s.line, s.reason) for s in report.program.skipped] == [(2, "runs once, untimed")]
    assert [f.location.line for f in report.findings] == [10]


def test_a_checked_cell_changes_no_file(trained, tmp_path, monkeypatch):
    """The loop was left after a step: what follows it would replace a trained model."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "model.txt"
    path.write_text("trained")
    cell = (
        f"{WRONG}\nwith open('model.txt', 'w') as file: file.write('a step')\nread = open('model.txt').read()"
    )
    report = trained.check(f"%%gradcheck {OPTIONS}\n{cell}")
    assert trained.names["read"] == "a step"
    assert path.read_text() == "trained"
    assert [one.what for one in report.program.written] == ["wrote"]
    assert any("the cell wrote" in note for note in report.program.notes)
    trained.check(f"%%gradcheck {OPTIONS} --allow-writes\n{cell}")
    assert path.read_text() == "a step"


def test_the_last_value_is_shown_unless_a_semicolon_follows(trained, capsys):
    trained.run("%%gradcheck\n6 * 7")
    assert "42" in capsys.readouterr().out
    trained.run("%%gradcheck\n6 * 7;  # quiet")
    assert "42" not in capsys.readouterr().out


def test_an_exception_is_shown_as_ever_and_what_was_done_is_reported_on(trained, capsys):
    result = trained.run(f"%%gradcheck {OPTIONS}\n{WRONG.replace('500', '1')}\ntorch.zeros(2) @ W")
    shown = capsys.readouterr().out
    assert isinstance(result.error_in_exec, RuntimeError)
    assert "torch.zeros(2) @ W" in shown
    assert "line 9" in shown
    assert "gradcheck/" not in shown
    assert "run_cell_magic" not in shown
    assert verdicts(trained.report)["dy"] == "introduced"
    assert "cell 3 line 9 raised RuntimeError" in trained.plain[-1]


def test_an_exception_before_the_first_step(trained):
    result = trained.run("%%gradcheck\nnobody_knows")
    assert isinstance(result.error_in_exec, NameError)
    assert "Nothing to check: the cell raised before it had computed a gradient." in trained.plain[-1]


def test_who_stops_a_cell_waits_for_no_report(trained):
    result = trained.run(f"%%gradcheck\n{LOOP.replace('500', '1')}\nraise KeyboardInterrupt")
    assert isinstance(result.error_in_exec, KeyboardInterrupt)
    assert trained.pages == []


def test_a_cell_that_is_no_python(trained, capsys):
    result = trained.run("%%gradcheck\nx = 1\nx = = 1")
    shown = capsys.readouterr().out
    assert not result.success
    assert "x = = 1" in shown
    assert "SyntaxError" in shown
    assert "gradcheck/" not in shown


@pytest.mark.parametrize(
    ("cell", "sentence"),
    [
        ("\n# only a comment", "Nothing was run: the cell has no code."),
        (
            "n = 3",
            "no operation of torch or NumPy was recorded; check the cell that computes a training step",
        ),
        ("z = x @ W", "no manual gradient was found"),
        ("%%bash\necho hello", "Nothing was run: the cell has no code."),
    ],
)
def test_cells_without_a_step(trained, cell, sentence):
    result = trained.run(f"%%gradcheck\n{cell}")
    assert result.success
    assert sentence in trained.plain[-1]
    assert trained.plain[-1].count("\n") == 0


def recorders():
    gc.collect()
    return [id(thing) for thing in gc.get_objects() if type(thing) is CellRecorder]


@pytest.mark.parametrize("end", ["", "\nx @ x"])
def test_nothing_of_a_run_is_kept_alive(trained, end):
    before = recorders()
    result = trained.run(f"%%gradcheck {OPTIONS}\n{LOOP}\nwhile True:\n{STEP}{end}")
    assert result.success is not bool(end)
    assert recorders() == before


def test_parameters_that_are_bound_anew(trained):
    rebound = LOOP.replace("W -= 0.01 * dW", "W = W - 0.01 * dW")
    report = trained.check(f"%%gradcheck {OPTIONS}\n{rebound}\nW = None")
    assert {row.name: row.of for row in report.rows} == {"dy": "y", "dW": "W"}


def test_what_follows_the_training_stands_apart(trained, monkeypatch):
    recordings = []

    def noted(recording, *rest, **options):
        recordings.append(recording)
        return analyse(recording, *rest, **options)

    monkeypatch.setattr(checking, "analyse", noted)
    after = "accuracy = ((x @ W).argmax(1) == target.argmax(1)).float().mean()"
    report = trained.check(f"%%gradcheck --fix-budget 0 --sweep 2\n{LOOP}\n{after}\nlosses = steps")
    states = {check.rule: check.state.value for check in report.checks}
    assert states["GC501"] == "passed"
    assert trained.names["accuracy"].ndim == 0
    (recording,) = recordings
    assert recording.aftermath_cut is not None


def test_a_watch_inside_is_refused(trained):
    result = trained.run("%%gradcheck\nimport gradcheck\nwith gradcheck.watch():\n    pass")
    assert "leave the inner" in str(result.error_in_exec)


def test_future_imports_of_earlier_cells_hold(trained):
    trained.run("from __future__ import annotations")
    assert trained.run("%%gradcheck\ndef f(a: Nobody): pass").success


def test_magics_above_it(trained):
    report = trained.check(f"%%time\n%%gradcheck {OPTIONS}\n{WRONG}")
    assert [f.location.line for f in report.findings] == [6]


NUMPY_LAYERS = """\
import numpy as np
rng = np.random.default_rng(0)
a, goal = rng.normal(size=(16, 5)), rng.normal(size=(16, 2))
V = rng.normal(size=(5, 2))

def ahead(a, V):
    return np.tanh(a @ V)

def back(out, dout, a):
    dpre = dout * (1 - out**2)
    return a.T @ dpre"""
NUMPY_STEP = """\
for i in range(300):
    out = ahead(a, V)
    loss = np.mean((out - goal) ** 2)
    dout = 2 * (out - goal) / out.size
    dV = back(out, dout, a)
    V -= 0.1 * dV
loss"""


def test_a_cell_of_numpy_and_what_it_calls(notebook):
    notebook.run(NUMPY_LAYERS)
    code = notebook.names["back"].__code__
    before = notebook.names["V"].copy()
    report = notebook.check(f"%%gradcheck {OPTIONS}\n{NUMPY_STEP}")
    assert verdicts(report) == {"dout": "correct", "dpre": "correct", "dV": "correct"}
    assert (before - 0.1 * notebook.names["dV"] == notebook.names["V"]).all()
    assert notebook.names["back"].__code__ is code
    notebook.run(NUMPY_LAYERS.replace("(1 - out**2)", "(1 - out)"))
    report = notebook.check(f"%%gradcheck {OPTIONS}\n{NUMPY_STEP}")
    assert verdicts(report) == {"dout": "correct", "dpre": "introduced", "dV": "inherited"}


def test_a_cell_of_both_libraries(notebook):
    notebook.run(NUMPY_LAYERS + "\nimport torch\nU = torch.tensor(V, requires_grad=True)")
    cell = NUMPY_STEP.partition("loss\n")[0].replace("300", "1") + (
        "\ntorch.nn.functional.mse_loss(torch.tanh(torch.from_numpy(a) @ U), torch.from_numpy(goal)).backward()"
        "\nprint(np.abs(dV - U.grad.numpy()).max())"
    )
    report = notebook.check(f"%%gradcheck {OPTIONS}\n{cell}")
    assert verdicts(report) == {"dout": "correct", "dpre": "correct", "dV": "correct"}
