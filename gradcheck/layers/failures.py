"""What a layer check says of a fault: the smallest input that shows it, why the line is wrong, the fix that holds in every
case, and the command that runs it again."""

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from gradcheck.analysis.settings import in_force
from gradcheck.checks.wording import without_pairing_help
from gradcheck.diagnosis.diagnose import total_budget
from gradcheck.layers.discover import discover
from gradcheck.layers.faults import Fault, moved_to
from gradcheck.layers.making import CannotCallError, Given, input_term
from gradcheck.layers.outcome import Key, Outcome, run_trial
from gradcheck.layers.proof import Everywhere
from gradcheck.layers.records import SEVERAL, STATES, CaseResult, Failure, Smallest, Status, command
from gradcheck.layers.shrink import shrink
from gradcheck.layers.subject import Subject
from gradcheck.layers.trial import Trial
from gradcheck.report.model import Report

Ran = Sequence[tuple[Trial, Outcome]]


class Failures:
    """`cases` are what came of each case, `ran` the trials of those that ran."""

    def __init__(
        self, subject: Subject, target: str, budget: float, cases: Sequence[CaseResult], ran: Ran
    ) -> None:
        self._subject, self._budget, self._cases, self._ran = subject, budget, cases, ran
        self._left_s = total_budget(in_force().total_budget_s, budget)  # for the fixes of all faults
        self._target = target  # of the command line; empty for a call of the Python API

    def of(self, key: Key, fault: Fault, exact: bool) -> Failure:
        subject, trial, outcome = self._subject, fault.trial, fault.outcome
        count, small = 0, outcome
        if not exact:
            shrunk = shrink(subject, trial, outcome, key)
            trial, count, small = shrunk.best, shrunk.trials, shrunk.outcome
        state = fault.case.name if fault.case.name in STATES else SEVERAL
        again = self._command(trial, state)
        smallest = Smallest(trial.shapes(), trial.call, again, trial.seed, state, count)
        failure = Failure(smallest, _listed(fault.cases, self._cases), raised=small.raised)
        if outcome.report is not None:
            outcome, at = self._explained(fault, key, 0.0 if exact else self._budget)
            failure.report = _alone(outcome, at)
            finding = small.faults[key]
            if finding is not None and finding.expected and trial is not fault.trial:
                failure.notes = [f"there, expected {finding.expected}", f"and found {finding.found}"]
        if fault.raises is not None and fault.raises.outcome.raised is not None:
            on = " and ".join(f"({shape})" for shape in fault.raises.trial.shapes())
            failure.notes.append(f"on {on} this line raises {fault.raises.outcome.raised.text}")
        failure.notes += self._only_there(fault)
        return failure

    def _explained(self, fault: Fault, key: Key, budget: float) -> tuple[Outcome, Key]:
        """The outcome with why it is wrong, and with a fix that holds in every case, if there is one; and where the fault
        is then: its cause may be in another line. All other trials do without: only this one is told."""
        outcome = fault.outcome
        finding = outcome.faults[key]
        if finding is None:
            return outcome, key
        ran = sorted(self._ran, key=lambda one: key not in one[1].faults)
        holds = Everywhere(self._subject, str(finding.evidence.get("gradient", "")), ran)
        begun = time.process_time()
        explained = partial(run_trial, explained=True, fix_budget_s=budget, total_budget_s=self._left_s)
        fixed = explained(self._subject, fault.trial, holds=holds)
        self._left_s = max(0.0, self._left_s - (time.process_time() - begun))
        at = key if key in fixed.faults else moved_to(fixed, outcome, finding)
        found = fixed.faults.get(at) if at is not None else None
        if at is None or found is None:
            return outcome, key
        if found.fix is not None and found.fix.verified and len(ran) > 1:
            found.helps[-1] += f", and run in all {len(ran)} cases"
        return fixed, at

    def _only_there(self, fault: Fault) -> list[str]:
        """Advice, where only inputs of some ranks show it."""
        ranks = {case.rank for case in fault.cases}
        passed = {case.rank for case in self._cases if case.status is Status.PASSED} - ranks
        if not passed:
            return []
        shown, right = (", ".join(f"{rank}-D" for rank in sorted(each)) for each in (ranks, passed))
        option = ",".join(map(str, sorted(passed)))
        return [
            f"only {shown} inputs, which `forward` accepts, show it; if the layer supports only {right} inputs, use "
            f"--rank {option}"
        ]

    def _command(self, trial: Trial, state: str) -> str:
        """What runs this one trial again."""
        more, named = trial.plan.more, trial.arguments
        if named and self._is_found_again(trial):
            named = {}
        if not self._target:
            said = {"args": list(more), "kwargs": named}
            options = [f"{name}={value!r}" for name, value in said.items() if value]
            options += [f"inputs={trial.shapes()!r}", f"case={state!r}", f"seed={trial.seed}"]
            name = self._subject.name
            first = f"({name.replace(',', ', ')})" if "," in name else name
            return f"gradcheck.check_layer({first}, {', '.join(options)})"
        options = ["--args", ",".join(map(repr, more))] if more else []
        if named:
            options += ["--kwargs", ",".join(f"{n}={v!r}" for n, v in named.items())]
        options += ["--seed", str(trial.seed)]
        if state != SEVERAL:
            options += ["--case", state]
        return command(self._target, trial.shapes(), options)

    def _is_found_again(self, trial: Trial) -> bool:
        """Whether the shapes alone lead to the same layer."""
        given = Given(inputs=tuple(input_term(shape) for shape in trial.shapes()))
        try:
            plan = discover(self._subject, given, trial.seed).plans[0]
        except CannotCallError:
            return False
        again = Trial(plan, seed=trial.seed)
        return again.arguments == trial.arguments and again.shapes() == trial.shapes()


def _alone(outcome: Outcome, key: Key) -> Report | None:
    """The report with nothing but this finding."""
    report, finding = outcome.report, outcome.faults[key]
    if report is None or finding is None:
        return None
    # A layer check has no `--pair`, and an input's gradient is identified by its position.
    finding = replace(finding, helps=without_pairing_help(finding.helps))
    kept = [excerpt for excerpt in report.excerpts if excerpt is report.excerpt(finding.location)]
    return replace(report, findings=[finding], excerpts=kept or report.excerpts)


def _listed(cases: list[CaseResult], all_cases: Sequence[CaseResult]) -> list[str]:
    """By rank, as `several rows, square (2-D)` or `6 of 7 cases (3-D)`."""
    found = []
    for rank in sorted({case.rank for case in cases}):
        names = [case.name for case in cases if case.rank == rank]
        run = [c for c in all_cases if c.rank == rank and c.status not in (Status.NOT_TRIED, Status.NOT_RUN)]
        shown = ", ".join(names) if len(names) <= 3 else f"{len(names)} of {len(run)} cases"
        found.append(f"{shown} ({rank}-D)")
    return found
