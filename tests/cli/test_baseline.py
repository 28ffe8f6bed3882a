"""A baseline knows a finding by its rule, its file and its lines, and accepts it as often as it holds it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from gradcheck.cli import baseline
from gradcheck.cli.output import json_text
from gradcheck.report.model import Report
from tests.report import samples


def known(*reports: Report, folder: Path) -> baseline.Baseline:
    path = folder / "before.json"
    path.write_text(json_text([report.to_dict() for report in reports]))
    return baseline.read(str(path))


def test_the_same_findings_are_accepted(tmp_path: Path) -> None:
    report = samples.faulty()
    after = baseline.without_known(report, known(report, folder=tmp_path))
    assert (after.findings, after.accepted) == ([], report.findings)
    assert (report.exit_status, after.exit_status) == (1, 0)


def test_numbers_of_lines_may_change(tmp_path: Path) -> None:
    before, report = samples.fixed(), samples.fixed()
    for finding in report.findings:
        place = finding.location
        finding.location = replace(place, line=place.line + 7, end_line=place.end_line + 7)
    report.excerpts = [replace(each, first_line=each.first_line + 7) for each in report.excerpts]
    assert baseline.without_known(report, known(before, folder=tmp_path)).findings == []


def test_another_line_another_rule_and_another_file_are_new(tmp_path: Path) -> None:
    before = known(samples.fixed(), folder=tmp_path)
    report = samples.fixed()
    first, second, third, *_ = report.findings
    first.rule = "GC999"
    second.location = replace(second.location, file="other.py")
    excerpt = report.excerpt(third.location)
    assert excerpt is not None
    changed = replace(excerpt, lines=tuple(line + " + 1" for line in excerpt.lines))
    report.excerpts = [changed if each is excerpt else each for each in report.excerpts]
    assert baseline.without_known(report, before).findings[:3] == [first, second, third]


def test_a_second_one_of_the_same_kind_is_new(tmp_path: Path) -> None:
    before = known(samples.fixed(), folder=tmp_path)
    report = samples.fixed()
    report.findings = [*report.findings, *report.findings]
    after = baseline.without_known(report, before)
    assert len(after.findings) == len(after.accepted) == 5
