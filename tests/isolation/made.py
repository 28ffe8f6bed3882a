"""Findings and isolations made by hand, and a pool of workers that is this process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from gradcheck.base.options import SessionOptions
from gradcheck.checks.finding import Finding, Fix, Severity
from gradcheck.isolation.experiment import Experiment, ExperimentOptions
from gradcheck.isolation.records import Component, ComponentKind, GradientKey, Isolation, SwitchableLayer
from gradcheck.isolation.tasks import Outcome, Survey, Task, perform, survey
from gradcheck.program.location import Location


def place(line: int = 1, file: str = "a.py", column: int = 1, end_column: int = 2) -> Location:
    return Location(file, None, line, line, column, end_column)


def gradient(name: str, line: int = 1) -> Component:
    what = f"the true gradient in place of `{name}`"
    return Component(name, ComponentKind.GRADIENT, what, place(line), ("GC101",), (GradientKey(name),))


def fix_in(path: Path, old: str, new: str) -> Fix:
    """A verified fix: `new` in the place of `old`, which stands in the file once."""
    text = path.read_text()
    assert text.count(old) == 1
    before = text[: text.index(old)]
    line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
    whole = text.split("\n")[line - 1]
    at = Location(str(path), None, line, line, column, column + len(old))
    return Fix(True, f"- {whole}\n+ {whole.replace(old, new)}", new, at)


def finding(rule: str, at: Location, fix: Fix | None = None, **evidence: object) -> Finding:
    return Finding(
        rule, rule, Severity.ERROR, at, "it is wrong", fix=fix, evidence={"passes": [0], **evidence}
    )


def experiment_of(
    components: Sequence[Component], options: ExperimentOptions, layers: Sequence[SwitchableLayer] = ()
) -> Experiment:
    asked = Task(SessionOptions("a.py"), 0, (), (), 0, options.steps, options.smoothed_over)
    return Experiment(asked, components, options, layers)


def isolation(
    losses: Mapping[tuple[str, ...], list[float]], *components: Component, steps: int = 20
) -> Isolation:
    """As an experiment finds it: for each set of what is repaired the losses of the seeds; NaN where it diverged."""
    seeds = len(next(iter(losses.values())))
    experiment = experiment_of(components, ExperimentOptions(seeds, steps))
    known = {frozenset(repaired): found for repaired, found in losses.items()}
    for chosen, places in experiment.places.items():
        for number, loss in zip(places, known.get(chosen, []), strict=False):
            diverged = 3 if loss != loss else None
            experiment.outcomes[number] = Outcome(loss, diverged, [2.0, 1.0, loss][: 2 if diverged else 3])
    return experiment.result()


class SameProcess:
    """Stands in for a `WorkerPool`."""

    def __init__(self, *_: object) -> None:
        self.performed: list[Task] = []

    def __enter__(self) -> SameProcess:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def survey(self, task: Task) -> Survey:
        return survey(task)

    def perform(self, tasks: Mapping[int, Task]) -> Iterator[tuple[int, Outcome]]:
        for number, task in tasks.items():
            self.performed.append(task)
            yield number, perform(task)
