"""`gradcheck report` on a file that only defines things: every layer in it, judged in one table."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from dataclasses import replace
from types import ModuleType
from typing import Any

from gradcheck.base import progress
from gradcheck.base.options import SessionOptions
from gradcheck.checks.finding import Finding, Severity
from gradcheck.checks.gc101_wrong_gradient import RULE
from gradcheck.judge.verdict import GradientResult, PassResult, Verdict
from gradcheck.layers.check import LayerCheck
from gradcheck.layers.discover import discover
from gradcheck.layers.followed import computing_with_its_arrays
from gradcheck.layers.fused import method_of, returned, returns_of
from gradcheck.layers.importing import Imported, imported
from gradcheck.layers.making import CannotCallError, Given
from gradcheck.layers.mean import MEAN_OVER_ROWS
from gradcheck.layers.methods import halves_of
from gradcheck.layers.records import Status
from gradcheck.layers.show import conclusion, remarks
from gradcheck.layers.subject import NotALayer, Subject, pair_named, subject_of
from gradcheck.program.reading.tree import parse
from gradcheck.program.script import read_source
from gradcheck.program.target import TargetKind, parse_target
from gradcheck.report.model import Report

_WORST = (Verdict.INTRODUCED, Verdict.INHERITED, Verdict.COMPENSATED, Verdict.CORRECT)  # first


def report_on_definitions(options: SessionOptions) -> Report | None:
    """None if the file defines no layer; without rows if none could be judged: its notes say why. Raises ProgramError if
    it cannot be imported."""
    target = parse_target(options.target)
    if target.path is None or target.kind is not TargetKind.SCRIPT or not _defines_backward(target.path):
        return None
    report = Report(options.target, watched=True)
    with imported(target, options.cwd) as source:
        for name, thing in layers_of(source.module):
            progress.say(progress.Stage.RUNNING, f"checking {name}")
            try:
                subject = subject_of(thing, name)
                _add(report, replace(subject, files=(*subject.files, *source.files)), source, options)
            except (CannotCallError, NotALayer) as error:
                said = error.message if isinstance(error, CannotCallError) else str(error)
                _leave_out(report, name, said)
    return report if report.rows or report.findings or report.program.notes else None


def _leave_out(report: Report, name: str, why: str) -> None:
    report.program.unread.append(name)
    report.program.notes.append(f"`{name}` was not judged: {why}")


def _defines_backward(path: Any) -> bool:
    functions = [node for node in ast.walk(parse(read_source(path))) if isinstance(node, ast.FunctionDef)]
    halves = ("backward", "bwd", "bprop", "backprop")
    return any(any(half in node.name for half in halves) or returned(node) is not None for node in functions)


def layers_of(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """In the order of their definition, each once."""
    known, done = vars(module), set()
    for name, thing in list(known.items()):
        if getattr(thing, "__module__", None) != module.__name__:
            continue
        if isinstance(thing, type):
            if halves_of(thing) is not None or method_of(thing) is not None:
                yield name, thing
            continue
        pair = pair_named(name, known)
        if pair is not None and pair not in done:
            done.add(pair)
            yield ", ".join(pair), tuple(known[each] for each in pair)
        elif pair is None and inspect.isfunction(thing) and returns_of(thing) is not None:
            yield name, thing


def _add(report: Report, subject: Subject, source: Imported, options: SessionOptions) -> None:
    check = LayerCheck(
        subject, Given(), f"{options.target}::{subject.name.replace(', ', ',')}", 0, options.fix_budget_s
    )
    with computing_with_its_arrays(subject):
        layer = check.run(discover(subject, Given(), 0), None)
    index = len(report.passes)
    rows = _worst_rows(check)
    if not rows and not layer.failures:
        why = next((case.reason for case in layer.cases if case.status is Status.NOT_JUDGED), "")
        _leave_out(report, subject.name, why or conclusion(layer))
        return
    places = [row.location for row in rows] + [
        f.raised.location for f in layer.failures if f.raised and f.raised.location
    ]
    step = PassResult(index, "loss", None, min(places, key=lambda place: place.line), layer=subject.name)
    step.gradients = [replace(row, pass_index=index) for row in rows]
    report.passes.append(step)
    for failure in layer.failures:
        said = [text if lead == "note: " else f"{lead}{text}" for lead, text in remarks(failure)]
        said.append(f"rerun: {failure.smallest.command}")
        if failure.report is not None:
            for finding in failure.report.findings:
                report.findings.append(replace(finding, notes=[*finding.notes, *said]))
            report.excerpts += failure.report.excerpts
        elif failure.raised is not None and failure.raised.location is not None:
            message = f"`backward` raises on an input that `forward` accepts: {failure.raised.text}"
            place = failure.raised.location
            report.findings.append(Finding(RULE.code, RULE.name, Severity.ERROR, place, message, notes=said))
    for name, why in layer.never_judged.items():
        if why == MEAN_OVER_ROWS:
            continue  # its row says so
        report.program.notes.append(f"{subject.name}: `{name}` was judged in no case: {why}")


def _worst_rows(check: LayerCheck) -> list[GradientResult]:
    """Of every gradient, the worst of its rows in all cases, in the order of the first."""
    found: dict[tuple[str, int], GradientResult] = {}

    def rank(row: GradientResult) -> float:
        left_open = row.reason == MEAN_OVER_ROWS  # of a single row, it is right
        return 2.5 if left_open else (*_WORST, row.verdict).index(row.verdict)

    for outcome in check.outcomes:
        for row in outcome.report.rows if outcome.report is not None else ():
            key = row.name, row.location.line
            if key not in found or rank(row) < rank(found[key]):
                found[key] = row
    return list(found.values())
