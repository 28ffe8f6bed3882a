"""The module a program runs as, made as Python itself makes it."""

import builtins
import sys
from importlib.machinery import SourceFileLoader
from types import ModuleType

from gradcheck.program.program import Program
from gradcheck.program.target import TargetKind


def new_module(program: Program) -> ModuleType:
    """`__main__` for a script and a notebook. The file of `file.py::function` goes by its own name, so that
    what is under `if __name__ == "__main__"` does not run."""
    kind, path = program.target.kind, program.target.path
    if kind is TargetKind.FUNCTION and path is not None:
        name = path.stem if path.stem not in sys.modules else f"{path.stem}_"
        module = ModuleType(name)
        sys.modules[name] = module  # dataclasses and pickle look their module up
    else:
        module = ModuleType("__main__")
    vars(module).update(__builtins__=builtins, __annotations__={})
    if path is not None and kind is not TargetKind.NOTEBOOK:  # a notebook has no __file__
        vars(module).update(
            __file__=str(path), __cached__=None, __package__=program.target.module or None,
            __loader__=SourceFileLoader(module.__name__, str(path)),
        )  # fmt: skip
    return module
