"""One layer check, from the words of the command line to a `LayerReport`, in the child process."""

import difflib
from dataclasses import replace
from types import ModuleType
from typing import Any

from gradcheck.base import progress
from gradcheck.layers.check import check
from gradcheck.layers.importing import imported
from gradcheck.layers.making import Given, input_term
from gradcheck.layers.options import LayerOptions, arguments_of, keywords_of, layer_target
from gradcheck.layers.records import SEVERAL
from gradcheck.layers.report import LayerReport
from gradcheck.layers.subject import NotALayer, pair_named, subject_of
from gradcheck.program.errors import ProgramError
from gradcheck.program.live import LiveSources
from gradcheck.program.target import Target
from gradcheck.program.writes.hold import writes_held_back, written_by_program


def run_layer(options: LayerOptions) -> LayerReport:
    """Raises ProgramError if the layer cannot be found, made or called."""
    target, names = layer_target(options.target)
    given = Given(
        arguments_of(options.args),
        keywords_of(options.kwargs),
        tuple(input_term(text) for text in options.inputs),
        options.ranks,
    )
    progress.say(progress.Stage.CHECKING, f"importing {options.target}")
    held = writes_held_back(LiveSources().is_user, options.allow_writes)
    with held as tree, imported(target, options.cwd) as source:
        if len(names) == 1:
            names = pair_named(names[0], vars(source.module)) or names
        found = tuple(_found(name, source.module, target) for name in names)
        try:
            subject = subject_of(found if len(found) == 2 else found[0])
            report = check(
                replace(subject, files=(*subject.files, *source.files)),
                given,
                target=options.target,
                seed=options.seed,
                only=(options.case or SEVERAL) if options.exact else None,
                fix_budget_s=options.fix_budget_s,
                allow_writes=options.allow_writes,
            )
            report.written = written_by_program(tree)
            return report
        except NotALayer as error:
            raise ProgramError(str(error)) from None


def _found(name: str, module: ModuleType, target: Target) -> Any:
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
