"""A recorded run is the bare run, bit for bit: values, types, random streams, output.

Both runs leave the training loops at the same place, or the bare one would go on for its 10,000 steps: the
recorded run notes which iteration of which loop it left after, and the bare one leaves there, watched by nobody.
"""

from __future__ import annotations

import hashlib
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest
import torch
import torch._dynamo  # once, and not in every child that makes an optimiser or a vjp

from gradcheck.fronts.namespace import tensors_of_namespace
from gradcheck.program.observer import LoopEnd
from gradcheck.program.program import load
from gradcheck.program.runner import run
from gradcheck.program.source import SourceUnit
from gradcheck.program.target import parse_target
from tests.support import ROOT, NamespaceRecorder, in_child


def unlike(paths: list[Path]) -> Iterator[Path]:
    """Those that are no earlier one with other lines: what a mistake changes is no other way to write."""
    earlier: list[set[str]] = []
    for path in paths:
        lines = set(path.read_text().splitlines())
        if all(len(lines ^ other) > 60 for other in earlier):
            earlier.append(lines)
            yield path


PROGRAMS = [
    *unlike(sorted(p for p in (ROOT / "tests/programs").glob("*.py") if p.with_suffix(".toml").exists())),
    *sorted((ROOT / "tests/programs").glob("*.ipynb")),
    *(ROOT / "models" / name for name in ("two_layer.py", "day70_tanh.ipynb")),
]


class Leaver:
    """An observer that does nothing but end the loops it was told to end."""

    attention = True

    def __init__(self, left: list[tuple[int, int, int]]) -> None:
        self._left = set(left)
        self.namespace: dict[str, Any] = {}

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def unit_started(self, unit: SourceUnit) -> None: ...

    def unit_finished(self, unit: SourceUnit, namespace: dict[str, object]) -> None:
        self.namespace = namespace

    def iteration_started(self, loop: int, activation: int, index: int, frame: FrameType) -> None: ...

    def iteration_finished(self, loop: int, activation: int, index: int, frame: FrameType) -> bool:
        return (loop, activation, index) in self._left

    def loop_ended(self, loop: int, activation: int, how: LoopEnd) -> None: ...


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_recorded_as_bare(path: Path, tmp_path: Path) -> None:
    compare_runs(str(path), tmp_path)


def test_later_iterations_too(tmp_path: Path) -> None:
    compare_runs(str(ROOT / "tests/programs/inline_loop_fused.py"), tmp_path, at=(0, 3, 7))


TRICKY = """
import random
import numpy as np
import torch
import torch.nn.functional as F

torch.manual_seed(3); np.random.seed(4); random.seed(5)
t = torch.randn(4, 3)
half, double, whole = t.half(), t.double(), torch.arange(12).reshape(4, 3)
array, scalar, single = np.random.randn(4, 3), np.float64(2.5), np.float32(1.5)
results = []

def attempt(f):
    try:
        r = f()
        results.append(r)
        kind = type(r).__name__, str(getattr(r, "dtype", "")), str(getattr(r, "shape", ""))
    except Exception as error:
        kind = type(error).__name__, str(error).splitlines()[0][:60]
    print(kind)

for x in (t, half, double, whole, t[0, 0], t.bfloat16(), t.requires_grad_(False) > 0):
    for f in (np.exp, np.abs, np.sqrt, np.isnan, np.sign, np.negative, np.floor, np.square, np.modf, np.log1p):
        attempt(lambda: f(x))
    for other in (0, 0.5, scalar, single, array, t, double, True, np.int64(3)):
        for f in (np.maximum, np.add, np.multiply, np.power, np.equal, np.less, np.logaddexp, np.arctan2):
            attempt(lambda: f(x, other))
            attempt(lambda: f(other, x))
        for f in (
            lambda a, b: a + b, lambda a, b: a - b, lambda a, b: a * b, lambda a, b: a / b, lambda a, b: a ** b,
            lambda a, b: a // b, lambda a, b: a % b, lambda a, b: a < b, lambda a, b: a >= b, lambda a, b: a == b,
            lambda a, b: a != b, lambda a, b: a @ b,
        ):
            attempt(lambda: f(x, other))
            attempt(lambda: f(other, x))
    attempt(lambda: np.add.reduce(x))
    attempt(lambda: np.maximum.accumulate(x))
    attempt(lambda: np.multiply.outer(x, [1.0, 2.0]))
    attempt(lambda: np.sum(x)); attempt(lambda: np.mean(x)); attempt(lambda: np.max(x)); attempt(lambda: np.std(x))
    attempt(lambda: np.dot(x, array.T)); attempt(lambda: np.where(x > 0, x, 0)); attempt(lambda: np.clip(x, 0, 1))
    attempt(lambda: np.exp(x, out=np.empty((4, 3))))
    attempt(lambda: np.add(x, 1, out=t))
    attempt(lambda: np.add(x, 1, dtype=np.float64)); attempt(lambda: np.add(x, 1, where=array > 0))
    attempt(lambda: sum([x, x])); attempt(lambda: list(x)); attempt(lambda: max(x.flatten())); attempt(lambda: x.tolist())

def in_place(f):
    a = array.copy()
    r = f(a)
    results.append(r)
    print(type(r).__name__, r is a)

def iadd(a): a += t; return a
def imul(a): a *= double; return a
def iset(a): a[:2] = t[:2]; return a
for f in (iadd, imul, iset):
    attempt(lambda: in_place(f))

p = torch.nn.Parameter(torch.Tensor(3, 2).uniform_())
q = torch.randn(3, 2, requires_grad=True)
(t @ p).tanh().sum().backward()
p.grad += 1
g = p.grad
(t @ (p * q)).sum().backward()
p.data -= 0.1 * p.grad
with torch.inference_mode():
    r = t.view(2, 6); r = r[0]
d = F.dropout(t, 0.5); n = torch.nn.BatchNorm1d(3)
out = n(t); lin = torch.nn.Linear(3, 2); opt = torch.optim.Adam(lin.parameters()); lin(t).sum().backward(); opt.step()
for row, (a, b, c) in zip(t, t):
    results.append(row * a)
s = torch.sparse_coo_tensor([[0, 1], [1, 0]], [1.0, 2.0], (2, 2)); s2 = s * 2; results.append((s @ t[:2, :2]))
lazy = torch.empty(0); lazy.resize_(3).zero_()
u = array @ np.ones((3, 2)); v = torch.from_numpy(u); u += 1; v -= 1
print(torch.randn(2), np.random.rand(), random.random(), t, p)
"""


def test_operators_and_ufuncs_of_every_kind(tmp_path: Path) -> None:
    program = tmp_path / "tricky.py"
    program.write_text(TRICKY)
    compare_runs(str(program), tmp_path)


LOUD = """
import sys
import torch
import torch.nn.functional as F
cube = torch.randn(3, 2, 2)
def twice():
    a = cube.T
    b = cube.T
    return F.softmax(cube)
for i in range(3):
    twice()
    print("turn", i, file=sys.stderr)
def inner(t):
    return F.cross_entropy(t, torch.zeros(4, dtype=torch.long))
try:
    inner(torch.randn(3, 2))
except ValueError as error:
    raise RuntimeError("again") from error
"""


RECORD = """
import sys
from gradcheck.program.program import load
from gradcheck.program.runner import run
from gradcheck.program.target import parse_target
from gradcheck.fronts.recorder import Recorder
program = load(parse_target(sys.argv[1]))
run(program, Recorder(program.sources))
"""


def test_standard_error_reads_as_in_a_bare_run(tmp_path: Path) -> None:
    """Warnings of torch name the person's line, as often as Python would show them; tracebacks hold no frame of ours."""
    program = tmp_path / "loud.py"
    program.write_text(LOUD)
    bare, recorded = (
        subprocess.run(
            [sys.executable, *command, str(program)], cwd=ROOT, capture_output=True, text=True, check=False
        ).stderr
        for command in ([], ["-c", RECORD])
    )
    assert bare.count("UserWarning") >= 2
    assert "cross_entropy_loss(" in bare
    assert recorded == bare


def compare_runs(target: str, folder: Path, at: tuple[int, ...] = (0,)) -> None:
    outputs = folder / "recorded.txt", folder / "bare.txt"
    recorded = in_child(lambda: _recorded_run(target, at), output=str(outputs[0]))
    bare = in_child(lambda: _bare_run(target, recorded["left"]), output=str(outputs[1]))
    assert not recorded["trouble"]
    assert outputs[0].read_text() == outputs[1].read_text()
    assert recorded["streams"] == bare["streams"]
    assert recorded["tensors"].keys() == bare["tensors"].keys()
    changed = {n: (t, bare["tensors"][n]) for n, t in recorded["tensors"].items() if bare["tensors"][n] != t}
    assert not changed
    assert recorded["tensors"]


def _recorded_run(target: str, at: tuple[int, ...]) -> dict[str, Any]:
    program = load(parse_target(target))
    recorder = NamespaceRecorder(program.sources, at)
    run(program, recorder, timeout_s=30.0)
    assert recorder.recording.ops
    trouble = [note for note in recorder.recording.notes if "error inside" in note]
    return {"left": recorder.left, "trouble": trouble, **_state(recorder.namespace)}


def _bare_run(target: str, left: list[tuple[int, int, int]]) -> dict[str, Any]:
    observer = Leaver(left)
    run(load(parse_target(target)), observer, timeout_s=30.0)
    return _state(observer.namespace)


def _state(namespace: dict[str, Any]) -> dict[str, Any]:
    streams = _digest(torch.get_rng_state()), repr(random.getstate()), repr(np.random.get_state())
    # An earlier recording of this process may have known NumPy's arrays, too.
    found = tensors_of_namespace(namespace)
    tensors = {name: _facts(tensor) for name, tensor, _ in found if isinstance(tensor, torch.Tensor)}
    plain = {n: repr(v) for n, v in namespace.items() if isinstance(v, (bool, int, float, str, np.ndarray))}
    return {"streams": streams, "tensors": {**tensors, **plain}}


def _facts(tensor: torch.Tensor) -> tuple[Any, ...]:
    layout = () if tensor.is_sparse else (tensor.stride(), tensor.storage_offset(), tensor.is_contiguous())
    version = None if tensor.is_inference() else tensor._version
    gradient = None if not tensor.is_leaf or tensor.grad is None else _digest(tensor.grad)
    made_by = type(tensor.grad_fn).__name__
    return (
        type(tensor).__name__, str(tensor.dtype), tuple(tensor.shape), layout, tensor.requires_grad, version,
        gradient, made_by, _digest(tensor),
    )  # fmt: skip


def _digest(tensor: torch.Tensor) -> str:
    """Of the bytes, so that NaN is NaN, and -0.0 is not 0.0."""
    plain = tensor.detach()
    plain = (plain.to_dense() if plain.is_sparse else plain).clone().contiguous().reshape(-1)
    return hashlib.sha256(plain.view(torch.uint8).numpy().tobytes()).hexdigest()
