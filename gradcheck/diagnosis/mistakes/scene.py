"""One point (the recorded one, or a probe point) seen from one gradient: what was found, what was expected, and
the derivatives between them.

Nothing is approximated: what a value contributes to a gradient is a vector-Jacobian product (VJP) through the
replayed forward pass, and what one op contributes is that op, run again on its recorded arguments.
"""

from collections.abc import Mapping, Sequence

import torch

from gradcheck.fronts.tape import Kind, Op, Value
from gradcheck.judge.judge import Judge
from gradcheck.judge.judged import Judged
from gradcheck.replay.compare import distance, norm
from gradcheck.replay.passes import Version
from gradcheck.replay.run import PassRun
from gradcheck.replay.runner import ReplayError, Runner

# What an explanation must account for: all of the error but this share, even where rounding would allow more.
_UNEXPLAINED = 1e-3


class Scene:
    """`gradients` holds what every forward value's gradient should be, given the wrong gradients (`stops`) that
    this line was handed; `found` is what the line made of it."""

    def __init__(
        self, run: PassRun, judging: Judge, judged: Judged, faults: frozenset[int], found: torch.Tensor,
        overrides: Mapping[Value, torch.Tensor] | None = None,
    ) -> None:  # fmt: skip
        assert judged.of is not None
        self.run = run
        self.overrides = overrides
        # What lines read, once it is asked for.
        self.as_read: dict[tuple[Op, Value], torch.Tensor] | None = None
        self.at = judged.of
        self.stops: dict[Value, torch.Tensor] = {}
        for fault in (judging.faults[index] for index in sorted(faults)):
            if fault.at is not None and fault.gradient is not None:
                self.stops[fault.at] = fault.gradient
        self.gradients = dict(judging.expectation(faults)[0])
        for value, gradient in self.stops.items():
            # Autograd reports the gradient that arrived at a replaced value, not the one that replaced it.
            if value in self.gradients:
                self.gradients[value] = gradient.reshape(self.gradients[value].shape)
        self.expected = self.gradients[self.at]
        same_numbers = found.numel() == self.expected.numel()
        self.found = found.reshape(self.expected.shape) if same_numbers else found
        self.fits = same_numbers  # else its shape alone is wrong already
        self.size = max(norm(self.found), norm(self.expected))
        noise = max(judging.noise(judged.version), judging.noise_of(self.at))
        self.tolerance = judging.tolerance(judged.version, self.size, noise)
        self.error = distance(self.found, self.expected) if same_numbers else self.size
        self._limit = min(self.tolerance, _UNEXPLAINED * self.error) if self.wrong else self.tolerance
        generator = torch.Generator().manual_seed(self.expected.numel())
        self._random = torch.rand(self.expected.shape, generator=generator, dtype=torch.float64) * 2 - 1
        self._wanted = (
            float((self._random * (self.found - self.expected)).sum()) if same_numbers else float("nan")
        )
        self._images: dict[Value, torch.Tensor | None] = {}
        self._through: dict[Value, torch.Tensor | None] = {}
        self._local: dict[tuple[Op, Value], torch.Tensor | None] = {}

    @property
    def wrong(self) -> bool:
        """Whether there is an error here at all: at the recorded point a fault may be hidden."""
        return self.error > self.tolerance

    @property
    def precision(self) -> float:
        """How well a factor can be known here."""
        return max(1e-9, 10 * self.tolerance / self.size) if self.size else 1e-9

    def agrees(self, predicted: torch.Tensor | None) -> bool:
        """Whether a prediction is the very number found, but for rounding."""
        if predicted is None or predicted.numel() != self.found.numel():
            return False
        if not self.fits and predicted.shape != self.found.shape:
            return False
        return distance(predicted, self.found) <= self._limit

    def tensor(self, value: Value) -> torch.Tensor:
        return self.run.graph.tensor(value).detach()

    def captured(self, version: Version) -> torch.Tensor | None:
        """A manual gradient of the person's, as it was after some op."""
        found = self.run.captured.get(id(version))
        return found if found is not None and found.is_floating_point() else None

    # -- along the forward pass ----------------------------------------------------------------------------------

    def pushed(self, value: Value, seed: torch.Tensor) -> torch.Tensor | None:
        """What reaches the gradient if `seed` is the gradient of `value`, by every path between the two."""
        if value is self.at:
            return seed.reshape(self.expected.shape) if seed.numel() == self.expected.numel() else None
        found = self._vjp(value, seed)
        return found.detach() if found is not None else None

    def _vjp(self, value: Value, seed: torch.Tensor, create_graph: bool = False) -> torch.Tensor | None:
        graph = self.run.graph
        hooks = [
            _blocked(graph.tensor(stop)) for stop in self.stops if stop is not value and stop is not self.at
        ]
        try:
            return vjp([graph.tensor(value)], graph.tensor(self.at), [seed], create_graph=create_graph)
        except RuntimeError:
            return None
        finally:
            for hook in hooks:
                hook.remove()

    def pushed_to(self, target: Value, value: Value, seed: torch.Tensor) -> torch.Tensor | None:
        """What reaches `target`, which lies before `value`."""
        if target is value:
            return seed
        graph = self.run.graph
        try:
            return vjp([graph.tensor(value)], graph.tensor(target), [seed])
        except RuntimeError:
            return None

    def through(self, value: Value) -> torch.Tensor | None:
        """The part of the expected gradient that comes by way of `value`."""
        if value not in self._through:
            gradient = self.gradients.get(value)
            self._through[value] = self.pushed(value, gradient) if gradient is not None else None
        return self._through[value]

    def instead(self, value: Value, part: torch.Tensor, other: torch.Tensor | None) -> torch.Tensor | None:
        """The whole gradient if `other` had been added to the gradient of `value` where `part` belongs; None where
        it is plainly not what was found."""
        if other is None or other.shape != part.shape:
            return None
        more = other - part
        if not self._may_explain(value, more):
            return None
        pushed = self.pushed(value, more)
        return self.expected + pushed if pushed is not None else None

    def _may_explain(self, value: Value, more: torch.Tensor) -> bool:
        """One dot product instead of a VJP: <r, J^T m> = <J r, m> for a fixed random r. Whatever fails here could not
        have agreed; whatever passes is still computed in full."""
        if not self.fits or value is self.at:
            return True
        image = self.image(value)
        if image is None or image.shape != more.shape:
            return True
        return self.close_along(float((image * more).sum()), norm(image) * norm(more))

    def close_along(self, reached: float, size: float) -> bool:
        """Whether what is found may differ from what is expected by as much, along the random direction; `size` is
        that of the numbers that `reached` was summed from."""
        limit = norm(self._random) * self._limit + 1e-9 * (size + abs(self._wanted))
        return abs(reached - self._wanted) <= limit

    def image(self, value: Value) -> torch.Tensor | None:
        """How `value` moves when the gradient's own value moves along the random direction."""
        if value not in self._images:
            image: torch.Tensor | None = None
            seed = torch.zeros_like(self.run.graph.tensor(value)).requires_grad_()
            pushed = self._vjp(value, seed, create_graph=True)
            if pushed is not None and pushed.requires_grad:
                image = vjp([pushed], seed, [self._random])
            self._images[value] = image
        return self._images[value]

    # -- one op --------------------------------------------------------------------------------------------------

    def local(self, op: Op, value: Value) -> torch.Tensor | None:
        """What one op hands back to one of its arguments."""
        key = (op, value)
        if key not in self._local:
            self._local[key] = self.local_with(op, value)
        return self._local[key]

    def local_with(
        self,
        op: Op,
        value: Value,
        *,
        arguments: Mapping[Value, torch.Tensor] | None = None,
        seed: torch.Tensor | None = None,
    ) -> torch.Tensor | None:
        """The same, had some of its arguments been others, or had `seed` been the gradient of its only result."""
        arguments = arguments or {}
        leaf = arguments.get(value, self.tensor(value)).detach().clone().requires_grad_()
        outputs = self.computed(op, {**arguments, value: leaf})
        if outputs is None:
            return None
        ends, seeds = [], []
        for output in op.outputs:
            made = outputs.get(output)
            given = seed if seed is not None else self.gradients.get(output)
            if made is None or given is None or not made.requires_grad:
                continue
            if made.shape != given.shape:
                return None
            ends.append(made)
            seeds.append(given)
        if not ends:
            return None
        try:
            return vjp(ends, leaf, seeds)
        except RuntimeError:
            return None

    def computed(self, op: Op, arguments: Mapping[Value, torch.Tensor]) -> dict[Value, torch.Tensor] | None:
        """What `op` gives with some of its arguments replaced."""
        if op.kind not in (Kind.PURE, Kind.DROPOUT):
            return None
        again = Runner(torch.float64)
        try:
            for value in op.inputs:
                again.env[value] = arguments[value] if value in arguments else self.tensor(value)
        except ReplayError:
            return None
        with torch.enable_grad():
            again.step(op)
        made = {output: again.env[output] for output in op.outputs if output in again.env}
        return made or None

    def computed_along(
        self, ops: Sequence[Op], start: Mapping[Value, torch.Tensor], changed: Mapping[Op, torch.Tensor]
    ) -> dict[Value, torch.Tensor]:
        """The results of `ops`, run one after the other from `start`; those in `changed` give what is said there."""
        known = dict(start)
        for op in ops:
            if op in changed and isinstance(op.out, Value):
                known[op.out] = changed[op]
            elif any(value in known for value in op.inputs):
                known.update(self.computed(op, known) or {})
        return known


def vjp(
    ends: Sequence[torch.Tensor],
    start: torch.Tensor,
    seeds: Sequence[torch.Tensor],
    *,
    create_graph: bool = False,
) -> torch.Tensor | None:
    """The gradient of `start` if `seeds` are those of `ends`; None where no path leads from one to the other.

    (Seeds given to `torch.autograd.grad` itself make it import half a second of symbolic shapes.)"""
    with torch.enable_grad():
        total = sum(
            ((end * seed).sum() for end, seed in zip(ends, seeds, strict=True)), torch.zeros(()).double()
        )
    found = torch.autograd.grad(
        total, start, retain_graph=True, create_graph=create_graph, allow_unused=True
    )[0]
    return found if create_graph or found is None else found.detach()


def _blocked(tensor: torch.Tensor) -> torch.utils.hooks.RemovableHandle:
    handle: torch.utils.hooks.RemovableHandle = tensor.register_hook(torch.zeros_like)
    return handle
