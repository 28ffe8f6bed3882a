"""Where reports go: standard output, a file, a Markdown file with its figures beside it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from gradcheck.program.errors import ProgramError
from gradcheck.report.layout import printable
from gradcheck.report.model import Report


def check_one_file(output: str | None, targets: int) -> None:
    if output not in (None, "-") and targets > 1:
        raise ProgramError(f"--output names one file, but there are {targets} targets")


def console_on(file: Any, color: bool | None) -> Console:
    """`color` is what was asked for; None leaves it to what the file is."""
    return (
        Console(file=file) if color is None else Console(file=file, force_terminal=color, no_color=not color)
    )


def write_markdown(report: Report, output: str, verbose: bool = False) -> None:
    """With its figures in a folder beside it; on standard output there is no place for them."""
    from gradcheck.report import markdown

    images: dict[str, list[markdown.Image]] = {}
    if output != "-":
        from gradcheck.report.figures.all import report_pictures  # imports matplotlib

        folder = Path(output).with_suffix("").name + "-figures"
        for picture in report_pictures(report):
            path = Path(output).parent / folder / f"{picture.name}.png"
            _write_bytes(path, picture.png)
            images.setdefault(picture.table, []).append(
                markdown.Image(f"{folder}/{picture.name}.png", picture.alt)
            )
    with opened(output) as file:
        file.write(markdown.render(report, images, verbose))
    if output != "-":
        click.echo(printable(f"wrote {output}"), err=True)


def write_json(reports: Sequence[Report], targets: int, output: str | None) -> None:
    """One object for one target, a list for several."""
    from gradcheck.report import json_format

    if len(reports) == 1 and targets == 1:
        text = json_format.render(reports[0])
    else:
        objects = [report.to_dict() for report in reports]
        text = json.dumps(objects, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    with opened(output or "-") as file:
        file.write(text)


@contextmanager
def opened(output: str) -> Iterator[Any]:
    if output == "-":
        yield sys.stdout
        sys.stdout.flush()  # here, where a reader that has gone is dealt with
        return
    path = Path(output)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="utf-8") as file:
            yield file
    except OSError as error:
        raise ProgramError(f"--output: `{output}` cannot be written: {error.strerror}") from None


def _write_bytes(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    except OSError as error:
        raise ProgramError(f"--output: `{path}` cannot be written: {error.strerror}") from None
