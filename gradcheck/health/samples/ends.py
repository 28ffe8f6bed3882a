"""Where the sampler ends sequences, and where the network as it was trained ends them, on the very same contexts.

This needs no large sample and no network that is well trained: both are asked the same, so what differs is the sampler.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from gradcheck.health.samples.network import TrainedNetwork
from gradcheck.health.samples.records import NetworkEnds
from gradcheck.health.samples.sequences import Token
from gradcheck.health.samples.statistics import distance, implied_lengths, mean_length
from gradcheck.health.samples.training_data import Rows
from gradcheck.recording.tape import Op, Recording, Value
from gradcheck.replay.engine import Replay, ReplayError
from gradcheck.replay.slices import Slicer, roots_mutated

_MOST_CONTEXTS = 400
_SHARE_REPLACED = 0.05  # of a minibatch: its statistics stay those of the training data
_ENOUGH_AT_A_POSITION = 5


@dataclass(frozen=True)
class Draw:
    """One token of one sequence: `op` drew it from row `row` of its distributions, after the tokens `before`."""

    op: Op
    row: int
    before: tuple[Token, ...]


def draws_of(sequences: Sequence[tuple[Sequence[Token], Sequence[Op], int]]) -> list[Draw]:
    """For (tokens with the end, ops, row) of every sequence, whole sequences until there are enough."""
    found: list[Draw] = []
    for tokens, ops, row in sequences:
        if found and len(found) + len(tokens) > _MOST_CONTEXTS:
            break
        found += [
            Draw(op, row, tuple(tokens[:i]))
            for i, op in zip(range(min(len(tokens), _MOST_CONTEXTS)), ops, strict=False)
        ]
    return found


def sampler_ends(recording: Recording, draws: Sequence[Draw], end: int) -> list[float] | None:
    """The probability that the sampler gave the end at every draw, replayed from the tape."""
    weights = [draw.op.args[0] for draw in draws]
    first, last = recording.aftermath, max((draw.op.index for draw in draws), default=-1)
    if first is None or last < 0 or not all(isinstance(w, Value) for w in weights):
        return None
    needed = Slicer(recording.ops).slice(weights, first, last + 1)
    replay = Replay(torch.float64, mutated=roots_mutated(needed))
    found = []
    with torch.no_grad():
        replay.run(needed)
        for draw, weight in zip(draws, weights, strict=True):
            try:
                row = replay.tensor(weight).reshape(-1, weight.shape[-1])[draw.row]
            except ReplayError:
                return None
            found.append(float(row[end] / row.sum()))
    return found


def network_ends(network: TrainedNetwork, rows: Rows, draws: Sequence[Draw], end: int) -> list[float] | None:
    """The probability that the network as it was trained gives the end there: few of the contexts at a time, each in
    the place of a row of a minibatch of training data."""
    generator = torch.Generator().manual_seed(1)
    size = rows.contexts.reshape(len(rows.contexts), -1).shape[1]
    start = rows.start
    wanted = [(*start, *draw.before)[-size:] for draw in draws]
    at_once = max(1, int(network.rows * _SHARE_REPLACED))
    found: list[float] = []
    for begin in range(0, len(wanted), at_once):
        part = torch.tensor(wanted[begin : begin + at_once], dtype=rows.contexts.dtype)
        chosen = torch.randint(0, len(rows.targets), (network.rows,), generator=generator)
        contexts = rows.contexts[chosen].reshape(network.rows, -1)
        contexts[: len(part)] = part
        log_probabilities = network.log_probabilities(
            contexts.reshape(-1, *rows.contexts.shape[1:]), rows.targets[chosen]
        )
        if log_probabilities is None:
            return None
        found += log_probabilities[: len(part), end].exp().tolist()
    return found


def compared(draws: Sequence[Draw], sampler: Sequence[float], network: Sequence[float]) -> NetworkEnds:
    by_sampler = [mean for _, mean in by_position(draws, sampler)]
    by_network = [mean for _, mean in by_position(draws, network)]
    implied = implied_lengths(by_sampler), implied_lengths(by_network)
    return NetworkEnds(
        len(draws),
        sum(sampler) / len(sampler),
        sum(network) / len(network),
        distance(*implied),
        mean_length(implied[0]),
        mean_length(implied[1]),
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
