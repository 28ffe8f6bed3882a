"""What the rules about generated sequences share: which of them may be judged, and the words for it."""

from collections.abc import Callable, Iterator

from gradcheck.base import numbers
from gradcheck.base.thresholds import Thresholds
from gradcheck.checks.rule import Evidence, Looked
from gradcheck.health.samples.records import Lengths, SampleSet, Training

_LATER, _TIMES_LATER = 5000, 4  # the iterations that the help suggests

WhyNot = Callable[[SampleSet, Thresholds], str]  # empty if the sequences can be judged


def looked_at(evidence: Evidence, why_not: WhyNot) -> Looked:
    """What one rule had to look at: the sequences that it may judge."""
    health = evidence.health.samples
    reasons = {found.source: why_not(found, evidence.thresholds) for found in health.sets}
    judged = [found for found in health.sets if not reasons[found.source]]
    if judged:
        total = sum(found.count for found in judged)
        return Looked(f"{numbers.count(total, 'sequence')} {judged[0].source}")
    return Looked(why_not=health.absent or next(iter(reasons.values()), "no sequences were generated"))


def judged_sets(evidence: Evidence, why_not: WhyNot) -> Iterator[SampleSet]:
    for found in evidence.health.samples.sets:
        if not why_not(found, evidence.thresholds):
            yield found


def too_few(found: SampleSet, thresholds: Thresholds) -> str:
    needed = int(thresholds["GC601.sequences"])
    if found.count >= needed:
        return ""
    return f"{numbers.count(found.count, 'sequence')} {found.source}: at least {needed} needed"


def not_compared(found: SampleSet, thresholds: Thresholds) -> str:
    """Why they cannot be held against the training data; empty if they can."""
    return too_few(found, thresholds) or (found.data_reason if found.data is None else "")


def hardly_trained(training: Training, share: float = 1.0) -> str:
    """Why the samples of this network say nothing yet. Empty if it has learned more than how frequent the tokens are,
    beyond what the choice of minibatches makes uncertain: its loss is below that `share` of the loss of guessing."""
    if training.loss is None or training.guessing is None:
        return training.reason or "it is not known how far the network was trained"
    if training.loss + 2 * training.standard_error < share * training.guessing:
        return ""
    iteration = training.iteration or 0
    loss, guessing = numbers.distinct(training.loss, training.guessing)
    return (
        f"the network is hardly trained: loss {loss} at iteration {iteration}, guessing by token frequency gives {guessing}; "
        f"record a later step: --at 0,{max(_LATER, _TIMES_LATER * iteration)}"
    )


def quartiles(lengths: Lengths) -> str:
    return "/".join(str(lengths.quantile(q)) for q in (0.25, 0.5, 0.75))


def summary(lengths: Lengths) -> str:
    """`mean 6.0, quartiles 5/6/7, 0.6 % of length 2 or less`."""
    short = sum(lengths.share(i) for i in (0, 1, 2))
    return f"mean {lengths.mean:.1f}, quartiles {quartiles(lengths)}, {share(short)} of length 2 or less"


def share(part: float) -> str:
    if 0 < part < 0.001:
        return "< 0.1 %"
    return f"{100 * part:.1f} %" if 0 < part < 0.1 else f"{100 * part:.0f} %"


def examples(found: SampleSet) -> str:
    shown = ", ".join(f"`{text}`" if text else "an empty sequence" for text in found.examples)
    return f"the first ones: {shown}"
