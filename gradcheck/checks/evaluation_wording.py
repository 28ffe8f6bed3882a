"""Sentences that the rules about evaluation share."""

from collections.abc import Callable, Iterator

from gradcheck.base import numbers
from gradcheck.base.groups import grouped
from gradcheck.checks.rule import Evidence, Looked
from gradcheck.checks.wording import code, place
from gradcheck.health.evaluation.records import EvaluationRun, Parting
from gradcheck.program.location import Location


def evaluations_looked_at(evidence: Evidence) -> Looked:
    """For a rule that needs no more than the runs themselves."""
    health = evidence.health.evaluation
    if health.absent:
        return Looked(why_not=health.absent)
    return Looked(_counted(health.complete))


def comparisons_looked_at(evidence: Evidence) -> Looked:
    """For a rule that needs them replayed on the training batch."""
    health = evidence.health.evaluation
    compared = [run for run in health.complete if run.compared]
    if health.absent or not compared:
        reasons = dict.fromkeys(run.why_not for run in health.complete if run.why_not)
        return Looked(why_not=health.absent or "; ".join(reasons))
    return Looked(_counted(compared))


def _counted(runs: list[EvaluationRun]) -> str:
    times = sum(run.times for run in runs)
    ways = numbers.count(len(runs), "way")
    return f"{ways} of running the network after the training, {numbers.count(times, 'time')} in all"


def by_place(
    evidence: Evidence, where: Callable[[EvaluationRun], Location | None]
) -> Iterator[tuple[Location, list[EvaluationRun]]]:
    """The complete runs by the place of what is wrong with them."""
    placed = grouped((where(run), run) for run in evidence.health.evaluation.complete)
    yield from ((place, runs) for place, runs in placed.items() if place is not None)


def who(run: EvaluationRun) -> str:
    """`split_loss()`, or the line where it begins."""
    return code(f"{run.name}()") if run.name and not run.name.startswith(("<", "__")) else "this code"


def change_of_result(parting: Parting) -> list[str]:
    if parting.difference is None:
        return []
    return [
        "on the same input and with the same parameters, the output of the last layer differs: relative difference "
        f"{numbers.error(parting.difference)}"
    ]


def in_training(parting: Parting) -> str:
    """`torch.tanh(hpre)` (line 11)."""
    if parting.training_location is None:
        return ""
    return f"{code(parting.training_text)} ({place(parting.training_location, parting.location)})"
