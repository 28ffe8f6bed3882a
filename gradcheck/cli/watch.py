"""`gradcheck watch`: a report whenever a file of the program is saved, by a child that has imported torch already."""

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from rich.console import Console

from gradcheck.base import numbers
from gradcheck.base.errors import InternalError
from gradcheck.base.options import SessionOptions
from gradcheck.cli.options import CommonOptions, parse_common
from gradcheck.cli.run import print_error, said, shown_progress
from gradcheck.process.child import Child, run_in_child, waiting_child
from gradcheck.program.errors import ProgramError
from gradcheck.program.own_files import own_files

_POLL_S = 0.2
_SETTLED_S = 0.1  # editors write a file in several steps
Stamps = dict[Path, tuple[int, int] | None]


def run(verbose: bool, **given: Any) -> int:
    common = parse_common(**given)
    if len(common.sessions) > 1:
        raise ProgramError(f"one target is watched at a time, not {len(common.sessions)}")
    return watch(common, verbose)


def watch(options: CommonOptions, verbose: bool, goes_on: Callable[[], bool] = lambda: True) -> int:
    """Until Ctrl-C, which is the way to end it: exit status 0."""
    (session,) = options.sessions
    files: set[Path] = set()
    seen: Stamps = {}
    with suppress(KeyboardInterrupt):
        while goes_on():
            with waiting_child(warm=True) as child:
                if seen:
                    said(f"watching {numbers.count(len(files), 'file')}; Ctrl-C ends it")
                    _wait_for_change(seen)
                with suppress(ProgramError):  # where one is not whole, those of before are watched
                    files = own_files(session.target, session.cwd)
                seen = _stamps(files)
                _report(child, session, options, verbose)
    return 0


def _report(child: Child, session: SessionOptions, options: CommonOptions, verbose: bool) -> None:
    from gradcheck.report import terminal

    console = Console()
    if console.is_terminal:
        console.clear()
    try:
        with shown_progress(session.target) as show:
            report = run_in_child(session, show, waiting=child).report
    except (ProgramError, InternalError) as error:
        print_error(error, show_traceback=options.show_traceback)
    else:
        terminal.render(report, console, verbose)


def _wait_for_change(seen: Stamps) -> None:
    while _stamps(seen) == seen:
        time.sleep(_POLL_S)
    last = None
    while last != (last := _stamps(seen)):
        time.sleep(_SETTLED_S)


def _stamps(files: Iterable[Path]) -> Stamps:
    """By which a change is seen; None for a file that is not there, as while an editor replaces it."""
    return {path: _stamp(path) for path in files}


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
