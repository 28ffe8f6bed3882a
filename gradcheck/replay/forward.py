"""The forward pass of one loss, replayed in float64 under autograd: the oracle for every gradient.

The true gradient of every forward value comes from one backward pass. What a value's gradient *should* be given
the person's own (wrong) gradients further down comes from another one in which those values' gradients are
replaced on the way: the graph is cut there.
"""

from collections.abc import Callable, Collection, Container, Iterable, Mapping, Sequence
from contextlib import ExitStack

import torch

from gradcheck.fronts.tape import Op, Value
from gradcheck.replay.compare import Measured, dense
from gradcheck.replay.earlier import Carried, as_of_now, earlier_versions
from gradcheck.replay.runner import Patch, ReplayError, Runner
from gradcheck.replay.slices import produced, roots_mutated
from gradcheck.replay.stops import stopped
from gradcheck.replay.variation import Variation


class ForwardGraph:
    """`ops` is the slice that computes `loss`; `start_from` holds values made before it."""

    def __init__(
        self, ops: Sequence[Op], loss: Value, dtype: torch.dtype | None, *,
        overrides: Mapping[Value, torch.Tensor] | None = None,
        start_from: dict[Value, torch.Tensor] | None = None, patches: Mapping[int, Patch] | None = None,
        variation: Variation | None = None, carried: Mapping[int, list[Carried]] | None = None,
        undifferentiated: Container[Value] = frozenset(),
    ) -> None:  # fmt: skip
        self.loss = loss
        mutated, earlier = roots_mutated(ops), earlier_versions(ops)
        self._first = {as_of_now(version): version for version in reversed(earlier.values())}
        self._run = Runner(
            dtype,
            overrides=overrides,
            differentiate=True,
            start_from=start_from,
            patches=patches,
            variation=variation,
            undifferentiated=undifferentiated,
            stopped=stopped(ops, loss),
        )
        with torch.enable_grad():
            self._run.run(ops, earlier, carried)
        if loss in self._run.broken:
            raise ReplayError(self._run.broken[loss])
        self.loss_tensor = self._run.tensor(loss)
        if not self.loss_tensor.requires_grad:
            raise ReplayError("the loss does not depend on any value that can have a gradient")
        self.values: list[Value] = []
        made = produced(ops)
        seen: set[int] = set()
        for value, tensor in self._run.env.items():
            if tensor.requires_grad and id(tensor) not in seen:
                new = value not in made and not isinstance(value, Carried)
                if new and not tensor.is_leaf and value.root not in mutated:
                    continue
                seen.add(id(tensor))
                self.values.append(value)
        self._truth: Measured | None = None

    def start_tensors(self) -> dict[Value, torch.Tensor]:
        return dict(self._run.start_from)

    def computed(self) -> Iterable[tuple[Value, torch.Tensor]]:
        """Every value of the forward pass, with its tensor."""
        return self._run.env.items()

    def release(self) -> None:
        """Keep the true gradients, and let go of the graph that they came from."""
        self._truth = self.truth
        self.loss_tensor = self.loss_tensor.detach()
        self._run.release()

    def tensor(self, value: Value) -> torch.Tensor:
        return self._run.tensor(value)

    def at_first(self, value: Value) -> torch.Tensor:
        """What it was before anything changed it in place."""
        first = self._first.get(value)
        return self.tensor(first if first is not None and first in self._run.env else value)

    @property
    def truth(self) -> Measured:
        """dL/dx for every forward value that the loss depends on."""
        if self._truth is None:
            try:
                self._truth = Measured(self.gradients({}))
            except RuntimeError as error:
                raise ReplayError(f"autograd cannot differentiate it: {error}") from error
        return self._truth

    def truth_under(self, part: Value) -> dict[Value, torch.Tensor]:
        """The same for another loss, which this one was computed from."""
        made = self.tensor(part)
        found = torch.autograd.grad(
            made.sum(), [self.tensor(v) for v in self.values], retain_graph=True, allow_unused=True
        )
        return {v: dense(g.detach()) for v, g in zip(self.values, found, strict=True) if g is not None}

    def gradients(
        self, replaced: Mapping[Value, torch.Tensor], among: Collection[Value] | None = None
    ) -> dict[Value, torch.Tensor]:
        """The gradient of every forward value when, at each value in `replaced`, the gradient that arrives is
        replaced by the one given: the VJPs of the person's own gradients. Or of those `among` which it is asked for."""
        values = self.values
        if among is not None:
            values = [value for value in values if value in among or value in replaced]
        with ExitStack() as hooks:
            for value, gradient in replaced.items():
                hooks.enter_context(_replace_gradient(self.tensor(value), gradient))
            tensors = [self.tensor(value) for value in values]
            loss = self.loss_tensor if self.loss_tensor.ndim == 0 else self.loss_tensor.sum()
            found = torch.autograd.grad(loss, tensors, retain_graph=True, allow_unused=True)
            # Where nothing arrives (a step function is in between), what is given is where it begins.
            arrived = {value for value, gradient in zip(values, found, strict=True) if gradient is not None}
            begun = [value for value in replaced if value not in arrived and self.tensor(value).requires_grad]
            if begun:
                outputs = [loss, *(self.tensor(value) for value in begun)]
                seeds = [
                    torch.ones_like(loss),
                    *(_like(replaced[value], self.tensor(value)) for value in begun),
                ]
                found = torch.autograd.grad(outputs, tensors, seeds, retain_graph=True, allow_unused=True)
        return {v: dense(g.detach()) for v, g in zip(values, found, strict=True) if g is not None}

    def changes(
        self, value: Value, by: torch.Tensor, fixed: Collection[Value], wanted: Sequence[Value]
    ) -> dict[Value, torch.Tensor]:
        """By how much the gradients of `wanted` change if that of `value` does, and those of `fixed` stay as they are."""
        at = self.tensor(value)
        with ExitStack() as hooks:
            for other in fixed:
                hooks.enter_context(
                    self.tensor(other).register_hook(lambda g: None if g is None else torch.zeros_like(g))
                )
            found = torch.autograd.grad(
                at, [self.tensor(v) for v in wanted], _like(by, at), retain_graph=True, allow_unused=True
            )
        return {v: dense(g.detach()) for v, g in zip(wanted, found, strict=True) if g is not None}

    def ways_back(self, value: Value, replaced: Mapping[Value, torch.Tensor]) -> list[torch.Tensor]:
        """The terms whose sum is the gradient of `value`: one from each operation that reads it."""
        loss = self.loss_tensor if self.loss_tensor.ndim == 0 else self.loss_tensor.sum()
        terms: list[torch.Tensor] = []

        def keep(number: int) -> Callable[..., None]:
            def hook(gradients: tuple[torch.Tensor | None, ...], _: object) -> None:
                arriving = gradients[number]
                if arriving is not None:
                    terms.append(arriving.detach().clone())

            return hook

        tensor = self.tensor(value)
        with ExitStack() as hooks:
            for at, gradient in replaced.items():
                hooks.enter_context(_replace_gradient(self.tensor(at), gradient))
            for node, number in _readers(loss, tensor):
                hooks.enter_context(node.register_hook(keep(number)))
            torch.autograd.grad(loss, tensor, retain_graph=True, allow_unused=True)
        return terms


def vector_jacobian(
    ops: Sequence[Op], of: Value, given: Mapping[Value, torch.Tensor], run: Runner
) -> torch.Tensor | None:
    """The gradient of `of` that follows from the gradients given of other values, and from nothing else: where the program
    has autograd go back through `ops` alone, part of its forward pass or what was computed once more. All else is as it is
    in `run`."""
    made = produced(ops)
    begin = {of, *(value for op in ops for value in op.inputs if value not in made)}
    again = Runner(
        run.dtype,
        differentiate=True,
        start_from={value: run.tensor(value) for value in begin},
        variation=run.variation,
    )
    with torch.enable_grad():
        again.tensor(of)
        again.run(ops)
        outputs = [again.tensor(value) for value in given]
        seeds = [_like(gradient, output) for output, gradient in zip(outputs, given.values(), strict=True)]
        (found,) = torch.autograd.grad(outputs, [again.tensor(of)], seeds, allow_unused=True)
    return None if found is None else found.detach()


def _readers(loss: torch.Tensor, tensor: torch.Tensor) -> list[tuple[torch.autograd.graph.Node, int]]:
    """The nodes of the graph that read `tensor`, each with the number of the argument that it is."""
    edge = torch.autograd.graph.get_gradient_edge(tensor)
    found, seen = [], set()
    pending = [torch.autograd.graph.get_gradient_edge(loss).node]
    while pending:
        node = pending.pop()
        if node in seen:
            continue
        seen.add(node)
        for number, (source, output) in enumerate(node.next_functions):
            if source is None:
                continue
            if source == edge.node and output == edge.output_nr:
                found.append((node, number))
            pending.append(source)
    return found


def _like(gradient: torch.Tensor, tensor: torch.Tensor) -> torch.Tensor:
    """A gradient in the shape and type that it has to have."""
    given = gradient.detach().reshape(tensor.shape)
    if given.is_complex() and not tensor.is_complex():
        given = given.real  # as autograd takes it
    return given.to(tensor.dtype)


def _replace_gradient(tensor: torch.Tensor, gradient: torch.Tensor) -> torch.utils.hooks.RemovableHandle:
    def replace(arriving: torch.Tensor) -> torch.Tensor:
        return _like(gradient, arriving)

    handle: torch.utils.hooks.RemovableHandle = tensor.register_hook(replace)
    return handle
