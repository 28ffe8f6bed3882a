"""One trial run: judged by the engine, as `assert_gradients` would, or why it was not."""

import ast
import linecache
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import FrameType

from gradcheck.analysis.watching import Watched
from gradcheck.base.errors import NothingToCheckError
from gradcheck.checks.finding import Finding, Severity
from gradcheck.checks.registry import GRADIENT_FAMILY
from gradcheck.diagnosis.found import Found
from gradcheck.fronts.markers import OUR_PLACE
from gradcheck.judge.verdict import Problem, Verdict
from gradcheck.layers.fitting import message_of, runs
from gradcheck.layers.function_context import NO_SUCH
from gradcheck.layers.gradients import Returned, not_judged, of_something_else, parameters_of
from gradcheck.layers.mean import leave_open
from gradcheck.layers.records import Raised, Status
from gradcheck.layers.subject import Subject
from gradcheck.layers.trial import Trial, build, own_random_numbers
from gradcheck.layers.watch import watch_layer, ways_to_loss
from gradcheck.program.faults import describe
from gradcheck.program.live import LiveSources
from gradcheck.program.source import SourceUnit
from gradcheck.report.model import Report

# The file name of the code that computes the loss, so that frames of gradcheck and of the person are not confused.
_TEXT = "loss = (layer.forward(...) * upstream).sum()\n"
_OF_DEVICES = ("torch.cuda", "torch._ops", "torch.utils.cpp_extension", "triton")
_STEP = compile(f"step({'frame()':{len(_TEXT) - 7}})", OUR_PLACE, "exec")  # as long as the text

_Recorded = tuple[Watched, list[Returned]]
Key = tuple[str, ...]  # which fault it is, in whatever trial


@dataclass(slots=True)
class Outcome:
    status: Status
    reason: str = ""
    report: Report | None = None
    raised: Raised | None = None
    faults: dict[Key, Finding | None] = field(default_factory=dict)  # None: `backward` raised
    right: set[str] = field(default_factory=set)  # parameters whose gradient has no fault, and their shape
    judged: dict[str, str] = field(default_factory=dict)  # gradient -> verdict
    unjudged: dict[str, str] = field(default_factory=dict)  # gradient -> why
    apart: frozenset[int] = frozenset()  # as the trial that it is of in the end has it
    operations: int = 0  # that were recorded
    hands_on: bool = False  # `forward` returned its input as it was
    breaks: bool = False  # `backward` raised, gave NaN or fits nothing, maybe for what it was handed, a guess


def run_trial(
    subject: Subject, trial: Trial, *, explained: bool = False, fix_budget_s: float = 0.0,
    total_budget_s: float | None = None, holds: Callable[[Found], bool] | None = None,
    edited: Mapping[str, str] | None = None,
) -> Outcome:  # fmt: skip
    """`explained`: whether it is looked for why something is wrong, which takes as long as all else, and for a fix within
    its budget. `holds` is asked of every edit before it is told; `edited` are the texts of files that run edited."""
    why = runs(subject, trial)
    if why is not None:
        return Outcome(Status.NOT_RUN, why)
    with own_random_numbers(trial.seed):
        built = build(subject, trial)
        parameters, ran = {name for name, _ in parameters_of(built.layer)}, False
        try:
            watched, returned = _on_a_frame(
                lambda frame: watch_layer(
                    frame, built.layer, tuple(built.inputs.values()), built.named,
                    files=subject.files, target=subject.name, texts=edited, apart=trial.apart,
                )
            )  # fmt: skip
            ran = True
            watched.holds, watched.explained = holds, explained
            report = watched.report(
                select=(GRADIENT_FAMILY,), fix_budget_s=fix_budget_s, total_budget_s=total_budget_s
            )
        except NothingToCheckError as error:
            return Outcome(Status.NOT_JUDGED, " ".join(str(error).split()))
        except Exception as error:
            if not ran:
                return _raised(error, subject)
            return Outcome(
                Status.NOT_JUDGED, f"internal error of gradcheck, please report it: {message_of(error)}"
            )
    has_loss = watched.recording.loss is not None
    if not has_loss and report.rows and report.rows[0].verdict is Verdict.INTRODUCED:
        why = f"no loss is computed, and none of those known fits `{report.rows[0].name}`, its first gradient"
        return Outcome(Status.NOT_JUDGED, why)
    if not trial.apart and (others := of_something_else(returned, report.rows)):
        again = partial(run_trial, subject, replace(trial, apart=others), holds=holds, edited=edited)
        return again(explained=explained, fix_budget_s=fix_budget_s, total_budget_s=total_budget_s)
    leave_open(report, trial, parameters)
    outcome = _judged(report, built.layer, parameters, returned)
    wrong = {row.problem for row in report.rows if row.verdict is Verdict.INTRODUCED}
    numbers = any(type(each) in (int, float) for each in built.inputs.values())
    shapes = [row.shape == row.of_shape for row in report.rows]
    outcome.breaks = (numbers and wrong == {Problem.NON_FINITE}) or (len(shapes) > 1 and not any(shapes))
    outcome.apart = trial.apart
    outcome.operations = len(watched.recording.ops)
    outcome.hands_on = has_loss and not ways_to_loss(watched.recording, watched.recording.handed)
    known = {*parameters, *list(built.inputs)[1:]}  # a function is handed its parameters
    fine = (Verdict.CORRECT, Verdict.UNCHECKED)
    outcome.right = {
        row.of for row in report.rows if row.of in known and row.verdict in fine and row.shape == row.of_shape
    }
    return outcome


def _on_a_frame(action: Callable[[FrameType], _Recorded]) -> _Recorded:
    linecache.cache[OUR_PLACE] = (len(_TEXT), None, [_TEXT], OUR_PLACE)
    kept: list[_Recorded] = []
    exec(_STEP, {"step": lambda frame: kept.append(action(frame)), "frame": lambda: sys._getframe(1)})
    return kept[0]


def _judged(report: Report, layer: object, parameters: set[str], returned: list[Returned]) -> Outcome:
    outcome = Outcome(Status.PASSED, report=report)
    for row in report.rows:
        name = row.name
        if row.problem is Problem.HARMLESS:
            continue
        if row.verdict is Verdict.UNCHECKED:
            outcome.unjudged[name] = row.reason or "no reason was recorded"
        else:
            outcome.judged[name] = row.verdict.value
    outcome.unjudged |= not_judged(layer, parameters, returned, report.rows)
    for finding in report.findings:
        if finding.severity is Severity.ERROR:
            place = finding.location
            outcome.faults[(place.file, str(place.line), str(place.column))] = finding
    if outcome.faults:
        outcome.status = Status.FAILED
        outcome.reason = "; ".join(
            dict.fromkeys(f.message for f in report.findings if f.severity is Severity.ERROR)
        )
    elif wrong := [row.name for row in report.rows if row.verdict in (Verdict.INTRODUCED, Verdict.INHERITED)]:
        outcome.status = Status.NOT_JUDGED
        outcome.unjudged |= dict.fromkeys(wrong, "it is wrong, and a comment suppresses the finding")
        outcome.reason = (
            f"{', '.join(f'`{name}`' for name in wrong)}: wrong; a comment suppresses the finding"
        )
    elif outcome.unjudged or not {"correct", "compensated"} & {*outcome.judged.values()}:
        outcome.status = Status.NOT_JUDGED
        reasons = [f"`{name}`: {why}" for name, why in outcome.unjudged.items()]
        outcome.reason = "; ".join(reasons) or "every gradient is zero by invariance"
    return outcome


def _raised(error: Exception, subject: Subject) -> Outcome:
    sources = LiveSources()
    sources.include(*subject.files)
    first = next((file for file in subject.files if file is not None), OUR_PLACE)
    unit = sources.unit(first) or SourceUnit(first, Path(first).name, "")
    fault = describe(error, unit, sources)
    raised = Raised(fault.type, fault.message, fault.location, fault.text)
    place = fault.location
    where = sources.unit(place.file) if place is not None else None
    statement = where.tree.statement_at(place.line) if place is not None and where is not None else None
    if _is_missing(error):
        why = f"`backward` needs something that is missing here: {raised.text}"
        return Outcome(Status.NOT_JUDGED, why, breaks=True)
    if isinstance(statement, (ast.Raise, ast.Assert)):  # written there to be raised
        return Outcome(Status.UNSUPPORTED, f"`backward` refuses it: {raised.text}")
    key = ("raised", place.file, str(place.line)) if place is not None else ("raised", fault.type)
    why = f"`backward` raised {raised.text}"
    guessed = not str(error).startswith(NO_SUCH)  # what `forward` was to keep for it
    return Outcome(Status.BACKWARD_RAISED, why, raised=raised, faults={key: None}, breaks=guessed)


def _is_missing(error: BaseException) -> bool:
    """Whether `error` says that something is not there (a module, a file, a device, an operator that nobody compiled here),
    and nothing about what was computed."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    if isinstance(error, AttributeError) and error.obj is None:
        # `try: import kernels`, `except ImportError: kernels = None`
        return any(f.f_globals.get(name, 0) is None for f in frames for name in f.f_code.co_names)
    if isinstance(error, AttributeError) and type(error.obj) in (int, float):
        return True  # a number was guessed for an object: `self.model.backward(dout)`
    by = str(frames[-1].f_globals.get("__name__"))
    return isinstance(error, (ImportError, OSError)) or by.startswith(_OF_DEVICES)
