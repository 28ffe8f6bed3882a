"""What the rules about batch normalisation share."""

from collections.abc import Iterable

from gradcheck.base import numbers
from gradcheck.checks.rule import Evidence, Looked
from gradcheck.health.batch_norm.records import BatchNormLayer


def measured(evidence: Evidence) -> list[BatchNormLayer]:
    return [layer for layer in evidence.health.batch_norm.layers if not layer.unmeasured]


def looked_at(evidence: Evidence) -> Looked:
    return looked_at_layers(evidence, evidence.health.batch_norm.layers)


def looked_at_measured(evidence: Evidence) -> Looked:
    layers = evidence.health.batch_norm.layers
    if layers and not measured(evidence):
        return Looked(why_not=f"what the batch normalisation does is not known: {layers[0].unmeasured}")
    return looked_at_layers(evidence, measured(evidence))


def looked_at_layers(evidence: Evidence, layers: Iterable[BatchNormLayer]) -> Looked:
    layers = list(layers)
    if not layers:
        return Looked(why_not=evidence.health.batch_norm.absent or "no layer normalises over the batch")
    count = len({(layer.pass_index, layer.number) for layer in layers})
    return Looked(
        f"{numbers.count(count, 'batch normalisation')}, {numbers.count(max(1, layers[0].batches), 'batch', 'batches')}"
    )


def also(group: list[BatchNormLayer], shown: list[str]) -> list[str]:
    """A note on the other values that the same line is run for."""
    _first, *others = dict.fromkeys(shown)
    layers = len({layer.number for layer in group})
    notes = [f"the same line is run for {numbers.count(layers, 'layer')}"] if layers > 1 else []
    if others and not notes:
        notes.append(f"the same line is run for {', '.join(f'`{name}`' for name in others)}")
    return notes
