"""Which gradient is whose, for what `backward` returned without a name of its own, and what a layer stores.

Names given here are evidence only, as all names are: the numbers count.
"""

from __future__ import annotations

import dis
from collections.abc import Callable, Iterable
from types import CodeType, FrameType
from typing import Any

import torch

from gradcheck.fronts.gradient_names import Form, name_affinity, parse, split_path
from gradcheck.fronts.namespace import tensors_of_namespace
from gradcheck.fronts.recorder import Recorder
from gradcheck.fronts.tape import Value
from gradcheck.judge.verdict import GradientResult
from gradcheck.layers.driver import LayerStep

_SAME = 0.9
_Named = tuple[str, torch.Tensor]


def parameters_of(layer: object) -> list[_Named]:
    """The tensors of floats it holds that are not named for gradients."""
    return [
        (name, tensor)
        for name, tensor, _ in tensors_of_namespace({"self": layer})
        if tensor.is_floating_point() and parse(name).form is Form.NONE
    ]


def name_returned(
    recorder: Recorder,
    step: LayerStep,
    parameters: list[_Named],
    backward: Callable[..., Any],
    frame: FrameType,
) -> None:
    """Give what `backward` returned the name of the gradient whose place it is in: that of its key in a dict; that of
    the input in its position, if there are as many of both; else that of the first input or parameter of its shape."""
    value_of = recorder.recording.value_of
    loss = value_of(step.loss)
    left = [*step.inputs, *parameters]
    unnamed: list[tuple[int, torch.Tensor]] = []
    names: dict[int, str] = {}
    for number, (key, tensor) in enumerate(step.returned):
        stems = [parse(key).stem or key] if key else _own_stems(recorder, value_of(tensor))
        meant = next((one for one in left if any(name_affinity(s, one[0]) >= _SAME for s in stems)), None)
        if meant is not None:
            left = [one for one in left if one is not meant]
        if key:
            names[number] = key if parse(key).form is not Form.NONE else f"d_{key}"
        elif meant is None:
            unnamed.append((number, tensor))
    if len(unnamed) == len(step.inputs):  # by position, as autograd would have it
        for (number, tensor), (name, given) in zip(unnamed, step.inputs, strict=True):
            names[number] = _gradient_of(name)
            recorder.pair(given, tensor)
        unnamed = []
    for number, tensor in unnamed:
        fitting = [one for one in left if one[1].shape == tensor.shape]
        if fitting:
            left = [one for one in left if one is not fitting[0]]
        names[number] = _gradient_of(fitting[0][0]) if fitting else f"grads[{number}]"
    code = getattr(backward, "__code__", None)
    for number, name in names.items():
        tensor = step.returned[number][1]
        # A value of the forward pass that is handed back as a gradient is one only by being handed back.
        made_before = loss is None or not _made_after(value_of(tensor), loss)
        if isinstance(code, CodeType):
            recorder.bind(name, tensor, code, _line_of_return(code), alias=not made_before)
        else:
            recorder.bind(name, tensor, frame.f_code, frame.f_lineno, alias=not made_before)


def stored_but_not_judged(layer: object, rows: Iterable[GradientResult]) -> list[str]:
    """Gradients of its parameters that a layer holds, by their names, and that are on no row: nothing computed them."""
    judged = list(rows)
    parameters = parameters_of(layer)
    found = []
    for name, _, _ in tensors_of_namespace({"self": layer}):
        parsed = parse(name)
        if parsed.form < Form.BARE_D or parsed.stem is None or split_path(name)[1] == "grad":
            continue
        if not any(name_affinity(parsed.stem, parameter) >= 0.99 for parameter, _ in parameters):
            continue
        if not any(row.name == name or name_affinity(parsed.stem, row.of or "") >= _SAME for row in judged):
            found.append(name)
    return found


def _own_stems(recorder: Recorder, value: Value | None) -> list[str]:
    stems = [parse(b.variable).stem for b in recorder.recording.bindings if b.value is value]
    return [stem for stem in stems if stem is not None]


def _gradient_of(name: str) -> str:
    base, last, is_item = split_path(name)
    if is_item and last.isdigit():
        return f"d_{split_path(base)[1]}[{last}]"
    return f"d_{last}"


def _made_after(value: Value | None, loss: Value) -> bool:
    made, lost = value.producer if value is not None else None, loss.producer
    return made is not None and lost is not None and made.index > lost.index


def _line_of_return(code: CodeType) -> int:
    """The line of its one `return` with a value; the line it begins at, if there are several."""
    lines = set()
    previous = None
    line = code.co_firstlineno
    for instruction in dis.get_instructions(code):
        if instruction.starts_line is not None:
            line = int(instruction.positions.lineno or line) if instruction.positions else line
        none = previous is not None and previous.opname == "LOAD_CONST" and previous.argval is None
        if instruction.opname == "RETURN_VALUE" and not none:
            lines.add(line)
        previous = instruction
    return lines.pop() if len(lines) == 1 else code.co_firstlineno
