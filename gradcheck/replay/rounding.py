"""How much of a difference is rounding: measured for every value, by the same step in float32."""

import math
from functools import cached_property

from gradcheck.fronts.tape import Value
from gradcheck.replay import compare
from gradcheck.replay.passes import Version
from gradcheck.replay.run import PassRun
from gradcheck.replay.runner import ReplayError


class Rounding:
    """`opaque` are values whose numbers are float32 in every replay."""

    def __init__(self, run: PassRun, coarse: PassRun | None, opaque: set[Value]) -> None:
        self._run = run
        self._coarse = coarse
        self._opaque = opaque
        self._truth_noise: dict[Value, float] = {}
        self._version_noise: dict[int, float] = {}

    def noise_of(self, value: Value) -> float:
        """How far the float32 truth lies from the float64 truth: rounding as it really is here."""
        known = self._truth_noise.get(value)
        if known is None:
            known = 0.0
            coarse = self._replayed
            if coarse is not None and value in coarse.graph.truth:
                known = compare.distance(coarse.graph.truth[value], self._run.graph.truth[value])
            self._truth_noise[value] = known if math.isfinite(known) else 0.0
        return self._truth_noise[value]

    def noise(self, version: Version) -> float:
        """How far the float32 replay of this gradient lies from the float64 replay."""
        known = self._version_noise.get(id(version))
        if known is None:
            known = self._version_noise[id(version)] = self._measure(version)
        return known

    @property
    def _replayed(self) -> PassRun | None:
        try:
            if self._coarse is not None:
                _ = self._coarse.captured
        except ReplayError:
            self._coarse = None
        return self._coarse

    def _measure(self, version: Version) -> float:
        other = self._replayed
        if other is None or any(id(version) not in run.captured for run in (self._run, other)):
            return 0.0  # what float64 cannot hold, float32 may
        found, coarse = self._run.captured[id(version)], other.captured[id(version)]
        if found.shape != coarse.shape or not compare.differentiable(found):
            return 0.0
        noise = compare.distance(coarse, found)
        return noise if math.isfinite(noise) else 0.0

    def tolerance(self, version: Version, size: float, noise: float) -> float:
        if version.candidate.value.root in self._opaque:
            return max(compare.FLOAT32_TOLERANCE * size, 4 * noise)
        return max(compare.RELATIVE_TOLERANCE * size, compare.NOISE_SHARE * noise, self.floor)

    @cached_property
    def floor(self) -> float:
        """What float64 itself leaves of a sum that is zero by invariance: its rounding, relative to the largest
        gradient of the step. (The float32 noise of such a sum can be exactly zero by chance.)"""
        sizes = self._run.graph.truth.sizes.values()
        return compare.ROUNDING_FLOOR * max((size for size in sizes if math.isfinite(size)), default=0.0)
