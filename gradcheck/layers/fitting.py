"""Tries a way to call the layer, without a recording: whether it runs, and whether what `backward` returns fits."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from gradcheck.base.errors import NothingToCheckError
from gradcheck.fronts.gradient_names import parse
from gradcheck.layers.arrays import array_word, as_array, as_tensor, is_floating
from gradcheck.layers.driver import LayerStep, drive
from gradcheck.layers.fused import GivesGradients
from gradcheck.layers.gradients import parameters_of, stored_gradients
from gradcheck.layers.methods import called
from gradcheck.layers.subject import Subject
from gradcheck.layers.trial import Trial, build, own_random_numbers
from gradcheck.layers.wanted import role_of
from gradcheck.program.live import LiveSources
from gradcheck.replay.compare import dense

FITS, UNTOLD, NONE_FITS = 2.0, 1.5, 1.0
NOTHING = -1.0  # there is nothing that could have a gradient
Progress = tuple[int, ...]
_MADE, _CALLED, _RAN = 1, 2, 3
_SOURCES = LiveSources()


@dataclass(frozen=True, slots=True)
class Attempt:
    """`why` it does not run, or None; `progress`: how far it came, the farther the greater: what it went through, and where in
    the person's functions it stopped, from the outermost in."""

    why: str | None
    progress: Progress


def attempt(subject: Subject, trial: Trial) -> Attempt:
    """Makes the layer and calls its `forward`."""
    with own_random_numbers(trial.seed):
        try:
            built = build(subject, trial)
        except Exception as error:
            return Attempt(f"the constructor raised {message_of(error)}", (0, *_places(error, subject)))
        try:
            result = called(built.layer, built.forward, tuple(built.inputs.values()), built.named)
        except NothingToCheckError as unclear:
            return Attempt(str(unclear), (_CALLED,))
        except Exception as error:
            return Attempt(f"`forward` raised {message_of(error)}", (_MADE, *_places(error, subject)))
        first = result[0] if isinstance(result, (tuple, list)) and result else result
        if isinstance(built.layer, GivesGradients):
            both = built.layer.apart(result)
            first = both[0] if both is not None else None
        first = as_array(first)
        output = as_tensor(first) if is_floating(first) else None
        if output is None:
            return Attempt(f"`forward` returned no {array_word()} of floats", (_CALLED,))
        if not bool(dense(output).isfinite().all()):
            return Attempt("the output of `forward` is not finite", (_CALLED,))
        if not output.numel():
            return Attempt("the output of `forward` is empty", (_CALLED,))
        return Attempt(None, (_RAN,))


def runs(subject: Subject, trial: Trial) -> str | None:
    """None if `forward` runs and gives finite numbers, else why not."""
    return attempt(subject, trial).why


def _places(error: Exception, subject: Subject) -> Iterator[int]:
    """In the person's functions, from the outermost in, how far each came."""
    at = error.__traceback__
    while at is not None:
        name = at.tb_frame.f_code.co_filename
        if name in subject.files or _SOURCES.is_user(name):
            yield at.tb_lasti
        at = at.tb_next


def left_without(subject: Subject, trial: Trial) -> frozenset[str]:
    """The inputs after the first to which autograd brings no gradient: the Functions on the way return None for them, as
    they do for targets, and a module that is used so asks for none."""
    with own_random_numbers(trial.seed):
        try:
            built = build(subject, trial)
            drive(built.layer, tuple(built.inputs.values()), built.named, lambda name, tensor: None)
        except (Exception, NothingToCheckError):
            return frozenset()
    asked = [(n, v) for n, v in built.inputs.items() if isinstance(v, torch.Tensor) and v.requires_grad]
    return frozenset(name for name, value in asked[1:] if value.grad is None)


def fit_and_shapes(subject: Subject, trial: Trial) -> tuple[float, dict[str, tuple[int, ...]]]:
    """How well the inputs were guessed, as `backward` sees it: 0 if it raises, FITS if every gradient that it returns or
    stores has the shape of what it is of, and tells something. A guess that broadcasts in `forward` is seen through here,
    and one under which everything is zero. And the shape that `backward` returns for each input that has another."""
    with own_random_numbers(trial.seed):
        try:
            built = build(subject, trial)
            held = parameters_of(built.layer)
            step = drive(built.layer, tuple(built.inputs.values()), built.named, lambda name, tensor: None)
        except (Exception, NothingToCheckError):
            return 0, {}
    pairs = [(array, given.shape) for (_, given), array in _together(built.layer, step)]
    others: dict[str, tuple[int, ...]] = {}
    if not isinstance(built.layer, GivesGradients) and step.returned:
        known = subject.has_gradient or {}
        wanted = [(name, given) for name, given in step.inputs if known.get(name) is not False]
        returned = [array for _, array in step.returned]
        for place, (name, given) in enumerate(wanted):
            array = returned[place] if place < len(returned) else None
            if len(returned) > len(wanted):  # those of the parameters too: `return dW, db, dX`
                array = next((each for each in returned if each.shape == given.shape), array)
            pairs.append((array, given.shape))
            if array is not None and array.shape != given.shape:
                others[name] = tuple(array.shape)
    if not held and step.inputs and all(role_of(name) == "target" for name, _ in step.inputs):
        return NONE_FITS, {}  # what was predicted was guessed as indices
    if not pairs:
        if not step.inputs and not held:
            return NOTHING, {}
        return FITS if isinstance(built.layer, GivesGradients) or not step.inputs else UNTOLD, {}
    fitting = sum(
        array is not None and array.shape == shape and _tells_something(array) for array, shape in pairs
    )
    return 1 + fitting / len(pairs), others


def _tells_something(array: Any) -> bool:
    tensor = as_tensor(array)
    return tensor is not None and bool(dense(tensor).any())


def _together(layer: object, step: LayerStep) -> Iterator[tuple[tuple[str, Any], Any]]:
    """What a gradient is of, as its name says it, and the gradient: where it gives a loss too, those that it returns; and
    those that it stores."""
    if isinstance(layer, GivesGradients):
        inputs = {name.lower(): (name, array) for name, array in step.inputs}
        for name, (key, array) in zip(step.said, step.returned, strict=True):
            of = inputs.get((key or parse(name).stem or "").lower())
            if of is not None:
                yield of, array
    else:
        yield from stored_gradients(layer)


def message_of(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:160]}" if text else type(error).__name__
