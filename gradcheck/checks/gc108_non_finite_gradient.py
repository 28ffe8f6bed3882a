"""GC108 non-finite-gradient: the line makes NaN or infinity where the true gradient is finite.

## What it does

Reports the line at which a gradient first holds NaN or infinity although the gradient of its value is
finite. Lines that only pass the NaN on are named in a note.

## Why is this bad?

One update with NaN ends the training: the parameter is NaN for good, and after one more step so is all the
rest. Hand-made comparisons overlook it, because every comparison with NaN is false: `error > tolerance`
reports no problem.

## Example

```python
h = torch.sigmoid(x @ W1)
...
z = x @ W1
dz = dh * torch.exp(-z) / (1 + torch.exp(-z)) ** 2   # infinity / infinity where z is below -89
```

## Use instead

```python
h = torch.sigmoid(x @ W1)
...
dz = dh * h * (1 - h)
```

## How it is measured

Checked before any comparison of numbers, in the step replayed in float64 and in the values that the program
computed in its own dtype. The line is reported when its upstream gradients and the true gradient of its value
are finite.

## References

- D. Goldberg, What Every Computer Scientist Should Know About Floating-Point Arithmetic, ACM Computing
  Surveys 23(1), 1991
- PyTorch, torch.nn.functional.cross_entropy,
  https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.cross_entropy.html
"""

from collections.abc import Iterator

from gradcheck.checks.finding import Finding, Severity
from gradcheck.checks.rule import Evidence, Rule
from gradcheck.checks.wording import cases, code, expected_line, found_line, pairing_help
from gradcheck.judge.verdict import Problem, Verdict


def check(evidence: Evidence) -> Iterator[Finding]:
    verdicts = {Verdict.INTRODUCED, Verdict.COMPENSATED, Verdict.CORRECT}
    for case in cases(evidence, verdicts, {Problem.NON_FINITE}):
        row = case.row
        left = row.verdict is Verdict.CORRECT  # a right formula that left the program's own type
        reason = "in float64 the formula is right: a part of it is too large for the program's own type"
        yield case.finding(
            RULE,
            f"{code(row.name)} holds NaN or infinity where the gradient of {code(row.of)} is finite",
            "not finite from here on" + (", in the program's own types" if left else ""),
            expected="" if left else expected_line(row),
            found="" if left else found_line(row),
            notes=[reason if left else row.reason],
            helps=[_BOUNDED] if left else pairing_help(row),
        )


_BOUNDED = "write it so that no part grows without bound, with what the forward pass has computed"
RULE = Rule(__name__, __doc__, Severity.ERROR, check, is_diagnosed=True)
