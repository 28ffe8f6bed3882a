"""From a report to an isolation: chooses the step, the components and the variants, and has them trained."""

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from gradcheck.base import numbers
from gradcheck.base.options import SessionOptions
from gradcheck.checks.finding import Finding
from gradcheck.health.updates.records import UpdateHealth
from gradcheck.isolation.components import components_of, grouped_by_layer, left_out
from gradcheck.isolation.experiment import MOST_SHARED, Experiment, ExperimentOptions
from gradcheck.isolation.journal import Journal, fingerprint
from gradcheck.isolation.parallel import WorkerPool, Workers
from gradcheck.isolation.records import Component, ComponentKind, Isolation
from gradcheck.isolation.tasks import Survey, Task
from gradcheck.judge.verdict import PassResult
from gradcheck.program.errors import ProgramError


@dataclass(frozen=True, slots=True)
class IsolationOptions:
    """`by` is None where the number of components decides. `journal` is where outcomes are kept."""

    journal: Path
    experiment: ExperimentOptions = field(default_factory=ExperimentOptions)
    workers: Workers = field(default_factory=Workers)
    by: str | None = None
    layers: bool = False
    resume: bool = False


@dataclass(slots=True)
class Listener:
    """Called with progress: `doing` before each stage, `done` after each training, `note` with remarks."""

    doing: Callable[[str], None] = lambda what: None
    done: Callable[[int, int], None] = lambda done, wanted: None
    note: Callable[[str], None] = lambda text: None


@dataclass(slots=True)
class Faults:
    """What a report found: of it, what an isolation needs."""

    passes: list[PassResult]
    findings: list[Finding]
    updates: UpdateHealth


def isolate(
    faults: Faults, session: SessionOptions, options: IsolationOptions, listener: Listener
) -> Isolation:
    """After Ctrl-C, the result is what is known by then; `finished` is False. Raises ProgramError if the step cannot
    be trained again."""
    step = chosen_pass(faults.passes)
    with WorkerPool(options.workers) as pool:
        listener.doing("recording the step to train")
        training, here = options.experiment, os.getcwd()
        asked = Task(session, step.index, (), (), 0, training.steps, training.smoothed_over, directory=here)
        survey = pool.survey(asked)
        if survey.error:
            raise ProgramError(
                f"the step of `{step.loss}` at line {step.loss_location.line} cannot be trained again: {survey.error}"
            )
        components, notes = _components(step, faults, survey, options)
        layers = survey.layers if options.layers else ()
        experiment = Experiment(asked, components, options.experiment, layers)
        journal = Journal(options.journal, fingerprint(survey, asked))
        if options.resume:
            unusable = journal.read()
            if unusable:
                listener.note(f"--resume: {unusable}: all variants are trained again")
            experiment.outcomes.update(journal.known(experiment.tasks))
        with suppress(KeyboardInterrupt), journal:
            listener.doing("training")
            listener.done(len(experiment.outcomes), len(experiment.tasks))
            left = {n: task for n, task in enumerate(experiment.tasks) if n not in experiment.outcomes}
            for number, outcome in pool.perform(left):
                experiment.outcomes[number] = outcome
                journal.add(experiment.tasks[number], outcome)
                listener.done(len(experiment.outcomes), len(experiment.tasks))
    return replace(
        experiment.result(),
        loss=step.loss,
        left_out=left_out(step, faults.findings, components),
        notes=notes,
        draws=survey.draws,
        frozen=survey.frozen,
        followed=survey.followed,
        no_layers=survey.no_layers if options.layers else "",
        replaced=len(survey.gradients),
    )


def chosen_pass(passes: list[PassResult]) -> PassResult:
    """The last recorded training iteration; without one the last pass. Raises ProgramError if there is none."""
    training = [step for step in passes if step.iteration is not None]
    if not passes:
        raise ProgramError("no training step was recorded: there is nothing to train")
    return (training or passes)[-1]


def _components(
    step: PassResult, faults: Faults, survey: Survey, options: IsolationOptions
) -> tuple[list[Component], list[str]]:
    """And remarks about them."""
    found = components_of(step, faults.findings, faults.updates)
    usable = [c for c in found if all(key in survey.gradients for key in c.gradients)]
    notes = [
        f"`{c.key}` (line {c.location.line}) is wrong, but no replacement for it is known"
        for c in found
        if c not in usable
    ]
    gradients = [c for c in usable if c.kind is ComponentKind.GRADIENT]
    by_layer = options.by == "layer" or (options.by is None and len(gradients) > MOST_SHARED)
    if by_layer:
        usable = grouped_by_layer(usable, dict(zip(survey.gradients, survey.depths, strict=True)))
        if options.by is None:
            notes.append(
                f"{numbers.count(len(gradients), 'gradient')} were grouped by layer; --by gradient separates them"
            )
    if len(usable) > MOST_SHARED:
        notes.append(
            f"there are {len(usable)} components, shares of the whole gain are computed for at most {MOST_SHARED}"
        )
    return usable, notes
