"""The report as data: the JSON contract and the table for pandas."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from gradcheck.base.codec import encode
from gradcheck.checks.finding import Severity
from gradcheck.cli.output import json_text
from gradcheck.judge.verdict import Problem
from gradcheck.program.location import Location
from gradcheck.program.magics import SkippedLine
from gradcheck.program.outcome import Ending, Fault, MissingFile, RunOutcome
from gradcheck.report.model import Report
from gradcheck.report.program_section import CellError, ProgramSection
from gradcheck.report.sentences import program_remarks
from tests.report import samples

REPORTS = {
    "faulty": samples.faulty(),
    "clean": samples.clean(),
    "fixed": samples.fixed(),
    "every problem": samples.every_problem(),
    "several passes": samples.several_passes(),
    "with flow": samples.with_flow(),
    "with suppressed": samples.with_suppressed(),
    "empty": samples.report(),
}
SCHEMA: dict[str, Any] = json.loads(
    resources.files("gradcheck.report").joinpath("schema.json").read_text(encoding="utf-8")
)
each_report = pytest.mark.parametrize("report", REPORTS.values(), ids=REPORTS.keys())


def as_json(report: Report) -> str:
    return json_text(report.to_dict())


def strict(text: str) -> dict[str, Any]:
    """Parsed as a strict reader would: Python's own takes a bare NaN."""
    data = json.loads(text, parse_constant=lambda constant: pytest.fail(f"{constant} is no JSON"))
    assert isinstance(data, dict)
    return data


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@each_report
def test_the_json_follows_its_schema(report: Report) -> None:
    jsonschema.validate(strict(as_json(report)), SCHEMA)


@each_report
def test_round_trip(report: Report) -> None:
    text = as_json(report)
    again = Report.from_dict(json.loads(text))
    assert as_json(again) == text
    assert again.rows == report.rows or "inf" in repr(report.rows)
    assert [step.flow for step in again.passes] == [step.flow for step in report.passes]


def test_what_comments_silence_stands_apart_and_does_not_count() -> None:
    report = samples.with_suppressed()
    data = report.to_dict()
    assert (data["findings"], data["exit_status"], data["summary"]["errors"]) == ([], 0, 0)
    first = data["suppressed"][0]
    assert (first["rule"], first["location"]["line"]) == ("GC101", 6)
    assert (first["suppressed_by"]["line"], first["suppressed_by"]["column"]) == (6, 27)
    assert Report.from_dict(json.loads(as_json(report))).suppressed == report.suppressed


def test_a_report_of_before_there_were_comments_is_read() -> None:
    data = samples.clean().to_dict()
    del data["suppressed"]
    assert Report.from_dict(data).suppressed == []


def test_a_report_without_flow_is_read() -> None:
    data = samples.clean().to_dict()
    del data["passes"][0]["flow"]
    assert Report.from_dict(data).passes[0].flow.updates == []


def test_the_contract_names_what_it_promises() -> None:
    data = samples.faulty().to_dict()
    assert data["schema"] == 1
    assert data["target"] == "day70.ipynb"
    row = data["gradients"][2]
    assert (row["name"], row["of"], row["verdict"]) == ("d_A_1", "A_1", "introduced")
    assert (row["total_error"], row["local_error"]) == (0.43, 0.5312)
    assert row["location"] == {
        "file": "day70.ipynb", "cell": 2, "line": 6, "end_line": 6, "column": 10, "end_column": 23,
    }  # fmt: skip
    finding = data["findings"][0]
    assert (finding["rule"], finding["name"], finding["severity"]) == ("GC101", "wrong-gradient", "error")
    assert finding["location"] == row["location"]
    assert finding["fix"] is None


def test_the_schema_knows_every_problem() -> None:
    listed = re.search(r'"problem": \{\s*"enum": (\[.*?\])', json.dumps(SCHEMA), re.DOTALL)
    assert listed is not None
    assert set(json.loads(listed[1])) == set(Problem)


def test_the_schema_lets_keys_be_added() -> None:
    data = samples.faulty().to_dict()
    data["later"] = data["gradients"][0]["later"] = data["program"]["skipped"][0]["later"] = 1
    jsonschema.validate(data, SCHEMA)
    Report.from_dict(data)


def test_a_report_of_another_schema_is_refused() -> None:
    data = samples.clean().to_dict() | {"schema": 2}
    with pytest.raises(ValueError, match="this is a report of schema 2; schema 1 is known"):
        Report.from_dict(data)


def test_summary_counts() -> None:
    summary = samples.faulty().summary
    assert summary == {
        "checked": 5, "correct": 1, "introduced": 2, "inherited": 1, "compensated": 0, "unobservable": 1,
        "unchecked": 1, "passes": 1, "errors": 2, "warnings": 1, "notes": 0,
    }  # fmt: skip


def test_nan_and_infinity_are_strings() -> None:
    values = encode({"nan": math.nan, "up": math.inf, "down": [-math.inf], "fine": 1.5})
    assert values == {"nan": "NaN", "up": "Infinity", "down": ["-Infinity"], "fine": 1.5}
    row = samples.correct("d_Z", "Z", 3, total_error=math.nan, local_error=math.inf)
    report = samples.report(samples.one_pass(row, loss_value=math.nan))
    again = Report.from_dict(json.loads(as_json(report)))
    assert math.isnan(again.rows[0].total_error or 0)
    assert again.rows[0].local_error == math.inf
    assert math.isnan(again.passes[0].loss_value or 0)


def test_evidence_of_any_kind_becomes_json() -> None:
    class Tensorlike:
        def tolist(self) -> list[float]:
            return [1.0, math.nan]

    assert encode(
        {1: Tensorlike(), "set": {2, 1}, "place": Location("a", None, 1, 1, 1, 2), "o": Path("x")}
    ) == {
        "1": [1.0, "NaN"],
        "set": [1, 2],
        "place": {"file": "a", "cell": None, "line": 1, "end_line": 1, "column": 1, "end_column": 2},
        "o": "x",
    }


def test_the_program_section_is_made_from_the_outcome_of_the_run() -> None:
    place = Location("a.ipynb", 2, 7, 7, 1, 2)
    outcome = RunOutcome(
        Ending.TIMEOUT,
        explanation="still running after 120 s",
        faults=[Fault(2, place, "FileNotFoundError", "names.txt", "open('names.txt')")],
        skipped=[SkippedLine(1, 1, "!ls", "shell line")],
        missing=[MissingFile("names.txt", place, "`--cwd DIR`")],
        notes=["a note"],
    )
    section = ProgramSection.from_outcome(outcome)
    assert section == ProgramSection(
        [SkippedLine(1, 1, "!ls", "shell line")],
        [CellError(2, 7, "FileNotFoundError: names.txt", "open('names.txt')", "`--cwd DIR`")],
        ["a note"],
        "timeout",
        "still running after 120 s",
    )


def test_what_a_function_of_another_cell_raised_is_placed_where_it_was_raised() -> None:
    inside, caller = Location("a.ipynb", 1, 3, 3, 5, 9), Location("a.ipynb", 2, 1, 1, 1, 5)
    fault = Fault(2, inside, "TypeError", "no", "return x", caller=caller)
    section = ProgramSection.from_outcome(RunOutcome(faults=[fault]))
    assert section.errors == [CellError(1, 3, "TypeError: no", "return x", called_from="cell 2 line 1")]
    (remark,) = program_remarks(section)
    assert remark == "cell 1 line 3, called from cell 2 line 1, raised TypeError: no: `return x`"


def test_exit_status_is_that_of_the_worst_finding() -> None:
    report = samples.faulty()
    assert report.exit_status == 1
    report.findings = [f for f in report.findings if f.severity is not Severity.ERROR]
    assert report.findings
    assert report.exit_status == 0


def test_dataframe() -> None:
    frame = samples.faulty().to_dataframe()
    assert list(frame["verdict"]) == [
        "correct", "unobservable", "introduced", "introduced", "inherited", "unchecked",
    ]  # fmt: skip
    assert list(frame["line"]) == [3, 4, 6, 7, 11, 12]
    assert set(frame["loss"]) == {"loss"}
    assert list(samples.report().to_dataframe().columns) == list(frame.columns)


def test_a_report_is_read_and_shown_without_torch_or_pandas() -> None:
    program = (
        "import sys, io\n"
        "import json\n"
        "from gradcheck.report import terminal, markdown\n"
        "from gradcheck.report.model import Report\n"
        "from rich.console import Console\n"
        "report = Report.from_dict(json.load(sys.stdin))\n"
        "terminal.render(report, Console(file=io.StringIO()))\n"
        "markdown.render(report)\n"
        "print([name for name in ('torch', 'pandas', 'scipy', 'matplotlib') if name in sys.modules])\n"
    )
    text = as_json(samples.faulty())
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=text,
        capture_output=True,
        text=True,
        check=True,
        encoding="utf-8",
    )
    assert done.stdout.strip() == "[]"
