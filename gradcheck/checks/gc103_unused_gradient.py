"""GC103 unused-gradient: a gradient is computed and never used, and the chain skips it.

## What it does

Finds a gradient of a value inside the network that no other gradient, no update and no `.grad` is
computed from, although gradients nearer to the input must flow through it: they read the gradient of a
later value instead, as if the operation in between did not exist. The location is the unused gradient; the
finding names the lines that skip it. Where one line alone goes past it, that line is wrong (GC101), and its
finding says so.

A gradient that is computed twice, by one formula after the other, or only to compare it with autograd's,
is not reported, nor is an unused gradient of a parameter or of the input.

## Why is this bad?

Everything from there to the input is trained with the gradient of another network: one without that
layer. Where the skipped operation keeps the shape (an activation, a normalisation, a dropout) nothing
raises, and the loss still falls.

## Example

```python
dz = dh * (1 - h**2)        # computed ...
dW1 = x.T @ dh              # ... and not used
db1 = dh.sum(0)
```

## Use instead

```python
dz = dh * (1 - h**2)
dW1 = x.T @ dz
db1 = dz.sum(0)
```

## How it is measured

Which gradient was computed from which is read off the recorded operations. That a line skips an
unused gradient is proved by a replay: what the line read replaces the true gradient at the skipped value,
and the result must equal what the line computed, up to float64 rounding. A line that is wrong for any other
reason fails this test, and then nothing is reported.

## References

- PyTorch, Autograd mechanics, https://docs.pytorch.org/docs/stable/notes/autograd.html
- A. Griewank and A. Walther, Evaluating Derivatives, 2nd edition, SIAM 2008, chapter 3
"""

from collections.abc import Iterator

from gradcheck.base.groups import grouped, joined
from gradcheck.base.paths import picked
from gradcheck.checks.finding import Finding, Severity
from gradcheck.checks.rule import Evidence, Rule
from gradcheck.checks.wording import code, listing, place
from gradcheck.judge.step.records import Bypass, SkippedGradient
from gradcheck.program.location import Location


def check(evidence: Evidence) -> Iterator[Finding]:
    found = ((one.location, (step.index, one)) for step in evidence.passes for one in step.flow.skipped)
    for location, group in grouped(found).items():
        yield _finding(location, group)


def _finding(location: Location, group: list[tuple[int, SkippedGradient]]) -> Finding:
    skipped = group[0][1]
    # The same line in several passes: every line that goes past it is named once.
    past = list({b.location: b for _, one in group for b in one.bypassed_by}.values())
    read = list(dict.fromkeys(b.reads for b in past))
    return RULE.finding(
        location=location,
        message=f"{code(skipped.name)} is computed and never used: the chain skips {code(skipped.of)}",
        label=f"no gradient and no update reads {code(skipped.name)}",
        notes=list(_past(past, location)),
        helps=[f"read {code(skipped.name)} there instead of {listing(read)}"],
        evidence=picked(
            skipped,
            "gradient=name of",
            passes=sorted({index for index, _ in group}),
            bypassed_by=[
                picked(b, "gradient=name of line=location.line cell=location.cell reads") for b in past
            ],
        ),
    )


def _past(past: list[Bypass], seen_from: Location) -> Iterator[str]:
    """`d_A_1` (line 52) and `d_W_2` (line 53) read `d_Z_2`, the gradient of `Z_2`."""
    by_read = (
        ((one.reads, one.reads_of), f"{code(one.name)} ({place(one.location, seen_from)})") for one in past
    )
    for (read, read_of), names in grouped(by_read).items():
        of = f", the gradient of {code(read_of)}" if read_of else ""
        yield f"{joined(names, len(names))} {'reads' if len(names) == 1 else 'read'} {code(read)}{of}"


RULE = Rule(__name__, __doc__, Severity.ERROR, check)
