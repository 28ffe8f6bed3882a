"""Runs a program without gradcheck, and notes every number it had a name for: an edit must keep them all."""

from __future__ import annotations

import ast
import os
import sys
import traceback
from collections.abc import Collection, Sequence
from types import FrameType
from typing import Any

import numpy as np
import torch

_LOOPS = 3  # iterations of a training loop
_DEPTH = 4
_SAME = {torch.float64: 1e-7, torch.float32: 2e-3}  # relative, after `_LOOPS` steps
Held = dict[str, torch.Tensor]


def run_bare(
    texts: Sequence[str], folder: str, name: str, loops: Collection[str], dtype: torch.dtype
) -> Held:
    """To be run in a child. Raises what the program raises, if it is a script; a cell may raise."""
    os.chdir(folder)
    sys.path.insert(0, folder)
    sys.argv = [name]
    torch.manual_seed(0)
    torch.set_default_dtype(dtype)
    held: Held = {}
    namespace: dict[str, Any] = {"__name__": "__main__", "__file__": name, "_cut": _cut, "display": print}
    sys.setprofile(lambda frame, event, _: _note(held, frame, folder) if event == "return" else None)
    try:
        for text in texts:
            tree = ast.fix_missing_locations(_Cut(loops).visit(ast.parse(without_magics(text))))
            try:
                exec(compile(tree, os.path.join(folder, name), "exec"), namespace)
            except SystemExit:
                break
            except Exception:
                if len(texts) == 1:
                    raise
                traceback.print_exc()
    finally:
        sys.setprofile(None)
    _collect(held, "", {k: v for k, v in namespace.items() if not k.startswith("_")}, _DEPTH)
    return held


def without_magics(text: str) -> str:
    return "\n".join("" if line.lstrip()[:1] in ("%", "!") else line for line in text.split("\n"))


def header(loop: ast.For | ast.While) -> str:
    return ast.unparse(loop.iter) if isinstance(loop, ast.For) else ast.unparse(loop.test)


class _Cut(ast.NodeTransformer):
    """Leaves the training loops after a few iterations."""

    def __init__(self, loops: Collection[str]) -> None:
        self.loops = loops

    def _cut(self, loop: Any) -> Any:
        self.generic_visit(loop)
        if header(loop) in self.loops:
            key = ast.Constant(header(loop))
            call = ast.Call(ast.Name("_cut", ast.Load()), [key], [])
            loop.body = [*loop.body, ast.If(call, [ast.Break()], [])]
        return loop

    visit_For: Any = _cut  # noqa: N815
    visit_While: Any = _cut  # noqa: N815


_counts: dict[str, int] = {}


def _cut(loop: str) -> bool:
    _counts[loop] = _counts.get(loop, 0) + 1
    return _counts[loop] >= _LOOPS


def _note(held: Held, frame: FrameType, folder: str) -> None:
    code = frame.f_code
    if code.co_filename.startswith(folder) and code.co_name != "<module>" and "<" not in code.co_name:
        _collect(held, "", {k: v for k, v in frame.f_locals.items() if k != "self"}, 1)


def _collect(held: Held, path: str, value: Any, depth: int) -> None:
    if isinstance(value, np.ndarray) and value.dtype.kind in "fc":
        value = torch.from_numpy(value.copy())
    if isinstance(value, float):
        value = torch.tensor(value, dtype=torch.float64)
    if isinstance(value, torch.Tensor):
        if torch._C._functorch.is_functorch_wrapped_tensor(value):
            return
        if value.is_floating_point() or value.is_complex():
            held[path] = value.detach().clone()
            if value.is_leaf and value.grad is not None:
                held[path + ".grad"] = value.grad.detach().clone()
    elif depth > 0:
        if isinstance(value, (list, tuple)):
            items: Any = enumerate(value)
        elif isinstance(value, dict):
            items = value.items()
        else:
            items = getattr(value, "__dict__", {}).items() if not isinstance(value, type) else ()
            if type(value).__module__.partition(".")[0] in ("torch", "numpy", "builtins"):
                return
        for key, item in list(items)[:200]:
            _collect(held, f"{path}.{key}" if path else str(key), item, depth - 1)


def difference(
    old: Held, new: Held, renamed: dict[str, str], free: Collection[str], dtype: torch.dtype
) -> str:
    """What differs between what both have, or that one lost most of what the other has; empty if nothing does."""
    back = {_old_name(name, renamed): tensor for name, tensor in new.items()}
    common = [name for name in old if name in back and name.partition(".")[0] not in free]
    if not common or len(common) < 0.6 * len(old):
        return f"only {len(common)} of {len(old)} names left"
    scale = max((float(old[name].abs().max()) for name in common if old[name].numel()), default=1.0)
    for name in common:
        one, other = old[name].reshape(-1), back[name].reshape(-1)
        if one.shape != other.shape:
            return f"{name} has another shape"
        bound = _SAME[dtype] * float(one.abs().max() if one.numel() else 0.0) + 1e-12 * max(1.0, scale)
        if not bool(((one - other).abs() <= bound).all()) and not torch.equal(
            one.nan_to_num(), other.nan_to_num()
        ):
            return (
                f"{name} is another: {float((one - other).abs().max()):.1e} of {float(one.abs().max()):.1e}"
            )
    return ""


def _old_name(name: str, renamed: dict[str, str]) -> str:
    first, dot, rest = name.partition(".")
    return renamed.get(first, first) + dot + rest
