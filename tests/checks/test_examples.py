"""Every rule's page has an example that triggers it, and a repaired one that does not: both are run."""

from __future__ import annotations

import sys

import pytest

from gradcheck.checks.finding import Severity
from gradcheck.checks.registry import State, all_rules
from gradcheck.checks.rule import Rule
from gradcheck.report.model import Report
from tests.support import ROOT, in_child, report_on_source

sys.path.insert(0, str(ROOT / "docs"))

from rule_examples import FOLDER, example

each_rule = pytest.mark.parametrize("rule", all_rules(), ids=lambda rule: rule.code)


def report(text: str, at: tuple[int, ...], select: tuple[str, ...] = ()) -> Report:
    return in_child(lambda: report_on_source(text, at=at, select=select))


@pytest.fixture(scope="module", autouse=True)
def _imported_once() -> None:
    """And not in every child that compares samples."""
    import scipy.stats  # noqa: F401


@each_rule
def test_the_example_triggers_its_rule_and_the_repaired_one_does_not(rule: Rule) -> None:
    shown = example(rule)
    # GC001 is about what other rules find.
    wrong = report(shown.triggers, shown.at, () if rule.code == "GC001" else (rule.code,))
    assert rule.code in {finding.rule for finding in wrong.findings}
    repaired = report(shown.repaired, shown.at)
    assert rule.code not in {finding.rule for finding in repaired.findings}
    assert not [finding.message for finding in repaired.findings if finding.severity is Severity.ERROR]
    assert [check.state for check in repaired.checks if check.rule == rule.code] == [State.PASSED]


def test_there_is_no_example_of_a_rule_that_is_gone() -> None:
    assert {path.stem.upper() for path in FOLDER.glob("*.py")} == {rule.code for rule in all_rules()}
