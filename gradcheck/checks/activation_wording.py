"""Sentences that the rules about activations share."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby

from gradcheck import ops
from gradcheck.base import numbers
from gradcheck.base.groups import grouped
from gradcheck.checks.rule import Evidence, Looked
from gradcheck.checks.wording import code, place
from gradcheck.health.activations.records import ActivationRecord, WeightRecord
from gradcheck.program.location import Location

_GAINS = {
    ops.TANH: "5/3 / sqrt({n})",
    ops.RELU: "sqrt(2 / {n})",
    ops.RELU6: "sqrt(2 / {n})",
    ops.SIGMOID: "1 / sqrt({n})",
}
# A weight that is larger than this many times what suits its layer is what one would change first.
MUCH = 1.5
_MOST_LAYERS = 4
Layer = list[ActivationRecord]


def layers_of(evidence: Evidence) -> list[Layer]:
    """The hidden layers, each with its records at all recorded steps, in program order."""
    records = evidence.health.activations.layers
    return list(grouped(((r.location, r.layer), r) for r in records if r.hidden).values())


def worst_by_line(
    evidence: Evidence, bad: Callable[[ActivationRecord], bool], size: Callable[[ActivationRecord], float]
) -> list[Layer]:
    """The worst of the `bad` records of each layer, gathered by line, in program order: a loop applies all its layers in
    one, and is one finding."""
    found = [[record for record in layer if bad(record)] for layer in layers_of(evidence)]
    worst = [max(records, key=size) for records in found if records]
    return list(grouped((record.location, record) for record in worst).values())


def looked_at(
    evidence: Evidence, judged: Callable[[ActivationRecord], bool], why_none: Callable[[Layer], str]
) -> Looked:
    """`judged` says whether a rule can judge a record; `why_none`, of those it cannot, what they lack."""
    absent, layers = evidence.health.activations.absent, layers_of(evidence)
    means = [record.mean for layer in layers for record in layer]
    if absent or not any(mean is not None and math.isfinite(mean) for mean in means):
        return Looked(why_not=absent or "the activations are not finite")
    usable = [layer for layer in layers if any(map(judged, layer))]
    if not usable:
        return Looked(why_not=why_none([record for layer in layers for record in layer]))
    units = sum(layer[0].units for layer in usable)
    samples = min(max(record.samples for record in layer if judged(record)) for layer in usable)
    words = (
        numbers.count(len(usable), "layer"),
        numbers.count(units, "unit"),
        numbers.count(samples, "sample"),
    )
    return Looked(", ".join(words))


def called(record: ActivationRecord, among: Iterable[ActivationRecord]) -> str:
    """The name of a layer; with its number where another one of the step has the same name."""
    name = code(record.name)
    same = {
        other.layer for other in among if other.name == record.name and other.pass_index == record.pass_index
    }
    return f"{name} (layer {record.layer} of {record.layers})" if len(same) > 1 else name


def unit_numbers(units: Sequence[int], most: int = 8) -> str:
    """`unit 3`, `units 3, 17 and 42`, `units 0, 1, 2 and 197 more`; unbroken runs as `0 to 199`."""
    runs = list(_runs(units))
    shown = [str(first) if first == last else f"{first} to {last}" for first, last in runs[:most]]
    left = sum(last - first + 1 for first, last in runs[most:])
    if left:
        shown.append(f"{left} more")
    noun = "unit" if len(units) == 1 else "units"
    return f"{noun} {shown[0]}" if len(shown) == 1 else f"{noun} {', '.join(shown[:-1])} and {shown[-1]}"


def _runs(units: Sequence[int]) -> Iterator[tuple[int, int]]:
    """First and last of each; two neighbours are listed one by one."""
    for _, numbered in groupby(enumerate(units), key=lambda pair: pair[1] - pair[0]):
        run = [unit for _, unit in numbered]
        yield from ((unit, unit) for unit in run) if len(run) == 2 else [(run[0], run[-1])]


def share(part: float) -> str:
    """`62 %`; what is not quite all or nothing never reads as that."""
    if 0 < part < 0.001:
        return "less than 0.1 %"
    if 0.999 < part < 1:
        return "more than 99.9 %"
    return f"{numbers.value(100 * part, 3 if part > 0.99 else 2)} %"


def looked_on(record: ActivationRecord) -> str:
    """`2048 samples of 64 minibatches`."""
    samples = numbers.count(record.samples, "sample")
    return f"{samples} of {record.batches} minibatches" if record.batches > 1 else samples


def wanted_scale(record: ActivationRecord) -> str:
    """`5/3 / sqrt(30) = 0.304`, empty if the weight or what suits it is not known."""
    weight = record.weight
    if weight is None or weight.wanted_std is None:
        return ""
    formula = _GAINS.get(ops.operation_called(record.function), "sqrt(2 / (1 + slope**2) / {n})").format(
        n=weight.fan_in
    )
    return f"{formula} = {numbers.value(weight.wanted_std)}"


def scale_helps(record: ActivationRecord) -> list[str]:
    """What to make smaller so that less of the layer is flat."""
    weight = record.weight
    spread = _spread(record)
    if weight is None or weight.wanted_std is None:
        return [f"make its input smaller{spread}"]
    if weight.normalised:
        return [f"its input is normalised: check the scale and shift after the normalisation{spread}"]
    if not math.isfinite(weight.std):
        return [f"{weight_named(weight, record.location)} holds numbers that are not finite"]
    if weight.std == 0:
        return [
            f"draw {weight_named(weight, record.location)} at random: it is the same everywhere, and "
            f"{record.function} with {weight.fan_in} inputs needs the standard deviation {wanted_scale(record)}"
        ]
    if weight.std > MUCH * weight.wanted_std:
        return [rescaled(record, weight, weight.wanted_std / weight.std, record.location)]
    fits = f"{code(weight.name)} is not too large (standard deviation {numbers.value(weight.std)})"
    if weight.inputs_std is not None and weight.inputs_std > 2:
        return [
            f"{fits}, but its inputs {code(weight.inputs)} are: bring their standard deviation from "
            f"{numbers.value(weight.inputs_std)} to about 1"
        ]
    return [f"{fits}: look at the bias and at the learning rate{spread}"]


def rescaled(record: ActivationRecord, weight: WeightRecord, factor: float, seen_from: Location) -> str:
    """The advice to multiply a weight, whose right scale is known, by `factor`; nothing makes zeros larger."""
    by = f" by {numbers.value(factor, 2)}" if weight.std else ""
    return (
        f"scale {weight_named(weight, seen_from)}{by}: its standard deviation is {numbers.value(weight.std)}, and "
        f"{record.function} with {weight.fan_in} inputs needs {wanted_scale(record)}"
    )


def weight_named(weight: WeightRecord, seen_from: Location) -> str:
    if weight.location is None or weight.location == seen_from:
        return code(weight.name)
    return f"{code(weight.name)} ({place(weight.location, seen_from)})"


def _spread(record: ActivationRecord) -> str:
    if record.argument_std is None or record.argument_mean is None:
        return ""
    mean, std = numbers.value(record.argument_mean, 2), numbers.value(record.argument_std, 2)
    return f": {code(record.argument)} has mean {mean} and standard deviation {std}"


def other_layers(evidence: Evidence, others: Layer, figure: Callable[[ActivationRecord], str]) -> list[str]:
    """The further layers that the same line computes and that are at fault too."""
    if not others:
        return []
    names = [
        f"{called(record, evidence.health.activations.layers)}, {figure(record)}"
        for record in sorted(others, key=lambda record: record.layer)
    ]
    if len(names) > _MOST_LAYERS:
        names = [*names[: _MOST_LAYERS - 1], f"{len(names) - _MOST_LAYERS + 1} more layers"]
    return [f"the same in {'; '.join(names)}"]


def other_iterations(
    evidence: Evidence, worst: ActivationRecord, figure: Callable[[ActivationRecord], str]
) -> list[str]:
    """How it was at the other recorded iterations."""
    others = [
        f"{figure(record)} at iteration {record.iteration}"
        for record in evidence.health.activations.layers
        if (record.location, record.layer) == (worst.location, worst.layer)
        and record is not worst
        and record.iteration is not None
    ]
    return [f"{', '.join(others)}; the figures are of iteration {worst.iteration}"] if others else []


def too_few_samples(evidence: Evidence, records: Layer, needed: float) -> str:
    """Why a share cannot be measured."""
    most = max((record.samples for record in records), default=0)
    reasons = [sweep.reason for sweep in evidence.health.sweeps if sweep.reason]
    why = f" ({reasons[0]})" if reasons else ""
    return f"{numbers.count(most, 'sample')} found; at least {needed:g} needed{why}"
