"""GC602 degenerate-samples: generated sequences are empty, all the same, or one token repeated.

## What it does

Finds samplers whose sequences are mostly empty, mostly one repeated token, or mostly identical, while the
training data is not. A network that is hardly trained is not reported: see GC601.

## Why is this bad?

Such samples say nothing about the network. The cause is nearly always in the sampler: a generator that is
seeded again for every sequence, the likeliest token instead of a random draw, a context that is never
updated, or logits so large that only one token has a probability.

## Example

```python
for _ in range(20):
    generator = torch.Generator().manual_seed(7)
    context, name = [0] * 3, []
    while True:
        probs = predict(context)
        ix = torch.multinomial(probs, 1, generator=generator).item()
        context = context[1:] + [ix]
        if ix == 0:
            break
        name.append(itos[ix])
```

## Use instead

```python
generator = torch.Generator().manual_seed(7)
for _ in range(20):
    context, name = [0] * 3, []
    while True:
        probs = predict(context)
        ix = torch.multinomial(probs, 1, generator=generator).item()
        context = context[1:] + [ix]
        if ix == 0:
            break
        name.append(itos[ix])
```

## How it is measured

Counted over the generated sequences: empty ones; those of three tokens and more that repeat one token; and
distinct ones, compared with how many distinct ones as many draws from the training data would contain on
average. With fewer than ten sequences nothing is reported.

## References

- A. Holtzman et al., The Curious Case of Neural Text Degeneration, ICLR 2020,
  https://arxiv.org/abs/1904.09751
"""

from collections.abc import Iterator

from gradcheck.base import numbers
from gradcheck.base.paths import picked
from gradcheck.base.thresholds import Thresholds
from gradcheck.checks import generated
from gradcheck.checks.finding import Finding, Severity
from gradcheck.checks.rule import Evidence, Looked, Rule
from gradcheck.health.samples.records import SampleSet

_HARDLY_ANY = 0.1  # of the share that is too many: what the training data may hold of it
_VARIED = 0.5  # of training sequences that are different: fewer, and the data itself repeats


def why_not(found: SampleSet, thresholds: Thresholds) -> str:
    untold = generated.not_compared(found, thresholds)
    return untold or generated.hardly_trained(found.training, thresholds["GC601.learned"])


def looked_at(evidence: Evidence) -> Looked:
    return generated.looked_at(evidence, why_not)


def degeneration(found: SampleSet, thresholds: Thresholds) -> str:
    """In what way they are degenerate, in words; empty if they are not."""
    if found.data is None or not found.count:
        return ""
    many = thresholds["GC602.degenerate-share"]
    empty = found.lengths.share(0)
    if empty > many and found.data.share(0) < _HARDLY_ANY * many:
        return f"{generated.share(empty)} of what is generated is empty"
    if found.repeated > many and (found.repeated_in_data or 0.0) < _HARDLY_ANY * many:
        return f"{generated.share(found.repeated)} of what is generated repeats one token"
    few = found.distinct <= thresholds["GC602.distinct-share"] * found.count
    if few and (found.distinct_expected or 0.0) > _VARIED * found.count:
        if found.distinct == 1:
            return f"all {found.count} generated sequences are the same"
        return f"of {found.count} generated sequences only {found.distinct} are different"
    return ""


def check(evidence: Evidence) -> Iterator[Finding]:
    for found in generated.judged_sets(evidence, why_not):
        words = degeneration(found, evidence.thresholds)
        if words:
            yield _finding(found, words)


def _finding(found: SampleSet, words: str) -> Finding:
    assert found.data is not None
    expected = numbers.value(found.distinct_expected)
    return RULE.finding(
        location=found.location,
        message=words,
        label=f"{numbers.count(found.count, 'sequence')}, {found.distinct} of them different",
        expected=(
            f"{generated.summary(found.data)}, {expected} of {found.count} different ({found.data.source})"
        ),
        found=f"{generated.summary(found.lengths)}, {found.distinct} of {found.count} different",
        notes=[generated.examples(found)],
        helps=[
            "draw from the probabilities, with a generator that is made once and not seeded again for every sequence, "
            "and feed every drawn token back into the context"
        ],
        evidence=picked(
            found,
            "sequences=count distinct distinct_expected repeated_share=repeated commonest commonest_share",
            empty_share=found.lengths.share(0),
        ),
    )


RULE = Rule(__name__, __doc__, Severity.WARNING, check, looked_at=looked_at)
