"""Where a function is applied to every element: the wrong derivative is taken, or at the wrong argument, or none."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch

from gradcheck.diagnosis.explanations.case import Case
from gradcheck.diagnosis.explanations.constants import plain_numbers
from gradcheck.diagnosis.explanations.explanation import Hypothesis
from gradcheck.diagnosis.explanations.functions import Function, Mistake, functions, mistakes
from gradcheck.diagnosis.explanations.reads import Read, as_read, described, reads_of
from gradcheck.diagnosis.explanations.scene import Scene, vjp
from gradcheck.diagnosis.explanations.segment import Edge
from gradcheck.diagnosis.explanations.wording import bare, is_named, line, name
from gradcheck.fronts.tape import Value
from gradcheck.replay.compare import norm

ELEMENTWISE = {
    "add", "sub", "mul", "div", "true_divide", "subtract", "multiply", "divide", "neg", "negative", "positive",
    "rsub", "pow", "power", "float_power", "square", "sqrt", "rsqrt", "reciprocal", "exp", "exp2", "expm1", "log",
    "log1p", "log2", "log10", "tanh", "sigmoid", "expit", "relu", "relu6", "leaky_relu", "elu", "selu", "celu",
    "gelu", "silu", "mish", "softplus", "softsign", "hardtanh", "hardswish", "hardsigmoid", "logsigmoid", "sin",
    "cos", "tan", "sinh", "cosh", "asinh", "atan", "abs", "absolute", "sign", "maximum", "minimum", "fmax", "fmin",
    "clamp", "clamp_min", "clamp_max", "clip", "where", "masked_fill", "lerp", "erf", "threshold", "tanhshrink",
    "logaddexp", "logit", "addcmul", "addcdiv", "float", "double", "to", "clone", "contiguous",
    "__add__", "__radd__", "__sub__", "__rsub__", "__mul__", "__rmul__", "__truediv__", "__rtruediv__", "__div__",
    "__pow__", "__rpow__", "__neg__", "__abs__",
}  # fmt: skip
_MOST_STRETCHES = 10


class Stretch:
    """`result` is a function of `argument`, element by element; `edge` is the last step to it."""

    def __init__(self, argument: Value, result: Value, edge: Edge) -> None:
        self.argument = argument
        self.result = result
        self.edge = edge
        self._slopes: dict[int, torch.Tensor | None] = {}
        self._weights: dict[int, tuple[torch.Tensor, float, float] | None] = {}

    def slope(self, scene: Scene) -> torch.Tensor | None:
        """The right derivative at every element."""
        key = id(scene)
        if key not in self._slopes:
            tensor = scene.run.graph.tensor(self.result)
            start = scene.run.graph.tensor(self.argument)
            self._slopes[key] = vjp([tensor], start, [torch.ones_like(tensor)])
        return self._slopes[key]

    def with_slope(
        self, slope: Callable[[Scene], torch.Tensor | None]
    ) -> Callable[[Scene], torch.Tensor | None]:
        """What would be found if that were the derivative."""

        def predict(scene: Scene) -> torch.Tensor | None:
            right, taken = self.slope(scene), slope(scene)
            if right is None or taken is None or not self._may_explain(scene, right, taken):
                return None
            given = scene.gradients[self.result]
            return scene.instead(self.argument, right * given, taken * given)

        return predict

    def _may_explain(self, scene: Scene, right: torch.Tensor, taken: torch.Tensor) -> bool:
        """The scene's own short test, with everything in it that stays the same kept: many derivatives are tried."""
        key = id(scene)
        if key not in self._weights:
            image = scene.image(self.argument)
            if image is None:
                self._weights[key] = None
            else:
                weights = image * scene.gradients[self.result]
                self._weights[key] = weights, float((weights * right).sum()), norm(weights)
        kept = self._weights[key]
        if kept is None or kept[0].shape != taken.shape:
            return True
        weights, of_right, size = kept
        reached = float((weights * taken).sum()) - of_right
        return scene.close_along(reached, size * (norm(taken) + norm(right)))


def hypotheses(case: Case) -> Iterator[Hypothesis]:
    if not case.first.fits:
        return
    numbers = [n for op in case.segment.ops for n in plain_numbers(op)]
    slopes = list(dict.fromkeys([n for n in numbers if 1e-4 < abs(n) < 1] + [0.01]))[:4]
    powers = list(dict.fromkeys(n for n in numbers if n not in (1, 2) and 0.1 < abs(n) <= 10))[:3]
    for stretch in _stretches(case):
        slope = stretch.slope(case.first)
        if slope is None or (slope.numel() > 1 and bool((slope == slope.reshape(-1)[0]).all())):
            continue  # adds a number, or multiplies with one: there is no derivative to mistake
        function = _recognised(case, stretch, slopes, powers)
        yield from _missing(case, stretch, function)
        yield from _mistaken(case, stretch, function, slopes, powers)
        yield from _another(case, stretch, function, slopes, powers)
        yield from _elsewhere(case, stretch, function)


def _stretches(case: Case) -> list[Stretch]:
    """The longest steps first, between named values first: a sigmoid written out as 1 / (1 + exp(-x)) is one."""
    segment = case.segment
    found: list[Stretch] = []
    for argument in (case.at, *segment.values):
        if argument in segment.ends or (not argument.shape and argument is not case.at):
            continue
        pure: dict[Value, bool] = {argument: True}
        for op in segment.ops:
            reads = [value for value in op.inputs if value in pure]
            if not reads:
                continue
            for target in op.outputs:
                if target in pure:
                    continue
                pure[target] = (
                    op.name in ELEMENTWISE
                    and target.shape == argument.shape
                    and all(pure[value] for value in reads)
                )
                edge = Edge(op, reads[0], target)
                if pure[target] and target in segment.values:
                    found.append(Stretch(argument, target, edge))
    depth = {value: i for i, value in enumerate((case.at, *segment.values))}
    found.sort(
        key=lambda s: (
            s.argument is not case.at,
            not (is_named(case, s.argument) or s.argument is case.at) or not is_named(case, s.result),
            -depth[s.result] if s.argument is case.at else depth[s.result],
        )
    )
    return found[:_MOST_STRETCHES]


def _recognised(case: Case, stretch: Stretch, slopes: list[float], powers: list[float]) -> Function | None:
    """The function that the stretch is, if it is a known one at every point."""
    for function in functions(slopes, powers):
        if all(
            _close(function.apply(scene.tensor(stretch.argument)), scene.tensor(stretch.result))
            for scene in case.scenes
        ):
            return function
    return None


def _close(left: torch.Tensor, right: torch.Tensor) -> bool:
    return torch.allclose(left, right, rtol=1e-9, atol=1e-12)


def _missing(case: Case, stretch: Stretch, function: Function | None) -> Iterator[Hypothesis]:
    def ones(scene: Scene) -> torch.Tensor | None:
        return torch.ones_like(scene.tensor(stretch.argument))

    where = line(case, stretch.edge.op)
    yield Hypothesis(
        "missing-derivative",
        stretch.with_slope(ones),
        lambda: (
            f"the derivative of {function.name if function else _step(case, stretch)} ({where}) is left out, "
            f"as if {name(case, stretch.result)} were {name(case, stretch.argument)} itself"
        ),
        {"function": function.name if function else None, "taken": "1"},
    )


def _mistaken(
    case: Case, stretch: Stretch, function: Function | None, slopes: list[float], powers: list[float]
) -> Iterator[Hypothesis]:
    for mistake in mistakes(slopes, powers):
        yield Hypothesis(
            "wrong-derivative",
            stretch.with_slope(_computed(stretch, mistake)),
            lambda mistake=mistake: _taken_as(case, stretch, function, mistake),  # type: ignore[misc]
            {
                "function": function.name if function else None,
                "taken": mistake.text,
            },
        )
    for text, compute in _FROM_THE_RIGHT_ONE:

        def changed(
            scene: Scene, compute: Callable[[torch.Tensor], torch.Tensor] = compute
        ) -> torch.Tensor | None:
            slope = stretch.slope(scene)
            return compute(slope) if slope is not None else None

        yield Hypothesis(
            "wrong-derivative",
            stretch.with_slope(changed),
            lambda text=text: (  # type: ignore[misc]
                f"the derivative of {function.name if function else _step(case, stretch)} "
                f"({line(case, stretch.edge.op)}) is {text}"
            ),
            {"function": function.name if function else None, "taken": text},
        )


_FROM_THE_RIGHT_ONE: tuple[tuple[str, Callable[[torch.Tensor], torch.Tensor]], ...] = (
    ("applied twice", lambda d: d * d),
    ("divided by, where it should be multiplied with", lambda d: 1 / d),
)


def _another(
    case: Case, stretch: Stretch, function: Function | None, slopes: list[float], powers: list[float]
) -> Iterator[Hypothesis]:
    """The derivative of another function, or of the right one at its result."""
    for other in functions(slopes, powers):
        for at_result in (False, True):
            if function is not None and other.name == function.name and not at_result:
                continue

            def slope(
                scene: Scene, other: Function = other, at_result: bool = at_result
            ) -> torch.Tensor | None:
                return other.slope(scene.tensor(stretch.result if at_result else stretch.argument))

            yield Hypothesis(
                "wrong-argument"
                if function is not None and other.name == function.name
                else "wrong-derivative",
                stretch.with_slope(slope),
                lambda other=other, at_result=at_result: (  # type: ignore[misc]
                    _derivative_of_another(case, stretch, function, other, at_result)
                ),
                {"function": function.name if function else None, "taken": f"the derivative of {other.name}"},
            )


def _elsewhere(case: Case, stretch: Stretch, function: Function | None) -> Iterator[Hypothesis]:
    """The right derivative, at the argument or the result of another layer."""
    if function is None:
        return
    by_result = [m for m in mistakes([], []) if m.belongs_to == function.name and "{t}" in m.text]
    for read in reads_of(case):
        other = as_read(case, case.first, read)
        if other is None or not other.is_floating_point() or other.shape != stretch.argument.shape:
            continue
        for of_result in (False, True) if by_result else (False,):
            right = stretch.result if of_result else stretch.argument
            if read.value is right and read.changed_by is None:
                continue

            def slope(scene: Scene, read: Read = read, of_result: bool = of_result) -> torch.Tensor | None:
                numbers = as_read(case, scene, read)
                if numbers is None:
                    return None
                return by_result[0].compute(numbers, numbers) if of_result else function.slope(numbers)

            yield Hypothesis(
                "wrong-argument",
                stretch.with_slope(slope),
                lambda read=read, right=right: (  # type: ignore[misc]
                    f"the derivative of {function.name} ({line(case, stretch.edge.op)}) is taken at "
                    f"{described(case, read, right)}; it belongs at {name(case, right)}"
                ),
                {"function": function.name, "taken_at": case.judgement.names.shown(read.value)},
            )


def _derivative_of_another(
    case: Case, stretch: Stretch, function: Function | None, other: Function, at_result: bool
) -> str:
    own = function.name if function is not None else _step(case, stretch)
    where = line(case, stretch.edge.op)
    if function is not None and function.name == other.name:
        return (
            f"the derivative of {own} ({where}) is taken at its result {name(case, stretch.result)}; "
            f"it belongs at its argument {name(case, stretch.argument)}"
        )
    at = f" at {name(case, stretch.result)}" if at_result else ""
    return f"the derivative of {other.name}{at} is taken where that of {own} belongs ({where})"


def _computed(stretch: Stretch, mistake: Mistake) -> Callable[[Scene], torch.Tensor | None]:
    return lambda scene: mistake.compute(scene.tensor(stretch.argument), scene.tensor(stretch.result))


def _taken_as(case: Case, stretch: Stretch, function: Function | None, mistake: Mistake) -> str:
    own = function.name if function is not None else _step(case, stretch)
    taken, legend = _filled(case, stretch, mistake.text)
    sentence = f"the derivative of {own} ({line(case, stretch.edge.op)}) is taken as `{taken}`"
    if mistake.belongs_to and (function is None or mistake.belongs_to != function.name):
        sentence += f", which is that of {mistake.belongs_to}"
    if function is not None and function.derivative:
        right, more = _filled(case, stretch, function.derivative)
        sentence += f"; it is `{right}`"
        legend = {**legend, **more}
    if legend:
        sentence += ", where " + " and ".join(f"{letter} is {what}" for letter, what in legend.items())
    return sentence


def _filled(case: Case, stretch: Stretch, text: str) -> tuple[str, dict[str, str]]:
    """A formula in the person's own names; letters stand for what has none."""
    legend: dict[str, str] = {}
    names = {}
    for letter, value, what in (("x", stretch.argument, "its argument"), ("t", stretch.result, "its result")):
        if is_named(case, value):
            names[letter] = bare(case, value)
        else:
            names[letter] = letter
            if f"{{{letter}}}" in text:
                legend[letter] = what
    return text.format(**names), legend


def _step(case: Case, stretch: Stretch) -> str:
    return f"the step from {name(case, stretch.argument)} to {name(case, stretch.result)}"
