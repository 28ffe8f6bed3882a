"""The gradient of another value stands in the place of this one's: two that are returned the other way round."""

from collections.abc import Iterator

from gradcheck.diagnosis.mistakes.case import Case
from gradcheck.diagnosis.mistakes.mistake import Mistake, Prediction


def _predictions(case: Case) -> Iterator[Prediction]:
    for value in case.named_by_shape.get(tuple(case.at.shape), ()):
        if value is not case.at and not (
            value.producer and value.producer.inputs
        ):  # else a step was left out
            yield Prediction(
                "another-value",
                lambda scene, of=value: scene.gradients.get(of),  # type: ignore[misc]
                "it is the gradient of {other}; that of {own} belongs here",
                {"other": value, "own": case.at},
                {"other": value},
            )


MISTAKE = Mistake("gradient of another value", predictions=_predictions)
