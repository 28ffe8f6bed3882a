"""Whether a changed program still computes the same gradients: decided by replay, and by no verdict.

The whole tape of the right program and that of the changed one run again in float64, as recorded and with the
parameters jittered; every value that ever had the name of a gradient or of a parameter is compared.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

import torch

from gradcheck.fronts.tape import Op, Recording, Value
from gradcheck.replay.runner import Runner

JITTERS = 3
_SAME = 1e-9  # relative
_ZERO = 1e-13  # of the largest gradient: below it is rounding
_FINALLY = ", in the end"
Snapshot = dict[str, list[torch.Tensor | None]]
Place = tuple[str, int]  # of a value on the tape, the same on both tapes


def places_of(recording: Recording, values: Iterable[Value]) -> dict[Value, Place]:
    """Leaves are counted; what the program made before the step is told by the op that made it."""
    leaves = {value: number for number, value in enumerate(_leaves(recording.ops))}
    found = {}
    for value in values:
        if value in leaves:
            found[value] = ("leaf", leaves[value])
        elif value.producer in recording.ops and list(value.producer.outputs[:1]) == [value]:
            found[value] = ("op", value.producer.index)
    return found


def jitter(recording: Recording, places: Iterable[Place], seed: int) -> dict[Place, torch.Tensor]:
    """Other numbers for the parameters: a third of their spread away, or of 1 where all are alike."""
    values = _at(recording, places)
    replay = Runner(torch.float64)
    generator = torch.Generator().manual_seed(seed)
    last = max((v.producer.index for v in values.values() if v.producer is not None), default=-1)
    replay.run(recording.ops[: last + 1])
    found = {}
    for place, value in values.items():
        now = replay.tensor(value).detach()
        spread = float((now - now.mean()).norm()) / max(1, now.numel()) ** 0.5
        size = 0.3 * (spread if spread > 1e-9 else 1.0)
        found[place] = now + size * torch.randn(now.shape, generator=generator, dtype=torch.float64)
    return found


def snapshot(
    recording: Recording,
    names: frozenset[str],
    jittered: Mapping[Place, torch.Tensor],
    dtype: torch.dtype | None = torch.float64,
) -> Snapshot:
    """What the names held, one after the other, and what they hold in the end."""
    values = _at(recording, jittered)
    replay = Runner(
        dtype,
        overrides={value: jittered[place] for place, value in values.items()},
    )
    moments: dict[int, list[tuple[str, Value]]] = defaultdict(list)
    for binding in recording.bindings:
        if binding.name in names:
            moments[binding.when].append((binding.name, binding.value))
    found: Snapshot = defaultdict(list)
    with torch.no_grad():
        for when, op in enumerate([*recording.ops, None]):
            for name, value in moments.get(when, ()):
                found[name].append(_now(replay, value))
            if op is not None:
                replay.step(op)
    last_name = {value: name for _, held in sorted(moments.items()) for name, value in held}
    for _, held in sorted(moments.items()):
        for name, value in held:
            # A tensor that goes by two names, and is changed under the second, is no longer what the first meant.
            if last_name[value] == name:
                found[name + _FINALLY] = [_now(replay, value)]
    return dict(found)


def same(one: Snapshot, other: Snapshot) -> bool:
    sizes = [float(t.norm()) for held in one.values() for t in held if t is not None and t.isfinite().all()]
    floor = _ZERO * max(sizes, default=0.0)
    if {name for name in one.keys() ^ other.keys() if not name.endswith(_FINALLY)}:
        return False
    return all(_same_all(held, other[name], floor) for name, held in one.items() if name in other)


def _same_all(one: list[torch.Tensor | None], other: list[torch.Tensor | None], floor: float) -> bool:
    """Where the tensor itself is handed on instead of a copy, it may be noted once less: what it was in the end, and
    what is computed from it, is compared anyway."""
    fewer, more = sorted((one, other), key=len)
    rest = iter(more)
    return bool(fewer) and all(any(_same(each, found, floor) for found in rest) for each in fewer)


def _same(one: torch.Tensor | None, other: torch.Tensor | None, floor: float) -> bool:
    if one is None or other is None:
        return one is other
    if [n for n in one.shape if n != 1] != [n for n in other.shape if n != 1]:
        return False
    one, other = one.double().reshape(-1), other.double().reshape(-1)
    if not bool(one.isfinite().all() and other.isfinite().all()):
        return bool(torch.equal(one.nan_to_num(), other.nan_to_num()))
    return float((one - other).norm()) <= max(_SAME * max(float(one.norm()), float(other.norm())), floor)


def _now(replay: Runner, value: Value) -> torch.Tensor | None:
    try:
        tensor = replay.tensor(value).detach()
    except Exception:  # what could not be replayed is compared as missing
        return None
    return tensor.clone() if not tensor.is_complex() else torch.view_as_real(tensor).clone()


def _leaves(ops: Iterable[Op]) -> list[Value]:
    found: dict[Value, None] = {}
    for op in ops:
        for value in (*op.inputs, *op.outputs):
            if value.data is not None and value.data.is_floating_point():
                found[value] = None
    return list(found)


def _at(recording: Recording, places: Iterable[Place]) -> dict[Place, Value]:
    leaves = _leaves(recording.ops)
    found = {}
    for place in places:
        kind, number = place
        if kind == "leaf":
            found[place] = leaves[number]
        else:
            found[place] = recording.ops[number].outputs[0]
    return found
