"""Whether a replay in the program's own types gives what the program computed, call by call.

Where the two part, the program did something that the recorder could not see: memory was written through NumPy, by C code
or another thread. Whatever was computed from there on is not known to follow from what is on the tape.

The same call on the same numbers and the same machine gives the same bits as a rule, so that bits are compared first. Where
they differ, the call may have added up in another order. How much rounding that can be is measured: the call is made in
float64 too, and its distance from there is what rounding does to it.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from types import CodeType
from typing import Any

import torch

from gradcheck.fronts.fingerprint import WHOLE, Fingerprint, Fingerprints, fingerprint
from gradcheck.fronts.tape import Op, Value
from gradcheck.graph.lower import node_of
from gradcheck.graph.node import Role
from gradcheck.ops import Family
from gradcheck.replay.compare import copied, exact
from gradcheck.replay.passes import Version
from gradcheck.replay.runner import ReplayError, Runner, attempted
from gradcheck.replay.slices import last_writes

# Another order of adding up changes a result by about as much as rounding does in the one order there was.
_TIMES_THE_ROUNDING = 16
# Units in the last place that may differ where float64 shows no rounding.
_UNITS = 8
_ADDING_UP = (Family.REDUCTION, Family.PRODUCT, Family.SCAN)
# What is computed from such a result differs by that rounding, made larger by what was done to it.
_UNITS_LATER = 4096


@dataclass(slots=True, eq=False)
class Parting:
    """Op `op` gave something else than its replay does. `changed` are the storages that may have been written to unseen,
    each with the last op that had shown what was in it."""

    op: Op
    changed: dict[Value, Op | None]


class Fidelity:
    """`ops` are those that are replayed, in their order; `last_used` says which values no later one needs. `computed` is
    what the program computed as each of `versions_after`, by the op that finished it."""

    def __init__(
        self,
        ops: Sequence[Op],
        last_used: Mapping[int, Iterable[Value]],
        versions_after: Mapping[int, Iterable[Version]],
    ) -> None:
        self.computed: dict[Version, torch.Tensor] = {}
        self.partings: list[Parting] = []
        self._parted: dict[Value, tuple[int, Parting]] = {}  # by storage, since which op
        self._rounded: dict[Value, float] = {}  # storages that differ by rounding, and by how much
        self._shown: dict[Value, Op] = {}  # by storage, the last op that showed what was in it
        self._looked_at: set[Value] = set()
        self._runner = Runner(None)
        written = last_writes(ops)
        with torch.no_grad():
            for op in ops:
                self._compare_leaves(op)
                self._runner.step(op)
                self._compare(op)
                for version in versions_after.get(op.index, ()):
                    with suppress(ReplayError):
                        computed = self._runner.tensor(value := version.candidate.value)
                        changes = written.get(value.root, -1) > op.index
                        self.computed[version] = copied(computed) if changes else computed
                for value in last_used.get(op.index, ()):
                    self._runner.forget(value)
        self._runner = Runner(None)
        for parting in self.partings:
            for root in parting.changed:
                self._parted[root] = -1, parting

    def parting(self, value: Value, after: int) -> Parting | None:
        """Where run and replay had parted in what `value` was after op `after`."""
        since, parting = self._parted.get(value.root, (after + 1, None))
        return parting if since <= after else None

    # -- op by op ------------------------------------------------------------------------------------------------

    def _compare_leaves(self, op: Op) -> None:
        """Those that were too large to be put back."""
        for value in (*op.inputs, *op.outputs):
            if value.fingerprint is None or value in self._looked_at:
                continue
            self._looked_at.add(value)
            kept = value.fingerprint
            if isinstance(kept, Fingerprint) and kept.whole:
                continue
            if value.data is not None and fingerprint(value.data) != kept:
                self._part(op, {value.root: op})
                self._parted.setdefault(value.root, (op.index, self.partings[-1]))

    def _compare(self, op: Op) -> None:
        made = {value.root for value in (*op.outputs, *op.mutated)}
        read = {value.root: None for value in op.inputs}
        known = next((self._parted[root][1] for root in read if root in self._parted), None)
        if known is not None:
            for root in made:
                self._parted.setdefault(root, (op.index, known))
            return
        noise = max((self._rounded[root] for root in read if root in self._rounded), default=None)
        if op.fingerprint is None:
            if noise is not None:
                self._rounded.update(dict.fromkeys(made, noise))
            return
        result = self._result(op)
        if result is None:
            return
        same_shape = all(self._has_its_shape(value) for value in op.outputs if value.producer is op)
        if not same_shape or any(then != now for then, now, _ in _compared(op.fingerprint, result)):
            differs = self._rounding(op, op.fingerprint, result, noise is not None) if same_shape else None
            if differs is None:
                self._part(op, self._suspects(op, read))
                for root in (
                    *made,
                    *(self.partings[-1].changed if len(self.partings[-1].changed) == 1 else ()),
                ):
                    self._parted.setdefault(root, (op.index, self.partings[-1]))
                return
            self._rounded.update(dict.fromkeys(made, differs))
        else:
            self._clear(op, read)
        self._shown.update(dict.fromkeys((*read, *made), op))

    def _has_its_shape(self, value: Value) -> bool:
        replayed = self._runner.env.get(value)
        return replayed is None or tuple(replayed.shape) == tuple(value.shape)

    def _part(self, op: Op, changed: dict[Value, Op | None]) -> None:
        self.partings.append(Parting(op, changed))

    def _suspects(self, op: Op, read: Iterable[Value]) -> dict[Value, Op | None]:
        """What was shown on the line itself has not been changed since, nor what the program still holds as it was."""
        line = _line(op.code, op.lasti)
        shown = {root: self._shown.get(root) for root in read if not self._is_still(root)}
        return {
            root: at
            for root, at in shown.items()
            if at is None or at.code is not op.code or _line(at.code, at.lasti) != line
        }

    def _is_still(self, root: Value) -> bool:
        held = root.reference() if root.reference is not None else None
        replayed = self._runner.env.get(root)
        if held is None or replayed is None or held.layout is not torch.strided:
            return False
        return bool(held.dtype == replayed.dtype and torch.equal(held, replayed))

    def _clear(self, op: Op, read: Iterable[Value]) -> None:
        """What gives the same here was not changed before."""
        whole = isinstance(op.fingerprint, Fingerprint) and op.fingerprint.whole
        for parting in self.partings if whole else ():
            for root in read:
                if len(parting.changed) > 1:
                    parting.changed.pop(root, None)

    def _result(self, op: Op) -> Any:
        if node_of(op).role is Role.NOTHING:
            return None
        out = op.out if op.out is not None else op.args[0]
        return attempted(_with_tensors, out, self._runner)  # what no type can replay, the verdicts name

    # -- bits and rounding -----------------------------------------------------------------------------------------

    def _rounding(self, op: Op, recorded: Fingerprints | None, result: Any, later: bool) -> float | None:
        """By how much they differ, if by rounding alone."""
        compared = _compared(recorded, result)
        units, most = _UNITS_LATER if later else _UNITS, 0.0
        precise: dict[int, float] | None = None
        for number, (then, now, _) in enumerate(compared):
            if then == now:
                continue
            if not _close(then, now, units, 0.0):
                if precise is None:
                    precise = self._shaken(op) if later else self._roundings(op, compared)
                if not _close(then, now, units, precise.get(number, 0.0)):
                    return None
            most = max(most, _apart(then, now))
        return most

    def _shaken(self, op: Op) -> dict[int, float]:
        """By how much each result changes if what it is computed from changes by as much as that differs by rounding: a
        mean of what has been centred is nothing but rounding."""
        noise = {value: self._rounded.get(value.root, 0.0) for value in op.inputs}
        if op.mutated:
            return dict.fromkeys(range(len(op.mutated)), sum(noise.values()))
        generator, found = torch.Generator().manual_seed(op.index), []
        held = {value: self._runner.tensor(value) for value in op.inputs}
        given = {v: exact(t) if noise[v] and t.is_floating_point() else t for v, t in held.items()}
        shaken = [value for value in given if noise[value] and held[value].is_floating_point()]
        for value in (None, *shaken):  # one after the other: two that are moved alike may cancel
            moved = dict(given)
            if value is not None:
                signs = torch.randint(0, 2, given[value].shape, generator=generator) * 2 - 1
                moved[value] = given[value] + noise[value] * signs
            runner = Runner(torch.float64, start_from=moved)
            try:
                runner.step(op)
                found.append(_flat(_with_tensors(op.out, runner)))
            except ReplayError:
                return {}
        return {
            number: sum(float((other - plain).abs().max()) for other in others)
            for number, (plain, *others) in enumerate(zip(*found, strict=False))
            if plain.numel() and plain.dtype.is_floating_point
        }

    def _roundings(
        self, op: Op, compared: Sequence[tuple[Fingerprint, Fingerprint, torch.Tensor]]
    ) -> dict[int, float]:
        """How far each result is from that of the same call in float64. What is added up can differ by the rounding of as
        much as it would be without signs: in another order, terms of both signs cancel otherwise."""
        if op.mutated:
            return {}
        adds_up = op.operation.family in _ADDING_UP and all(
            then.dtype in (torch.float32, torch.float64) for then, _, _ in compared
        )
        try:
            given = {value: self._runner.tensor(value) for value in op.inputs}
            if adds_up:
                given = {
                    value: held.abs() if held.is_floating_point() else held for value, held in given.items()
                }
            fine = Runner(torch.float64, start_from=given)
            fine.step(op)
            results = _flat(_with_tensors(op.out, fine))
        except ReplayError:
            return {}
        if adds_up:
            eps = max(torch.finfo(then.dtype).eps for then, _, _ in compared)
            return {n: eps * float(r.abs().max()) for n, r in enumerate(results) if r.numel()}
        return {
            number: float((exact(now) - exact(precise)).abs().max())
            for number, ((_, _, now), precise) in enumerate(zip(compared, results, strict=False))
            if now.shape == precise.shape and now.numel()
        }


def as_recorded(loss: Value) -> float | None:
    """The number that the program computed, if it is one."""
    kept = loss.producer.fingerprint if loss.producer is not None and loss.producer.out is loss else None
    if not isinstance(kept, Fingerprint) or not kept.whole:
        return None
    return float(torch.frombuffer(bytearray(kept.kept), dtype=kept.dtype).double().sum())


def put_back_leaves(ops: Iterable[Op]) -> None:
    """A leaf lies in the program's own memory: where that was changed unseen, the leaf is what it was when first read."""
    for value in dict.fromkeys(value for op in ops for value in (*op.inputs, *op.outputs)):
        kept, data = value.fingerprint, value.data
        if data is not None and isinstance(kept, Fingerprint) and kept.whole:
            now = fingerprint(data, kept.size)
            if isinstance(now, Fingerprint) and now != kept and now.size == kept.size:
                value.data = torch.frombuffer(bytearray(kept.kept), dtype=kept.dtype).reshape(data.shape)


def _with_tensors(out: Any, runner: Runner) -> Any:
    if isinstance(out, Value):
        return runner.tensor(out)
    return [_with_tensors(each, runner) for each in out] if isinstance(out, tuple) else None


def _flat(result: Any) -> list[torch.Tensor]:
    if isinstance(result, list):
        return [tensor for each in result for tensor in _flat(each)]
    return [result] if isinstance(result, torch.Tensor) else []


def _compared(
    recorded: Fingerprints | None, result: Any
) -> list[tuple[Fingerprint, Fingerprint, torch.Tensor]]:
    """Of each tensor: what it was then, what it is now, and itself now."""
    if isinstance(result, list):
        then = recorded if not isinstance(recorded, Fingerprint) else (recorded,)
        return [pair for old, new in zip(then or (), result, strict=False) for pair in _compared(old, new)]
    if not isinstance(recorded, Fingerprint) or result is None:
        return []
    now = fingerprint(result, WHOLE if recorded.whole else min(WHOLE, recorded.size - 1))
    return [(recorded, now, result)] if isinstance(now, Fingerprint) else []


def _close(then: Fingerprint, now: Fingerprint, units: int, rounding: float) -> bool:
    """Whether they differ by rounding alone. Pieces of results in different types lie at different places."""
    if then.dtype != now.dtype and not (then.whole and now.whole):
        return True
    old, new = (exact(torch.frombuffer(bytearray(p.kept), dtype=p.dtype)) for p in (then, now))
    if old.shape != new.shape:
        return False
    floats = [p.dtype for p in (then, now) if p.dtype.is_floating_point or p.dtype.is_complex]
    if not floats:
        return units == _UNITS_LATER  # what is chosen or counted can differ by more
    finite = torch.cat([old[old.isfinite()].abs(), new[new.isfinite()].abs()])
    scale = float(finite.max()) if finite.numel() else 0.0
    share = min(0.1, units * max(torch.finfo(dtype).eps for dtype in floats))
    same = (old == new) | (old.isnan() & new.isnan())
    return bool((same | ((old - new).abs() <= share * scale + _TIMES_THE_ROUNDING * rounding)).all())


def _apart(then: Fingerprint, now: Fingerprint) -> float:
    """By how much they differ, where they can be compared."""
    old, new = (exact(torch.frombuffer(bytearray(p.kept), dtype=p.dtype)) for p in (then, now))
    if old.shape != new.shape or not old.is_floating_point():
        return 0.0
    apart = (old - new).abs()
    apart = apart[apart.isfinite()]
    return float(apart.max()) if apart.numel() else 0.0


@lru_cache(maxsize=1024)
def _line(code: CodeType, lasti: int) -> int | None:
    positions = list(code.co_positions())
    return positions[lasti // 2][0] if lasti // 2 < len(positions) else None
