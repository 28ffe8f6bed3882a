"""Check every expectation beside the programs, without the tool: `python tests/programs/verify.py [stem ...]`.

Each program runs once, in float64, its training loop left after the first iteration. A line tracer notes the
value of every manual gradient named in the `.toml` and the autograd edge of the forward value it belongs to.
Gradient recording is held on and every tensor a program creates requires grad, so the forward pass has a graph
whatever the program says. Then, for each loss,

- the true gradients come from one plain backward;
- the local expectations come from a second backward, in which a hook at every forward value that has a manual
  gradient notes the gradient that arrives and hands on the program's own instead.

The verdict follows from the two errors. A second run jitters parameters that start as zeros or ones: everything
must stay as it was, except that a fault marked `hidden-by-initialisation` shows there and only there.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import io
import json
import os
import re
import sys
import tomllib
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.autograd.graph import GradientEdge, allow_mutation_on_saved_tensors, get_gradient_edge

HERE = Path(__file__).resolve().parent
SMALL = 1e-9  # a relative error above this is real in float64
ZERO = 1e-12  # a gradient whose elements are all below this is zero by invariance


class Unit:
    """One compiled piece of a program: a script, a sibling module, or a code cell."""

    def __init__(self, text: str, filename: str, cell: int | None = None, loops: tuple[int, ...] = ()) -> None:
        text = text.replace("torch.float32", "torch.float64").replace("np.float32", "np.float64")
        self.cell, self.lines = cell, text.splitlines()
        self.spans: dict[int, tuple[int, int]] = {}
        tree = ast.parse(text)
        for node in ast.walk(tree):
            if isinstance(node, ast.stmt) and not hasattr(node, "body"):
                for line in range(node.lineno, (node.end_lineno or node.lineno) + 1):
                    self.spans[line] = (node.lineno, node.end_lineno or node.lineno)
            if isinstance(node, ast.For | ast.While) and node.lineno in loops:
                at = node.body[-1].end_lineno or node.lineno
                node.body.append(ast.Break(lineno=at, col_offset=0, end_lineno=at, end_col_offset=0))
        self.code = compile(tree, filename, "exec")


def load(path: Path, spec: dict[str, Any]) -> dict[str, Unit]:
    """The program's units by the file name their code carries; sibling modules included."""
    loops = spec.get("training_loop", [])
    units: dict[str, Unit] = {}
    if path.suffix == ".py":
        units[str(path)] = Unit(path.read_text(), str(path), None, tuple(item["line"] for item in loops))
    else:
        cells = [c for c in json.loads(path.read_text())["cells"] if c["cell_type"] == "code"]
        for number, cell in enumerate(cells, 1):
            lines = "".join(cell["source"]).split("\n")
            text = "\n".join("" if re.match(r"\s*[%!]", line) else line for line in lines)
            here = tuple(item["line"] for item in loops if item["cell"] == number)
            with contextlib.suppress(SyntaxError):
                units[f"<cell {number}>"] = Unit(text, f"<cell {number}>", number, here)
    for helper in HERE.glob("helpers_*/*.py"):
        units[str(helper)] = Unit(helper.read_text(), str(helper))
    return units


@dataclass(frozen=True)
class Forward:
    """A tensor as it was at one moment: whatever is done to it in place later gives it another edge."""

    shape: torch.Size
    edge: GradientEdge | None

    @staticmethod
    def of(tensor: torch.Tensor) -> Forward:
        return Forward(tensor.shape, get_gradient_edge(tensor) if tensor.requires_grad else None)


@dataclass
class Capture:
    """A gradient's value at the moment its line was done, and the forward value it belongs to."""

    row: dict[str, Any]
    value: Any
    forward: Forward | None
    time: int
    true: torch.Tensor | None = None
    local: torch.Tensor | None = None


class Tracer:
    """Follows the program line by line: what names hold, and when the lines of interest are done."""

    def __init__(self, units: dict[str, Unit], spec: dict[str, Any]) -> None:
        self.units, self.passes = units, spec["pass"]
        self.constants = set(spec.get("constants", []))
        self.bindings: dict[str, list[tuple[int, int, Forward]]] = {}  # name -> (time, line, value)
        self.seen: dict[tuple[int, str], tuple[torch.Tensor, int]] = {}
        self.at: dict[Any, int] = {}
        self.captures: list[list[Capture]] = [[] for _ in self.passes]
        self.time = 0

    def __call__(self, frame: Any, event: str, arg: Any) -> Callable[..., Any] | None:
        if frame.f_code.co_filename not in self.units:
            return None
        self.at[frame] = frame.f_lineno
        return self.step

    def step(self, frame: Any, event: str, arg: Any) -> Callable[..., Any]:
        if event not in ("line", "return"):
            return self.step
        self.time += 1
        unit = self.units[frame.f_code.co_filename]
        before, now = self.at[frame], frame.f_lineno
        self.at[frame] = now
        self.note_bindings(frame, before)
        if event == "return" and isinstance(arg, torch.Tensor) and arg.ndim == 0:
            # A loss that nobody keeps goes by the name of the class or function that it comes from.
            for name in frame.f_code.co_qualname.split("."):
                self.bindings.setdefault(name, []).append((self.time, before, Forward.of(arg)))
        start, end = unit.spans.get(before, (before, before))
        if event == "line" and start < now <= end:
            return self.step  # still inside one statement of several lines
        for index, item in enumerate(self.passes):
            for row in item.get("gradient", []) + item.get("unnamed", []):
                file = row.get("bound_file", row.get("file"))
                here = file is None or frame.f_code.co_filename.endswith(file)
                at_cell = row.get("bound_cell", row.get("cell")) == unit.cell
                if start <= row.get("bound", row["line"]) <= end and here and at_cell:
                    self.capture(index, row, frame)
        return self.step

    def note_bindings(self, frame: Any, line: int) -> None:
        scope = id(frame.f_globals) if frame.f_locals is frame.f_globals else id(frame)
        for name, value in list(frame.f_locals.items()):
            if not isinstance(value, torch.Tensor):
                continue
            held, version = self.seen.get((scope, name), (None, -1))
            if held is not value or version != value._version:
                self.seen[scope, name] = (value, value._version)
                if name in self.constants and frame.f_locals is frame.f_globals:
                    frame.f_globals[name] = value = value.detach()
                    self.seen[scope, name] = (value, value._version)
                self.bindings.setdefault(name, []).append((self.time, line, Forward.of(value)))

    def capture(self, index: int, row: dict[str, Any], frame: Any) -> None:
        try:
            value = eval(row.get("value", row["name"]), frame.f_globals, frame.f_locals)
        except (NameError, AttributeError, KeyError, IndexError):
            return
        if isinstance(value, torch.Tensor):
            value = value.detach().clone()
        of = row.get("forward", row.get("of", ""))
        self.captures[index].append(Capture(row, value, self.forward_value(of, frame), self.time))

    def forward_value(self, of: str, frame: Any) -> Forward | None:
        name, _, line = of.partition("@")
        if not line:
            with contextlib.suppress(Exception):
                value = eval(of, frame.f_globals, frame.f_locals)
                if isinstance(value, torch.Tensor):
                    return Forward.of(value)
        found = [v for _, at, v in self.bindings.get(name, []) if not line or at == int(line)]
        return found[-1] if found else None

    def loss(self, index: int) -> Forward:
        """The loss's last binding before the pass's last gradient, or else its first one after."""
        item = self.passes[index]
        ends = max((c.time for c in self.captures[index]), default=self.time)
        name, _, line = item.get("loss_forward", item["loss"]).partition("@")
        found = [b for b in self.bindings.get(name, []) if b[2].edge and (not line or b[1] == int(line))]
        if not found:
            raise LookupError(f"loss {item['loss']!r} was never bound to a tensor")
        return ([b for b in found if b[0] <= ends] or found[:1])[-1][2]


def differentiate(captures: list[Capture], loss: Forward) -> None:
    """Fill in `true` and `local` of every capture."""
    assert loss.edge is not None
    placed = [c for c in captures if c.forward is not None and c.forward.edge is not None]
    for attribute, cut in (("true", False), ("local", True)):
        handles = []
        for edge in {c.forward.edge for c in placed if c.forward}:
            group = [c for c in placed if c.forward and c.forward.edge == edge]
            hook = functools.partial(_hook, group=group, attribute=attribute, cut=cut)
            handles.append(edge.node.register_prehook(hook))
        torch.autograd.backward([loss.edge], [torch.ones(loss.shape)], retain_graph=True)
        for handle in handles:
            handle.remove()


def _hook(gradients: tuple[Any, ...], group: list[Capture], attribute: str, cut: bool) -> tuple[Any, ...]:
    changed = list(gradients)
    for capture in group:
        assert capture.forward is not None and capture.forward.edge is not None
        number = capture.forward.edge.output_nr
        arrived = gradients[number]
        setattr(capture, attribute, torch.zeros(capture.forward.shape) if arrived is None else arrived.detach().clone())
    for capture in group:
        if cut and usable(capture) and not capture.row.get("partial"):
            assert capture.forward is not None and capture.forward.edge is not None
            changed[capture.forward.edge.output_nr] = capture.value / capture.row.get("scale", 1.0)
    return tuple(changed)


def usable(capture: Capture) -> bool:
    if capture.row["verdict"] == "unchecked" or not isinstance(capture.value, torch.Tensor):
        return False
    return capture.forward is not None and capture.value.shape == capture.forward.shape


def error(found: torch.Tensor, expected: torch.Tensor) -> float:
    where = torch.isfinite(expected)
    if not torch.isfinite(found[where]).all():
        return float("inf")
    found, expected = found[where], expected[where]
    norm = max(float(found.norm()), float(expected.norm()))
    return float((found - expected).norm()) / norm if norm > ZERO else 0.0


def judge(capture: Capture) -> tuple[str, str]:
    """The verdict this capture deserves and the figures it rests on."""
    value, forward = capture.value, capture.forward
    if not isinstance(value, torch.Tensor):
        return "unchecked", f"value is {value!r}"
    if forward is None:
        return "unchecked", "no forward value found"
    true = capture.true if capture.true is not None else torch.zeros(forward.shape)
    local = capture.local if capture.local is not None else torch.zeros(forward.shape)
    value = value / capture.row.get("scale", 1.0)
    if value.shape != forward.shape:
        if value.numel() == forward.shape.numel() and error(value.reshape(forward.shape), local) < SMALL:
            value = value.reshape(forward.shape)
        else:
            return "introduced", f"shape {tuple(value.shape)} for {tuple(forward.shape)}"
    total_error, local_error = error(value, true), error(value, local)
    figures = f"total {total_error:.2e} local {local_error:.2e} norm {float(true.norm()):.2e}"
    if float(true.abs().max()) < ZERO and float(value.abs().max()) < ZERO:
        return "unobservable", figures
    large = (total_error > SMALL, local_error > SMALL)
    names = {(False, False): "correct", (True, True): "introduced", (True, False): "inherited"}
    return names.get(large, "compensated"), figures


class _NoGradMode(contextlib.ContextDecorator):
    def __init__(self, *arguments: Any) -> None: ...
    def __enter__(self) -> None: ...
    def __exit__(self, *exc: object) -> None: ...


@contextlib.contextmanager
def everything_differentiable(tracer: Tracer, jitter: set[str]) -> Iterator[None]:
    """Patch torch so that whatever a program creates carries a graph and nothing cuts it."""
    saved: list[tuple[Any, str, Any]] = []
    own = torch.Generator().manual_seed(7)

    def patch(holder: Any, name: str, value: Any) -> None:
        saved.append((holder, name, holder.__dict__.get(name, saved)))
        setattr(holder, name, value)

    def carrying(make: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(make)
        def made(*arguments: Any, **options: Any) -> Any:
            options.pop("requires_grad", None)
            tensor = make(*arguments, **options)
            if not (isinstance(tensor, torch.Tensor) and tensor.is_floating_point()):
                return tensor
            frame = sys._getframe(1)
            unit = tracer.units.get(frame.f_code.co_filename)
            if unit is None:
                return tensor
            target = re.match(r"\s*(?:self\.)?([\w.]+(\[['\"]\w+['\"]\])?)\s*=", unit.lines[frame.f_lineno - 1])
            if target and target[1] in jitter and make.__name__ in ("zeros", "ones"):
                tensor = tensor + 0.3 * torch.empty(tensor.shape).normal_(generator=own)
            tensor = tensor.detach().requires_grad_().clone()
            tensor.retain_grad()
            return tensor

        return made

    def wants_grad(tensor: torch.Tensor, value: bool) -> None:
        if value and not base_requires.__get__(tensor):
            base_requires.__set__(tensor, True)
        if value and not tensor.is_leaf:
            tensor.retain_grad()

    def requires_grad_(tensor: torch.Tensor, value: bool = True) -> torch.Tensor:
        wants_grad(tensor, value)
        return tensor

    base = torch._C.TensorBase
    base_requires = base.requires_grad
    for name in ("randn", "rand", "zeros", "ones", "tensor", "full", "eye", "linspace", "normal", "from_numpy"):
        patch(torch, name, carrying(getattr(torch, name)))
    for name in ("no_grad", "inference_mode", "set_grad_enabled"):
        patch(torch, name, _NoGradMode)
    patch(torch.Tensor, "data", property(lambda t: t, lambda t, v: None))
    patch(torch.Tensor, "requires_grad", property(base_requires.__get__, wants_grad))
    patch(torch.Tensor, "requires_grad_", requires_grad_)
    patch(torch.Tensor, "float", lambda t: t.double())
    patch(torch.Tensor, "numpy", lambda t, **_: base.numpy(base.detach(t)))
    patch(torch.Tensor, "__array_ufunc__", _array_ufunc)
    whole = torch.Tensor.backward
    patch(torch.Tensor, "backward", lambda t, *a, **k: whole(t, *a, **{**k, "retain_graph": True}))
    try:
        yield
    finally:
        for holder, name, value in reversed(saved):
            delattr(holder, name) if value is saved else setattr(holder, name, value)


def _array_ufunc(self: torch.Tensor, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
    return getattr(torch, ufunc.__name__)(*[torch.as_tensor(i) for i in inputs])


def run(path: Path, spec: dict[str, Any], jitter: bool) -> Tracer:
    units = load(path, spec)
    tracer = Tracer(units, spec)
    rows = [row for item in spec["pass"] for row in item.get("gradient", []) + item.get("unnamed", [])]
    names = {re.sub(r"^self\.", "", r["of"]) for r in rows if "of" in r}
    names |= {re.sub(r"\[.*", "", n) for n in names} | set(spec.get("jitter", []))
    namespace: dict[str, Any] = {"__name__": "__main__", "__file__": str(path)}
    main = [u for name, u in units.items() if name == str(path) or u.cell is not None]
    torch.set_default_dtype(torch.float64)
    os.chdir(path.parent)
    sys.path.insert(0, str(path.parent))
    try:
        with (
            everything_differentiable(tracer, names if jitter else set()),
            allow_mutation_on_saved_tensors(),
            contextlib.redirect_stdout(io.StringIO()),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            for unit in main:
                sys.settrace(tracer)
                try:
                    exec(unit.code, namespace)
                except Exception:
                    sys.settrace(None)
                    if unit.cell is None or unit.cell not in spec.get("raising_cells", []):
                        raise
                finally:
                    sys.settrace(None)
            for index in range(len(spec["pass"])):
                if any(c.forward and c.forward.edge for c in tracer.captures[index]):
                    differentiate(tracer.captures[index], tracer.loss(index))
    finally:
        sys.path.remove(str(path.parent))
        for name in [n for n in sys.modules if n.startswith("helpers_")]:
            del sys.modules[name]
    return tracer


def complaints(path: Path, verbose: bool) -> list[str]:
    """What is wrong with one program's expectations."""
    spec = tomllib.loads(path.with_suffix(".toml").read_text())
    found: list[str] = []
    for jitter in (False, True):
        tracer = run(path, spec, jitter)
        for index, item in enumerate(spec["pass"]):
            for row in item.get("gradient", []) + item.get("unnamed", []):
                captures = [c for c in tracer.captures[index] if c.row is row]
                if row.get("partial"):
                    captures = captures[-1:]
                judged = [judge(c) for c in captures]
                verdicts = {v for v, _ in judged}
                expected = row["verdict"]
                if row.get("problem") == "hidden-by-initialisation" and not jitter:
                    expected = "correct"
                order = ("introduced", "compensated", "inherited", "correct", "unobservable", "unchecked")
                overall = next((v for v in order if v in verdicts), "never captured")
                line = f"{'jitter' if jitter else 'plain '} {row['name']} line {row['line']}: {overall} {judged[:4]}"
                if expected == "unchecked" and row.get("problem") in ("misnamed", "unpaired"):
                    continue
                if overall != expected:
                    found.append(f"expected {expected}, {line}")
                elif verbose:
                    print("   ", line)
    return found


def main(arguments: list[str]) -> int:
    verbose = "-v" in arguments
    stems = [a for a in arguments if a != "-v"]
    paths = sorted(p.with_suffix(s) for p in HERE.glob("*.toml") for s in (".py", ".ipynb") if p.with_suffix(s).exists())
    failed = 0
    for path in paths:
        if stems and path.stem not in stems:
            continue
        unverified = tomllib.loads(path.with_suffix(".toml").read_text()).get("unverified")
        if unverified:
            print("--  ", f"{path.name}: {unverified}")
            continue
        try:
            found = complaints(path, verbose)
        except Exception:
            found = [traceback.format_exc()]
        failed += bool(found)
        print("FAIL" if found else "ok  ", path.name)
        for line in found:
            print("     ", line)
    print(f"{failed} of {len(paths)} programs with complaints")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
