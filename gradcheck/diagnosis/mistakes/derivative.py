"""Where a function is applied to every element: the wrong derivative is taken, or at the wrong argument, or none."""

import re
from collections.abc import Callable, Iterator
from functools import partial

import torch

from gradcheck import ops
from gradcheck.diagnosis.mistakes.case import Case
from gradcheck.diagnosis.mistakes.functions import Slopes, computed, functions, mistakes, owner
from gradcheck.diagnosis.mistakes.mistake import Mistake, Predict, Prediction
from gradcheck.diagnosis.mistakes.reads import as_read, described, reads_of
from gradcheck.diagnosis.mistakes.scene import Scene
from gradcheck.diagnosis.mistakes.stretch import Stretch, stretches_of
from gradcheck.diagnosis.mistakes.wording import bare, line, name
from gradcheck.diagnosis.mistakes.writing import Edit, Spot
from gradcheck.fronts.tape import Value

_FORMS = (
    (1.25, "x**2"),
    (1.6, "1 - x"),
    (2.0, "1 / x"),
    (1.9, "x > 0"),
    (2.1, "1 - x**2"),
    (2.1, "x * (1 - x)"),
)
_FUNCTIONS = [operation.name for operation in ops.COMMON_FUNCTIONS[:5]]
_LETTERS = re.compile(r"\b([xt])\b")
# Made of the right derivative itself.
_APPLIED = (
    ("applied twice", torch.square),
    ("divided by, where it should be multiplied with", torch.reciprocal),
)


def _edits(spot: Spot) -> Iterator[Edit]:
    """A function of a name for the name: t**2 for t, 1 - t for t, tanh(z) for z, a comparison for a value."""
    held, context = spot.held, spot.context
    if not isinstance(held, Value) or not spot.path or spot.inside or spot.indexing:
        return
    for cost, form in _FORMS:
        yield spot.edit(cost, form)
    if held in context.forward:
        for text, value in context.tensors:
            if value is not held and value in context.forward and value.shape == held.shape:
                yield spot.edit(2.4, "x - a", a=text)  # a deviation
        for function in _FUNCTIONS:
            yield spot.edit(2.0, f"torch.{function}(x)")


def _predictions(case: Case) -> Iterator[Prediction]:
    if not case.first.fits:
        return
    slopes = Slopes.of(case.segment.ops)
    for stretch in stretches_of(case):
        slope = stretch.slope(case.first)
        if slope is None or (slope.numel() > 1 and bool((slope == slope.reshape(-1)[0]).all())):
            continue  # adds a number, or multiplies with one: there is no derivative to mistake
        yield from _Step(case, stretch, slopes).predictions()


class _Step:
    """One function of the forward pass, and what may be taken for its derivative."""

    def __init__(self, case: Case, stretch: Stretch, slopes: Slopes) -> None:
        self.case = case
        self.stretch = stretch
        self.slopes = slopes
        self.function = stretch.recognised(case, functions(slopes))
        step = "the step from {x} to {t}" if self.function is None else self.function.name
        self.start = f"the derivative of {step} ({{where}})"
        self.own = step
        self.parts = {"x": stretch.argument, "t": stretch.result, "where": stretch.edge.op}

    def predictions(self) -> Iterator[Prediction]:
        yield self._predicted(
            "missing-derivative",
            lambda scene: torch.ones_like(scene.tensor(self.stretch.argument)),
            f"{self.start} is left out, as if {{t}} were {{x}} itself",
            "1",
        )
        yield from self._mistaken()
        yield from self._of_another_function()
        yield from self._elsewhere()

    def _predicted(
        self, kind: str, slope: Predict, sentence: str | Callable[[], str], taken: str, key: str = "taken",
        **parts: object,
    ) -> Prediction:  # fmt: skip
        evidence = {"function": self.function.name if self.function else None, key: taken}
        return Prediction(kind, self.stretch.with_slope(slope), sentence, {**self.parts, **parts}, evidence)

    def _mistaken(self) -> Iterator[Prediction]:
        argument, result = self.stretch.argument, self.stretch.result
        for formula in mistakes(self.slopes):

            def slope(scene: Scene, formula: str = formula) -> torch.Tensor:
                return computed(formula, scene.tensor(argument), scene.tensor(result))

            yield self._predicted(
                "wrong-derivative", slope, partial(self._taken_as, formula), _LETTERS.sub(r"{\1}", formula)
            )
        for text, compute in _APPLIED:

            def changed(scene: Scene, compute=compute) -> torch.Tensor | None:  # type: ignore[no-untyped-def]
                right = self.stretch.slope(scene)
                return compute(right) if right is not None else None

            yield self._predicted("wrong-derivative", changed, f"{self.start} is {text}", text)

    def _of_another_function(self) -> Iterator[Prediction]:
        """The derivative of another function, or of the right one at its result."""
        for other in functions(self.slopes):
            same = self.function is not None and other.name == self.function.name
            for at, value in (("", self.stretch.argument), (" at {t}", self.stretch.result)):
                if same and not at:
                    continue
                yield self._predicted(
                    "wrong-argument" if same else "wrong-derivative",
                    lambda scene, f=other, v=value: f.slope(scene.tensor(v)),  # type: ignore[misc]
                    f"{self.start} is taken at its result {{t}}; it belongs at its argument {{x}}"
                    if same
                    else f"the derivative of {other.name}{at} is taken where that of {self.own} belongs ({{where}})",
                    f"the derivative of {other.name}",
                )

    def _elsewhere(self) -> Iterator[Prediction]:
        """The right derivative, at the argument or the result of another layer."""
        case, function = self.case, self.function
        if function is None:
            return
        # Some derivatives are written with the result: `1 - t**2`.
        by_result = next(
            (d for d in (function.derivative, *function.also) if "t" in _LETTERS.findall(d)), None
        )
        for read in reads_of(case):
            other = as_read(case, case.first, read)
            if other is None or not other.is_floating_point() or other.shape != self.stretch.argument.shape:
                continue
            for right in (self.stretch.argument, self.stretch.result)[: 1 if by_result is None else 2]:
                if read.value is right and read.changed_by is None:
                    continue

                def slope(scene: Scene, read=read, right=right, f=function) -> torch.Tensor | None:  # type: ignore[no-untyped-def]
                    numbers = as_read(case, scene, read)
                    if numbers is None or by_result is None or right is self.stretch.argument:
                        return None if numbers is None else f.slope(numbers)
                    return computed(by_result, numbers, numbers)

                yield self._predicted(
                    "wrong-argument",
                    slope,
                    f"{self.start} is taken at {{at}}; it belongs at {{right}}",
                    case.judgement.names.shown(read.value),
                    "taken_at",
                    at=described(case, read, right),
                    right=right,
                )

    def _taken_as(self, formula: str) -> str:
        case, function = self.case, self.function
        taken, legend = self._filled(formula)
        belongs_to = owner(formula)
        sentence = f"{self.start} is taken as `{taken}`".format(
            x=name(case, self.stretch.argument),
            t=name(case, self.stretch.result),
            where=line(case, self.stretch.edge.op),
        )
        if belongs_to and (function is None or belongs_to != function.name):
            sentence += f", which is that of {belongs_to}"
        if function is not None and function.derivative:
            right, more = self._filled(function.derivative)
            sentence += f"; it is `{right}`"
            legend |= more
        if legend:
            sentence += ", where " + " and ".join(f"{letter} is {what}" for letter, what in legend.items())
        return sentence

    def _filled(self, formula: str) -> tuple[str, dict[str, str]]:
        """A formula in the person's own names; letters are used for what has none, and for two of one name."""
        legend: dict[str, str] = {}
        names = {}
        alike = bare(self.case, self.stretch.argument) == bare(self.case, self.stretch.result)
        for letter, value, what in (
            ("x", self.stretch.argument, "its argument"),
            ("t", self.stretch.result, "its result"),
        ):
            named = self.case.is_named(value) and not alike
            names[letter] = bare(self.case, value) if named else letter
            if not named and letter in _LETTERS.findall(formula):
                legend[letter] = what
        return _LETTERS.sub(lambda letter: names[letter[0]], formula), legend


MISTAKE = Mistake("derivative", _edits, _predictions)
