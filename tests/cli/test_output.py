"""Where reports go: into no file of the person's, each into its own, in the format that its ending says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gradcheck.base.ours import may_be_replaced
from gradcheck.cli.output import destination
from gradcheck.program.target import parse_target
from gradcheck.report.figures.drawing import new_figure, png_of
from tests.cli.conftest import Invoke
from tests.cli.test_isolate import Experiments, experiments

__all__ = ["Experiments", "experiments"]

MINE = "# mine\nx = 1\n"
KINDS = ["terminal", "markdown", "html", "json", "sarif", "github", "junit"]


@pytest.fixture(autouse=True)
def _program(stub_session: None) -> None:
    Path("a.py").write_text(MINE)


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_the_person_is_left_as_it_is(invoke: Invoke, kind: str) -> None:
    Path("notes.txt").write_text(MINE)
    done = invoke("report", "a.py", "--format", kind, "-o", "notes.txt")
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("error: `notes.txt` was not written by gradcheck, and is left as it is\n")
    assert Path("notes.txt").read_text() == MINE
    assert invoke("report", "a.py", "--format", kind, "-o", "notes.txt", "--force").status == 0
    assert Path("notes.txt").read_text() != MINE


def test_a_report_is_replaced_by_the_next(invoke: Invoke) -> None:
    """By one of its own format and by one of another: it is the old one alone that may be written over or not."""
    for kind in KINDS:
        other, same = (
            [invoke("report", "a.py", "--format", kind, "-o", "out"), Path("out").read_text()] for _ in "12"
        )
        assert (other[0].status, same[0].status) == (0, 0)
        assert other[1] == same[1]


def test_several_formats_in_one_run(invoke: Invoke) -> None:
    done = invoke("report", "a.py", "-o", "r.html", "-o", "r.sarif", "-o", "-", "-o", "r.xml")
    assert done.status == 0
    assert done.out.startswith("a.py: no manual gradient was found")
    for name, begins in (("html", "<!doctype html>"), ("sarif", "{"), ("xml", "<?xml")):
        assert Path(f"r.{name}").read_text().startswith(begins)


def test_formats_and_outputs_go_in_pairs(invoke: Invoke) -> None:
    done = invoke("report", "a.py", "--format", "json", "--format", "html", "-o", "r.txt")
    assert done.status == 2
    assert done.err.startswith("error: --format is given 2 times, --output 1 time\n")
    assert invoke("report", "a.py", "--format", "json", "--format", "html", "-o", "a", "-o", "b").status == 0
    assert Path("b").read_text().startswith("<!doctype html>")


def test_only_one_report_goes_to_standard_output(invoke: Invoke) -> None:
    done = invoke("report", "a.py", "--format", "json", "--format", "terminal")
    assert (done.status, done.out) == (2, "")
    assert "two reports cannot both go to standard output" in done.err


def test_one_document_holds_the_reports_on_all_targets(invoke: Invoke) -> None:
    Path("b.py").write_text(MINE)
    assert invoke("report", "a.py", "b.py", "-o", "all.json", "-o", "all.xml").status == 0
    assert [each["target"] for each in json.loads(Path("all.json").read_text())] == ["a.py", "b.py"]
    assert Path("all.xml").read_text().count("<testsuite ") == 2


FINDING = "# finding\n"  # what the session of these tests reports on


def test_only_what_is_new_counts(invoke: Invoke) -> None:
    Path("a.py").write_text(FINDING)
    assert invoke("report", "a.py", "-o", "before.json").status == 1
    done = invoke("report", "a.py", "--baseline", "before.json")
    assert done.status == 0
    assert "1 finding is accepted by the baseline: GC101 at " in done.out
    invoke("report", "a.py", "--baseline", "before.json", "-o", "after.json")
    after = json.loads(Path("after.json").read_text())
    assert (after["findings"], len(after["accepted"])) == ([], 1)
    assert invoke("report", "a.py", "--baseline", "after.json").status == 1


@pytest.mark.parametrize("text", ["", "[1]", "{}", '{"schema": 1}', "[" * 10_000])
def test_a_baseline_that_is_none(invoke: Invoke, text: str) -> None:
    Path("x.json").write_text(text)
    done = invoke("report", "a.py", "--baseline", "x.json")
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("error: --baseline: `x.json` is no JSON report of gradcheck\n")


def test_which_findings_make_it_fail(invoke: Invoke) -> None:
    Path("a.py").write_text(FINDING)
    assert [
        invoke("report", "a.py", "--fail-on", level).status for level in ("error", "warning", "never")
    ] == [1, 1, 0]


def test_several_reports_as_json_are_replaced(invoke: Invoke) -> None:
    Path("b.py").write_text(MINE)
    for _ in range(2):
        assert invoke("report", "a.py", "--format", "json", "-o", "out").status == 0
    text = "[\n  " + Path("out").read_text() + "]"
    Path("out").write_text(text)
    assert may_be_replaced(Path("out"))


def test_a_figure_is_known_as_ours() -> None:
    Path("p.png").write_bytes(png_of(new_figure(1.0)))
    assert may_be_replaced(Path("p.png"))
    Path("p.png").write_bytes(png_of(new_figure(1.0)).replace(b"gradcheck", b"Matplotli"))
    assert not may_be_replaced(Path("p.png"))


@pytest.mark.parametrize("path", ["a.py", "./a.py", "link.py", "deep/../a.py"])
@pytest.mark.parametrize("more", [(), ("--force",)])
@pytest.mark.parametrize("command", ["report", "isolate"])
def test_the_program_is_never_an_output(
    invoke: Invoke, path: str, more: tuple[str, ...], command: str
) -> None:
    Path("deep").mkdir()
    Path("link.py").symlink_to("a.py")
    done = invoke(command, "a.py", "-o", path, *more)
    assert (done.status, done.err.splitlines()[0]) == (2, f"error: --output: `{path}` is the program itself")
    assert Path("a.py").read_text() == MINE


def test_nor_is_the_file_of_a_layer(invoke: Invoke) -> None:
    done = invoke("layer", "a.py::L", "-o", "a.py", "--force")
    assert (done.status, Path("a.py").read_text()) == (2, MINE)


def test_the_journal_of_an_experiment_is_no_file_of_the_person(
    experiments: Experiments, invoke: Invoke
) -> None:
    Path("names.jsonl").write_text('{"name": "emma"}\n')
    done = invoke("isolate", "a.py", "-o", "names.md")
    assert done.status == 2
    assert "`names.jsonl` was not written by gradcheck" in done.err
    assert not experiments.asked
    assert Path("names.jsonl").read_text() == '{"name": "emma"}\n'


def test_a_journal_is_not_the_report(experiments: Experiments, invoke: Invoke) -> None:
    assert invoke("isolate", "a.py", "-o", "out.jsonl").status == 0
    assert experiments.asked[0].journal == Path("out.journal.jsonl")


def test_targets_of_one_name_have_reports_of_their_own() -> None:
    for folder in ("one", "two"):
        Path(folder).mkdir()
        for name in ("a.py", "b.py", "b.ipynb", "a-step.py"):
            Path(folder, name).write_text("")
    names = [f"{folder}/{name}" for folder in ("one", "two") for name in ("a.py", "b.py", "b.ipynb")]
    targets = [parse_target(each) for each in (*names, "one/a.py::step", "one/a-step.py")]
    to = destination("markdown", None, False, targets)
    files = [to.file_for(target) for target in targets]
    assert files[:3] == ["reports/one/a.md", "reports/one/b.py.md", "reports/one/b.ipynb.md"]
    assert len(set(files)) == len(files)


@pytest.mark.parametrize(
    ("path", "beginning"), [("r.json", "{"), ("r.MD", "# G"), ("r.txt", "Gradient report: a.py\n\na.py: ")]
)
def test_the_ending_decides_the_format(invoke: Invoke, path: str, beginning: str) -> None:
    done = invoke("report", "a.py", "-o", path)
    assert (done.status, done.out, done.err) == (0, "", f"wrote {path}\n")
    assert Path(path).read_text().startswith(beginning)


def test_a_pipe_and_an_empty_file_lose_nothing(invoke: Invoke) -> None:
    Path("empty").touch()
    assert invoke("report", "a.py", "--format", "json", "-o", "empty").status == 0
    assert json.loads(Path("empty").read_text())["target"] == "a.py"
    assert invoke("report", "a.py", "-o", "/dev/null").status == 0
