"""`gradcheck.check_layer`: finds out how a layer is called, runs it in every case, and shrinks what fails."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from gradcheck.analysis.settings import in_force
from gradcheck.base import progress
from gradcheck.base.errors import NothingToCheckError
from gradcheck.checks import gc106_gradient_shape_broadcast as gc106
from gradcheck.judge.verdict import Verdict
from gradcheck.layers.cases import Case, cases_of, in_state
from gradcheck.layers.discover import HOW_INPUTS, Found, discover
from gradcheck.layers.failures import Failures
from gradcheck.layers.faults import Fault, add_failure, contradicted, join_by_cause
from gradcheck.layers.fitting import runs
from gradcheck.layers.followed import computing_with_its_arrays
from gradcheck.layers.making import CannotCallError, Given, InputLike, input_term
from gradcheck.layers.mean import GUESSED, MEAN_OVER_ROWS
from gradcheck.layers.outcome import Key, Outcome, run_trial
from gradcheck.layers.records import EVALUATION, SEVERAL, STATES, CaseResult, Status
from gradcheck.layers.report import LayerReport
from gradcheck.layers.sizes import TensorTerm
from gradcheck.layers.subject import Subject, subject_of
from gradcheck.layers.trial import Plan, Trial, takes_mode
from gradcheck.layers.wanted import role_of
from gradcheck.program.live import LiveSources
from gradcheck.program.writes.hold import writes_held_back, written_by_program

_MANY_OPERATIONS = 2_000


def check_layer(
    layer: Any, /, *, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None,
    inputs: Sequence[InputLike] = (), ranks: Sequence[int] = (), seed: int = 0, case: str | None = None,
    fix_budget_s: float | None = None,
) -> LayerReport:  # fmt: skip
    """Runs a layer on inputs that expose what its author's own inputs hide, and judges every gradient.

    What its constructor and `forward` take is found out from names, annotations and trials, where it is not said.

    Args:
        layer: a class with `forward(*inputs)` and `backward(upstream)`, a function that makes such an object, an object,
            a `torch.autograd.Function`, or a pair of functions `(forward, backward)`.
        args: what the constructor is given.
        kwargs: the same, by name.
        inputs: what `forward` is given: shapes, `(4, 3)` or `"4,3"`; `"4,3:10"` are integers below 10, `"4,3:unit"`
            numbers from 0 to 1; a tensor says it by example.
        ranks: the numbers of dimensions of the first input to try.
        seed: of the random inputs.
        case: such as "several rows" or "eval mode": exactly these inputs are run, once.
        fix_budget_s: seconds to look for a fix, per fault; 0 looks for none.

    Examples:
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

    The random numbers of the program stay its own.

    Raises:
        NothingToCheckError: no way to call it was found.
    """
    given = Given(
        tuple(args), tuple((kwargs or {}).items()), tuple(input_term(i) for i in inputs), tuple(ranks)
    )
    if case is not None and (case not in STATES or not inputs):
        raise ValueError(f"case goes with inputs, and is one of {', '.join(STATES)}, not {case!r}")
    try:
        return check(subject_of(layer), given, seed=seed, only=case, fix_budget_s=fix_budget_s)
    except CannotCallError as error:
        raise NothingToCheckError(f"{error.message}\n{error.hint}") from None


def check(
    subject: Subject, given: Given, *, target: str = "", seed: int = 0, only: str | None = None,
    fix_budget_s: float | None = None, allow_writes: bool = False,
) -> LayerReport:  # fmt: skip
    """`only` runs a single case, on exactly the shapes that are given. Raises CannotCallError."""
    budget = in_force().fix_budget_s if fix_budget_s is None else fix_budget_s
    held = writes_held_back(LiveSources().is_user, allow_writes)
    with held as tree, computing_with_its_arrays(subject):
        report = LayerCheck(subject, given, target, seed, budget).run(discover(subject, given, seed), only)
        report.written = written_by_program(tree)
    return report


class LayerCheck:
    def __init__(self, subject: Subject, given: Given, target: str, seed: int, budget: float) -> None:
        self._subject, self._given, self._seed, self._budget = subject, given, seed, budget
        self._target, self._count = target, 0
        self._report = LayerReport(target or subject.name, seed)
        self._faults: dict[Key, Fault] = {}
        self._unjudged: dict[str, str] = {}
        self._judged: set[str] = set()
        self._several: dict[Plan, Outcome] = {}
        # What is returned in one case for something else is so in all.
        self._apart: frozenset[int] = frozenset()
        self._ran: list[tuple[Trial, Outcome]] = []

    def run(self, found: Found, only: str | None) -> LayerReport:
        report = self._report
        if only is None and not self._given.inputs:
            found.plans = [self._with_better_guess(plan) for plan in found.plans]
        unsupported = [] if only is not None else self._unsupported(found.plans)
        if unsupported == found.plans:
            found.plans = []
        for plan in found.plans:
            if only is not None:
                cases = [Case(only, in_state(Trial(plan, seed=self._seed), only))]
            else:
                cases = list(cases_of(self._subject, plan, self._seed))
            if plan is not found.plans[0]:  # what cannot be tried with one rank cannot with another
                cases = [case for case in cases if case.trial is not None]
            self._run_plan(plan, cases, plan in unsupported)
        for rank, (shown, reason) in found.refused.items():
            report.cases.append(CaseResult(f"{rank}-D input", rank, [shown], Status.NOT_RUN, reason))
        for key in [*contradicted(self._faults, self.outcomes)]:
            for case in self._faults.pop(key).cases:
                case.status, case.gradients = Status.NOT_JUDGED, {}
                case.reason += "; in the other cases it is that of another value, and right"
            self._ran = [one for one in self._ran if key not in one[1].faults]
        report.never_judged = {
            n: why for n, why in self._unjudged.items() if n not in self._judged or why == MEAN_OVER_ROWS
        }
        join_by_cause(self._faults, self.outcomes)
        self._leave_open_what_always_breaks()
        failures = Failures(self._subject, self._target, self._budget, report.cases, self._ran)
        for key, fault in self._faults.items():
            progress.say(
                progress.Stage.CHECKING, f"looking for the smallest input, fault {len(report.failures) + 1}"
            )
            add_failure(report.failures, failures.of(key, fault, exact=only is not None))
        return report

    @property
    def outcomes(self) -> list[Outcome]:
        """What every case that ran has shown."""
        return [outcome for _, outcome in self._ran]

    def _run_plan(self, plan: Plan, cases: list[Case], unsupported: bool) -> None:
        for case in cases:
            result = CaseResult(case.name, plan.rank, [], Status.NOT_TRIED, case.reason)
            self._report.cases.append(result)
            if unsupported and case.name != SEVERAL:
                result.reason = (
                    f"`backward` does not support {plan.rank}-D inputs; --rank {plan.rank} checks it anyway"
                )
                continue
            if case.trial is None:
                continue
            trial = case.trial if case.name == SEVERAL else self._affordable(case.trial)
            trial = replace(trial, apart=self._apart)
            outcome = self._outcome(case, trial)
            result.shapes, result.status, result.reason = trial.shapes(), outcome.status, outcome.reason
            if case.name == EVALUATION and outcome.raised is not None:
                result.status = Status.UNSUPPORTED  # who trains does not evaluate
                continue
            if case.name == EVALUATION and self._is_of_training(plan, outcome):
                result.status = Status.UNSUPPORTED
                result.reason = (
                    f"`backward` is that of training mode, where it is right: here {outcome.reason}"
                )
                continue
            if unsupported:
                result.status = Status.UNSUPPORTED
                if outcome.hands_on:
                    result.reason = "`forward` hands on what it is given, as it does for no other rank"
                continue
            result.gradients = {**outcome.judged, **dict.fromkeys(outcome.unjudged, "unchecked")}
            self._ran.append((trial, outcome))
            self._judged |= outcome.judged.keys()
            self._unjudged |= outcome.unjudged
            for key in outcome.faults:
                self._faults.setdefault(key, Fault(case, trial, outcome, [])).cases.append(result)

    def _is_of_training(self, plan: Plan, outcome: Outcome) -> bool:
        """Whether every line that is wrong in evaluation is right in training, and `forward` was told the mode of this call
        alone: nobody calls `backward` after it. A layer that is switched has to do for both: parts of a network are
        trained with others in evaluation mode."""
        if not outcome.faults or not takes_mode(plan):
            return False
        right = {
            (row.name, row.location)
            for trial, other in self._ran
            if trial.training and other.report is not None
            for row in other.report.rows
            if row.verdict is Verdict.CORRECT
        }
        return all(
            finding is not None and (finding.evidence.get("gradient"), finding.location) in right
            for finding in outcome.faults.values()
        )

    def _outcome(self, case: Case, trial: Trial) -> Outcome:
        plan = trial.plan
        if case.name == SEVERAL and plan in self._several:
            return self._several[plan]
        self._count += 1
        progress.say(progress.Stage.CHECKING, f"case {self._count}: {case.name}, {plan.rank}-D")
        outcome = run_trial(self._subject, trial)
        self._apart |= outcome.apart
        return outcome

    def _affordable(self, trial: Trial) -> Trial:
        """With small sizes, if the first case has shown that the layer does thousands of operations and runs on them."""
        several = self._several.get(trial.plan)
        if several is None or several.operations < _MANY_OPERATIONS:
            return trial
        smaller = trial.smaller()
        return smaller if runs(self._subject, smaller) is None else trial

    def _unsupported(self, plans: list[Plan]) -> list[Plan]:
        """Those of a rank that `backward`, which runs for inputs of another one, was not written for: it raises; or no
        parameter's gradient has the shape of its parameter, and what else is wrong is wrong there too. If the gradient
        of one parameter is right, its author has thought of such inputs, and what is wrong is a fault. Fewer axes than
        those for which the same line is right may have been taken by broadcasting alone."""
        outcomes = {plan: self._on_several_rows(plan) for plan in plans}
        meant = [o for o in outcomes.values() if o.report is not None and not _is_out_of_shape(o)]
        known = {key for outcome in meant for key in outcome.faults}
        if not meant:
            return []
        is_guessed = not self._given.inputs
        of_samples = is_guessed and any(outcome.status is Status.PASSED for outcome in meant)
        right = [(plan.rank, _lines_right(outcome)) for plan, outcome in outcomes.items() if is_guessed]
        return [
            plan
            for plan, outcome in outcomes.items()
            if outcome.report is None
            or any(rank > plan.rank and lines & {key[:2] for key in outcome.faults} for rank, lines in right)
            or (outcome.hands_on and not all(o.hands_on for o in outcomes.values()))
            # A loss that is right for samples takes other ranks by an accident of indexing.
            or (of_samples and outcome.faults and "target" in map(role_of, dict(plan.inputs)))
            or (_is_out_of_shape(outcome) and outcome.faults.keys() - _of_shape(outcome) <= known)
        ]

    def _on_several_rows(self, plan: Plan) -> Outcome:
        trial = Trial(plan, seed=self._seed)
        return self._several.setdefault(plan, self._outcome(Case(SEVERAL, trial), trial))

    def _with_better_guess(self, plan: Plan) -> Plan:
        """`forward` takes by broadcasting what was put together by trying. Where a gradient has another shape than what it is
        of, several indices may be wanted for each row (`negatives`): they are, if all shapes are right then. And what is
        wrong for labels that are any numbers may be right for one class in each row."""
        before = self._on_several_rows(plan)
        is_wrong = _is_guessed_wrong(before)
        for name, term in plan.inputs[1:]:
            kind = term.kind if isinstance(term, TensorTerm) else ""
            if kind == "int" and is_wrong:
                better, most = replace(term, dims=(*plan.first.dims, *term.dims[-1:])), {*before.faults}
            elif kind == "float" and before.faults and role_of(name) == "target":
                better, most = replace(term, kind="int", high=2), set[Key]()
            else:
                continue
            other = replace(plan, inputs=tuple((dict(plan.inputs) | {name: better}).items()))
            outcome = run_trial(self._subject, Trial(other, seed=self._seed))
            if outcome.judged and {*outcome.faults} <= most and not _is_guessed_wrong(outcome):
                return other
        return plan

    def _leave_open_what_always_breaks(self) -> None:
        """What `backward` was handed was guessed: a fault is what breaks in some cases and not in others. A wrong shape alone
        is no other."""
        ran = [outcome for outcome in self.outcomes if outcome.status is not Status.NOT_RUN]
        breaks = [outcome.breaks for outcome in ran]
        if self._given.inputs or not any(breaks) or not all(o.breaks or _of_shape(o) for o in ran):
            return
        self._faults.clear()
        self._ran.clear()
        for case in self._report.cases:
            if case.status in (Status.BACKWARD_RAISED, Status.FAILED):
                case.status, case.reason = Status.NOT_JUDGED, f"{case.reason}; {HOW_INPUTS}"
                case.gradients.clear()


def _of_shape(outcome: Outcome) -> set[Key]:
    return {key for key, finding in outcome.faults.items() if finding and finding.rule == gc106.RULE.code}


def _is_guessed_wrong(outcome: Outcome) -> bool:
    return bool(_of_shape(outcome)) or GUESSED in outcome.unjudged.values()


def _lines_right(outcome: Outcome) -> set[Key]:
    rows = outcome.report.rows if outcome.report is not None else []
    right = (Verdict.CORRECT, Verdict.INHERITED)
    return {(row.location.file, str(row.location.line)) for row in rows if row.verdict in right}


def _is_out_of_shape(outcome: Outcome) -> bool:
    return bool(_of_shape(outcome)) and not outcome.right
