"""The options of one report, as they travel from the command line to the child process."""

from dataclasses import dataclass, field

BACKENDS = ("local", "dask", "ray")  # of the workers of an experiment


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """Imports no torch. Paths are absolute, or relative to the directory the tool was started in."""

    target: str
    cwd: str | None = None
    arguments: tuple[str, ...] = ()  # of the program
    at: tuple[int, ...] = (0,)  # iterations of the training loop to record, ascending
    loss: str | None = None
    pairs: dict[str, str] = field(default_factory=dict)  # manual gradient -> forward value
    data: dict[str, str] = field(default_factory=dict)  # missing file -> the file that replaces it
    allow_writes: bool = False  # the program writes where it says, and not into a private folder
    timeout_s: float = 120.0
    memory_gb: float | None = None  # at most, beyond what is mapped from files
    fix_budget_s: float = 5.0  # spent at most on the search for a fix, per fault; 0 searches for none
    # For all faults together; None for twelve such budgets, and a minute at least.
    total_budget_s: float | None = None
    sweep: int = 64  # minibatches of the data sweep, the recorded one among them
    samples: str | None = None  # the name that holds generated sequences
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    thresholds: dict[str, float] = field(default_factory=dict)  # by key; the others have their defaults
