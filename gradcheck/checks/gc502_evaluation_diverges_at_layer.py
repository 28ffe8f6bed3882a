"""GC502 evaluation-diverges-at-layer: on the same input, evaluation and training compute different values from some layer on.

## What it does

Runs the code that evaluates or samples on the batch of the training step, with the same parameters, and
reports the first value that differs from what training computes: a missing activation or
normalisation, an activation of another kind, layers in another order. What follows the last layer
(a temperature, a softmax) is not compared: it may differ. The statistics of a batch normalisation may
differ too: the evaluation gets those of the batch instead of the stored ones.

## Why is this bad?

The network that is evaluated or sampled from is not the trained one, and every conclusion from its loss is
about a different network.

## Example

```python
h = torch.tanh(emb @ W1 + b1)     # training
...
h = emb @ W1 + b1                 # sampling: the tanh is missing
logits = h @ W2 + b2
```

## Use instead

```python
h = torch.tanh(emb @ W1 + b1)     # training
...
h = torch.tanh(emb @ W1 + b1)     # sampling
logits = h @ W2 + b2
```

## How it is measured

Both are replayed in float64 at moved parameters, where no two values of a network agree by chance, on at
most 8 samples of the training batch, in the shape in which the evaluation takes its input. Values are
aligned by their numbers, to a relative difference of 1e-6, or of 0.02 where batch statistics were
substituted. Dropout is removed from both. The finding is an error if nothing else can explain the
difference, and a warning where the two first differ at stored statistics, at weights that were computed for
the evaluation, or where the training draws random numbers that are not dropout.

## References

- A. Karpathy, Building makemore Part 3: Activations & Gradients, BatchNorm, 2022
- S. Ioffe and C. Szegedy, Batch Normalization, ICML 2015, algorithm 2, https://arxiv.org/abs/1502.03167
"""

from collections.abc import Iterator

from gradcheck.base.paths import picked
from gradcheck.checks import evaluation_wording as told
from gradcheck.checks.finding import Finding, Severity
from gradcheck.checks.gc501_evaluates_another_network import concerns_parameters
from gradcheck.checks.rule import Evidence, Rule
from gradcheck.checks.wording import code, listing
from gradcheck.health.evaluation.records import EvaluationRun, Parting
from gradcheck.program.location import Location


def check(evidence: Evidence) -> Iterator[Finding]:
    for location, runs in told.by_place(evidence, _where):
        yield _finding(location, runs)


def _where(run: EvaluationRun) -> Location | None:
    if run.parting is None or run.left_out or concerns_parameters(run):
        return None
    return run.parting.location


def _finding(location: Location, runs: list[EvaluationRun]) -> Finding:
    run = runs[0]
    parting = run.parting
    assert parting is not None
    notes = told.change_of_result(parting)
    if len(parting.skipped) > 1:
        notes.append(f"between them the training computes: {listing(parting.skipped, 5)}")
    notes.append(f"{run.agreeing} of {run.values} values of {told.who(run)} are equal to the training's")
    if parting.why == "statistics":
        notes.append(
            "stored statistics are used here; with those of the training batch instead, the value still differs"
        )
    return RULE.finding(
        severity=Severity.ERROR if parting.certain else Severity.WARNING,
        location=location,
        message=_message(run, parting),
        label=_label(parting),
        notes=notes,
        helps=_helps(parting),
        evidence=picked(
            run,
            "function=name values agreeing after=parting.after computes=parting.text skipped=parting.skipped "
            "training_computes=parting.training_text training_line=parting.training_location.line "
            "difference=parting.difference",
            times=sum(r.times for r in runs),
        ),
    )


def _message(run: EvaluationRun, parting: Parting) -> str:
    if parting.why == "skips" and parting.training_text:
        return f"{told.who(run)} leaves out {code(parting.training_text)}, which the training computes"
    if parting.why == "extra":
        return f"{told.who(run)} computes {code(parting.text)}, which the training does not"
    if not parting.after:
        return f"{told.who(run)} and the training step differ from the start, on the same input"
    return f"{told.who(run)} and the training step differ after {code(parting.after)}, on the same input"


def _label(parting: Parting) -> str:
    there = told.in_training(parting)
    if parting.why == "skips" and there:
        return f"here {there} comes first in the training"
    if parting.why == "extra" and there:
        return f"the training continues with {there} directly"
    return (
        f"the training computes {there}"
        if there
        else "no value of the training step is the same from here on"
    )


def _helps(parting: Parting) -> list[str]:
    if not parting.training_text:
        return ["let one function compute the forward pass of both"]
    there = told.in_training(parting)
    if parting.why == "extra":
        return [f"remove it: the training continues from {code(parting.after)} with {there}"]
    return [f"compute what the training computes: {there}"]


RULE = Rule(__name__, __doc__, Severity.ERROR, check, looked_at=told.comparisons_looked_at)
