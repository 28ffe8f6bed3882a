"""One trial: a layer made with certain arguments, inputs of certain shapes, drawn by a seed; in a certain state."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from gradcheck.layers.arrays import as_layer_takes_it, as_tensor, default_dtype
from gradcheck.layers.driver import forward_of
from gradcheck.layers.gradients import parameters_of
from gradcheck.layers.methods import held_by
from gradcheck.layers.sizes import BASE, SMALL, FunctionTerm, TensorTerm, Term, names_in, value_of
from gradcheck.layers.subject import Subject
from gradcheck.layers.wanted import MODE_NAMES
from gradcheck.program.live import parameters_required
from gradcheck.program.torch_settings import kept_torch_settings

_SPREAD = 0.4  # of what parameters are moved by, as a share of their own spread
_MOST_FACTOR = 0.3  # of the logarithm of the factor that positive ones are multiplied by


# Equal is what is the same: terms may be dicts, which have no hash.
@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """How the layer is made and called, in sizes by name: arguments by their parameters' names, those after them by
    position; and inputs by the names of the parameters of `forward`."""

    arguments: tuple[tuple[str, Term], ...] = ()
    more: tuple[Any, ...] = ()
    inputs: tuple[tuple[str, Term], ...] = ()
    sizes: tuple[tuple[str, int], ...] = tuple(BASE.items())
    pinned: frozenset[str] = frozenset()  # sizes that the person gave: no case changes them
    requires_grad: bool = False  # of the inputs: a backward pass may ask them for it
    constants: frozenset[str] = frozenset()  # inputs that get none: `backward` returns None for them

    def enlarged(self, times: int) -> Plan:
        """With features, steps and places so many times as many, but for those that the person gave."""
        larger = {name: times * size for name, size in self.sizes if name not in self.pinned | set("NKVG")}
        return replace(self, sizes=tuple((dict(self.sizes) | larger).items()))

    @property
    def names(self) -> set[str]:
        """The sizes that matter."""
        return names_in([term for _, term in (*self.arguments, *self.inputs)])

    @property
    def first(self) -> TensorTerm:
        """The first tensor: the activations."""
        return next((term for _, term in self.inputs if isinstance(term, TensorTerm)), TensorTerm(()))

    @property
    def rank(self) -> int:
        return len(self.first.dims)

    @property
    def has_indices(self) -> bool:
        return any(isinstance(term, TensorTerm) and term.kind == "int" for _, term in self.inputs)


@dataclass(frozen=True, slots=True)
class Trial:
    plan: Plan
    changed: tuple[tuple[str, int], ...] = ()  # sizes in the place of the plan's
    other: tuple[tuple[str, Any], ...] = ()  # arguments in the place of the plan's, or beside them
    handed: tuple[tuple[str, Any], ...] = ()  # the same of the inputs, by name
    jitter: bool = True  # every parameter is moved away from its initial value
    scale: float = 1.0  # of the inputs
    training: bool = True
    repeated: bool = False  # all indices are the same
    apart: frozenset[int] = frozenset()  # places in what `backward` returns, as `name_returned` takes them
    seed: int = 0

    @property
    def sizes(self) -> dict[str, int]:
        return dict(self.plan.sizes) | dict(self.changed)

    def with_sizes(self, **changed: int) -> Trial:
        return replace(self, changed=tuple((dict(self.changed) | changed).items()))

    def smaller(self) -> Trial:
        """With small sizes, but for those that it was given itself."""
        fixed = self.plan.pinned | dict(self.changed).keys()
        return self.with_sizes(**{name: size for name, size in SMALL.items() if name not in fixed})

    @property
    def arguments(self) -> dict[str, Any]:
        """Of the constructor; a tensor stands as what is to be drawn."""
        terms = dict(self.plan.arguments) | dict(self.other)
        return {name: value_of(term, self.sizes) for name, term in terms.items()}

    @property
    def inputs(self) -> dict[str, Term]:
        return dict(self.plan.inputs) | dict(self.handed)

    @property
    def call(self) -> str:
        """The constructor's arguments as they are written: `3, bias=True`."""
        named = [f"{name}={value!r}" for name, value in self.arguments.items()]
        return ", ".join([*map(repr, self.plan.more), *named])

    def shapes(self) -> list[str]:
        """As `--shape` takes them: `3,4`, and `3,6:7` for integers below 7."""
        found = []
        for _, term in self.plan.inputs:
            if isinstance(term, TensorTerm):
                shape = ",".join(str(size) for size in value_of(term.dims, self.sizes))
                found.append(f"{shape}:{value_of(term.high, self.sizes)}" if term.kind == "int" else shape)
        return found


@dataclass(slots=True)
class Built:
    layer: Any
    inputs: dict[str, Any] = field(default_factory=dict)
    named: dict[str, Any] = field(default_factory=dict)  # those beyond the plan's

    @property
    def forward(self) -> Callable[..., Any]:
        return forward_of(self.layer) or self.layer.__call__


@contextmanager
def own_random_numbers(seed: int) -> Iterator[None]:
    """A trial draws its own, and whatever it sets of torch is forgotten afterwards. Those of the program are kept once for
    all trials (`followed.py`), which takes longer than many a trial."""
    with kept_torch_settings(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what it warns of, it would warn of once per trial
        # `torch.manual_seed` looks for accelerators, at each call.
        torch.default_generator.manual_seed(seed)
        np.random.seed(seed)
        random.seed(seed)
        yield


def build(subject: Subject, trial: Trial) -> Built:
    """A fresh layer and its inputs. Draws random numbers: to be called within `own_random_numbers`."""
    generator = torch.Generator().manual_seed(trial.seed)
    layer = _made(subject, trial)
    inputs = {name: _drawn(term, trial, generator) for name, term in trial.inputs.items()}
    if not trial.training:
        inputs = {name: _evaluating(name, value) for name, value in inputs.items()}
    if trial.jitter:
        held = [array for _, array in parameters_of(layer)]
        if not held:
            called, held = _created_when_called(subject, trial)
            layer = called if held else layer
        _jitter([tensor for array in held if (tensor := as_tensor(array)) is not None], generator)
    names = dict(trial.plan.inputs)
    named = {name: inputs.pop(name) for name, _ in trial.handed if name not in names}
    if trial.plan.requires_grad:
        for name, value in inputs.items():
            if isinstance(value, torch.Tensor) and value.is_floating_point():
                value.requires_grad_(name not in trial.plan.constants)
    return Built(layer, inputs, named)


def _made(subject: Subject, trial: Trial) -> Any:
    generator = torch.Generator().manual_seed(trial.seed + 1_000)
    arguments = {name: _drawn(term, trial, generator) for name, term in trial.arguments.items()}
    layer = subject.make(*trial.plan.more, **arguments)
    set_mode(held_by(layer), trial.training)
    return layer


def set_mode(layer: Any, training: bool) -> bool:
    """Whether the layer has a switch between training and evaluation; it is set then."""
    switch = getattr(layer, "train" if training else "eval", None)
    if callable(switch) and parameters_required(switch) == []:
        switch()
        return True
    names = [
        name
        for name, value in getattr(layer, "__dict__", {}).items()
        if isinstance(value, bool) and MODE_NAMES.fullmatch(name)
    ]
    for name in names:
        setattr(layer, name, training)
    if isinstance(getattr(layer, "mode", None), str):
        layer.mode = "train" if training else "test"
        return True
    return bool(names)


def takes_mode(plan: Plan) -> bool:
    """Whether `forward` takes the mode as an argument."""
    return any(_evaluating(name, term) is not term for name, term in plan.inputs)


def _evaluating(name: str, value: Any) -> Any:
    """The argument that says "train", saying "evaluate"."""
    if value is True and MODE_NAMES.fullmatch(name.lower()):
        return False
    if isinstance(value, dict) and value.get("mode") == "train":
        return {**value, "mode": "test"}
    return "test" if name.lower() == "mode" and value == "train" else value


def _drawn(term: Term, trial: Trial, generator: torch.Generator) -> Any:
    if isinstance(term, dict):
        return {key: _drawn(item, trial, generator) for key, item in term.items()}
    if isinstance(term, FunctionTerm):
        return torch.nn.Tanh()  # a network
    if not isinstance(term, TensorTerm):
        return value_of(term, trial.sizes)
    return as_layer_takes_it(_tensor(term, trial, generator))


def _tensor(term: TensorTerm, trial: Trial, generator: torch.Generator) -> torch.Tensor:
    shape = value_of(term.dims, trial.sizes)
    if term.kind == "int":
        high = value_of(term.high, trial.sizes)
        if high == 2 and shape[1:] and term.dims == trial.plan.first.dims:
            rows = _indices(shape[:-1], shape[-1], trial.repeated, generator)
            return torch.nn.functional.one_hot(rows, shape[-1])  # labels: one class in each row
        return _indices(shape, high, trial.repeated, generator)
    dtype = default_dtype()
    if term.kind == "bool":
        return _mask(torch.rand(shape, generator=generator))
    if term.kind == "unit":
        return 0.1 + 0.8 * torch.rand(shape, generator=generator, dtype=dtype)
    drawn = torch.randn(shape, generator=generator, dtype=dtype)
    # The activations alone: with weights as large, nothing would be left of any gradient.
    return drawn * trial.scale if term.dims == trial.plan.first.dims else drawn


def _mask(drawn: torch.Tensor) -> torch.Tensor:
    """Each row has both: nobody means a row of which nothing is left, whether a mask says what stays or what goes."""
    if not drawn.numel() or drawn.shape[-1:] in ((), (1,)):
        return drawn < 0.7
    return ((drawn < 0.7) | (drawn == drawn.amin(-1, keepdim=True))) & (drawn < drawn.amax(-1, keepdim=True))


def _indices(shape: tuple[int, ...], high: int, repeated: bool, generator: torch.Generator) -> torch.Tensor:
    """With the highest among them, so that a table that is too small shows; all different if there are enough,
    unless they are to repeat."""
    count = int(np.prod(shape))
    if repeated:
        return torch.full(shape, high - 1)
    turns = [torch.randperm(high, generator=generator) for _ in range(-(-count // high))]
    drawn = torch.cat(turns)[:count] if turns else torch.empty(0, dtype=torch.int64)
    if count and int(drawn.max()) != high - 1:
        drawn[0] = high - 1
    return drawn.reshape(shape)


def _created_when_called(subject: Subject, trial: Trial) -> tuple[Any, list[Any]]:
    """Another such layer, which was called before, and the parameters that its first call created: unlike what it
    keeps for its backward pass, those are still there after a second call."""
    layer = _made(subject, trial)
    kept: list[list[Any]] = []
    for turn in (1, 2):
        generator = torch.Generator().manual_seed(trial.seed + turn)
        inputs = [_drawn(term, trial, generator) for term in trial.inputs.values()]
        try:
            Built(layer).forward(*inputs)
        except Exception:  # it will raise again where that is reported
            return layer, []
        kept.append([t for _, t in parameters_of(layer) if not any(t is given for given in inputs)])
    first, second = kept
    return layer, [tensor for tensor in second if any(tensor is other for other in first)]


def _jitter(tensors: list[torch.Tensor], generator: torch.Generator) -> None:
    """In place. What is positive throughout stays so: a scale, a running variance; what masks by 0 goes on masking."""
    moved: set[int] = set()
    with torch.no_grad():
        for tensor in tensors:
            place = tensor.untyped_storage().data_ptr()
            if place in moved or not tensor.numel():
                continue
            moved.add(place)
            noise = torch.randn(tensor.shape, generator=generator).to(tensor)
            one_sign = bool((tensor >= 0).all()) or bool((tensor <= 0).all())
            if one_sign and bool((tensor != 0).any()):
                changed = tensor * (noise.clamp(-1.5, 1.5) * _MOST_FACTOR).exp()
            else:
                spread = float(tensor.std()) if tensor.numel() > 1 else 0.0
                changed = tensor + _SPREAD * (spread or 1.0) * noise
            try:
                tensor.copy_(changed)
            except RuntimeError:  # one element seen many times over: it cannot be written through
                continue
