"""What is checked: a class, a factory, an object, an autograd Function, or a pair of functions; all as something that
makes a fresh object with `forward` and `backward`."""

from __future__ import annotations

import copy
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import wraps
from types import MethodType, SimpleNamespace
from typing import Any

import torch

from gradcheck.layers.function_context import FunctionContext
from gradcheck.layers.fused import GivesGradients, Returns, method_of, returns_of
from gradcheck.layers.methods import Halves, StandsFor, halves_of
from gradcheck.layers.usage import gradients_given, words_for
from gradcheck.program.live import file_of, name_of, parameters_required


@dataclass(frozen=True, slots=True)
class Subject:
    """`make(**arguments)` makes the layer. `constructor` is what the arguments are the parameters of, None if there are
    none; `forward` is what an input's name is looked up in, None if it is known only once the layer is made."""

    name: str
    make: Callable[..., Any]
    constructor: Callable[..., Any] | None
    files: tuple[str | None, ...]
    forward: Callable[..., Any] | None = None
    things: tuple[Any, ...] = ()  # the person's, which it is made of
    by_autograd: bool = False  # autograd runs its backward pass
    has_gradient: dict[str, bool] | None = None  # whether an autograd Function gives one for each input
    words: dict[str, list[str]] = field(default_factory=dict)  # what its arguments are compared with


class NotALayer(TypeError):  # noqa: N818 - its message is shown to the person
    """What was given has no forward pass and backward pass; the message says what would."""


def subject_of(target: Any, name: str = "") -> Subject:
    """Raises NotALayer."""
    if isinstance(target, tuple) and len(target) == 2 and all(callable(part) for part in target):
        return _pair(target, name)
    if isinstance(target, type):
        if issubclass(target, torch.autograd.Function):
            return _function(target, name)
        return _class(target, name)
    backward = getattr(target, "backward", None)
    if callable(backward):
        return Subject(
            name or type(target).__qualname__,
            lambda: copy.deepcopy(target),
            None,
            (file_of(target), *(file_of(kind) for kind in type(target).__mro__[1:-1])),
            things=(target,),
        )
    if inspect.isfunction(target):
        names = pair_named(target.__name__, target.__globals__)
        if names is not None and target.__qualname__ == target.__name__:
            forward, backward = (target.__globals__[each] for each in names)
            return _pair((forward, backward), name or target.__name__)
    returns = returns_of(target) if inspect.isfunction(target) else None
    if returns is not None:
        files, kept = (file_of(target),), returns
        return Subject(
            name or name_of(target), lambda: GivesGradients(target, kept), None, files, target, (target,)
        )
    if inspect.isroutine(target) or callable(target):
        return Subject(name or name_of(target), target, target, (file_of(target),), things=(target,))
    raise NotALayer(f"{type(target).__qualname__} has no `backward`: {_WHAT}")


_HALVES = (("forward", "backward"), ("fwd", "bwd"), ("fprop", "bprop"))


def pair_named(name: str, known: Mapping[str, Any]) -> tuple[str, str] | None:
    """The names of the forward pass and the backward pass that `name` belongs to: `relu` is of `relu_forward` and
    `relu_backward`, or of `relu` and `relu_backward`; so is each of them."""
    for first, second in _HALVES:
        for half, other, is_first in ((first, second, True), (second, first, False)):
            if half not in name:
                continue
            plain = re.sub(f"_?{half}_?", "_", name).strip("_")
            for partner in (name.replace(half, other), *([] if is_first else [plain])):
                if inspect.isfunction(known.get(partner)) and inspect.isfunction(known.get(name)):
                    return (name, partner) if is_first else (partner, name)
        for form in ("{0}_{1}", "{1}_{0}"):
            forward, backward = form.format(name, first), form.format(name, second)
            if not inspect.isfunction(known.get(backward)):
                continue
            for each in (forward, name):
                if inspect.isfunction(known.get(each)):
                    return each, backward
    return None


_WHAT = (
    "a layer is a class (or an object) with `forward(*inputs)` and `backward(upstream)`, a function that makes one, a "
    "torch.autograd.Function, or a pair of functions, forward and backward"
)


def _class(kind: type, name: str) -> Subject:
    if issubclass(kind, torch.nn.Module) and not callable(getattr(kind, "backward", None)):
        return _module(kind, name)
    halves = halves_of(kind)
    if halves is None and (gives := method_of(kind)) is not None:
        return _network(kind, name, *gives)
    if halves is None:
        missing = "backward" if callable(getattr(kind, "forward", None)) else "forward"
        raise NotALayer(f"`{kind.__qualname__}` has no `{missing}`: {_WHAT}")
    methods = [getattr(kind, each) for each in halves]  # assigned later, maybe elsewhere
    files = tuple(file_of(each) for each in (*kind.__mro__[:-1], *methods))

    def made(*args: Any, **kwargs: Any) -> Halves:
        return Halves(kind(*args, **kwargs), halves)

    shown = name or name_of(kind)
    takes_nothing = [*inspect.signature(methods[0]).parameters] == ["self"]
    if takes_nothing and parameters_required(kind):
        return Subject(shown, lambda: MadeOfInputs(kind, halves), None, files, things=(kind,))
    usual = "forward" if callable(getattr(kind, "forward", None)) else "__call__"
    make = kind if halves == (usual, "backward") else made
    return Subject(shown, make, _constructor(kind), files, things=(kind,))


class MadeOfInputs(StandsFor):
    """An object that is handed its inputs when it is made: `Loss(y_hat, y).forward()`."""

    def __init__(self, kind: type, halves: tuple[str, str]) -> None:
        super().__init__(None)
        forward, backward = (getattr(kind, name) for name in halves)

        def run(*inputs: Any) -> Any:
            self.owner = kind(*inputs)
            return forward(self.owner)

        def back(*upstream: Any) -> Any:
            return backward(self.owner, *upstream)

        self.forward = _with_signature(run, inspect.signature(kind), forward)
        self.backward = _with_signature(back, _without_first(inspect.signature(backward)), backward)


def _network(kind: type, name: str, method: str, returns: Returns) -> Subject:
    """Its method gives the loss, and the gradients of its parameters."""

    def made(*args: Any, **kwargs: Any) -> GivesGradients:
        network = kind(*args, **kwargs)
        return GivesGradients(getattr(network, method), returns, network)

    files = tuple(file_of(each) for each in (*kind.__mro__[:-1], getattr(kind, method)))
    return Subject(name or name_of(kind), made, _constructor(kind), files, things=(kind,))


def _module(kind: type[torch.nn.Module], name: str) -> Subject:
    def made(*args: Any, **kwargs: Any) -> ModuleLayer:
        return ModuleLayer(kind(*args, **kwargs))

    files = tuple(file_of(each) for each in kind.__mro__[:-1])
    forward = _with_signature(kind.forward, _without_first(inspect.signature(kind.forward)))
    return Subject(name or name_of(kind), made, _constructor(kind), files, forward, (kind,), by_autograd=True)


def _constructor(kind: type) -> type | None:
    """None where it is one that takes nothing, whatever its signature says."""
    inherited = next(vars(each)["__init__"] for each in kind.__mro__ if "__init__" in vars(each))
    return None if inherited in (object.__init__, torch.nn.Module.__init__) else kind


class ModuleLayer:
    """A torch module whose backward pass is that of the Functions in it: autograd calls them."""

    def __init__(self, module: torch.nn.Module) -> None:
        self.module = module
        self.train, self.eval = module.train, module.eval
        self.forward = _with_signature(self._run, inspect.signature(module.forward))
        self._outputs: list[torch.Tensor] = []

    def _run(self, *inputs: Any, **named: Any) -> Any:
        result = self.module(*inputs, **named)
        items = result if isinstance(result, (tuple, list)) else [result]
        self._outputs = [each for each in items if isinstance(each, torch.Tensor) and each.requires_grad]
        return tuple(self._outputs) if len(self._outputs) > 1 else result

    def backward(self, *upstream: torch.Tensor) -> None:
        torch.autograd.backward(self._outputs, list(upstream))


class FunctionLayer:
    """An autograd Function, called as autograd would, where the recorder sees inside of its backward pass."""

    def __init__(self, function: Any) -> None:
        self._function = function
        self._context = FunctionContext()
        self.forward = _with_signature(self._run, _signature(function))
        # The person's own function, with their signature and their lines: past what decorates it.
        self.backward = MethodType(inspect.unwrap(_backward_of(function)), self._context)

    def _run(self, *inputs: Any, **named: Any) -> Any:
        function, context = self._function, self._context
        if named:
            inputs = _signature(function).bind(*inputs, **named).args
        context.called_with(inputs)
        if not _sets_up(function):
            return function.forward(context, *inputs)
        output = function.forward(*inputs)
        function.setup_context(context, inputs, output)
        return output


def _sets_up(function: Any) -> bool:
    return function.setup_context is not torch.autograd.Function.setup_context


def _backward_of(function: Any) -> Callable[..., Any]:
    found: Callable[..., Any] = function.vjp if "vjp" in vars(function) else function.backward
    return found


def _function(function: Any, name: str) -> Subject:
    if function.backward is torch.autograd.Function.backward and "vjp" not in vars(function):
        raise NotALayer(f"`{function.__qualname__}` has no `backward`")
    of_an_object = not isinstance(inspect.getattr_static(function, "forward"), (staticmethod, classmethod))
    if of_an_object and any(
        "__init__" in vars(kind) and not kind.__module__.startswith("torch.")
        for kind in function.__mro__[:-1]
    ):
        raise NotALayer(
            f"`{function.__qualname__}` has a constructor and no static `forward`: torch runs no such Function since 1.3"
        )
    forward = _with_signature(function.forward, _signature(function))
    files = tuple(file_of(part) for part in (function, function.forward, _backward_of(function)))
    return Subject(
        name or name_of(function),
        lambda: FunctionLayer(function),
        None,
        files,
        forward,
        (function,),
        has_gradient=gradients_given(_backward_of(function), list(_signature(function).parameters)),
        words=words_for(function.forward, _backward_of(function)),
    )


def _signature(function: Any) -> inspect.Signature:
    """Of its `forward`, as `apply` takes it: without the context."""
    signature = inspect.signature(function.forward)
    return signature if _sets_up(function) else _without_first(signature)


def _without_first(signature: inspect.Signature) -> inspect.Signature:
    first, *others = signature.parameters.values()
    return signature.replace(parameters=[first, *others] if first.kind is first.VAR_POSITIONAL else others)


def _with_signature(
    function: Callable[..., Any], signature: inspect.Signature, of: Callable[..., Any] | None = None
) -> Callable[..., Any]:
    @wraps(of or function)
    def shown(*inputs: Any, **named: Any) -> Any:
        return function(*inputs, **named)

    shown.__signature__ = signature  # type: ignore[attr-defined]
    return shown


def _pair(pair: Sequence[Callable[..., Any]], name: str) -> Subject:
    forward, backward = pair
    shown = name or f"{name_of(forward)},{name_of(backward)}"
    files = (file_of(forward), file_of(backward))
    return Subject(
        shown,
        lambda: SimpleNamespace(forward=forward, backward=backward),
        None,
        files,
        forward,
        (forward, backward),
        words=words_for(forward, backward),
    )
