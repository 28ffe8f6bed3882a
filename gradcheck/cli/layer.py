"""`gradcheck layer`: from the words of the command line to a written report on a layer."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import click

from gradcheck.base.errors import InternalError
from gradcheck.cli.output import Destination, destination, json_text
from gradcheck.cli.run import print_error, shown_progress
from gradcheck.layers.options import LayerOptions, arguments_of, check_shape, keywords_of, layer_target
from gradcheck.layers.records import STATES
from gradcheck.layers.report import LayerReport
from gradcheck.process.child import run_layer_in_child
from gradcheck.program.errors import ProgramError
from gradcheck.program.program import working_directory


def run(
    targets: Sequence[str], inputs: Sequence[str], shapes: Sequence[str], rank: str, cwd: str | None, format_: str | None,
    output: str | None, force: bool, show_output: bool, show_traceback: bool, color: bool | None, **given: Any,
) -> int:  # fmt: skip
    """Checks every layer; the exit status is the worst of theirs. Whatever can be checked before a layer is imported, is."""
    if inputs and shapes:
        raise ProgramError("--input and --shape cannot be combined", "--shape runs only that shape")
    option, directory = "--shape" if shapes else "--input", working_directory(cwd)
    common = LayerOptions(
        "",
        inputs=tuple(check_shape(option, each) for each in shapes or inputs),
        exact=bool(shapes),
        ranks=_ranks(rank),
        cwd=None if directory is None else str(directory),
        **given,
    )
    arguments_of(common.args)
    keywords_of(common.kwargs)
    case, timeout, fix_budget = common.case, common.timeout_s, common.fix_budget_s
    if case is not None and not shapes:
        raise ProgramError("--case needs --shape: without shapes every case is run")
    if case is not None and case not in STATES:
        raise ProgramError(f"--case: there is no case `{case}`", f"those are {', '.join(STATES)}")
    if not (timeout > 0 and math.isfinite(timeout)) or not (fix_budget >= 0 and math.isfinite(fix_budget)):
        raise ProgramError("--timeout and --fix-budget are numbers of seconds")
    parsed = [layer_target(text)[0] for text in targets]
    to = destination(format_, output, force, parsed, one=False)
    status = 0
    reports: list[LayerReport] = []
    for target in targets:
        try:
            with shown_progress(target) as show:
                report, said = run_layer_in_child(replace(common, target=target), show)
        except (ProgramError, InternalError) as error:
            print_error(error, target if len(targets) > 1 else "", show_traceback)
            status = 2
            continue
        if show_output and said:
            click.echo(said, err=True, nl=not said.endswith("\n"))
        status = max(status, report.exit_status)
        reports.append(report)
    if reports:
        _write(reports, to, color, one=len(targets) == 1)
    return status


def _write(reports: Sequence[LayerReport], to: Destination, color: bool | None, one: bool) -> None:
    from gradcheck.layers import show

    path = to.output or "-"
    if to.format == "terminal":
        with to.opened_text(path, ", ".join(report.target for report in reports), color) as console:
            for report in reports:
                show.render(report, console)
        return
    with to.opened(path) as file:
        if to.format == "markdown":
            file.write("\n".join(report.to_markdown() for report in reports))
        else:
            objects = [report.to_dict() for report in reports]
            file.write(json_text(objects[0] if one else objects))


def _ranks(text: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not all(part in ("1", "2", "3", "4") for part in parts):
        raise ProgramError(
            f"--rank: `{text}` is not a list of numbers of dimensions", "from 1 to 4: --rank 2,3"
        )
    return tuple(int(part) for part in parts)
