"""GC106 gradient-shape-broadcast: the gradient does not have the shape of the value it belongs to.

## What it does

Compares the shape of every manual gradient with the shape of its value. Where the shapes do not fit,
or fit only because torch broadcasts one of them, the finding is an error. Where the numbers are
right and only the layout differs, (64,) for (1, 64) after a sum without `keepdim`, it is a note.

## Why is this bad?

An update `b -= lr * db` with a gradient of another shape often does not raise: torch broadcasts, every
element gets a wrong or the same step, or the update makes the parameter grow a dimension. Comparisons
broadcast as well: `torch.allclose` of a (64,) and a (1, 64) tensor passes, and so does that of a single
number and a tensor that happens to be constant.

## Example

```python
logits = h @ W2 + b2        # b2 has shape (27,)
...
db2 = dlogits.sum()         # one number, broadcast over b2
```

## Use instead

```python
logits = h @ W2 + b2        # b2 has shape (27,)
...
db2 = dlogits.sum(0)
```

## How it is measured

Shapes are compared exactly. If they differ, but hold the same number of elements in the same order once
axes of length 1 are dropped, the numbers are compared in that layout; if they agree the finding is a
note.

## References

- PyTorch, Broadcasting semantics, https://docs.pytorch.org/docs/stable/notes/broadcasting.html
- PyTorch, torch.testing.assert_close, https://docs.pytorch.org/docs/stable/testing.html
"""

import math
from collections.abc import Iterable, Iterator
from typing import Any

from gradcheck.base import numbers
from gradcheck.base.paths import picked
from gradcheck.checks.finding import Finding, Severity
from gradcheck.checks.rule import Evidence, Rule
from gradcheck.checks.wording import Case, cases, code, pairing_help
from gradcheck.judge.verdict import GradientResult, Problem, Verdict

_NUMBERS_RIGHT = (Verdict.CORRECT, Verdict.UNOBSERVABLE, Verdict.UNCHECKED)


def check(evidence: Evidence) -> Iterator[Finding]:
    # A row that only inherits its shape has a cause upstream, which is reported itself.
    for case in cases(evidence, set(Verdict) - {Verdict.INHERITED}, {Problem.SHAPE}):
        yield _wrong_shape(case)
    for case in cases(evidence, _NUMBERS_RIGHT, {Problem.SHAPE_NOTE}):
        yield _other_shape(case)


def _wrong_shape(case: Case) -> Finding:
    row = case.row
    fits = f"with the shapes made to fit, the relative error is {numbers.error(row.local_error)}"
    summed = (
        "axes of length 1 are broadcast silently: sum over the axes that the forward pass broadcast, "
        f"so that {code(row.name)} ends with the shape of {code(row.of)}"
    )
    return _finding(
        case,
        f"{code(row.name)} does not have the shape of {code(row.of)}",
        notes=[] if row.local_error is None else [fits],
        helps=[*([summed] if _broadcasts(row) else []), *pairing_help(row)],
    )


def _other_shape(case: Case) -> Finding:
    row = case.row
    message = f"{code(row.name)} holds the gradient of {code(row.of)} in a different shape"
    mine, wanted = row.shape or (), row.of_shape or ()
    if row.shape is not None and row.of_shape is not None and math.prod(mine) != math.prod(wanted):
        ways = [f"`.expand_as({row.of})`"]
    else:
        more_axes = row.of_shape is not None and len(mine) > len(wanted)
        ways = ["a sum without `keepdim`" if more_axes else "`keepdim=True` in the sum"]
        ways += [f"`.view_as({row.of})`"] if row.of else []
    helps = [f"{', or '.join(ways)} gives it the shape of its value"]
    return _finding(case, message, severity=Severity.NOTE, helps=helps)


def _broadcasts(row: GradientResult) -> bool:
    """Whether the two shapes differ by axes that broadcasting adds or stretches."""
    if row.shape is None or row.of_shape is None:
        return True
    pairs = zip(reversed(row.shape), reversed(row.of_shape), strict=False)
    return all(there == wanted or 1 in (there, wanted) for there, wanted in pairs)


def _finding(case: Case, message: str, notes: Iterable[str] = (), **details: Any) -> Finding:
    row = case.row
    return case.finding(
        RULE,
        message,
        f"shape {_shape(row.shape)}, where {code(row.of)} has {_shape(row.of_shape)}",
        notes=[row.reason, *notes],
        expected=f"shape {_shape(row.of_shape)}",
        found=f"shape {_shape(row.shape)}",
        evidence=case.evidence | picked(row, "shape of_shape"),
        **details,
    )


def _shape(shape: tuple[int, ...] | None) -> str:
    return "unknown" if shape is None else str(shape)


RULE = Rule(__name__, __doc__, Severity.ERROR, check, is_diagnosed=True)
