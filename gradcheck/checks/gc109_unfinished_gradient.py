"""GC109 unfinished-gradient: a gradient is still a placeholder.

## What it does

Reports a name for a gradient that holds `None`, or one number that is computed of no data (`db = -2 / n`),
when the backward pass ends. Its row in the report is `unchecked`.

## Why is this bad?

A gradient that is not computed cannot be checked, and a report without its row would read as if it were
right. An unfinished exercise, or a line commented out while debugging, is easily forgotten.

## Example

```python
dhpre = dh * (1 - h**2)
dW1 = None  # TODO
db1 = dhpre.sum(0)
```

## Use instead

```python
dhpre = dh * (1 - h**2)
dW1 = x.T @ dhpre
db1 = dhpre.sum(0)
```

## How it is measured

The name looks like a gradient (a prefix or suffix such as `d`, `grad_` or `_grad` and the name of a value
of the step) and holds no tensor at the end of the pass.

## References

- docs/verdicts.md, unchecked
"""

from collections.abc import Iterator

from gradcheck.checks.finding import Finding, Severity
from gradcheck.checks.rule import Evidence, Rule
from gradcheck.checks.wording import cases, code
from gradcheck.judge.verdict import Problem, Verdict


def check(evidence: Evidence) -> Iterator[Finding]:
    for case in cases(evidence, Verdict, {Problem.UNFINISHED}):
        row = case.row
        of = f", the gradient of {code(row.of)}," if row.of else ""
        yield RULE.finding(
            location=row.location,
            message=f"{code(row.name)}{of} has not been computed yet",
            label="a placeholder",
            notes=[row.reason] if row.reason else [],
            evidence=case.evidence,
        )


RULE = Rule(__name__, __doc__, Severity.WARNING, check)
