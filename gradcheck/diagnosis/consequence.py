"""What a wrong gradient does to the others, shown by an intervention: the true one is put in its place, and they heal."""

from collections.abc import Sequence
from dataclasses import dataclass

from gradcheck.base import numbers
from gradcheck.base.groups import joined
from gradcheck.judge.judge import Judge
from gradcheck.judge.judged import Judged
from gradcheck.judge.verdict import Verdict
from gradcheck.replay.compare import distance, norm, relative, same_but_for_ones

_RIGHT = 1e-5  # relative
_MOST = 3  # gradients named in the sentence


@dataclass(frozen=True, slots=True)
class Healed:
    """A gradient that is off by `error` (relative) as the program is written, and right with the true one in its place."""

    name: str
    error: float


def healed_by(judge: Judge, group: Sequence[Judged]) -> list[Healed]:
    """The gradients that inherit the error of `group` and come out right with the true values there; the worst first."""
    true = {
        id(judged.version): judged.truth.reshape(judged.found.shape)
        for judged in group
        if judged.truth is not None
        and judged.found is not None
        and same_but_for_ones(judged.found.shape, judged.truth.shape)
    }
    if len(true) < len(group):
        return []
    repaired = judge.run.with_replaced(true)
    found: dict[str, float] = {}
    for judged in judge.judged:
        truth, as_written = judged.truth, judged.found
        after = repaired.get(id(judged.version))
        if judged.verdict is not Verdict.INHERITED or truth is None or as_written is None or after is None:
            continue
        if not truth.shape == as_written.shape == after.shape:
            continue
        error = relative(distance(as_written, truth), norm(as_written), norm(truth))
        if error > _RIGHT >= relative(distance(after, truth), norm(after), norm(truth)):
            name = judged.candidate.name
            found[name] = max(error, found.get(name, 0.0))
    return sorted((Healed(*item) for item in found.items()), key=lambda healed: -healed.error)


def sentence(healed: Sequence[Healed]) -> str:
    shown = [f"`{one.name}` (off by {numbers.error(one.error)})" for one in healed]
    listed = joined(shown, _MOST)
    return (
        f"with the true gradient in its place, {listed} {'comes' if len(healed) == 1 else 'come'} out right"
    )
