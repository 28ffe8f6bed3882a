"""One report, from target to `Report`, in this process. The worker calls it in the child process."""

import ast
import copy
import gc
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from gradcheck.analysis.seen import seen
from gradcheck.base import progress
from gradcheck.base.options import SessionOptions
from gradcheck.base.thresholds import thresholds_with
from gradcheck.checks.finding import Finding
from gradcheck.checks.registry import HEALTH_FAMILIES, any_selected, run_checks, states_of
from gradcheck.checks.rule import Evidence
from gradcheck.checks.suppressions import suppress
from gradcheck.diagnosis.diagnose import diagnose
from gradcheck.diagnosis.found import Found
from gradcheck.fronts.arrays import in_its_words
from gradcheck.fronts.recorded_lines import recorded_lines
from gradcheck.fronts.recorder import Recorder
from gradcheck.fronts.tape import Recording
from gradcheck.health.measure import measure_health
from gradcheck.judge.judgement import judge_recording
from gradcheck.judge.verdict import Problem, Verdict
from gradcheck.program.array_calls import libraries_of
from gradcheck.program.errors import NothingFoundError, ProgramError, RaisedFirstError
from gradcheck.program.outcome import Ending, RunOutcome
from gradcheck.program.program import load
from gradcheck.program.reading.names import unfinished_at
from gradcheck.program.runner import run
from gradcheck.program.source import SourceMap
from gradcheck.program.target import parse_target
from gradcheck.program.torch_settings import kept_torch_settings
from gradcheck.report.contents import collect_excerpts
from gradcheck.report.model import Report
from gradcheck.report.program_section import ProgramSection

# Some hundred objects since Python 3.12; with more, somebody has frozen what is their own. Counting them takes its time.
_COLLECTOR_IS_OURS = gc.get_freeze_count() < 1_000


def run_report(options: SessionOptions, on_part: Callable[[Report], None] | None = None) -> Report:
    """Runs the target, judges what it did, and builds the report. `on_part` is told how far it is: with the verdicts, then
    with all findings, then with each fix.

    Raises ProgramError if there is nothing to report on: the target cannot be run, or holds no training step
    with manual gradients.
    """
    thresholds_with(options.thresholds)  # a threshold that does not exist is reported before the program runs
    program = load(parse_target(options.target, options.cwd), options.cwd, options.arguments)
    recorder = Recorder(program.sources, options.at)
    with kept_torch_settings():
        outcome = run(
            program,
            recorder,
            timeout_s=options.timeout_s,
            data=options.data,
            allow_writes=options.allow_writes,
        )
    # What was recorded stays until the report is there: the garbage collector need not go through it again and again.
    if _COLLECTOR_IS_OURS:
        gc.freeze()
    try:
        return analyse(recorder.recording, program.sources, outcome, options, on_part=on_part)
    finally:
        if _COLLECTOR_IS_OURS:
            gc.unfreeze()


@dataclass(frozen=True, slots=True)
class Words:
    """How the person says what only they know: in the words of the way they came."""

    loss: str = "name the loss with --loss NAME"
    pair: str = "a pair with --pair dX=X"
    nothing_seen: tuple[str, str] | None = None  # what to say where no operation was recorded, and what to do
    more_time: str = "give it more time with --timeout, or point at a smaller step with `file.py::function`"


def analyse(
    recording: Recording, sources: SourceMap, outcome: RunOutcome, options: SessionOptions, *,
    words: Words | None = None, most_repeats: int | None = None, watched: bool = False,
    holds: Callable[[Found], bool] | None = None, explained: bool = True,
    on_part: Callable[[Report], None] | None = None,
) -> Report:  # fmt: skip
    """The report on what was recorded. `most_repeats`: how many passes of one and the same loss line are judged.
    `watched`: it was a part of a program that was running. `holds` is asked of every edit that replay has proved.
    `explained`: whether it is looked for why something is wrong.

    Raises ProgramError if no manual gradient is on the tape.
    """
    thresholds = thresholds_with(options.thresholds)
    judgement = judge_recording(
        recording, sources, loss=options.loss, pairs=options.pairs, most_repeats=most_repeats
    )
    evidence = Evidence(judgement.results, thresholds=thresholds)
    _excuse_interrupted(evidence, outcome, sources)
    if not evidence.gradients:
        raise _nothing_found(outcome, recording, sources, options, words or Words())

    lines = recorded_lines(recording, judgement.places)

    def report_on(evidence: Evidence, found: list[Finding], findings: list[Finding]) -> Report:
        sorted_out = suppress(findings, sources, lines, options.select, options.ignore)
        evidence.ignore_comments = sorted_out.comments
        checks = states_of(evidence, [*found, *sorted_out.own], options.select, options.ignore)
        section = ProgramSection.from_outcome(outcome)
        section.notes.extend(recording.notes)
        return Report(
            options.target,
            evidence.passes,
            sorted_out.left,
            section,
            collect_excerpts(sorted_out.left, sources, evidence.gradients),
            health=evidence.health,
            checks=checks,
            suppressed=sorted_out.suppressed,
            watched=watched,
            arguments=list(options.arguments),
        )

    def tell(evidence: Evidence, findings: list[Finding]) -> None:
        if on_part is not None:
            on_part(report_on(evidence, findings, copy.deepcopy(findings)))

    verdicts = Evidence(judgement.results, thresholds=thresholds)
    tell(verdicts, run_checks(verdicts, options.select, options.ignore) if on_part is not None else [])
    if any_selected(HEALTH_FAMILIES, options.select, options.ignore):
        saying = partial(progress.say, progress.Stage.MEASURING)
        evidence.health = measure_health(judgement, options, thresholds, saying)
    found = run_checks(evidence, options.select, options.ignore)
    tell(evidence, found)
    said = partial(progress.say, progress.Stage.DIAGNOSING)
    budgets = options.fix_budget_s, options.total_budget_s
    findings = (
        diagnose(judgement, found, *budgets, said, holds, on_part and partial(tell, evidence))
        if explained
        else found
    )
    _say_in_words_of_the_library(findings, evidence)
    return report_on(evidence, found, findings)


def _say_in_words_of_the_library(findings: list[Finding], evidence: Evidence) -> None:
    for finding in findings:
        for said in (finding.notes, finding.helps):
            said[:] = map(in_its_words, said)
        finding.message, finding.label = in_its_words(finding.message), in_its_words(finding.label)
    for row in evidence.gradients:
        row.reason = in_its_words(row.reason)


def _excuse_interrupted(evidence: Evidence, outcome: RunOutcome, sources: SourceMap) -> None:
    """A gradient whose next line raised was not finished: its value at that point is not the fault of its line."""
    for fault in outcome.faults:
        if fault.location is None:
            continue
        written = unfinished_at(sources, fault.location)
        for row in evidence.gradients:
            same_piece = (row.location.file, row.location.cell) == (fault.location.file, fault.location.cell)
            if same_piece and row.name in written and row.verdict is Verdict.INTRODUCED:
                row.verdict = Verdict.UNCHECKED
                row.problem = Problem.UNREACHED
                row.reason = f"line {fault.location.line} raised {fault.type} before it was finished"


def _nothing_found(
    outcome: RunOutcome, recording: Recording, sources: SourceMap, options: SessionOptions, words: Words
) -> ProgramError:
    """Why there is nothing to report on, the likeliest cause first."""
    if outcome.missing:
        missing = outcome.missing[0]
        where = f" (opened at {missing.location})" if missing.location else ""
        return ProgramError(f"the data file `{missing.name}` was not found{where}", missing.hint)
    if outcome.ended is Ending.TIMEOUT:
        return ProgramError(f"no training step was finished: {outcome.explanation}", words.more_time)
    if outcome.faults:
        fault = outcome.faults[0]
        where = f" at {fault.location}" if fault.location else ""
        return RaisedFirstError(
            f"the program raised before its first training step{where}: {fault}", fault.hint
        )
    if outcome.ended is Ending.EXIT:
        where = f" at {outcome.ended_at}" if outcome.ended_at else ""
        return NothingFoundError(
            f"{outcome.explanation}{where}, and no manual gradient had been found by then",
            "if it misses arguments or files, point at the function that does the step: `file.py::train_step`",
        )
    if not recording.ops:
        if words.nothing_seen is not None:
            return NothingFoundError(*words.nothing_seen)
        what, todo = "no operation of torch or NumPy was recorded", _what_to_point_at(sources, options.target)
        if not any(libraries_of(unit.code) for unit in sources.units.values()):
            todo = "plain Python numbers are followed from where `random` draws them; arrays of torch or NumPy always are"
        return NothingFoundError(what, todo)
    if options.loss is not None:
        return ProgramError(
            f"no scalar named `{options.loss}` with manual gradients after it was found",
            f"{words.loss}: the name that the program gives it, or an expression of names that it gives",
        )
    return NothingFoundError(
        "no manual gradient was found",
        "a backward pass is recognised by gradients (dW, grad_W, W.grad, ...) computed from a scalar loss; "
        f"{words.loss} or {words.pair}. In this program, {seen(recording, sources)}",
    )


def _what_to_point_at(sources: SourceMap, target: str) -> str:
    """For a program in which nothing happened: its functions that can be called as they are, or else one that loops, which
    may be the method of a class."""
    only = "it only defines things:"
    if target.endswith(".py"):
        file = next(iter(sources.units.values()))  # and not what it imports
        calls = [found for node in file.tree.module.body for found in _calls(node)]
        ready = [call[:-2] for call, _ in calls if call.endswith("()") and "." not in call]
        if ready:
            shown = ", ".join(f"`{target}::{name}`" for name in ready[:4])
            return f"{only} point at a function that does a training step, as in {shown}"
        loops = [
            call for call, node in calls if any(isinstance(n, ast.For | ast.While) for n in ast.walk(node))
        ]
        named = [call for call in loops if re.search(r"train|fit|learn", call.rpartition(".")[2])]
        if loops:
            return (
                f"{only} `gradcheck report '{target}::{(named or loops)[-1]}'` would run what trains, with values of yours "
                "in the brackets, such as `np.ones((4, 3))` or `torch.ones(4, 3)`"
            )
    return f"{only} run a training step in it, or point at a function, as in `file.py::train_step`"


def _calls(node: ast.stmt, bound: int = 0) -> Iterator[tuple[str, ast.FunctionDef]]:
    """How a function is called, or each method of a class, with the names of what has to be given."""
    if isinstance(node, ast.FunctionDef):
        given = node.args.args[bound : len(node.args.args) - len(node.args.defaults)]
        yield f"{node.name}({', '.join(each.arg for each in given)})", node
    elif isinstance(node, ast.ClassDef):
        methods = [found for part in node.body for found in _calls(part, 1)]
        made = next((call for call, each in methods if each.name == "__init__"), "__init__()")
        made = made.replace("__init__", node.name)
        yield from ((f"{made}.{call}", each) for call, each in methods if not call.startswith("_"))
