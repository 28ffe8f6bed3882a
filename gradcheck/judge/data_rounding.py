"""Formulas that depend on the data being exact: right but for the rounding the data came with.

`probabilities - targets` is the gradient of a cross-entropy only if the targets of a sample sum to 1, and in float32
they do so only to 1e-7. No replay can be more exact than its data. What such a difference is made of shows when the
data are rounded once more: it changes as much as it measures. A fault of a line does not.
"""

from collections.abc import Sequence
from functools import cached_property

import torch

from gradcheck.fronts.tape import Value
from gradcheck.judge.judged import Fault, replaced_by
from gradcheck.replay.compare import distance, norm
from gradcheck.replay.passes import Version
from gradcheck.replay.run import PassRun
from gradcheck.replay.runner import attempted

# Only differences below this, relative, can be rounding of float32 data (6e-8 each) in a well conditioned formula.
LARGEST = 1e-6
# Another rounding gives another draw of the same size: a difference is made of rounding if it changes by this share at
# least. A fault of a line changes by the rounding alone, 1e-7 of itself times the conditioning.
_SHARE = 0.05
_DRAWS = 2
_EPSILON = {torch.float32: 2.0**-24, torch.float16: 2.0**-11, torch.bfloat16: 2.0**-8}


class DataRounding:
    def __init__(self, run: PassRun) -> None:
        self._run = run
        self._expectations: dict[tuple[int, frozenset[int]], dict[Value, torch.Tensor]] = {}

    def explains(
        self,
        version: Version,
        partner: Value,
        found: torch.Tensor,
        expected: torch.Tensor,
        faults: Sequence[Fault],
    ) -> bool:
        """Whether the difference between `found` and `expected`, which is small, comes of rounded data."""
        if found.shape != expected.shape or distance(found, expected) > LARGEST * norm(expected):
            return False
        difference = found - expected
        for draw, run in enumerate(self._runs):
            again = run.captured.get(id(version))
            wanted = self._expected(draw, faults).get(partner)
            if again is None or wanted is None or again.shape != found.shape:
                return False
            if distance(again - wanted, difference) >= _SHARE * norm(difference):
                return True
        return False

    @cached_property
    def _runs(self) -> list[PassRun]:
        """The pass on data that were rounded once more; none where the data are whole numbers."""
        found = []
        for seed in range(_DRAWS):
            overrides = self._overrides(seed)
            run = attempted(PassRun, self._run.prepared, torch.float64, overrides) if overrides else None
            if run is not None and bool(torch.isfinite(run.graph.loss_tensor).all()):
                found.append(run)
        return found

    def _overrides(self, seed: int) -> dict[Value, torch.Tensor]:
        """Every leaf of rounded numbers, each of them moved by half a unit in its last place, up or down."""
        found: dict[Value, torch.Tensor] = {}
        generator = torch.Generator().manual_seed(seed)
        for op in self._run.prepared.manual:
            for value in (*op.inputs, *op.outputs):
                data = value.data
                if value in found or data is None or data.dtype not in _EPSILON:
                    continue
                exact = data.detach().cpu().double()
                if bool((exact == exact.round()).all()):
                    continue  # whole numbers are not rounded
                signs = torch.randint(0, 2, exact.shape, generator=generator, dtype=torch.float64) * 2 - 1
                found[value] = exact * (1 + signs * _EPSILON[data.dtype])
        return found

    def _expected(self, draw: int, faults: Sequence[Fault]) -> dict[Value, torch.Tensor]:
        key = draw, frozenset(map(id, faults))
        if key not in self._expectations:
            run = self._runs[draw]
            replaced = replaced_by(faults, run)
            self._expectations[key] = run.graph.gradients(replaced) if replaced else run.graph.truth
        return self._expectations[key]
