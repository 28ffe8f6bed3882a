"""Where reports go: standard output, a file, a page, a Markdown file with its figures beside it."""

import hashlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from gradcheck.base.extras import how_to_install, is_installed
from gradcheck.base.ours import HEADING, may_be_replaced
from gradcheck.program.errors import ProgramError
from gradcheck.program.target import Target
from gradcheck.report import index
from gradcheck.report.contents import FailedTarget
from gradcheck.report.layout import UNCUT, printable
from gradcheck.report.model import Report
from gradcheck.report.plain_table import plain_table, without
from gradcheck.report.tables import Table

Outcome = Report | FailedTarget

_BY_ENDING = {
    ".json": "json",
    ".md": "markdown",
    ".markdown": "markdown",
    ".html": "html",
    ".htm": "html",
    ".sarif": "sarif",
    ".xml": "junit",
    ".csv": "csv",
}
_ENDINGS = {"markdown": ".md", "html": ".html"}  # of those that go to a file where nothing else is said


@dataclass(frozen=True, slots=True)
class Destination:
    """`output` is None where nothing was said, and "-" for standard output."""

    format: str
    output: str | None
    force: bool
    targets: tuple[Target, ...]

    def file_for(self, target: Target, suffix: str = "") -> str:
        """Where the report on `target` goes; "-" is standard output."""
        if self.output is not None:
            return self.output
        ending = _ENDINGS.get(self.format)
        return self.default_file(target, f"{suffix}{ending}") if ending else "-"

    def writes_to(self, path: str) -> bool:
        return any(self.file_for(target) == path for target in self.targets)

    def default_file(self, target: Target, ending: str) -> str:
        """In `reports`, by a name that no other target has."""
        name = _default_name(target)
        if sum(_default_name(other) == name for other in self.targets) > 1:
            name += f"-{_digest(target.text)}"
        return f"reports/{name}{ending}"

    def check(self, path: str) -> None:
        """Raises ProgramError if something would be lost by writing there. Asked before a program is run, and again when
        it is written."""
        if path == "-":
            return
        for target in self.targets:
            with suppress(OSError):
                if target.path is not None and os.path.samefile(path, target.path):
                    raise ProgramError(
                        f"--output: `{path}` is the program itself", "name another file for the report"
                    )
        if not self.force and not may_be_replaced(Path(path)):
            raise ProgramError(
                f"`{path}` was not written by gradcheck, and is left as it is",
                "--output names another file; --force writes over this one",
            )

    @contextmanager
    def opened(self, path: str) -> Iterator[Any]:
        if path == "-":
            yield sys.stdout
            sys.stdout.flush()  # here, where a reader that has gone is dealt with
            return
        self.check(path)
        with _errors(path):
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            with open(path, "w", encoding="utf-8") as file:
                yield file
        click.echo(printable(f"wrote {path}"), err=True)
        if self.format in ("markdown", "html") and not is_installed("matplotlib"):
            click.echo(
                f"no figures, as matplotlib is not installed: {how_to_install('matplotlib')}", err=True
            )

    @contextmanager
    def opened_text(self, path: str, target: str, color: bool | None) -> Iterator[Console]:
        with self.opened(path) as file:
            if path != "-":
                file.write(f"{HEADING}{printable(target)}\n\n")
            yield _console(file, color)

    def write(self, report: Report, path: str, color: bool | None, verbosity: int = 0) -> None:
        """One report, in a format that has a file for each. `verbosity`: 1 with each rule that found nothing, -1 the headline
        alone, where it is to be read in a terminal."""
        if self.format == "markdown":
            self._write_markdown(report, path, verbosity > 0)
        elif self.format == "html":
            with self.opened(path) as opened:
                opened.write(report.to_html())
        else:
            from gradcheck.report import terminal

            with self.opened_text(path, report.target, color) as console:
                if report.isolation is not None:
                    terminal.render_isolation(report, console)
                elif verbosity < 0:
                    terminal.render_headline(report, console)
                else:
                    terminal.render(report, console, verbosity > 0)

    def _write_markdown(self, report: Report, path: str, verbose: bool) -> None:
        """With its figures in a folder beside it; on standard output there is no place for them."""
        from gradcheck.report import markdown

        images: dict[str, list[markdown.Image]] = {}
        if path != "-":
            from gradcheck.report.figures.all import report_pictures  # imports matplotlib

            folder = Path(path).with_suffix("").name + "-figures"
            for picture in report_pictures(report):
                file = Path(path).parent / folder / f"{picture.name}.png"
                self.check(str(file))
                with _errors(str(file)):
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.write_bytes(picture.png)
                images.setdefault(picture.table, []).append(
                    markdown.Image(f"{folder}/{picture.name}.png", picture.alt)
                )
        with self.opened(path) as opened:
            opened.write(markdown.render(report, images, verbose))

    @property
    def holds_all(self) -> bool:
        """Whether one document holds the reports on all targets."""
        return self.format in ("csv", "json", "sarif", "github", "junit")

    def write_all(
        self, outcomes: Sequence[Outcome], every: Table | None = None, solution: index.Solution | None = None
    ) -> None:
        """The reports on all targets as one document; `every` has a row for each. In JSON one object for one target, a list
        for several; with a `solution`, each with its score."""
        from gradcheck.report import github, junit, sarif

        if self.format == "csv":
            assert every is not None
            text = index.as_csv(every)
        elif self.format == "json":
            objects = [each.to_dict() | (solution.compared(each) if solution else {}) for each in outcomes]
            text = json_text(objects[0] if len(self.targets) == 1 else objects)
        elif self.format == "sarif":
            text = json_text(sarif.document(outcomes))
        else:
            text = github.lines(outcomes) if self.format == "github" else junit.document(outcomes)
        with self.opened(self.output or "-") as file:
            file.write(text)

    def write_index(self, every: Table, color: bool | None) -> None:
        """A row for each target: below the reports in a terminal, beside them in `reports`."""
        if self.format == "terminal" and self.output in (None, "-"):
            with self.opened("-") as file:
                console = _console(file, color)
                console.print()
                console.print(plain_table(without(every, index.SPARE), console.width), soft_wrap=True)
        elif self.output is None:
            path = f"reports/index{_ENDINGS[self.format]}"
            links = {
                target.text: os.path.relpath(self.file_for(target), "reports") for target in self.targets
            }
            as_page = index.as_markdown if self.format == "markdown" else index.as_html
            with self.opened(path) as file:
                file.write(as_page(every, links))


def destination(
    format_: str | None, output: str | None, force: bool, targets: Sequence[Target], one: bool = True
) -> Destination:
    """Checks what can be checked before a program is run. `one`: a file holds one report."""
    if output == "":
        raise ProgramError("--output: the name of the file is empty")
    ending = Path(output or "").suffix.lower()
    found = Destination(format_ or _BY_ENDING.get(ending, "terminal"), output, force, tuple(targets))
    one = one and not found.holds_all
    if one and output not in (None, "-") and len(targets) > 1:
        raise ProgramError(f"--output names one file, but there are {len(targets)} targets")
    if one:
        for target in targets:
            found.check(found.file_for(target))
    else:
        found.check(output or "-")
    return found


def _console(file: Any, color: bool | None) -> Console:
    uncut = not (file.isatty() or color or "COLUMNS" in os.environ)
    return console_for(color, file=file, width=UNCUT if uncut else None)


def console_for(color: bool | None, **options: Any) -> Console:
    """`color` is what was asked for; None leaves it to what the file is."""
    return Console(force_terminal=color, no_color=None if color is None else not color, **options)


def json_text(data: object) -> str:
    """Strict JSON, without NaN."""
    return json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _default_name(target: Target) -> str:
    """The path below the current folder without its ending; with it where `train.py` and `train.ipynb` lie side by side.
    Of a file elsewhere, its name and a mark of its folder."""
    if target.path is None:
        return target.stem
    path = target.path
    twin = path.with_suffix({".py": ".ipynb", ".ipynb": ".py"}[path.suffix])
    name = path.name if twin.exists() else path.stem
    if target.function:
        name += f"-{target.function}"
    with suppress(ValueError, OSError):
        return (path.parent.relative_to(Path.cwd().resolve()) / name).as_posix()
    return f"{name}-{_digest(str(path.parent))}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:6]


@contextmanager
def _errors(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ProgramError(f"--output: `{path}` cannot be written: {error.strerror}") from None
