"""`gradcheck report` on a file that only defines things: every layer in it, judged in one table."""

import ast
import inspect
import re
from collections.abc import Iterator
from dataclasses import replace
from types import ModuleType
from typing import Any

import torch

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
from gradcheck.layers.records import Failure, Status
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
        left: dict[str, str] = {}  # why it could not be judged
        for name, thing in layers_of(source.module):
            if (said := _judged(report, name, thing, source, options)) is not None:
                left[name] = said
        for name, module, called in modules_of(source.module):
            # It knows what to call the Function with: what could not be judged by itself may be judged there.
            before = len(report.passes)
            if _judged(report, name, module, source, options) is None and len(report.passes) > before:
                left = {each: why for each, why in left.items() if each not in called}
    report.program.unread += left
    report.program.notes += [f"`{name}` was not judged: {why}" for name, why in left.items()]
    return report if report.rows or report.findings or report.program.notes else None


def _judged(report: Report, name: str, thing: Any, source: Imported, options: SessionOptions) -> str | None:
    """Why it could not be judged."""
    progress.say(progress.Stage.CHECKING, f"checking {name}")
    try:
        subject = subject_of(thing, name)
        return _add(report, replace(subject, files=(*subject.files, *source.files)), options)
    except (CannotCallError, NotALayer) as error:
        return str(error)


def _defines_backward(path: Any) -> bool:
    functions = [node for node in ast.walk(parse(read_source(path))) if isinstance(node, ast.FunctionDef)]
    return any(re.search("back|bwd|bprop", each.name) or returned(each) is not None for each in functions)


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


def modules_of(module: ModuleType) -> Iterator[tuple[str, Any, list[str]]]:
    """The modules of torch that call an autograd Function of the file, with the names of those."""
    known = vars(module)
    for name, thing in list(known.items()):
        own = isinstance(thing, type) and thing.__module__ == module.__name__
        if own and issubclass(thing, torch.nn.Module) and halves_of(thing) is None:
            methods = (each for each in vars(thing).values() if inspect.isfunction(each))
            called = {found for each in methods for found in _functions_called(each, known)}
            if called:
                yield name, thing, sorted(called)


def _functions_called(function: Any, known: dict[str, Any], depth: int = 2) -> Iterator[str]:
    for name in function.__code__.co_names:
        thing = known.get(name)
        kind = getattr(thing, "__self__", thing)  # `relu = MyReLU.apply`
        if isinstance(kind, type) and issubclass(kind, torch.autograd.Function):
            yield kind.__name__
        elif inspect.isfunction(thing) and depth:
            yield from _functions_called(thing, known, depth - 1)


def _add(report: Report, subject: Subject, options: SessionOptions) -> str | None:
    """Why it could not be judged."""
    check = LayerCheck(
        subject, Given(), f"{options.target}::{subject.name.replace(', ', ',')}", 0, options.fix_budget_s
    )
    with computing_with_its_arrays(subject):
        layer = check.run(discover(subject, Given(), 0), None)
    index = len(report.passes)
    rows = _worst_rows(check)
    if not rows and not layer.failures:
        why = next((case.reason for case in layer.cases if case.status is Status.NOT_JUDGED), "")
        return why or conclusion(layer)
    if subject.by_autograd and not _says_more(report, rows, layer.failures):
        return None
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
        if why == MEAN_OVER_ROWS or any(row.name == name and row.reason == why for row in rows):
            continue  # its row says so
        report.program.unread.append(f"{name} of {subject.name}")
        report.program.notes.append(f"{subject.name}: `{name}` was judged in no case: {why}")
    return None


def _says_more(report: Report, rows: list[GradientResult], failures: list[Failure]) -> bool:
    """Whether a module finds out more of the Functions in it than they did themselves."""
    known = {(row.name, row.location.line) for row in report.rows if row.verdict is not Verdict.UNCHECKED}
    accused = {finding.location for finding in report.findings}
    found = [finding.location for each in failures if each.report for finding in each.report.findings]
    return any(place not in accused for place in found) or any(
        (row.name, row.location.line) not in known for row in rows if row.verdict is not Verdict.UNCHECKED
    )


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
