"""The pytest plugin: settings per test, a fixture, and a report file for each test that fails.

It is loaded at every start of pytest where gradcheck is installed, so it imports no torch, and of gradcheck nothing
before a test needs it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from gradcheck.analysis.settings import Settings
    from gradcheck.analysis.watching import Watched
    from gradcheck.report.model import Report

_MARKER = (
    "gradcheck(select=..., ignore=..., thresholds={...}, fix_budget=SECONDS, total_budget=SECONDS): how gradcheck judges "
    "in this test: the rules it looks for, by code or name, thresholds by their key, seconds for the search for a fix, "
    "per fault and in all"
)
_KEYWORDS = {name: name for name in ("select", "ignore", "thresholds")}
_KEYWORDS |= {"fix_budget": "fix_budget_s", "total_budget": "total_budget_s"}
_LONGEST_NAME = 100
_reports: pytest.StashKey[list[Any]] = pytest.StashKey()
_fault: pytest.StashKey[str] = pytest.StashKey()  # what is wrong with a test's marker


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("gradcheck", "hand-written gradients")
    group.addoption(
        "--gradcheck-report",
        metavar="DIR",
        default=None,
        help="write what gradcheck reported in each failing test into DIR, as Markdown",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", _MARKER)


class Gradcheck:
    """The fixture: `gradcheck.check`, `.watch`, `.pair` and `.assert_gradients`, with the settings of this test."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def watch(self) -> Watched:
        """As `gradcheck.watch()`."""
        from gradcheck.analysis.watching import watch

        return watch()

    @property
    def check(self) -> Callable[..., Report]:
        """As `gradcheck.check`."""
        from gradcheck.api.checking import check

        return check

    @property
    def pair(self) -> Callable[[object, object], None]:
        """As `gradcheck.pair`."""
        from gradcheck.api.pairing import pair

        return pair

    @property
    def assert_gradients(self) -> Callable[..., Report]:
        """As `gradcheck.assert_gradients`."""
        from gradcheck.api.assertions import assert_gradients

        return assert_gradients


@pytest.fixture
def gradcheck() -> Gradcheck:
    """Checks hand-written gradients: `gradcheck.assert_gradients(layer, x)`, `gradcheck.check(step)`,
    `with gradcheck.watch() as watched:`; by the settings of `@pytest.mark.gradcheck(...)`."""
    from gradcheck.analysis.settings import in_force

    return Gradcheck(in_force())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """The settings hold for the whole test, its fixtures included."""
    if item.get_closest_marker("gradcheck") is None and item.config.getoption("--gradcheck-report") is None:
        return (yield)
    from gradcheck.analysis import settings

    reports: list[Report] = []
    item.stash[_reports] = reports
    chosen = settings.Settings(reports=reports)
    try:
        chosen = chosen.but(**_marked(item))
    except (ValueError, TypeError) as error:
        item.stash[_fault] = str(error)  # reported when the test is set up
    with settings.using(chosen):
        return (yield)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    fault = item.stash.get(_fault, None)
    if fault is not None:
        pytest.fail(f"@pytest.mark.gradcheck: {fault}", pytrace=False)


def _marked(item: pytest.Item) -> dict[str, Any]:
    """What the markers say, the nearest last: that of the function goes before that of its class or module."""
    found: dict[str, Any] = {}
    for marker in reversed(list(item.iter_markers("gradcheck"))):
        if marker.args:
            raise TypeError(f"takes keywords alone ({', '.join(_KEYWORDS)}), not {marker.args[0]!r}")
        for key, value in marker.kwargs.items():
            if key not in _KEYWORDS:
                raise TypeError(f"there is no `{key}`; the keywords are {', '.join(_KEYWORDS)}")
            found[_KEYWORDS[key]] = value
    return found


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    outcome: Any = yield
    folder = item.config.getoption("--gradcheck-report")
    reports = item.stash.get(_reports, [])
    if folder is not None and call.when == "call" and outcome.failed and reports:
        path = _written(item.config.invocation_params.dir / folder, item.nodeid, reports)
        outcome.sections.append(("gradcheck report", f"wrote {path}"))
    return outcome  # type: ignore[no-any-return]


def _written(folder: Path, test: str, reports: list[Report]) -> Path:
    """Tests of several processes write into one folder: every test has a name of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{file_name(test)}.md"
    path.write_text("\n".join(report.to_markdown() for report in reports), encoding="utf-8")
    return path


def file_name(test: str) -> str:
    """A file name for a test's id, whatever its parameters hold: readable, short enough, and no other test's, on file
    systems that know no capitals too."""
    readable = re.sub(r"[^A-Za-z0-9_-]+", ".", test.replace(".py::", "::")).strip(".")
    digest = hashlib.sha256(test.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{readable[:_LONGEST_NAME]}-{digest}"
