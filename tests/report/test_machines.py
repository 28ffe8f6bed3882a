"""The formats that other programs read: SARIF, the commands of GitHub, JUnit's XML."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import pytest

from gradcheck.checks.finding import Finding, Fix, Severity
from gradcheck.program.errors import ProgramError
from gradcheck.program.location import Location
from gradcheck.report import github, junit, sarif
from gradcheck.report.contents import FailedTarget
from gradcheck.report.model import Report
from tests.report import samples
from tests.report.test_hostile import HOSTILE, _poisoned

SCRIPT = ["x = 1", "dx = 2 * g", "dw = x * (1 - t)"]
FAILED = FailedTarget("b.py", ProgramError("there is no file `b.py`", "look again"))


def in_a_script(path: str = "my layers/ä.py") -> Report:
    """A finding with a proved fix, in a file whose name needs to be quoted."""
    place = Location(path, None, 3, 3, 6, 17)
    fix = Fix(True, "- dw = x * (1 - t)\n+ dw = x * (1 - t**2)", "x * (1 - t**2)", place)
    found = Finding(
        "GC101", "wrong-gradient", Severity.ERROR, place, "`dw` is wrong: 50% off\nreally", fix=fix
    )
    return Report(path, findings=[found])


def results(*reports: Report | FailedTarget) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = sarif.document(reports)["runs"][0]["results"]
    return found


class TestSarif:
    def test_every_result_names_a_rule_of_the_run(self) -> None:
        (run,) = sarif.document([samples.every_problem(), samples.faulty(), in_a_script()])["runs"]
        rules = run["tool"]["driver"]["rules"]
        assert len(run["results"]) > 10
        for result in run["results"]:
            assert rules[result["ruleIndex"]]["id"] == result["ruleId"]

    def test_the_fix_is_what_turns_the_file_into_the_fixed_one(self) -> None:
        (result,) = results(in_a_script())
        (change,) = result["fixes"][0]["artifactChanges"]
        (edit,) = change["replacements"]
        region = edit["deletedRegion"]
        lines = list(SCRIPT)
        line = lines[region["startLine"] - 1]
        lines[region["startLine"] - 1] = (
            line[: region["startColumn"] - 1]
            + edit["insertedContent"]["text"]
            + line[region["endColumn"] - 1 :]
        )
        assert lines[2] == "dw = x * (1 - t**2)"
        assert change["artifactLocation"]["uri"] == "my%20layers/%C3%A4.py"

    def test_a_fix_that_was_not_proved_is_not_offered(self) -> None:
        report = in_a_script()
        fix = report.findings[0].fix
        assert fix is not None
        report.findings[0].fix = Fix(False, fix.diff, fix.replacement, fix.location)
        assert "fixes" not in results(report)[0]

    def test_a_cell_is_no_region_of_its_file(self) -> None:
        for result in results(samples.fixed()):
            place = result["locations"][0]["physicalLocation"]
            assert place == {"artifactLocation": {"uri": "day70.ipynb"}}
            assert re.match(r"cell 2, line \d+: ", result["message"]["text"])
            assert "fixes" not in result

    def test_what_comments_suppress_is_marked_as_such(self) -> None:
        found = results(samples.with_suppressed())
        assert found
        assert all(result["suppressions"] == [{"kind": "inSource"}] for result in found)

    def test_a_target_that_failed(self) -> None:
        (invocation,) = sarif.document([in_a_script(), FAILED])["runs"][0]["invocations"]
        assert invocation["executionSuccessful"] is False
        assert (
            invocation["toolExecutionNotifications"][0]["message"]["text"] == "b.py: there is no file `b.py`"
        )


class TestGithub:
    def test_a_finding_is_one_command_at_its_lines(self) -> None:
        first, last = github.lines([in_a_script("a,b:c.py")]).splitlines()
        assert first == (
            "::error file=a%2Cb%3Ac.py,title=GC101 wrong-gradient,line=3,endLine=3,col=6,endColumn=17::"
            "`dw` is wrong: 50%25 off really Proved fix: x * (1 - t**2)"
        )
        assert last.startswith("::notice title=gradcheck::")

    def test_a_cell_is_named_in_the_message(self) -> None:
        for line in github.lines([samples.fixed()]).splitlines()[:-1]:
            assert ",line=" not in line
            assert re.search(r"::cell 2, line \d+: ", line)

    def test_a_target_that_failed(self) -> None:
        assert github.lines([FAILED]) == "::error title=gradcheck::b.py: there is no file `b.py`\n"


class TestJunit:
    def test_each_gradient_is_a_case(self) -> None:
        report = samples.faulty()
        (suite,) = ElementTree.fromstring(junit.document([report]))
        cases = suite.findall("testcase")
        assert len(cases) == len(report.rows) + 1
        failed = [case.get("name") for case in cases if case.find("failure") is not None]
        assert [name.split()[0] for name in failed if name] == ["d_A_1", "d_Z_1", "d_W_1", "findings"]
        assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("7", "4", "1")
        text = cases[-1].findtext("failure")
        assert text is not None
        assert "d_Z_2 @ W_2.T" in text

    def test_nothing_fails_in_a_right_program(self) -> None:
        (suite,) = ElementTree.fromstring(junit.document([samples.clean()]))
        assert (suite.get("failures"), suite.get("errors")) == ("0", "0")

    def test_a_target_that_failed(self) -> None:
        (suite,) = ElementTree.fromstring(junit.document([FAILED]))
        assert suite.find("testcase/error") is not None
        assert suite.get("errors") == "1"


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("make", [samples.faulty, samples.fixed, samples.with_suppressed, in_a_script])
def test_hostile_text_stays_text(make: Any, text: str) -> None:
    report: Report = _poisoned(make(), text)
    commands = github.lines([report])
    assert len(commands.splitlines()) == len(report.findings) + 1
    assert all(re.match(r"::(error|warning|notice) [^:]*::", line) for line in commands.splitlines())
    ElementTree.fromstring(junit.document([report]))
    messages = " ".join(result["message"]["text"] for result in results(report))
    for said in (commands, messages):
        assert not any(bad in said for bad in ("\x1b", "\x07", "\r", "\u202e", "\u2066", "\u2028"))
