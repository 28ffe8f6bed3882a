"""GC101 wrong-gradient: the line computes something other than the gradient it is named for.

## What it does

Compares every gradient that a program computes by hand with what the line should have computed: the
vector-Jacobian product (VJP) of the program's own upstream gradients through the recorded forward pass.

Only the line that makes the error is reported. A line that is right for its wrong upstream gradient is
`inherited`: it is named in a note and needs no change. A line that is wrong for its upstream gradient and
yet yields the true gradient is reported too: two faults cancel there, and fixing one alone would expose
the other.

## Why is this bad?

Training continues with a wrong gradient, and often the loss even falls, only more slowly and to a worse
value. Nothing raises, all shapes fit, and the parameters look as usual. Such a fault is found late, and by
accident.

## Example

```python
h = torch.tanh(x @ W1)
logits = h @ W2
...
dh = dlogits @ W2.T
dhpre = dh * (1 - h)
dW1 = x.T @ dhpre
```

## Use instead

```python
h = torch.tanh(x @ W1)
logits = h @ W2
...
dh = dlogits @ W2.T
dhpre = dh * (1 - h**2)
dW1 = x.T @ dhpre
```

## How it is measured

One recorded training step is replayed in float64. For a gradient g and its expectation e the relative error
is ||g - e|| / max(||e||, ||g||), over the whole tensor. It is large when it exceeds the rounding that a
float32 replay of the same step shows against the float64 replay, so rounding is measured, not guessed. The
report also gives the element that differs most, the number of elements that differ, and the cosine with
the true gradient. Where the true gradient is zero by invariance (a bias before batch normalisation)
relative errors mean nothing: such a gradient is `unobservable` unless it is clearly not zero.

## References

- A. Griewank and A. Walther, Evaluating Derivatives, 2nd edition, SIAM 2008, chapter 3 (VJPs)
- A. G. Baydin et al., Automatic Differentiation in Machine Learning: a Survey, JMLR 18, 2018,
  https://jmlr.org/papers/v18/17-468.html
- PyTorch, Gradcheck mechanics, https://docs.pytorch.org/docs/stable/notes/gradcheck.html
"""

from collections.abc import Iterable, Iterator

from gradcheck.base import numbers
from gradcheck.checks.finding import Finding, Severity
from gradcheck.checks.rule import Evidence, Rule
from gradcheck.checks.wording import (
    Case,
    cases,
    code,
    expected_line,
    found_line,
    judged_against,
    pairing_help,
)  # fmt: skip
from gradcheck.judge.verdict import Problem, Verdict

# A wrong number is wrong whatever its layout; that the shape differs too matters less then.
_WRONG_VALUE = (Problem.NONE, Problem.WRONG_VALUE, Problem.SHAPE_NOTE)
_CANCELS = (
    "it equals the true gradient, because its upstream gradient has the opposite error; fix both together"
)


def check(evidence: Evidence) -> Iterator[Finding]:
    for case in cases(evidence, {Verdict.INTRODUCED}, _WRONG_VALUE):
        yield _finding(case, f"{code(case.row.name)} is not the gradient of {code(case.row.of)}")
    for case in cases(evidence, {Verdict.COMPENSATED}, _WRONG_VALUE):
        # A gradient kept as 32 x dL/dx and divided by 32 where it is used is a convention, not two faults.
        if not case.row.scale_note:
            yield _finding(
                case, f"{code(case.row.name)} is right only because two faults cancel", notes=[_CANCELS]
            )


def _finding(case: Case, message: str, notes: Iterable[str] = ()) -> Finding:
    row = case.row
    return case.finding(
        RULE,
        message,
        f"relative error {numbers.error(row.local_error)} against {judged_against(row, case.step)}",
        notes=notes,
        helps=pairing_help(row),
        expected=expected_line(row),
        found=found_line(row),
    )


RULE = Rule(__name__, __doc__, Severity.ERROR, check, is_diagnosed=True)
