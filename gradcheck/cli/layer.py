"""`gradcheck layer`: from the words of the command line to a written report on a layer."""

import math
from collections.abc import Sequence

import click

from gradcheck.base.errors import InternalError
from gradcheck.cli.output import Destination, destination, json_text
from gradcheck.cli.run import print_error, print_internal_error, shown_progress
from gradcheck.layers.options import LayerOptions, arguments_of, check_shape, keywords_of, layer_target
from gradcheck.layers.records import STATES
from gradcheck.layers.report import LayerReport
from gradcheck.process.child import run_layer_in_child
from gradcheck.program.errors import ProgramError
from gradcheck.program.program import working_directory


def run(
    targets: Sequence[str], args: str, kwargs: str, inputs: Sequence[str], shapes: Sequence[str], rank: str,
    case: str | None, seed: int, cwd: str | None, allow_writes: bool, timeout: float, fix_budget: float,
    format_: str | None, output: str | None, force: bool, show_output: bool, show_traceback: bool, color: bool | None,
) -> int:  # fmt: skip
    """Checks every layer; the exit status is the worst of theirs. Whatever can be checked before a layer is imported, is."""
    arguments_of(args)
    keywords_of(kwargs)
    if inputs and shapes:
        raise ProgramError("--input and --shape cannot be combined", "--shape runs only that shape")
    if case is not None and not shapes:
        raise ProgramError("--case needs --shape: without shapes every case is run")
    if case is not None and case not in STATES:
        raise ProgramError(f"--case: there is no case `{case}`", f"those are {', '.join(STATES)}")
    if not (timeout > 0 and math.isfinite(timeout)) or not (fix_budget >= 0 and math.isfinite(fix_budget)):
        raise ProgramError("--timeout and --fix-budget are numbers of seconds")
    directory = working_directory(cwd)
    layers, parsed = [], []
    for text in targets:
        parsed.append(layer_target(text)[0])
        layers.append(
            LayerOptions(
                text,
                args,
                kwargs,
                tuple(check_shape("--shape" if shapes else "--input", each) for each in shapes or inputs),
                bool(shapes),
                case,
                _ranks(rank),
                seed,
                None if directory is None else str(directory),
                timeout,
                fix_budget,
                allow_writes,
            )
        )
    to = destination(format_, output, force, parsed, one=False)
    status = 0
    reports: list[LayerReport] = []
    for layer in layers:
        try:
            with shown_progress(layer.target) as show:
                report, said = run_layer_in_child(layer, show)
        except ProgramError as error:
            print_error(error, layer.target if len(layers) > 1 else "")
            status = 2
            continue
        except InternalError as error:
            print_internal_error(error, show_traceback)
            status = 2
            continue
        if show_output and said:
            click.echo(said, err=True, nl=not said.endswith("\n"))
        status = max(status, report.exit_status)
        reports.append(report)
    if reports:
        _write(reports, to, color, one=len(layers) == 1)
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
