"""One layer check, from the words of the command line to a `LayerReport`, in the child process."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from gradcheck.base import progress
from gradcheck.layers.check import check, input_term
from gradcheck.layers.making import CannotCallError, Given
from gradcheck.layers.options import LayerOptions, arguments_of, keywords_of, layer_target
from gradcheck.layers.records import SEVERAL
from gradcheck.layers.report import LayerReport
from gradcheck.layers.subject import NotALayer, pair_named, subject_of
from gradcheck.program.entry import import_target_module
from gradcheck.program.errors import ProgramError
from gradcheck.program.faults import describe
from gradcheck.program.live import LiveSources
from gradcheck.program.script import read_source
from gradcheck.program.source import SourceUnit, shown_path
from gradcheck.program.target import Target


def run_layer(options: LayerOptions) -> LayerReport:
    """Raises ProgramError if the layer cannot be found, made or called."""
    target, names = layer_target(options.target)
    given = Given(
        arguments_of(options.args),
        keywords_of(options.kwargs),
        tuple(input_term(text) for text in options.inputs),
        options.ranks,
    )
    progress.say(progress.Stage.RUNNING, f"importing {options.target}")
    with _surroundings(target, options.cwd):
        module = _imported(target)
        if len(names) == 1:
            names = pair_named(names[0], vars(module)) or names
        found = tuple(_found(name, module, target) for name in names)
        try:
            subject = subject_of(found if len(found) == 2 else found[0])
            return check(
                subject,
                given,
                target=options.target,
                seed=options.seed,
                only=(options.case or SEVERAL) if options.exact else None,
                fix_budget_s=options.fix_budget_s,
            )
        except CannotCallError as error:
            raise ProgramError(error.message, error.hint) from None
        except NotALayer as error:
            raise ProgramError(str(error)) from None


@contextmanager
def _surroundings(target: Target, cwd: str | None) -> Iterator[None]:
    """As for a program that is run: its folder comes first, and no window opens."""
    folder = Path(cwd) if cwd else target.path.parent if target.path else Path.cwd()
    entry = str(target.path.parent if target.path else folder)
    before = Path.cwd()
    sys.path.insert(0, entry)
    os.environ.setdefault("MPLBACKEND", "Agg")
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
        if entry in sys.path:
            sys.path.remove(entry)


def _imported(target: Target) -> ModuleType:
    """The module, imported and not run as a script: code under `if __name__ == "__main__"` does not run."""
    try:
        if target.path is None:
            return import_target_module(target)
        name = target.path.stem if target.path.stem not in sys.modules else f"_layer_{target.path.stem}"
        spec = importlib.util.spec_from_file_location(name, target.path)
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
    except ProgramError:
        raise
    except (Exception, SystemExit) as error:
        raise _import_error(error, target) from None


def _import_error(error: BaseException, target: Target) -> ProgramError:
    sources = LiveSources()
    if target.path is not None:
        sources.include(str(target.path))
        unit = SourceUnit(str(target.path), shown_path(target.path), read_source(target.path))
    else:
        unit = SourceUnit(target.module, target.module, "")
    fault = describe(error, unit, sources)
    where = f" at {fault.location}" if fault.location else ""
    excerpt = f"{fault.location.line} | {fault.text}" if fault.location and fault.text else ""
    hint = 'it is imported for its layer: what trains belongs under `if __name__ == "__main__":`'
    return ProgramError(f"importing it raised{where}: {fault}", hint, excerpt)


def _found(name: str, module: ModuleType, target: Target) -> Any:
    import difflib

    found: Any = module
    place = target.path.name if target.path else target.module
    for part in name.split("."):
        if not hasattr(found, part):
            known = [n for n, thing in vars(found).items() if callable(thing) and not n.startswith("_")]
            close = difflib.get_close_matches(part, known, 1)
            hint = (
                f"did you mean `{close[0]}`?"
                if close
                else f"it has {', '.join(known[:8]) or 'nothing to call'}"
            )
            raise ProgramError(f"there is no `{part}` in `{place}`", hint)
        found = getattr(found, part)
    return found
