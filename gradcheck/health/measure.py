"""The health stage as a whole: judged passes in, plain records out."""

from collections.abc import Callable, Iterable

from gradcheck.base.options import SessionOptions
from gradcheck.base.thresholds import Thresholds
from gradcheck.health.activations.measure import ActivationMeasure
from gradcheck.health.batch_norm.in_use import measure_statistics_in_use
from gradcheck.health.batch_norm.measure import BatchNormMeasure
from gradcheck.health.context import PassContext, ProgramContext
from gradcheck.health.evaluation.measure import measure_evaluation
from gradcheck.health.records import Health
from gradcheck.health.samples.measure import measure_samples
from gradcheck.health.sweep import Sweep
from gradcheck.health.updates.measure import measure_updates
from gradcheck.judge.judgement import JudgedPass, Judgement


def measure_health(
    judgement: Judgement, options: SessionOptions, thresholds: Thresholds, said: Callable[[str], None]
) -> Health:
    """`said` is given what is being measured, in words."""
    health = Health()
    contexts = [
        PassContext(judgement, judged, judged.judge, thresholds)
        for judged in _measured(judgement.passes)
        if judged.judge is not None
    ]
    for context in contexts:
        said("replaying the forward pass on fresh minibatches")
        _measure_pass(context, options.sweep, health)
    program = ProgramContext(judgement, contexts, thresholds, options.samples)
    for words, measure in (
        ("comparing the statistics in use with those of the training", measure_statistics_in_use),
        ("measuring the updates of the parameters", measure_updates),
        ("comparing the evaluation with the training step", measure_evaluation),
        ("reading the generated sequences", measure_samples),
    ):
        said(words)
        measure(program, health)
    return health


def _measured(passes: Iterable[JudgedPass]) -> list[JudgedPass]:
    """The recorded training iterations; where there is none, the last pass: earlier ones are usually exercises on
    the way to it."""
    usable = [judged for judged in passes if judged.judge is not None]
    steps = [judged for judged in usable if judged.plan.iteration is not None]
    return steps or usable[-1:]


def _measure_pass(context: PassContext, batches: int, health: Health) -> None:
    measures = ActivationMeasure(context), BatchNormMeasure(context)
    sweep = Sweep(context, batches)
    for number, replay in sweep:
        for measure in measures:
            measure.look(number, replay)
    health.sweeps.append(sweep.record)
    for measure in measures:
        measure.finish(health)
