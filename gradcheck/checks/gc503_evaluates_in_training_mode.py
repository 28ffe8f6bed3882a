"""GC503 evaluates-in-training-mode: dropout or the statistics of the batch are in use when the trained network is evaluated.

## What it does

Checks the code that runs the whole trained network after training for what belongs only in training: a
dropout that drops something (a module left in training mode, `F.dropout` without `training=False`), and a
batch normalisation with the statistics of the evaluated samples. The latter is an error where that is one
sample, and a note elsewhere: on a whole split it changes little, and many do it.

## Why is this bad?

With dropout left on, part of the network is missing at random: the loss is too high and no two runs agree.
A single sample normalised by its own mean is always zero, and its variance is 0 or NaN.

## Example

```python
h = F.dropout(torch.tanh(emb @ W1 + b1), 0.2)          # sampling, long after the training
logits = h @ W2 + b2
```

## Use instead

```python
h = F.dropout(torch.tanh(emb @ W1 + b1), 0.2, training=False)
logits = h @ W2 + b2
```

## How it is measured

From the recorded operations: a dropout that is given a probability above zero and a training flag that is
set; a mean, sum or variance over the axis of the samples that flows back into the samples before the last
layer, where training normalises in the same way. If the same input is evaluated three times or more, dropout
may be left on to average over it, and the finding is a note.

## References

- N. Srivastava et al., Dropout, JMLR 15, 2014, https://jmlr.org/papers/v15/srivastava14a.html
- Y. Gal and Z. Ghahramani, Dropout as a Bayesian Approximation, ICML 2016, https://arxiv.org/abs/1506.02142
"""

from collections.abc import Iterator

from gradcheck.base import numbers
from gradcheck.base.groups import grouped
from gradcheck.base.paths import picked
from gradcheck.checks.evaluation_wording import evaluations_looked_at, who
from gradcheck.checks.finding import Finding, Severity
from gradcheck.checks.rule import Evidence, Rule
from gradcheck.checks.wording import code
from gradcheck.health.evaluation.records import BatchStatistics, Dropout, EvaluationRun


def check(evidence: Evidence) -> Iterator[Finding]:
    complete = evidence.health.evaluation.complete
    dropouts = grouped((one.location, (run, one)) for run in complete for one in run.dropouts)
    yield from (_dropout(*found[0]) for found in dropouts.values())
    statistics = grouped((one.location, (run, one)) for run in complete for one in run.batch_statistics)
    for (
        found
    ) in statistics.values():  # of several runs of one line, the one on the fewest samples is the worst
        yield _statistics(*min(found, key=lambda pair: pair[1].rows or 0))


def _dropout(run: EvaluationRun, dropout: Dropout) -> Finding:
    notes = ["the dropped units are drawn again each time: the same input gives a different result"]
    if dropout.repeated:
        notes.append("the same input is evaluated several times; to average over dropout, this is correct")
    return RULE.finding(
        severity=Severity.NOTE if dropout.repeated else Severity.ERROR,
        location=dropout.location,
        message=f"dropout is on when {who(run)} evaluates the trained network",
        label="drops units at random, as in the training",
        notes=notes,
        helps=["pass `training=False`, or call `model.eval()` before the evaluation"],
        evidence=picked(run, "function=name times rows", what="dropout"),
    )


def _statistics(run: EvaluationRun, found: BatchStatistics) -> Finding:
    if found.degenerate:
        severity = Severity.ERROR
        message = f"{who(run)} normalises a single sample by its own statistics"
        label = "one sample minus its own mean is zero, and its variance is not defined"
        helps = ["use running or calibrated statistics here, not those of the batch"]
    else:
        severity = Severity.NOTE
        samples = numbers.count(found.rows, "sample") if found.rows is not None else "the samples"
        message = f"{who(run)} normalises by the statistics of the {samples} that it evaluates"
        label = "the result for one sample depends on the others"
        helps = [
            "with running or calibrated statistics a sample gives the same result in any company; sampling needs them"
        ]
    return RULE.finding(
        severity=severity,
        location=found.location,
        message=message,
        label=label,
        notes=[],
        helps=helps,
        evidence=picked(
            run, "function=name times", what="batch statistics", expression=code(found.text), rows=found.rows
        ),
    )


RULE = Rule(__name__, __doc__, Severity.ERROR, check, looked_at=evaluations_looked_at)
