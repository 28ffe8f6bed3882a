"""Probe points: the whole step replayed at jittered parameters, so that an initialisation hides nothing.

gamma = 1, beta = 0 or a zero bias make many wrong formulas right. At a probe point they are none of these.
"""

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Protocol

import torch

from gradcheck.fronts.gradient_names import Form, parse
from gradcheck.fronts.markers import seen_from_outside
from gradcheck.fronts.places import Places
from gradcheck.fronts.tape import Kind, Op, Value
from gradcheck.graph import flow
from gradcheck.ops import Family
from gradcheck.program.reading.names import names_written
from gradcheck.replay.compare import differentiable
from gradcheck.replay.earlier import as_of_now
from gradcheck.replay.passes import Candidate, PassPlan
from gradcheck.replay.run import PassRun

PROBES = 2
_SELECTS = {"__getitem__", "getitem", "index_select", "select", "narrow", "gather", "take"}
# A jitter of a fifth of the spread moves every parameter clearly and leaves the network in its regime.
_MOST_STATEMENTS = 4096  # whose names are kept
_SPREAD_SHARE = 0.2
_OF_CONSTANT = 0.3  # of the magnitude of a constant parameter, or absolutely where that is zero


class Pair(Protocol):
    """A gradient and the forward value it belongs to."""

    @property
    def of(self) -> Value | None: ...

    @property
    def candidate(self) -> Candidate: ...


def probe_roots(plan: PassPlan, judged: Iterable[Pair], truth: Mapping[Value, torch.Tensor]) -> list[Value]:
    """The paired values that no other value with a gradient leads to: parameters and inputs."""
    moved = {update.parameter.root for update in plan.updates}
    paired = {
        seen_from_outside(as_of_now(j.of))
        for j in judged
        if j.of is not None
        and (
            j.candidate.of is not None or parse(j.candidate.name).form is not Form.NONE or j.of.root in moved
        )
        # A batch selected from the data may be selected a second time for the backward pass: it stays as it is.
        and not (j.of.producer is not None and j.of.producer.name in _SELECTS)
    }
    paired = {v for v in paired if v is v.root or v.root not in paired}
    made: set[Value] = set()  # from parameters
    for op in plan.forward_ops:
        given = {v.root for v in op.inputs if v in paired or v.root in paired or v.root in made}
        if given:
            # A view of a parameter (`W.T`) is the parameter; a buffer that results are written to is none.
            made.update(v.root for v in op.outputs if v.producer is op and v.root not in given)
            made.update(v.root for v in op.mutated if given - {v.root})
    roots = {v for v in paired if v.root not in made and v in truth}
    roots = {v for v in roots if not _is_made_up(v, moved, plan)} or roots
    backward = plan.slicer.slice((c.value for c in plan.candidates), plan.loss_op.index + 1, plan.last_op + 1)
    read = {value for op in backward for value in op.inputs}
    return sorted({leaf for v in roots for leaf in _moved_for(v, read, truth)}, key=lambda v: v.birth)


def _is_made_up(value: Value, moved: set[Value], plan: PassPlan) -> bool:
    """Whether it is a constant of the program, as the first state of a loop is, or an identity matrix: where others are
    moved, or are handed to a layer, it is no parameter, and the backward pass may have a constant of its own for it."""
    made_of = flow.ancestors(value)
    if not (moved or plan.handed) or any(v.root in moved for v in made_of):
        return False
    sources = [v.producer for v in made_of if v.producer is None or not v.producer.inputs]
    return all(made is not None and made.operation.family is Family.CONSTANT for made in sources)


def _moved_for(root: Value, read_later: set[Value], truth: Mapping[Value, torch.Tensor]) -> list[Value]:
    """What has to move for `root` to move: what it is a view of (backward makes a view of its own), or itself; but where the
    backward pass computes from what `root` was made of (it normalises a second time), that, so that both see the same
    point."""
    root = root.root if root.root in truth else root
    if flow.copied(root) in read_later:  # the gradients of copies are compared with those of what was copied
        return [flow.copied(root)]
    made_of = [v for v in flow.ancestors(root)[1:] if v in truth and v.root is not root.root]
    if read_later.isdisjoint(made_of):
        return [root]
    return [v for v in made_of if v.producer is None or not any(read in truth for read in v.producer.inputs)]


class Jittered(Mapping[Value, torch.Tensor]):
    """What some values are at another point. The numbers are drawn when they are asked for, and can be let go of: drawn
    again they are the same."""

    def __init__(self, run: PassRun, roots: Iterable[Value], seed: int, share: float = 1.0) -> None:
        self._run = run
        self._roots = tuple(roots)
        self._seed = seed
        self._share = share

    def __getitem__(self, value: Value) -> torch.Tensor:
        return self._drawn[value]

    def __iter__(self) -> Iterator[Value]:
        return iter(self._roots)

    def __len__(self) -> int:
        return len(self._roots)

    def release(self) -> None:
        vars(self).pop("_drawn", None)

    @cached_property
    def _drawn(self) -> dict[Value, torch.Tensor]:
        generator = torch.Generator().manual_seed(self._seed)
        at_first = self._run.graph.at_first
        return {value: moved(at_first(value).detach(), generator, self._share) for value in self}


def moved(tensor: torch.Tensor, generator: torch.Generator, share: float = 1.0) -> torch.Tensor:
    """Away from what it is, by so much of its spread, or of the size of one number that it is everywhere."""
    if not differentiable(tensor) or not tensor.numel():
        return tensor
    mean, spread = tensor.mean().item(), float(tensor.std(correction=0))
    constant = spread <= 1e-12 + 1e-6 * abs(mean)
    size = (_OF_CONSTANT * (abs(mean) or 0.3)) if constant else _SPREAD_SHARE * spread
    exact = torch.complex128 if tensor.is_complex() else torch.float64
    noise = torch.randn(tensor.shape, generator=generator, dtype=exact).to(tensor.dtype)
    return noise.mul_(share * size).add_(tensor)


_TAKES_NUMBERS = (Kind.CREATE, Kind.PURE, Kind.MUTATE)


def has_frozen_numbers(ops: Sequence[Op], plan: PassPlan, places: Places) -> bool:
    """Whether numbers read out of float tensors come back as plain Python numbers: those a replay at another
    point would keep, so that nothing it finds there would prove anything. A number counts as coming back where a
    statement reads a name that such numbers were assigned to."""
    tainted: dict[str, set[str]] = {}
    left: set[ast.stmt] = set()  # in these statements numbers have left
    for op in ops:
        if op.index < plan.start or op.index >= plan.stop:
            continue
        filename = op.code.co_filename
        if op.kind is Kind.ESCAPE:
            if op.name not in ("__bool__", "is_nonzero", "allclose", "equal"):
                statement = places.statement(op)
                names = _assigned(statement) if statement is not None else frozenset()
                if statement is not None:
                    left.add(statement)
                if names and not names <= tainted.get(filename, set()):
                    known = tainted.setdefault(filename, set())
                    known |= names
                    _spread(known, places.statements(filename))
        elif op.kind in _TAKES_NUMBERS and filename in tainted and _has_plain_float(op.args):
            statement = places.statement(op)
            if statement is None:
                continue
            if _read(statement) & tainted[filename] or (op.kind is Kind.CREATE and statement in left):
                return True  # `torch.tensor([f(v) for v in x.tolist()])` is both at once
    return False


@lru_cache(_MOST_STATEMENTS)  # a loop over elements comes by each of its lines thousands of times
def _assigned(statement: ast.stmt) -> frozenset[str]:
    """Names a statement binds, or the container it appends to."""
    found = names_written(statement)
    for node in ast.walk(statement):
        if isinstance(node, (ast.Subscript, ast.Attribute)) and isinstance(node.ctx, ast.Store):
            found |= {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
        elif (
            isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "append"
        ):
            found |= {n.id for n in ast.walk(node.func.value) if isinstance(n, ast.Name)}
    return frozenset(found)


@lru_cache(_MOST_STATEMENTS)
def _read(statement: ast.stmt) -> frozenset[str]:
    loaded = (n for n in ast.walk(statement) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load))
    return frozenset(name.id for name in loaded)


def _spread(names: set[str], statements: Iterable[ast.stmt]) -> None:
    """Adds what is assigned from `names` without a tensor operation, until nothing more is."""
    simple = [s for s in statements if isinstance(s, (ast.Assign, ast.AugAssign, ast.AnnAssign))]
    growing = True
    while growing:
        growing = False
        for statement in simple:
            if _read(statement) & names and not _assigned(statement) <= names:
                names |= _assigned(statement)
                growing = True


def _has_plain_float(given: Iterable[object]) -> bool:
    return any(
        not a.is_integer() if isinstance(a, float) else isinstance(a, (list, tuple)) and _has_plain_float(a)
        for a in given
    )
