"""What the person typed: a notebook, a script, a function of a script, or a callable of a module."""

import ast
import difflib
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from gradcheck.program.errors import ProgramError
from gradcheck.program.reading.tree import expression

HOW_TARGETS_ARE_WRITTEN = (
    "a target is notebook.ipynb, script.py, script.py::function, package.module:callable, or either of these two with "
    "arguments: script.py::train(np.ones((4, 3)), 0.1)"
)
_DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")


class TargetKind(StrEnum):
    NOTEBOOK = "notebook"
    SCRIPT = "script"
    FUNCTION = "function"  # of a script file
    CALLABLE = "callable"  # of an importable module


@dataclass(frozen=True, slots=True)
class Target:
    """`path` is set for everything but a callable; `module` for that, and for a script that is run as `python -m` runs
    it; `function` for those that name one and may be dotted (`Trainer.step`). `call` is how it is called, where
    arguments are given."""

    text: str
    kind: TargetKind
    path: Path | None = None
    module: str = ""
    function: str = ""
    call: str = ""

    @property
    def stem(self) -> str:
        """A file name for what is written about this target: `train`, `train-step`, `package.module-step`."""
        base = self.path.stem if self.path else self.module
        base = self.text if self.path and self.module else base
        return f"{base}-{self.function}" if self.function else base


def parse_target(text: str, cwd: str | None = None) -> Target:
    """The target that `text` means; modules are those in `cwd`. Files must exist; nothing is read or imported yet."""
    if not text.strip() or "\0" in text:
        raise ProgramError("the target is empty", HOW_TARGETS_ARE_WRITTEN)
    named, bracket, arguments = text.partition("(")
    file, separator, function = named.rpartition("::")
    if separator and file:
        return _function_of_file(text, file, function + bracket + arguments)
    path = Path(text)
    if path.suffix in (".py", ".ipynb") or os.path.exists(path):
        return _whole_file(text, path)
    module, separator, function = text.partition(":")
    if separator:
        return _callable(text, module, function)
    if _DOTTED.fullmatch(text):
        return _module(text, Path(cwd or "."))
    raise _no_such_file(path)


def _module(name: str, folder: Path) -> Target:
    """`package.train`, looked for as `python -m` does: in the directory of the run."""
    place = folder.joinpath(*name.split("."))
    for path in (place.with_suffix(".py"), place / "__main__.py"):
        if path.is_file():
            package = name if path.stem == "__main__" else name.rpartition(".")[0]
            return Target(name, TargetKind.SCRIPT, path.resolve(), module=package)
    if "." not in name:
        raise _no_such_file(Path(name))
    raise ProgramError(
        f"there is no module `{name}` in `{folder.resolve()}`",
        f"--cwd names another folder; for a callable of an installed package write `{name}:function`",
    )


def _whole_file(text: str, path: Path) -> Target:
    _check_file(path)
    kind = TargetKind.NOTEBOOK if path.suffix == ".ipynb" else TargetKind.SCRIPT
    return Target(text, kind, path.resolve())


def _function_of_file(text: str, file: str, function: str) -> Target:
    path = Path(file)
    _check_file(path)
    if path.suffix == ".ipynb":
        raise ProgramError(
            f"`{text}` names a function of a notebook",
            f"name the notebook alone, all its cells run: `{file}`",
        )
    name, call = _called(function)
    if not _DOTTED.fullmatch(name):
        raise ProgramError(f"`{function}` is not the name of a function", HOW_TARGETS_ARE_WRITTEN)
    return Target(text, TargetKind.FUNCTION, path.resolve(), function=name, call=call)


def _callable(text: str, module: str, function: str) -> Target:
    name, call = _called(function)
    if not _DOTTED.fullmatch(module) or not _DOTTED.fullmatch(name):
        raise ProgramError(f"`{text}` is not a target", HOW_TARGETS_ARE_WRITTEN)
    return Target(text, TargetKind.CALLABLE, module=module, function=name, call=call)


def _called(function: str) -> tuple[str, str]:
    """The name of a function, and the call if arguments follow it."""
    name, bracket, _ = function.partition("(")
    if not bracket:
        return function, ""
    node = None
    with suppress(SyntaxError, ValueError, RecursionError, MemoryError):
        node = expression(function)
    if not isinstance(node, ast.Call):  # also `Net([4, 3]).train(x)`
        raise ProgramError(f"`{function}` is no call of a function", HOW_TARGETS_ARE_WRITTEN)
    return name.strip(), function


def _check_file(path: Path) -> None:
    try:
        if path.is_dir():
            raise ProgramError(f"`{path}` is a directory", "name the notebook or the script in it")
        if not path.exists():
            raise _no_such_file(path)
        if not path.is_file():
            raise ProgramError(f"`{path}` is no file, but a pipe or a device", "name a notebook or a script")
    except OSError as error:
        raise ProgramError(f"`{path}` cannot be read: {error.strerror}") from None
    if path.suffix not in (".py", ".ipynb"):
        raise ProgramError(
            f"`{path}` is neither a notebook (.ipynb) nor a script (.py)", HOW_TARGETS_ARE_WRITTEN
        )


def _no_such_file(path: Path) -> ProgramError:
    """With the closest name in the same folder, as a mistyped file is the usual cause."""
    try:
        neighbours = [p.name for p in path.parent.iterdir() if p.suffix in (".py", ".ipynb")]
    except OSError:
        neighbours = []
    close = difflib.get_close_matches(path.name, neighbours, 1)
    hint = f"did you mean `{path.parent / close[0]}`?" if close else HOW_TARGETS_ARE_WRITTEN
    return ProgramError(f"`{path}` does not exist", hint)


def current_directory() -> Path:
    try:
        return Path.cwd()
    except OSError:
        raise ProgramError(
            "the current directory no longer exists", "change to another directory and run the command again"
        ) from None
