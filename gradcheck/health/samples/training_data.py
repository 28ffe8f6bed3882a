"""The sequences that the network was trained on, taken from what the training step reads.

Where the step reads rows of contexts and of the tokens that come next, the rows of one sequence stand one below the
other: each context is the one before it, moved on by the token that came next, until the end token, after which the
first context comes again. That is verified on every row.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import torch

from gradcheck.health.samples.sequences import Token

_FEWEST = 2  # sequences that a data set is worth the name with
_LONGEST_STRING = 10_000


@dataclass
class Rows:
    """`contexts[i]` comes before `targets[i]`, which is the token at `positions[i]` of its sequence."""

    contexts: torch.Tensor
    targets: torch.Tensor
    positions: torch.Tensor

    @property
    def start(self) -> list[int]:
        """The context of a first token."""
        return [int(token) for token in self.contexts[0].reshape(-1).tolist()]


@dataclass
class TrainingData:
    sequences: list[list[Token]]
    source: str
    end: Token | None = None
    rows: Rows | None = None
    characters: bool = False  # the tokens are characters, not their numbers
    _known: set[tuple[Token, ...]] = field(default_factory=set)

    @property
    def lengths(self) -> list[int]:
        return [len(sequence) for sequence in self.sequences]

    def holds(self, sequence: Iterable[Token]) -> bool:
        if not self._known:
            self._known = {tuple(known) for known in self.sequences}
        return tuple(sequence) in self._known


def from_rows(contexts: torch.Tensor, targets: torch.Tensor, hint: Token | None) -> TrainingData | None:
    """`hint` is a token that sequences may end with: with contexts of one token, that cannot be read off them."""
    count = targets.shape[0]
    contexts = contexts.reshape(count, -1)
    if count < 2 or contexts.shape[1] == 0:
        return None
    follows = (contexts[1:, :-1] == contexts[:-1, 1:]).all(1) & (contexts[1:, -1] == targets[:-1])
    breaks = torch.unique(targets[:-1][~follows])
    candidates = [int(breaks)] if len(breaks) == 1 else []
    if isinstance(hint, int) and hint not in candidates:
        candidates.append(hint)
    for end in candidates:
        ends = targets == end
        begins = torch.nonzero(ends[:-1]).flatten() + 1
        begins_alike = bool((contexts[begins] == contexts[0]).all())
        if int(ends.sum()) >= _FEWEST and begins_alike and bool((follows | ends[:-1]).all()):
            return _cut_rows(contexts, targets, end)
    return None


def _cut_rows(contexts: torch.Tensor, targets: torch.Tensor, end: int) -> TrainingData:
    last = torch.nonzero(targets == end).flatten()
    first = torch.cat([last.new_zeros(1), last[:-1] + 1])
    numbers = torch.arange(len(targets), device=targets.device)
    begun = torch.cat([first, last[-1:] + 1])  # what comes after the last end token is no sequence
    positions = numbers - begun[torch.searchsorted(last, numbers)]
    tokens = targets.tolist()
    sequences = [tokens[begin:stop] for begin, stop in zip(first.tolist(), last.tolist(), strict=True)]
    return TrainingData(sequences, "", end, Rows(contexts, targets, positions))


def from_padded(contexts: torch.Tensor, targets: torch.Tensor) -> TrainingData | None:
    """A sequence per row: its tokens, its end token, and then filling."""
    if targets.ndim != 2 or contexts.shape != targets.shape or targets.shape[1] < 2:
        return None
    filled = targets < 0
    # The last token that is no filling; where nothing is marked as filling, the end token itself fills the row.
    last = torch.where(filled.any(1), filled.int().argmax(1) - 1, targets.shape[1] - 1)
    ends = torch.unique(targets.gather(1, last.clamp(min=0)[:, None])[:, 0])
    if len(ends) != 1:
        return None
    end = int(ends)
    sequences: list[list[Token]] = []
    for before, after in zip(contexts.tolist(), targets.tolist(), strict=True):
        if end not in after:
            return None
        length = after.index(end)
        if before[1 : length + 1] != after[:length]:
            return None
        sequences.append(after[:length])
    return TrainingData(sequences, "", end) if len(sequences) >= _FEWEST else None


def from_strings(namespace: Mapping[str, object], rows: int) -> TrainingData | None:
    """A list of strings that has a row of targets for every character and one for every end."""
    for name, value in namespace.items():
        if not isinstance(value, (list, tuple)) or len(value) < _FEWEST or name.startswith("__"):
            continue
        if len(value) > rows or not all(isinstance(item, str) for item in value):
            continue
        strings = [str(item) for item in value]
        if max(map(len, strings)) <= _LONGEST_STRING and sum(map(len, strings)) + len(strings) == rows:
            source = f"the {len(strings):,} strings of `{name}`, whose characters and ends are the {rows:,} targets"
            return TrainingData([list(string) for string in strings], source, characters=True)
    return None
