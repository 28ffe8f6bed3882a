"""`gradcheck.check_layer`: finds out how a layer is called, runs it in every case, and shrinks what fails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from gradcheck import progress
from gradcheck.errors import NothingToCheckError
from gradcheck.layers.cases import EVALUATION, SEVERAL, STATES, Case, cases_of, in_state
from gradcheck.layers.discover import CannotCallError, Found, Given, discover
from gradcheck.layers.outcome import Key, Outcome, run_trial
from gradcheck.layers.records import CaseResult, Failure, LayerReport, Smallest, Status, command
from gradcheck.layers.shrink import shrink
from gradcheck.layers.subject import Subject, subject_of
from gradcheck.layers.trial import Plan, Trial
from gradcheck.layers.wanted import TensorTerm
from gradcheck.report.model import Report
from gradcheck.settings import in_force

InputLike = str | Sequence[int] | torch.Tensor


def check_layer(
    layer: Any,
    /,
    *,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    inputs: Sequence[InputLike] = (),
    ranks: Sequence[int] = (),
    seed: int = 0,
    fix_budget_s: float | None = None,
) -> LayerReport:
    """Runs a layer on inputs that expose what its author's own inputs hide, and judges every gradient.

    `layer` is a class with `forward(*inputs)` and `backward(upstream)`, a function that makes such an object, an object,
    a `torch.autograd.Function`, or a pair of functions `(forward, backward)`. What its constructor and `forward` take
    is found out from names, annotations and trials; `args`, `kwargs` and `inputs` say it. An input is a shape, `(4, 3)`
    or `"4,3"`; `"4,3:10"` are integers below 10, `"4,3:unit"` numbers from 0 to 1; a tensor says it by example.
    `ranks` are the numbers of dimensions of the first input to try.

    >>> import torch, gradcheck
    >>> class Linear:
    ...     def __init__(self, fan_in, fan_out):
    ...         self.W = torch.randn(fan_in, fan_out)
    ...     def forward(self, x):
    ...         self.x = x
    ...         return x @ self.W
    ...     def backward(self, dout):
    ...         self.dW = self.x.T @ dout
    ...         return dout @ self.W  # right shape in a square layer alone
    >>> report = gradcheck.check_layer(Linear)
    >>> report.exit_status, [failure.smallest.shapes for failure in report.failures][-1]
    (1, ['1,2'])

    Raises NothingToCheckError if no way to call it was found. The random numbers of the program stay its own.
    """
    given = Given(
        tuple(args), tuple((kwargs or {}).items()), tuple(input_term(i) for i in inputs), tuple(ranks)
    )
    try:
        return check(subject_of(layer), given, seed=seed, fix_budget_s=fix_budget_s)
    except CannotCallError as error:
        raise NothingToCheckError(f"{error.message}\n{error.hint}") from None


def check(
    subject: Subject,
    given: Given,
    *,
    target: str = "",
    seed: int = 0,
    only: str | None = None,
    fix_budget_s: float | None = None,
) -> LayerReport:
    """`only` runs a single case, on exactly the shapes that are given. Raises CannotCallError."""
    found = discover(subject, given, seed)
    budget = in_force().fix_budget_s if fix_budget_s is None else fix_budget_s
    return _Check(subject, given, target or subject.name, seed, budget).run(found, only)


@dataclass(slots=True)
class _Fault:
    case: Case
    trial: Trial
    outcome: Outcome
    cases: list[str]


class _Check:
    def __init__(self, subject: Subject, given: Given, target: str, seed: int, budget: float) -> None:
        self._subject, self._given, self._seed, self._budget = subject, given, seed, budget
        self._report = LayerReport(target, seed)
        self._faults: dict[Key, _Fault] = {}
        self._unjudged: dict[str, str] = {}
        self._judged: set[str] = set()
        self._done = 0

    def run(self, found: Found, only: str | None) -> LayerReport:
        for plan in found.plans:
            plain = Trial(plan, seed=self._seed)
            cases = (
                list(cases_of(self._subject, plan, self._seed))
                if only is None
                else [Case(only, in_state(plain, only))]
            )
            self._run_plan(plan, cases, first=plan is found.plans[0])
        for rank, why in found.refused.items():
            shape = [why.partition(":")[0]]
            self._report.cases.append(
                CaseResult(f"{rank}-D input", rank, shape, Status.NOT_RUN, why.partition(": ")[2])
            )
        report = self._report
        report.never_judged = {n: why for n, why in self._unjudged.items() if n not in self._judged}
        self._drop_unsupported()
        for key, fault in self._faults.items():
            report.failures.append(self._failure(key, fault, smallest=only is None))
        return report

    def _run_plan(self, plan: Plan, cases: list[Case], first: bool) -> None:
        unsupported = ""
        for case in cases:
            label = f"{case.name}, {plan.rank}-D"
            if case.trial is None or unsupported:
                reason = unsupported or case.reason
                self._report.cases.append(CaseResult(case.name, plan.rank, [], Status.NOT_TRIED, reason))
                continue
            self._done += 1
            progress.say(progress.Stage.RUNNING, f"case {self._done}: {label}")
            outcome = run_trial(self._subject, case.trial)
            gradients = {**outcome.judged, **dict.fromkeys(outcome.unjudged, "unchecked")}
            self._report.cases.append(
                CaseResult(
                    case.name, plan.rank, case.trial.shapes(), outcome.status, outcome.reason, gradients
                )
            )
            self._judged |= outcome.judged.keys()
            self._unjudged |= outcome.unjudged
            for key in outcome.faults:
                known = self._faults.setdefault(key, _Fault(case, case.trial, outcome, []))
                known.cases.append(label)
            if case.name == SEVERAL and outcome.status is Status.BACKWARD_RAISED and not first:
                unsupported = f"`backward` does not take {plan.rank}-D inputs: see {SEVERAL}"

    def _drop_unsupported(self) -> None:
        """A backward pass that raises for every input of some rank was not written for it: that is told in the table,
        and is no fault, if it runs for another rank."""
        ranks = {case.rank for case in self._report.cases}
        running = {c.rank for c in self._report.cases if c.status in (Status.PASSED, Status.FAILED, Status.NOT_JUDGED)}
        if not running:
            return
        for key, fault in list(self._faults.items()):
            labels = {int(label.rpartition(", ")[2][:-2]) for label in fault.cases}
            if fault.outcome.raised is not None and labels <= ranks - running:
                del self._faults[key]

    def _failure(self, key: Key, fault: _Fault, smallest: bool) -> Failure:
        subject, trial, outcome = self._subject, fault.trial, fault.outcome
        count = 0
        if smallest:
            shrunk = shrink(subject, trial, outcome, key)
            trial, count = shrunk.trial, shrunk.trials
            small = shrunk.outcome.faults[key]
        else:
            small = outcome.faults[key]
        state = fault.case.name if fault.case.name in STATES else SEVERAL
        described = Smallest(
            trial.shapes(),
            _arguments_text(trial),
            self._command(trial, state),
            trial.seed,
            state,
            count,
        )
        failure = Failure(described, fault.cases, raised=outcome.raised)
        if outcome.report is not None:
            # A fix is looked for on an input that is like any other: on a batch of one a sum is a mean.
            if self._budget > 0 and fault.case.name in (SEVERAL, EVALUATION) and trial is not fault.trial:
                again = run_trial(subject, fault.trial, self._budget)
                outcome = again if key in again.faults else outcome
            failure.report = _alone(outcome, key)
            if small is not None and small.expected:
                failure.notes = [f"there, expected {small.expected}", f"and found {small.found}"]
        failure.notes += self._only_there(fault)
        return failure

    def _only_there(self, fault: _Fault) -> list[str]:
        """Advice, where only inputs of some ranks show it."""
        ranks = {int(label.rpartition(", ")[2][:-2]) for label in fault.cases}
        passed = {case.rank for case in self._report.cases if case.status is Status.PASSED}
        if ranks & passed or not passed:
            return []
        shown, right = (", ".join(f"{rank}-D" for rank in sorted(each)) for each in (ranks, passed))
        option = ",".join(map(str, sorted(passed)))
        return [
            f"only {shown} inputs show it, which `forward` takes; if the layer is for {right} inputs alone, say so with "
            f"--rank {option}"
        ]

    def _command(self, trial: Trial, state: str) -> str:
        options = ["--seed", str(trial.seed)]
        if state != SEVERAL:
            options += ["--case", state]
        arguments = trial.arguments
        if arguments and not self._is_found_again(trial):
            options = ["--kwargs", ",".join(f"{n}={v!r}" for n, v in arguments.items()), *options]
        if trial.plan.more:
            options = ["--args", ",".join(map(repr, trial.plan.more)), *options]
        return command(self._report.target, trial.shapes(), options)

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
    kept = [excerpt for excerpt in report.excerpts if excerpt is report.excerpt(finding.location)]
    return replace(report, findings=[finding], excerpts=kept or report.excerpts)


def _arguments_text(trial: Trial) -> str:
    named = [f"{name}={value!r}" for name, value in trial.arguments.items()]
    return ", ".join([*map(repr, trial.plan.more), *named])


def input_term(given: InputLike) -> TensorTerm:
    """Raises ValueError."""
    if isinstance(given, torch.Tensor):
        if given.dtype is torch.bool:
            return TensorTerm(tuple(given.shape), "bool")
        if given.is_floating_point():
            return TensorTerm(tuple(given.shape))
        return TensorTerm(tuple(given.shape), "int", int(given.max()) + 1 if given.numel() else 1)
    if not isinstance(given, str):
        given = ",".join(map(str, given))
    shape, _, kind = given.partition(":")
    try:
        dims = tuple(int(part) for part in shape.split(",") if part.strip())
        if kind in ("", "bool", "unit"):
            return _checked(TensorTerm(dims, kind or "float"))
        return _checked(TensorTerm(dims, "int", int(kind)))
    except ValueError:
        raise ValueError(
            f"`{given}` is not a shape: 4,3 is a tensor of 4 by 3, 4,3:10 integers below 10, 4,3:unit numbers from 0 to 1"
        ) from None


def _checked(term: TensorTerm) -> TensorTerm:
    if not term.dims or any(size < 1 for size in term.dims) or (term.kind == "int" and term.high < 1):
        raise ValueError
    return term


