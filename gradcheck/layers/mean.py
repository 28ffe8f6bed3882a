"""What a layer alone does not show: the verdict is left open.

Some take the mean over the rows where others take the sum: `dW = dZ @ A.T / m`. That is right where the loss is a
mean, and the upstream gradient is not divided by the number of rows. And the shapes of what a function takes are guesses."""

from collections.abc import Iterable
from dataclasses import replace

from gradcheck.fronts.gradient_names import split_path
from gradcheck.judge.verdict import GradientResult, Verdict
from gradcheck.layers.sizes import Term, names_in
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
    """The verdicts on such gradients; blame needs a victim (principle 2). Where none of them is wrong by its own line, the
    one that they are computed from is what is divided."""
    rows = trial.sizes["N"] if "N" in trial.plan.names else 1
    handed = _by_name(trial.plan.inputs)
    # Weights that a function takes.
    shared = {name for name, term in handed.items() if "N" not in names_in(term)}
    if not trial.plan.pinned:  # nobody but us said which shape that has
        others = _by_name(trial.plan.inputs[1:])
        guessed = [row for row in report.rows if row.shape != row.of_shape and _called(row.of) in others]
        _left_open(report, {row.name for row in guessed}, GUESSED)
    of_parameters = [row for row in report.rows if row.of in parameters or _called(row.of) in shared]
    wrong = [row for row in of_parameters if row.verdict in _WRONG]
    if rows == 1 or not any(row.verdict is Verdict.INTRODUCED for row in wrong):
        return
    # What hands one on is right if it is.
    first = {_called(row.of): row for row in reversed(of_parameters)}
    if all(_is_divided(row, rows) for row in first.values()):
        _left_open(report, {row.name for row in wrong}, MEAN_OVER_ROWS)


def _left_open(report: Report, names: set[str], why: str) -> None:
    for step in report.passes:
        step.gradients = [
            replace(row, verdict=Verdict.UNCHECKED, reason=why) if row.name in names else row
            for row in step.gradients
        ]
    report.findings = [each for each in report.findings if each.evidence.get("gradient") not in names]


def _by_name(inputs: Iterable[tuple[str, Term]]) -> dict[str, Term]:
    """The entries of a dict, `parameters["W1"]`, are inputs as well."""
    found = dict(inputs)
    return found | {
        key: each for term in found.values() if isinstance(term, dict) for key, each in term.items()
    }


def _called(of: str | None) -> str:
    """However it is reached: `parameters["W1"]`, `self.cache["state"]`."""
    return split_path(of or "")[1]


def _is_divided(row: GradientResult, by: int) -> bool:
    if row.scale_note.startswith(f"kept as {1 / by:g} x "):
        return True
    if not row.expected_norm or row.found_norm is None or row.cosine is None:
        return False
    return row.cosine > 1 - _SAME and abs(row.found_norm * by / row.expected_norm - 1) < _SAME
