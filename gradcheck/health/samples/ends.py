"""What the sampler gives for the next token, and what the network as it was trained gives, on the same contexts.

This needs no large sample and no network that is well trained: both are asked the same, so what differs is the sampler.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from gradcheck.fronts.tape import Op, Value
from gradcheck.health.network.probing import fed
from gradcheck.health.samples.network import TrainedNetwork
from gradcheck.health.samples.records import NetworkEnds
from gradcheck.health.samples.sequences import Drawn, Token
from gradcheck.health.samples.statistics import distance, implied_lengths, mean_length
from gradcheck.health.samples.training_data import Rows
from gradcheck.replay.runner import attempted
from gradcheck.replay.slices import Slicer

_MOST_CONTEXTS = 400
_SHARE_REPLACED = 0.05  # of a minibatch: its statistics stay those of the training data
_MINIBATCHES = 3  # around each context, whose mean is taken: what they normalise with is not quite the same
_ENOUGH_AT_A_POSITION = 5


@dataclass(frozen=True)
class Draw:
    """One token of one sequence: `op` drew it from row `row` of its distributions, after the tokens `before`."""

    op: Op
    row: int
    before: tuple[Token, ...]


def draws_of(runs: Sequence[Drawn]) -> list[Draw]:
    """Those of whole runs, until there are enough."""
    found: list[Draw] = []
    for run in runs:
        if found and len(found) + len(run.tokens) > _MOST_CONTEXTS:
            break
        pairs = list(enumerate(run.ops[: len(run.tokens)]))[:_MOST_CONTEXTS]
        found += [Draw(op, run.row, tuple(run.tokens[:i])) for i, op in pairs]
    return found


def sampler_gives(slicer: Slicer, draws: Sequence[Draw]) -> torch.Tensor | None:
    """The probabilities that the sampler drew every token by, replayed from the tape."""
    weights = [draw.op.args[0] for draw in draws]
    if not draws or not all(isinstance(w, Value) for w in weights):
        return None
    replay = fed(slicer.slice(weights, 0, max(draw.op.index for draw in draws) + 1))
    tensors = [attempted(replay.tensor, weight) for weight in weights]
    rows = [
        t.reshape(-1, t.shape[-1])[draw.row] for draw, t in zip(draws, tensors, strict=True) if t is not None
    ]
    if len(rows) < len(draws):
        return None
    found = torch.stack(rows)
    return found / found.sum(1, keepdim=True)


def network_gives(network: TrainedNetwork, rows: Rows, draws: Sequence[Draw]) -> torch.Tensor | None:
    """The probabilities that the network as it was trained gives there: few of the contexts at a time, each in the
    place of a row of a minibatch of training data."""
    size = rows.contexts.reshape(len(rows.contexts), -1).shape[1]
    start = rows.start
    wanted = torch.tensor([(*start, *draw.before)[-size:] for draw in draws], dtype=rows.contexts.dtype)
    generator = torch.Generator().manual_seed(1)
    at_once = max(1, int(network.rows * _SHARE_REPLACED))
    found = []
    for begin in range(0, len(wanted), at_once):
        part = wanted[begin : begin + at_once]
        total = torch.zeros(len(part), 1, dtype=torch.float64)
        for _ in range(_MINIBATCHES):
            chosen = torch.randint(0, len(rows.targets), (network.rows,), generator=generator)
            contexts = rows.contexts[chosen].reshape(network.rows, -1)
            contexts[: len(part)] = part
            given = network.log_probabilities(contexts, rows.targets[chosen])
            if given is None:
                return None
            total = total + given[: len(part)].exp().double()
        found.append(total / _MINIBATCHES)
    return torch.cat(found)


def compared(draws: Sequence[Draw], sampler: torch.Tensor, network: torch.Tensor, end: int) -> NetworkEnds:
    ends = sampler[:, end].tolist(), network[:, end].tolist()
    by_sampler, by_network = ([mean for _, mean in by_position(draws, one)] for one in ends)
    implied = implied_lengths(by_sampler), implied_lengths(by_network)
    return NetworkEnds(
        len(draws),
        sum(ends[0]) / len(draws),
        sum(ends[1]) / len(draws),
        distance(*implied),
        mean_length(implied[0]),
        mean_length(implied[1]),
        float((sampler - network).abs().sum(1).mean() / 2),
    )


def by_position(draws: Sequence[Draw], ends: Sequence[float]) -> Iterator[tuple[int, float]]:
    """The mean at every position that enough sequences reached; always at the first."""
    held: dict[int, list[float]] = {}
    for draw, end in zip(draws, ends, strict=True):
        held.setdefault(len(draw.before), []).append(end)
    for position in range(len(held)):
        if position and len(held[position]) < _ENOUGH_AT_A_POSITION:
            return
        yield position, sum(held[position]) / len(held[position])
