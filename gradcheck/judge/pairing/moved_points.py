"""A step replayed at its recorded point and at others, with all that the parameters have a part in as it was each time."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass

import torch

from gradcheck.fronts.tape import Op, Value
from gradcheck.replay.compare import differentiable, norm
from gradcheck.replay.runner import ReplayError, Runner
from gradcheck.replay.slices import Slicer

_POINTS = 3
_MOST_ELEMENTS = 20_000_000  # that are kept of one point
_SHARE, _OF_CONSTANT = 0.2, 0.1  # of the spread of a parameter; of one that is the same everywhere


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A value as it was after op `after`, which is `op`."""

    value: Value
    after: int
    op: Op


class Points:
    """`watched` are the storages that are kept."""

    def __init__(
        self, slicer: Slicer, begin: int, end: int, parameters: Collection[Value], watched: Collection[Value]
    ) -> None:
        self._ops = slicer.all_of(begin, end)
        self._begin = begin
        self._parameters, self._watched = parameters, watched
        self._versions: dict[Value, list[Snapshot]] = defaultdict(list)  # by storage, in program order
        self._overrides: list[dict[Value, torch.Tensor]] = [{}]
        self._tensors: list[dict[tuple[Value, int], torch.Tensor]] = []
        self.usable = bool(parameters) and self._replay()

    def moved(self, point: int) -> dict[Value, torch.Tensor]:
        """The parameters at that point."""
        return self._overrides[point]

    def at(self, snapshot: Snapshot, point: int) -> torch.Tensor | None:
        return self._tensors[point].get((snapshot.value, snapshot.after))

    def before(self, value: Value, index: int) -> Snapshot | None:
        """What it was before op `index`, as the last op before that left it."""
        versions = [s for s in self._versions.get(value.root, ()) if s.value is value]
        position = bisect_left([s.after for s in versions], index)
        return versions[position - 1] if position else None

    def later(self, after: int, elements: int, point: int = 1) -> Iterator[tuple[Snapshot, torch.Tensor]]:
        """What was computed by that op or after it, of so many elements, at a moved point."""
        for versions in self._versions.values():
            for snapshot in versions:
                tensor = self.at(snapshot, point)
                if snapshot.after >= after and tensor is not None and tensor.numel() == elements:
                    yield snapshot, tensor

    def _replay(self) -> bool:
        try:
            for point in range(_POINTS):
                if point:
                    self._overrides.append(self._jittered(point))
                self._run(point)
        except (ReplayError, MemoryError):
            return False
        return True

    def _run(self, point: int) -> None:
        runner = Runner(torch.float64, overrides=self._overrides[point])
        kept: dict[tuple[Value, int], torch.Tensor] = {}
        elements = 0
        started = False
        for op in self._ops:
            if not started and op.index >= self._begin:
                started = True
                if not point:
                    self._start = {p: runner.tensor(p).detach().clone() for p in self._parameters}
            runner.step(op)
            if not started:
                continue
            for value in dict.fromkeys((*op.outputs, *(v.root for v in op.mutated))):
                tensor = runner.env.get(value)
                if value.root not in self._watched or tensor is None or not differentiable(tensor):
                    continue
                elements += tensor.numel()
                if elements > _MOST_ELEMENTS:
                    raise MemoryError
                kept[value, op.index] = tensor.detach().clone()
                if not point:
                    self._versions[value.root].append(Snapshot(value, op.index, op))
        self._tensors.append(kept)

    def _jittered(self, seed: int) -> dict[Value, torch.Tensor]:
        generator = torch.Generator().manual_seed(seed)
        found = {}
        for parameter, tensor in self._start.items():
            spread = norm(tensor - tensor.mean()) / max(1, tensor.numel()) ** 0.5
            size = _SHARE * spread or _OF_CONSTANT * (norm(tensor) or 1.0)
            noise = torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
            found[parameter] = tensor + size * noise
        return found
