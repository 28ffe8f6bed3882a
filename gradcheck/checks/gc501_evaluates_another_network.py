"""GC501 evaluates-another-network: the code that evaluates or samples leaves out a trained parameter, or applies another one.

## What it does

Finds every place after training where the trained parameters are run on data, through to the last layer: an
evaluation of a split, a step of sampling. Its parameters are compared with those of the training step.
Reported is a parameter that is left out although those before and after it are used, or one that is used
where training uses another. Code that only computes statistics for such a run (a calibration) is not
examined, nor is code that ends at a hidden layer or begins at one.

## Why is this bad?

The reported loss, and the samples, are those of a network that was never trained. Nothing raises: shapes are
the same without a bias, and the result is only worse.

## Example

```python
logits = h @ W2 + b2        # training
...
logits = h @ W2             # sampling: b2 is left out
```

## Use instead

```python
logits = h @ W2 + b2        # training
...
logits = h @ W2 + b2        # sampling; one function for both cannot forget it
```

## How it is measured

A parameter is identified by its tensor, across in-place updates, and across `W = W - lr * dW` by the update.
A parameter counts as left out only if, in training, every path from a parameter that is used to the last
layer applies it. The evaluation is replayed on the training batch, both at the same moved parameters (an
untrained bias of zero would hide its absence). If the outputs of the last layers are equal, nothing is
reported. The finding is a warning instead of an error where the run could not be replayed on the training
batch, where the training draws random numbers, or where the two first differ at stored statistics.

## References

- A. Karpathy, Building makemore Part 3: Activations & Gradients, BatchNorm, 2022
- A. Karpathy, A Recipe for Training Neural Networks, https://karpathy.github.io/2019/04/25/recipe/
"""

from collections.abc import Iterator

from gradcheck.base.paths import picked
from gradcheck.checks import evaluation_wording as told
from gradcheck.checks.finding import Finding, Severity
from gradcheck.checks.rule import Evidence, Rule
from gradcheck.checks.wording import code, listing, place
from gradcheck.health.evaluation.records import EvaluationRun, Parting
from gradcheck.program.location import Location


def concerns_parameters(run: EvaluationRun) -> bool:
    """Whether the two differ because another parameter is applied; GC502 reports all other differences."""
    parting = run.parting
    return parting is not None and parting.parameters_differ and parting.why != "statistics"


def check(evidence: Evidence) -> Iterator[Finding]:
    for location, runs in told.by_place(evidence, _where):
        yield _finding(location, runs)


def _where(run: EvaluationRun) -> Location | None:
    if run.parting is not None and (run.left_out or concerns_parameters(run)):
        return run.parting.location
    return run.location if run.left_out else None


def _finding(location: Location, runs: list[EvaluationRun]) -> Finding:
    run = runs[0]
    parting = run.parting
    left_out = [one.name for one in run.left_out]
    certain = parting is not None and parting.certain
    notes = [
        f"in the training {code(one.name)} is applied in {code(one.trained_by)} "
        f"({place(one.trained_at, location)})"
        for one in run.left_out[:3]
    ]
    if parting is not None:
        if parting.belongs_location is not None:
            notes.append(
                f"{code(parting.parameter)} belongs elsewhere: the training applies it in "
                f"{code(parting.belongs_text)} ({place(parting.belongs_location, location)})"
            )
        notes += told.change_of_result(parting)
    if run.why_not:
        notes.append(f"it was not replayed on the training batch: {run.why_not}")
    return RULE.finding(
        severity=Severity.ERROR if certain else Severity.WARNING,
        location=location,
        message=_message(run, parting, left_out),
        label=_label(parting),
        notes=notes,
        helps=[_help(parting, left_out)],
        evidence=picked(
            run,
            "parameters function=name difference=parting.difference training_line=parting.training_location.line",
            left_out=left_out,
            times=sum(r.times for r in runs),
            after=parting.after if parting is not None else "",
        ),
    )


def _message(run: EvaluationRun, parting: Parting | None, left_out: list[str]) -> str:
    subject = told.who(run)
    if left_out and not (parting is not None and parting.why == "order"):
        verb = "is" if len(left_out) == 1 else "are"
        return (
            f"{subject} evaluates another network: {listing(left_out)}, which {verb} trained, {verb} left out"
        )
    assert parting is not None
    if not parting.parameter:
        return (
            f"{subject} evaluates another network: it does not apply {code(parting.other_parameter)} to "
            f"{code(parting.after)}"
        )
    return (
        f"{subject} evaluates another network: it applies {code(parting.parameter)} where the training applies "
        f"{code(parting.other_parameter)}"
    )


def _label(parting: Parting | None) -> str:
    if parting is None:
        return "it begins here"
    there = told.in_training(parting)
    return f"the training computes {there} of {code(parting.after)}" if there and parting.after else ""


def _help(parting: Parting | None, left_out: list[str]) -> str:
    if parting is not None and parting.training_location is not None:
        return f"compute here what the training computes: {told.in_training(parting)}"
    names = listing(left_out)
    return f"apply {names} here as the training does, or let one function compute the forward pass of both"


RULE = Rule(__name__, __doc__, Severity.ERROR, check, looked_at=told.evaluations_looked_at)
