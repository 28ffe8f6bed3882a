"""GC601 length-distribution-shift: generated sequences are of clearly other lengths than the training data.

## What it does

Collects the sequences that a program generates after its training (tokens drawn by `torch.multinomial` or
`Categorical` in a loop, up to the end token, or what `--samples NAME` holds) and compares their lengths with
those of the sequences that the training step reads.

A network that is hardly trained generates noise and is never reported: its loss must be below that of
guessing every token by its frequency. A half-trained network generates slightly different lengths, so the
sampler is examined as well. If, after the same tokens, it gives the next token (above all the end) other
probabilities than the trained network, a distance that chance does not explain is enough. If it does not, or
if that is unknown, the loss must be clearly lower, and the lengths must be far from those of the data, from
those that the trained network implies on its training data, and from those of a network that ends with equal
probability after every token.

## Why is this bad?

The loss may be fine while the samples are not: sampling is often a second implementation, and a missing
layer, statistics of another network or a context that is not updated raise no error. Such a fault first
changes where sequences end, and a list of twenty strange names does not show it.

## Example

```python
# training divides by the standard deviation; the sampler multiplies by it
norm = (pre - calibrated_mean) * (calibrated_var + 1e-5) ** 0.5
probs = F.softmax(torch.tanh(gamma * norm + beta) @ W2 + b2, dim=1)
ix = torch.multinomial(probs, 1).item()
```

## Use instead

```python
norm = (pre - calibrated_mean) * (calibrated_var + 1e-5) ** -0.5
probs = F.softmax(torch.tanh(gamma * norm + beta) @ W2 + b2, dim=1)
ix = torch.multinomial(probs, 1).item()
```

## How it is measured

Lengths count the tokens before the end. The distance is that of Kolmogorov and Smirnov, the largest
difference between the two cumulative distributions; the p-value is that of the two-sample test for
continuous data, which is too large where lengths tie, so the test is conservative.
The report also gives the Wasserstein distance, in tokens. With fewer than ten sequences nothing is reported.

The sampler's probabilities are replayed from the recording, at every token it drew. The trained network is
the forward pass of the recorded step, at the parameters after the step: the same contexts are put into
minibatches of training data, few at a time, so that statistics over the batch stay those of the training
data. The probabilities of the end, by position, give a distribution of lengths; the test uses the distance
of the two, and the total variation distance of the next-token distributions. The loss is the cross-entropy
over fresh minibatches, and two standard errors are added to it before it is compared with the entropy of the
training targets.

## References

- F. J. Massey, The Kolmogorov-Smirnov Test for Goodness of Fit, JASA 46, 1951
- SciPy, scipy.stats.ks_2samp, https://docs.scipy.org/doc/scipy/reference/generated/scipy.stats.ks_2samp.html
"""

from collections.abc import Iterator

from gradcheck.base import numbers
from gradcheck.base.paths import picked
from gradcheck.base.thresholds import Thresholds
from gradcheck.checks import generated
from gradcheck.checks.finding import Finding, Severity
from gradcheck.checks.gc602_degenerate_samples import degeneration
from gradcheck.checks.gc603_unterminated_sample import unterminated
from gradcheck.checks.rule import Evidence, Looked, Rule
from gradcheck.health.samples.records import Difference, NetworkEnds, SampleSet


def why_not(found: SampleSet, thresholds: Thresholds) -> str:
    """Why these sequences cannot be judged; empty if they can."""
    if reason := generated.not_compared(found, thresholds):
        return reason
    if not found.ended and not found.end_token:
        return f"the sequences {found.source} end with no token of their own"
    # Asked the same as the network that was trained, the sampler is judged however far the training got.
    differs = sampler_differs(found.network, thresholds)
    return generated.hardly_trained(found.training, 1.0 if differs else thresholds["GC601.learned"])


def looked_at(evidence: Evidence) -> Looked:
    return generated.looked_at(evidence, why_not)


def check(evidence: Evidence) -> Iterator[Finding]:
    for found in generated.judged_sets(evidence, why_not):
        limits = evidence.thresholds
        # Empty ones, or ones that do not end, are another fault, and have no lengths worth comparing.
        if degeneration(found, limits) or unterminated(found, limits):
            continue
        if _is_shifted(found, limits):
            yield _finding(found, limits)


def _is_shifted(found: SampleSet, thresholds: Thresholds) -> bool:
    if found.difference is None:
        return False
    if sampler_differs(found.network, thresholds):
        limits = thresholds["GC601.distance"], thresholds["GC601.p-value"]
        return _is_beyond(found.difference, *limits)
    limits = thresholds["GC601.unexplained-distance"], thresholds["GC601.unexplained-p-value"]
    # A network on the way from guessing to the data is shifted by itself, and makes sequences in between.
    references = (found.difference, found.from_network, found.from_guessing)
    return all(_is_beyond(one, *limits) for one in references if one is not None)


def sampler_differs(network: NetworkEnds | None, thresholds: Thresholds) -> bool:
    """Whether the sampler ends sequences otherwise than the network that was trained, asked the same."""
    return network is not None and (
        network.distance > thresholds["GC601.sampler-shift"]
        or network.total_variation > thresholds["GC601.sampler-variation"]
    )


def _is_beyond(difference: Difference, distance: float, p_value: float) -> bool:
    return difference.kolmogorov_smirnov > distance and difference.p_value < p_value


def _finding(found: SampleSet, thresholds: Thresholds) -> Finding:
    data, difference = found.data, found.difference
    assert data is not None
    assert difference is not None
    longer = found.lengths.mean > data.mean
    return RULE.finding(
        location=found.location,
        message=(
            f"what is generated is {'longer' if longer else 'shorter'} than the training data: "
            f"{found.lengths.mean:.1f} tokens on average, not {data.mean:.1f}"
        ),
        label=(
            f"{numbers.count(found.count, 'sequence')}; Kolmogorov-Smirnov distance "
            f"{difference.kolmogorov_smirnov:.2f}, p = {numbers.error(difference.p_value)}"
        ),
        expected=f"{generated.summary(data)} ({data.source})",
        found=generated.summary(found.lengths),
        notes=list(_notes(found, thresholds)),
        helps=[_help(found, thresholds)],
        evidence=picked(
            found,
            "sequences=count mean=lengths.mean training_sequences=data.count training_mean=data.mean "
            "kolmogorov_smirnov=difference.kolmogorov_smirnov wasserstein=difference.wasserstein "
            "p_value=difference.p_value sampler_end_probability=network.sampler "
            "network_end_probability=network.network sampler_shift=network.distance "
            "sampler_variation=network.total_variation loss=training.loss guessing_loss=training.guessing "
            "iteration=training.iteration",
        ),
    )


def _notes(found: SampleSet, thresholds: Thresholds) -> Iterator[str]:
    network, training = found.network, found.training
    if network is None:
        yield f"the sampler was not compared with the trained network: {found.network_reason}"
    else:
        differs = sampler_differs(network, thresholds)
        yield (
            f"after the same {network.contexts} contexts, the sampler ends the sequence with probability "
            f"{network.sampler:.2f} and the trained network with {network.network:.2f}; their distributions of "
            f"the next token differ by {generated.share(network.total_variation)}"
            f"{': they are not the same network' if differs else ''}"
        )
        yield (
            f"these probabilities alone give lengths of {network.sampler_mean:.1f} and {network.network_mean:.1f} "
            f"on average"
        )
    if training.loss is not None and training.guessing is not None:
        yield (
            f"the network is trained enough to judge: loss {training.loss:.2f} at iteration {training.iteration or 0}, "
            f"guessing by token frequency gives {training.guessing:.2f}"
        )
    yield generated.examples(found)


def _help(found: SampleSet, thresholds: Thresholds) -> str:
    if sampler_differs(found.network, thresholds) or found.network is None:
        return (
            "compare the forward pass of the sampler with that of the training step line by line: every layer, "
            "activation and normalisation, and the statistics it normalises with"
        )
    return (
        "compare the sampler with the training step: the initial context, how the context is updated, the temperature, "
        "and its layers"
    )


RULE = Rule(__name__, __doc__, Severity.WARNING, check, looked_at=looked_at)
