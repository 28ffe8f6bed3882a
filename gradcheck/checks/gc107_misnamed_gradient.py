"""GC107 misnamed-gradient: the line computes the gradient of a different value than its name says.

## What it does

Reports a gradient whose numbers are not those of the value its name refers to, but exactly those of another
value of the step. The computation may be what was intended, so this is a warning and not a wrong gradient.

## Why is this bad?

The next line relies on the name. Formulas are copied from paper to code by name, and a gradient with the
wrong one is sooner or later multiplied with the wrong value. Where both values have the same shape, nothing
else reveals it.

## Example

```python
h_pre = x @ W1 + b1
h = torch.tanh(h_pre)
...
dh = (dlogits @ W2.T) * (1 - h**2)   # this is the gradient of h_pre
dW1, db1 = x.T @ dh, dh.sum(0)
```

## Use instead

```python
h_pre = x @ W1 + b1
h = torch.tanh(h_pre)
...
dh = dlogits @ W2.T
dh_pre = dh * (1 - h**2)
dW1, db1 = x.T @ dh_pre, dh_pre.sum(0)
```

## How it is measured

The gradient differs from the true gradient of the value its name refers to by more than rounding, and
agrees with the true gradient of another value of the recorded step to within rounding, at the recorded
parameters and at every probe point.

## References

- docs/verdicts.md, how a gradient finds the value it belongs to
"""

from collections.abc import Iterator

from gradcheck.checks.finding import Finding, Severity
from gradcheck.checks.rule import Evidence, Rule
from gradcheck.checks.wording import cases, code
from gradcheck.judge.verdict import Problem, Verdict


def check(evidence: Evidence) -> Iterator[Finding]:
    for case in cases(evidence, Verdict, {Problem.MISNAMED}):
        row = case.row
        yield case.finding(
            RULE,
            f"{code(row.name)} is the gradient of {code(row.of)}, not of the value in its name",
            f"the gradient of {code(row.of)}",
            notes=[row.reason],
            helps=[
                f"rename it, or add the comment `# gradcheck: of {row.of}` to this line if the name is intended"
            ],
        )


RULE = Rule(__name__, __doc__, Severity.WARNING, check)
