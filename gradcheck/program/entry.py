"""The callable that a target names: found, and called as the target says, or else without arguments."""

import difflib
import importlib
import importlib.util
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from gradcheck.program.errors import ProgramError
from gradcheck.program.live import parameters_required
from gradcheck.program.target import Target


def import_target_module(target: Target) -> ModuleType:
    """Imports the module of `package.module:callable`; what it raises itself is the program's own error."""
    parts = target.module.split(".")
    for count in range(1, len(parts) + 1):
        name = ".".join(parts[:count])
        try:
            found = importlib.util.find_spec(name)
        except (ModuleNotFoundError, ValueError):  # the parent is a plain module, or has no spec
            found = None
        if found is None:
            raise ProgramError(
                f"there is no module `{name}`",
                "it is looked for in the current directory (or --cwd) and among the installed packages",
            )
    return importlib.import_module(target.module)


def find_function(target: Target, namespace: ModuleType) -> Callable[[], Any]:
    """`function` of the target in its module. Dotted names go through classes: `Trainer.step`."""
    found: Any = namespace
    place = str(target.path.name if target.path else target.module)
    for name in target.function.split("."):
        if not hasattr(found, name):
            raise _no_such_function(name, found, place)
        found = getattr(found, name)
    if not callable(found):
        raise ProgramError(f"`{target.function}` of `{place}` is not a function but {_article(found)}")
    if target.call:
        # `np` and `torch` can be written also where the program calls them otherwise.
        names = {**_libraries(), **vars(namespace)}
        return lambda: eval(compile(target.call, "<target>", "eval"), names)
    required = parameters_required(found)
    if required:
        raise ProgramError(
            f"`{target.function}` of `{place}` needs arguments: {', '.join(required)}",
            f"give them: '{target.text}(...)', in which `np` and `torch` can be used",
        )
    return lambda: found()


def _libraries() -> dict[str, Any]:
    return {
        short: module
        for short, name in (("np", "numpy"), ("torch", "torch"))
        if (module := sys.modules.get(name))
    }


def _no_such_function(name: str, owner: Any, place: str) -> ProgramError:
    names = [n for n, value in vars(owner).items() if callable(value) and not n.startswith("_")]
    close = difflib.get_close_matches(name, names, 1)
    if close:
        hint = f"did you mean `{close[0]}`?"
    elif names:
        hint = f"it has {', '.join(f'`{n}`' for n in names[:8])}"
    else:
        hint = ""
    return ProgramError(f"there is no function `{name}` in `{place}`", hint)


def _article(value: Any) -> str:
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"
