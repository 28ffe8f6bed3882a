"""What was found of the code that evaluates and samples: plain data. Imports no torch."""

from dataclasses import dataclass, field

from gradcheck.program.location import Location


@dataclass(slots=True)
class LeftOut:
    """A parameter that the training step applies between others that the evaluation applies as well."""

    name: str
    trained_by: str  # the expression that applies it in the training
    trained_at: Location


@dataclass(slots=True)
class Parting:
    """Where an evaluation and the training step part on the same input.

    `why`: "skips" (the training computes `training_text` in between), "order" (it applies the parameter
    elsewhere, in `belongs_text`), "extra" (it does not compute that),
    "statistics" (it may be how the batch is normalised), "differs".
    """

    location: Location
    text: str  # what the evaluation computes there
    after: str  # the last value that the two share, by the evaluation's name
    why: str
    training_text: str = ""  # what the training computes instead, or in between
    training_location: Location | None = None
    skipped: list[str] = field(default_factory=list)  # all that it computes in between, in order
    parameter: str = ""  # that the evaluation applies there
    other_parameter: str = ""  # that the training applies there
    belongs_text: str = ""
    belongs_location: Location | None = None
    parameters_differ: bool = False  # these two: names may be alike
    difference: float | None = None  # of what the last layer gives, relative
    certain: bool = False


@dataclass(slots=True)
class BatchStatistics:
    """A mean or variance over the samples that are evaluated, used to normalise them."""

    location: Location
    text: str
    rows: int | None  # samples in that batch
    degenerate: bool = False  # of one sample alone


@dataclass(slots=True)
class LastBatch:
    """Statistics of one minibatch of the training, used in the evaluation by the line at `location`."""

    location: Location
    names: list[str]
    made_at: Location  # where the training step computes the first of them
    input: str  # the value that they are the statistics of


@dataclass(slots=True)
class Dropout:
    location: Location
    text: str
    repeated: bool = False  # the same input is evaluated several times: averaging over dropout, perhaps


@dataclass(slots=True)
class EvaluationRun:
    """One way in which the program runs the trained network afterwards; `times` counts how often."""

    location: Location  # where it begins
    name: str  # the function, or the lines
    times: int
    rows: int | None
    parameters: list[str]
    complete: bool  # it goes through to the last layer
    left_out: list[LeftOut] = field(default_factory=list)
    compared: bool = False
    why_not: str = ""  # compared
    agreeing: int = 0  # values that are the training's
    values: int = 0  # that it computes up to the last layer
    parting: Parting | None = None
    dropouts: list[Dropout] = field(default_factory=list)
    batch_statistics: list[BatchStatistics] = field(default_factory=list)
    last_batch: list[LastBatch] = field(default_factory=list)


@dataclass(slots=True)
class EvaluationHealth:
    absent: str = "no step was looked at"
    parameters: list[str] = field(default_factory=list)  # that the training step moves
    runs: list[EvaluationRun] = field(default_factory=list)

    @property
    def complete(self) -> list[EvaluationRun]:
        return [run for run in self.runs if run.complete]
