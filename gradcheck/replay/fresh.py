"""Fresh draws: the same step on another minibatch, or with other noise, than the recorded one."""

from collections.abc import Iterable

import torch

from gradcheck.fronts.tape import Kind, Op, Value, values_in


def fresh_draws(ops: Iterable[Op], seed: int) -> dict[Value, torch.Tensor]:
    """What the random draws among `ops` could have given instead, as overrides for a replay.

    Only draws that depend on no numbers are made again (`randint(0, n, (32,))`, `randn_like(x)`); the others stay as they
    were recorded. The random state of the process is left as it was.
    """
    found: dict[Value, torch.Tensor] = {}
    with torch.random.fork_rng(devices=[]):
        for op in ops:
            if op.kind is not Kind.RANDOM or not isinstance(op.out, Value):
                continue
            kwargs = {k: v for k, v in (op.kwargs or {}).items() if k not in ("generator", "out", "device")}
            args = (torch.empty(op.out.shape), *op.args[1:]) if op.name.endswith("_like") else op.args
            if any(True for _ in values_in((args, kwargs))):
                continue
            # Not torch.manual_seed, which writes a traceback each time, for CUDA.
            torch.default_generator.manual_seed(seed * 1_000_003 + op.index)
            try:
                drawn = op.func(*args, **kwargs)
            except (RuntimeError, TypeError, ValueError):
                continue  # draws with a generator handed on by position, say: they stay as recorded
            if isinstance(drawn, torch.Tensor) and drawn.shape == op.out.shape:
                found[op.out] = drawn.detach()
    return found
