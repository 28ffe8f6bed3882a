"""GC110 imprecise-gradient: the formula is right, and the number it gave is far off.

## What it does

Reports a line whose formula is right, as a replay in float64 shows, while the number that the program
computed with it is off by more than 0.5 %, and by 30 times more than what autograd computes in the same
types.

## Why is this bad?

The optimiser gets the number, not the formula. A sum that is kept in bfloat16 stops growing when the
terms are 256 times smaller than it; the difference of two large numbers keeps few of their digits;
float16 overflows at 65,504.

## Example

```python
db = torch.zeros(3, dtype=torch.bfloat16)
for row in dlogits:
    db += row.bfloat16()          # every row is rounded into a sum that is too large for it
```

## Use instead

```python
db = dlogits.float().sum(0)       # added up in float32, rounded once
```

## How it is measured

The step is replayed in the program's own types, which gives the numbers that the program computed. They
are compared with the same formula in float64, and autograd's gradient in the program's own types with
autograd's in float64. Of gradients computed from one another the first is reported.

## References

- N. J. Higham, Accuracy and Stability of Numerical Algorithms, 2nd edition, SIAM, 2002, chapter 4
- PyTorch, Numerical accuracy, https://docs.pytorch.org/docs/stable/notes/numerical_accuracy.html
"""

from collections.abc import Iterator

from gradcheck.base import numbers
from gradcheck.checks.finding import Finding, Severity
from gradcheck.checks.rule import Evidence, Rule
from gradcheck.checks.wording import cases, code
from gradcheck.judge.verdict import Problem, Verdict


def check(evidence: Evidence) -> Iterator[Finding]:
    for case in cases(evidence, {Verdict.CORRECT}, {Problem.IMPRECISE}):
        row = case.row
        yield case.finding(
            RULE,
            f"{code(row.name)} is computed by a right formula, and its number is far off",
            f"relative error {numbers.error(row.run_error)} as the program computed it",
            expected=f"relative error about {numbers.error(row.careful_error)}, as autograd has in the same types",
            found=f"relative error {numbers.error(row.run_error)}; in float64 the formula is right",
            helps=["compute it in a wider type (`.float()`), and round the result once"],
        )


RULE = Rule(__name__, __doc__, Severity.ERROR, check)
