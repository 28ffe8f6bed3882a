"""What was found of the generated sequences: plain data. Imports no torch."""

from dataclasses import dataclass, field
from itertools import accumulate

from gradcheck.program.location import Location


@dataclass(slots=True)
class Lengths:
    """How long some sequences are, without their end tokens."""

    source: str  # "the 4130 sequences of `Y_train`"
    counts: list[int] = field(default_factory=list)  # how many are 0, 1, 2, ... tokens long

    @property
    def count(self) -> int:
        return sum(self.counts)

    @property
    def mean(self) -> float:
        return sum(i * n for i, n in enumerate(self.counts)) / max(1, self.count)

    @property
    def longest(self) -> int:
        return max((i for i, n in enumerate(self.counts) if n), default=0)

    def share(self, length: int) -> float:
        """Of those that are exactly this long."""
        return self.counts[length] / self.count if length < len(self.counts) and self.count else 0.0

    def quantile(self, share: float) -> int:
        """The least length that at least this share of the sequences does not exceed."""
        reached = enumerate(accumulate(self.counts))
        enough = (length for length, n in reached if self.counts[length] and n >= share * self.count)
        return next(enough, self.longest)


@dataclass(slots=True)
class EndShare:
    """Of the sequences that are `position` tokens long at least, those that end there. `sampler` and `network` are the
    mean probabilities that the sampler and the network as it was trained give the end on the very contexts drawn."""

    position: int
    sequences: int
    sampled: float
    data: float | None = None
    sampler: float | None = None
    network: float | None = None


@dataclass(slots=True)
class Difference:
    """Between two length distributions."""

    kolmogorov_smirnov: float
    wasserstein: float  # in tokens
    p_value: float  # conservative: of a test for continuous data


@dataclass(slots=True)
class NetworkEnds:
    """The sampler compared with the network as it was trained, on the contexts that the sampler drew from."""

    contexts: int
    sampler: float  # mean probability of the end
    network: float
    distance: float  # Kolmogorov-Smirnov, of the length distributions that the two imply
    sampler_mean: float  # length that the sampler's probabilities imply
    network_mean: float
    total_variation: (
        float  # of the next token, on average: 0 for the same probabilities, 1 for no token in common
    )


@dataclass(slots=True)
class Training:
    """How far the network was trained: its cross-entropy over fresh minibatches, in nats, against that of guessing the
    next token by its frequency. `reason` says why it is not known."""

    iteration: int | None = None
    loss: float | None = None
    standard_error: float = 0.0
    batches: int = 0
    guessing: float | None = None
    reason: str = ""

    @property
    def beats_guessing(self) -> bool:
        """Whether the loss is below that of guessing by more than two standard errors: otherwise what is drawn is
        noise."""
        if self.reason or self.loss is None or self.guessing is None:
            return False
        return self.loss + 2 * self.standard_error < self.guessing


@dataclass(slots=True)
class SampleSet:
    """What one line drew, or one name holds. Lengths count the tokens before the end."""

    source: str  # "drawn by `torch.multinomial(...)`", "held by `made_up`"
    location: Location
    lengths: Lengths
    training: Training
    end_token: str = ""  # as it is shown; empty if there is none
    ended: int = 0
    cut: int = 0  # ended by a limit of the program, without the end token
    endless: int = 0  # had no end when the recording left them
    left_after: int = 0  # tokens: the longest of those, of which the tape may hold the beginning only
    went_on: int = 0  # in which the end token was drawn, and drawing went on
    data: Lengths | None = None
    data_reason: str = ""  # why there are no training sequences to compare with
    difference: Difference | None = None  # from the training data
    from_network: Difference | None = None  # from the lengths that the network implies on the training data
    from_guessing: Difference | None = None  # from the lengths of a network that ends at every token alike
    network: NetworkEnds | None = None
    network_reason: str = ""
    ends: list[EndShare] = field(default_factory=list)
    copies: float | None = None  # share that is in the training data
    distinct: int = 0
    distinct_expected: float | None = None  # of as many training sequences
    commonest: str = ""
    commonest_share: float = 0.0
    repeated: float = 0.0  # share of one token, three times or more
    repeated_in_data: float | None = None
    examples: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        return self.lengths.count


@dataclass(slots=True)
class SampleHealth:
    absent: str = "no step was looked at"
    sets: list[SampleSet] = field(default_factory=list)
