"""Trains a recorded step again, with any of its gradients replaced by the true ones."""

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import pairwise

import torch

from gradcheck.fronts.tape import Kind, Op, Value
from gradcheck.graph.match.products import is_linear_map
from gradcheck.health.sweep import RowChoice, row_choice
from gradcheck.isolation.compiling import CompiledStep, compile_step
from gradcheck.isolation.components import keyed_rows
from gradcheck.isolation.layers import HiddenLayer, hidden_layers
from gradcheck.isolation.plain_numbers import follow_numbers
from gradcheck.isolation.records import GradientKey, SwitchableLayer
from gradcheck.isolation.step import Substitution, TrainingStep, training_step
from gradcheck.judge.judgement import JudgedPass, Judgement

_ASKED_EVERY = 64  # steps between two looks at whether the loss is still a number


@dataclass(slots=True)
class Training:
    """`losses` of every step until the end, or until the first that is not finite."""

    losses: list[float]
    diverged_at: int | None = None

    def smoothed(self, over: int) -> float:
        """The mean loss of the last `over` steps; NaN if training diverged."""
        if self.diverged_at is not None or not self.losses:
            return math.nan
        last = self.losses[-over:]
        return sum(last) / len(last)


@dataclass
class Trainer:
    """One recorded step. Every training begins with the parameters it was recorded with."""

    judgement: Judgement
    judged: JudgedPass
    step: TrainingStep = field(init=False)
    _compiled: dict[tuple[frozenset[GradientKey], int | None], CompiledStep] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.step = training_step(self.judgement, self.judged)
        self._numbers = follow_numbers(self.judgement, self.step)
        self.frozen, self.followed = self._numbers.frozen, self._numbers.followed
        made = [op for op in self.step.ops if op.kind is Kind.RANDOM]
        draws = [op for op in made if not _is_without_arguments(op)]
        parameters = {value.root for value in self.step.carried} | self.step.changed
        self._choice: RowChoice | None = row_choice(self.step.ops, parameters) if not draws else None
        if draws:
            names = sorted({f"`{op.name}`" for op in draws})
            self.draws = f"fresh draws by {' and '.join(names)} in every step"
        elif self._choice is not None:
            shown = self.judgement.names.shown(self._choice.selects[0].args[0])
            self.draws = f"other rows of `{shown}` in every step"
        elif made:
            self.draws = "the same in every step: what NumPy drew is not drawn again"
        else:
            self.draws = "the same in every step: the program chooses none"

    @property
    def gradients(self) -> list[GradientKey]:
        """Every gradient of the step that can be replaced, in program order."""
        return list(self._by_key())

    def train(
        self, replaced: Collection[GradientKey], seed: int, steps: int, *, without: int | None = None
    ) -> Training:
        """`without` is the number of a layer to switch off. Raises CannotIsolateError if the step cannot be
        compiled, KeyError for a gradient it has not."""
        key = frozenset(replaced), without
        compiled = self._compiled.get(key)
        if compiled is None:
            compiled = self._compiled[key] = self.compiled(replaced, without)
        losses: list[torch.Tensor] = []

        def goes_on() -> bool:
            """Asks only now and then whether it has diverged, because asking waits for the result."""
            return bool(len(losses) % _ASKED_EVERY) or bool(torch.isfinite(losses[-1]).all())

        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(seed)
            compiled.run(steps, losses, goes_on)
        numbers = torch.stack([loss.double().sum() for loss in losses]).tolist()
        bad = next((i for i, loss in enumerate(numbers) if not math.isfinite(loss)), None)
        return Training(numbers if bad is None else numbers[:bad], bad)

    def compiled(self, replaced: Collection[GradientKey], without: int | None = None) -> CompiledStep:
        by_key = self._by_key()
        substitutions = [s for key in replaced for s in by_key[key]]
        layers = [] if without is None else [self._layers[0][without]]
        skipped = {layer.output: layer.input for layer in layers}
        return compile_step(self.step, substitutions, self._fresh(), skipped, self._numbers)

    def depths(self) -> dict[GradientKey, int]:
        """How many weight matrices lie between the input and what each gradient is of."""
        depths = Depths(self.step)
        return {key: max(depths.of(s.of) for s in found) for key, found in self._by_key().items()}

    def switchable(self) -> tuple[list[SwitchableLayer], str]:
        """The hidden layers that can be switched off, or why there are none."""
        names, places = self.judgement.names, self.judgement.places
        layers, why_none = self._layers
        found = [
            SwitchableLayer(i, layer.number, names.shown(layer.output), places.location(layer.op))
            for i, layer in enumerate(layers)
        ]
        return found, why_none

    @cached_property
    def _layers(self) -> tuple[list[HiddenLayer], str]:
        of = {s.of for group in self._by_key().values() for s in group}
        return hidden_layers(self.judgement, self.step, of)

    def _by_key(self) -> dict[GradientKey, list[Substitution]]:
        judged_of = self.judged.judged_of
        found = {
            key: [
                Substitution(j.candidate.value, j.version.after, j.of, j.scale or 1.0)
                for j in judged_of.get(id(row), ())
                if j.of is not None and not self.step.is_of_state(j.candidate.value, j.version.after)
            ]
            for key, row in keyed_rows(self.judged.result.gradients).items()
        }
        return {key: substitutions for key, substitutions in found.items() if substitutions}

    def _fresh(self) -> dict[Value, Callable[[], torch.Tensor]]:
        kept = [op.out for op in self.step.ops if _is_without_arguments(op)]
        fresh: dict[Value, Callable[[], torch.Tensor]] = {v: partial(getattr, v, "data") for v in kept}
        if self._choice is not None:
            fresh.update(_other_rows(self._choice))
        return fresh


def _is_without_arguments(op: Op) -> bool:
    """Drawn by a generator of NumPy: what it was asked for was not recorded, so it stays as it was."""
    return op.kind is Kind.RANDOM and not op.args and not op.kwargs


def _other_rows(choice: RowChoice) -> Iterator[tuple[Value, Callable[[], torch.Tensor]]]:
    """The same rows for every tensor that the program chose the same rows of; new ones when the first is made."""
    rows: list[torch.Tensor] = []

    def chosen(op: Op) -> torch.Tensor:
        if op is choice.selects[0] or not rows:
            rows[:] = [choice.draw()]
        found: torch.Tensor = op.args[0].data[rows[0]]
        return found

    return ((op.out, partial(chosen, op)) for op in choice.selects)


def stretches(losses: Sequence[float], count: int, steps: int) -> list[float]:
    """The losses as the means of `count` equal stretches of `steps` steps, or one for each step; those that training
    did not reach the end of are left out."""
    count = min(count, steps)
    bounds = [steps * i // count for i in range(count + 1)]
    return [sum(losses[a:b]) / (b - a) for a, b in pairwise(bounds) if b <= len(losses)]


class Depths:
    """Counts products with a weight matrix. A matrix that was applied already, as at an earlier step of a sequence,
    makes nothing deeper; a parameter is as deep as the product it is applied in."""

    def __init__(self, step: TrainingStep) -> None:
        self._parameters = {value.root for value in step.carried} | step.changed
        self._made: dict[Value, tuple[int, frozenset[Value]]] = {}
        self._applied: dict[Value, int] = {}
        for op in step.judged.plan.forward_ops:
            self._follow(op)

    def of(self, value: Value) -> int:
        if value in self._made:
            return self._made[value][0]
        return self._applied.get(value.root, 0)

    def _follow(self, op: Op) -> None:
        given = [self._made[value] for value in op.inputs if value in self._made]
        depth = max((deep for deep, _ in given), default=0)
        met = frozenset().union(*(weights for _, weights in given))
        applied = [value.root for value in op.inputs if value.root in self._parameters]
        weights = {
            value.root for value in op.inputs if value.root in self._parameters and len(value.shape) >= 2
        }
        new = weights - met if is_linear_map(op) else set()
        depth += bool(new)
        for value in (*op.outputs, *op.mutated):
            if value.root in self._parameters:
                continue  # a view of a parameter
            self._made[value] = depth, met | new
        if any(value.root not in self._parameters for value in op.outputs):
            for root in applied:
                self._applied.setdefault(root, depth)
