"""GC603 unterminated-sample: the sampler does not end its sequences.

## What it does

Finds sampling loops that do not end: gradcheck stopped one after thousands of tokens, drawing continued
after the token that ends the training sequences, a sequence is many times as long as any of the training
data, or most are cut off at a limit far beyond it. A network that is hardly trained is not reported, except
for continuing after the end token.

## Why is this bad?

The program hangs, or its samples are cut off at a limit that hides the fault. The loop waits for a different
token than the one that ends a sequence, the context is not updated, or the sampler is not the trained
network and gives the end no probability.

## Example

```python
while True:
    ix = torch.multinomial(predict(context), 1).item()
    context = context[1:] + [ix]
    if ix == stoi["#"]:          # the training data ends with "."
        break
```

## Use instead

```python
while True:
    ix = torch.multinomial(predict(context), 1).item()
    context = context[1:] + [ix]
    if ix == stoi["."]:
        break
```

## How it is measured

A `while` loop without a counter that has drawn one token in each of 2000 iterations is left, as if its
condition were false. The end token is the one after which the contexts that the training step reads start
again. A loop of fixed length in which the end token occurs is one text of many sequences, and is split into
them.

## References

- S. Welleck et al., Consistency of a Recurrent Language Model With Respect to Incomplete Decoding, EMNLP
  2020, https://arxiv.org/abs/2002.02492
"""

from collections.abc import Iterator

from gradcheck.base.paths import picked
from gradcheck.base.thresholds import Thresholds
from gradcheck.checks import generated
from gradcheck.checks.finding import Finding, Severity
from gradcheck.checks.rule import Evidence, Looked, Rule
from gradcheck.health.samples.records import SampleSet

_FAR_ENOUGH = 2  # times the longest training sequence: what is cut off before may well have been about to end


def why_not(found: SampleSet, thresholds: Thresholds) -> str:
    if found.went_on:
        return ""  # certain, no matter how well the network is trained
    if not found.count and not found.endless:
        return "no sequence was generated"
    if found.data is None and not found.endless:
        return found.data_reason
    return generated.hardly_trained(found.training, thresholds["GC601.learned"])


def looked_at(evidence: Evidence) -> Looked:
    return generated.looked_at(evidence, why_not)


def check(evidence: Evidence) -> Iterator[Finding]:
    for found in generated.judged_sets(evidence, why_not):
        words = unterminated(found, evidence.thresholds)
        if words:
            yield _finding(found, *words)


def unterminated(found: SampleSet, thresholds: Thresholds) -> tuple[str, str] | None:
    """What is wrong, and what to do about it; None if they end as they should."""
    if found.went_on:
        drawn = f"the end token {found.end_token} was drawn"
        return f"{drawn}, and the sampler went on", f"leave the loop as soon as {found.end_token} is drawn"
    if found.endless:
        return (
            f"the sampler does not end: gradcheck stopped it after {found.left_after:,} tokens of one sequence",
            "check that the loop stops at the token that ends a sequence in the training data, and that every drawn "
            "token is appended to the context; a limit on the length keeps the program from hanging",
        )
    if found.data is None:
        return None
    longest = found.data.longest
    if longest and found.lengths.longest > thresholds["GC603.times-longest"] * longest:
        return (
            f"a generated sequence has {found.lengths.longest:,} tokens; the longest of the training data has {longest}",
            "check the probability that the sampler gives the end token at each position",
        )
    far = found.lengths.longest > _FAR_ENOUGH * longest
    if far and not generated.too_few(found, thresholds):
        cut = found.cut / found.count
        if cut > thresholds["GC603.unfinished-share"]:
            return (
                f"{generated.share(cut)} of the generated sequences are cut off at a limit and never end",
                "check the probability that the sampler gives the end token at each position",
            )
    return None


def _finding(found: SampleSet, message: str, advice: str) -> Finding:
    notes = [generated.examples(found)]
    if found.network is not None:
        notes.insert(
            0,
            f"after the same contexts, the sampler gives the end a probability of {found.network.sampler:.3f}, and the "
            f"trained network one of {found.network.network:.3f}",
        )
    finished = f"{found.ended} of {found.count} ended" if found.count else ""
    return RULE.finding(
        location=found.location,
        message=message,
        label=finished,
        expected=f"{generated.summary(found.data)} ({found.data.source})" if found.data else "",
        found=generated.summary(found.lengths),
        notes=notes,
        helps=[advice],
        evidence=picked(
            found,
            "sequences=count ended cut endless went_on longest=lengths.longest training_longest=data.longest end_token",
        ),
    )


RULE = Rule(__name__, __doc__, Severity.WARNING, check, looked_at=looked_at)
