"""What a layer alone does not show: the verdict is left open.

Some take the mean over the rows where others take the sum: `dW = dZ @ A.T / m`. That is right where the loss is a
mean, and the upstream gradient is not divided by the number of rows. And the shapes of what a function takes are guesses."""

from dataclasses import replace

from gradcheck.judge.verdict import GradientResult, Verdict
from gradcheck.layers.sizes import names_in
from gradcheck.layers.trial import Trial
from gradcheck.report.model import Report

MEAN_OVER_ROWS = (
    "it is the mean over the rows, as is that of every parameter: right where the upstream gradient is not divided by "
    "their number, which a layer alone does not show, nor a single row; `gradcheck report` on a program that trains it does"
)
GUESSED = "its shape differs from that of its input, but the shape of the input was guessed; give the inputs"
_SAME = 1e-6
_WRONG = (Verdict.INTRODUCED, Verdict.INHERITED)


def leave_open(report: Report, trial: Trial, parameters: set[str]) -> None:
    """The verdicts on such gradients, where nothing else is wrong; blame needs a victim (principle 2)."""
    rows = trial.sizes["N"] if "N" in trial.plan.names else 1
    shared = {name for name, term in trial.plan.inputs if "N" not in names_in(term)}
    parameters = parameters | shared  # weights that a function takes
    if not trial.plan.pinned:  # nobody but us said which shape that has
        guessed = [row for row in report.rows if row.shape != row.of_shape and _is_handed(row.of, trial)]
        _left_open(report, {row.name for row in guessed}, GUESSED)
    wrong = [row for row in report.rows if row.verdict in _WRONG]
    of_parameters = [row for row in report.rows if row.of in parameters]
    if rows == 1 or not wrong or any(row.of not in parameters for row in wrong):
        return
    if not all(_is_divided(row, rows) for row in of_parameters):
        return
    _left_open(report, {row.name for row in wrong}, MEAN_OVER_ROWS)


def _left_open(report: Report, names: set[str], why: str) -> None:
    for step in report.passes:
        step.gradients = [
            replace(row, verdict=Verdict.UNCHECKED, reason=why) if row.name in names else row
            for row in step.gradients
        ]
    report.findings = [each for each in report.findings if each.evidence.get("gradient") not in names]


def _is_handed(of: str | None, trial: Trial) -> bool:
    """Whether it is an input beside the first, or a part of one."""
    inputs = dict(trial.plan.inputs[1:])
    return of in inputs or any(of in term for term in inputs.values() if isinstance(term, dict))


def _is_divided(row: GradientResult, by: int) -> bool:
    if not row.expected_norm or row.found_norm is None or row.cosine is None:
        return False
    return row.cosine > 1 - _SAME and abs(row.found_norm * by / row.expected_norm - 1) < _SAME
