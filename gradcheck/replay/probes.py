"""Probe points: the whole step replayed at jittered parameters, so that an initialisation hides nothing.

gamma = 1, beta = 0 or a zero bias make many wrong formulas right. At a probe point they are none of these.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch

from gradcheck.recording.tape import Kind, Op, Value
from gradcheck.replay.compare import norm
from gradcheck.replay.judge import Judged
from gradcheck.replay.passes import PassPlan
from gradcheck.replay.run import PassRun

PROBES = 2
# A jitter of a fifth of the spread moves every parameter clearly and leaves the network in its regime.
_SPREAD_SHARE = 0.2
_OF_CONSTANT = 0.3  # of the magnitude of a constant parameter, or absolutely where that is zero


def probe_roots(plan: PassPlan, judged: Iterable[Judged], truth: Mapping[Value, torch.Tensor]) -> list[Value]:
    """The paired values that no other value with a gradient leads to: parameters and inputs."""
    upstream: set[Value] = set()
    for op in plan.forward_ops:
        if op.kind is Kind.RANDOM:
            continue
        if any(v in truth for v in op.inputs):
            upstream.update(v for v in op.outputs if v.producer is op)
    paired = {j.of for j in judged if j.of is not None}
    made_from_parameters: set[Value] = set()
    for op in plan.forward_ops:
        if any(v in paired or v.root in made_from_parameters for v in op.inputs):
            made_from_parameters.update(v.root for v in op.outputs if v.producer is op)
    return [
        v for v in sorted(paired, key=lambda v: v.birth) if v.root not in made_from_parameters and v in truth
    ]


def jittered(run: PassRun, roots: Iterable[Value], seed: int) -> dict[Value, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    found = {}
    for value in roots:
        tensor = run.graph.tensor(value).detach()
        count = max(1, tensor.numel())
        mean = float(tensor.mean()) if tensor.numel() else 0.0
        spread = norm(tensor - mean) / count**0.5
        constant = spread <= 1e-12 + 1e-6 * abs(mean)
        size = (_OF_CONSTANT * (abs(mean) or 0.3)) if constant else _SPREAD_SHARE * spread
        noise = torch.randn(tensor.shape, generator=generator, dtype=torch.float64).to(tensor.dtype)
        found[value] = tensor + size * noise
    return found


def has_frozen_numbers(ops: Iterable[Op], plan: PassPlan) -> bool:
    """Whether numbers read out of float tensors may have come back as plain Python numbers: those a replay at
    another point would keep, so that nothing it finds there would prove anything."""
    escaped = False
    for op in ops:
        if op.index < plan.start or op.index >= plan.stop:
            continue
        if op.kind is Kind.ESCAPE:
            escaped = escaped or op.name not in ("__bool__", "is_nonzero", "allclose", "equal")
        elif escaped and op.kind in (Kind.PURE, Kind.MUTATE) and _has_plain_float(op):
            return True
    return False


def _has_plain_float(op: Op) -> bool:
    return any(isinstance(a, float) and not a.is_integer() for a in op.args)
