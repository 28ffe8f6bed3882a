"""Each page is in the navigation, each link leads somewhere, each command is one; the site is built without a warning."""

from __future__ import annotations

import importlib.util
import re
import shlex
from functools import cache
from pathlib import Path

import click
import pytest
import yaml

import gradcheck
from gradcheck.cli.commands import cli
from tests.support import ROOT, in_child

DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
AROUND = [ROOT / name for name in ("README.md", "CONTRIBUTING.md")]
each_page = pytest.mark.parametrize(
    "page", [*PAGES, *AROUND], ids=lambda page: page.relative_to(ROOT).as_posix()
)
_CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^()\s]+)\)")


def test_every_page_is_in_the_navigation() -> None:
    named: list[str] = []

    def look(part: object) -> None:
        if isinstance(part, str):
            named.append(part)
        for each in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
            look(each)

    look(yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"])
    assert sorted(named) == [page.relative_to(DOCS).as_posix() for page in PAGES]


@each_page
def test_links_lead_somewhere(page: Path) -> None:
    for link in _LINK.findall(_CODE.sub("", page.read_text(encoding="utf-8"))):
        if link.startswith(("https://", "http://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        if page in PAGES:
            assert target.is_relative_to(DOCS), f"{link} is outside of the site"
        assert not anchor or anchor in _anchors(target), link


@cache
def _anchors(page: Path) -> set[str]:
    """As GitHub and the site make them of headings."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@each_page
def test_commands_are_taken(page: Path) -> None:
    """Each line of code that begins with `gradcheck` is read as the command line reads it, and not run."""
    for line in re.findall(
        r"^    (?:python -m )?(gradcheck [a-z].*)$", page.read_text(encoding="utf-8"), re.MULTILINE
    ):
        _read_command(line)


def _read_command(line: str) -> None:
    words = shlex.split(re.split(r" [|>] ", line)[0], comments=True)
    command = cli.get_command(click.Context(cli), words[1])
    assert command is not None, line
    command.make_context(words[1], words[2:])


@pytest.mark.parametrize("line", ["gradcheck report a.py --no-such-option", "gradcheck report --at"])
def test_a_command_that_is_none_is_seen(line: str) -> None:
    with pytest.raises(click.UsageError):
        _read_command(line)


def test_the_kernel_of_the_page_is_checked_in_every_case() -> None:
    def results() -> set[str]:
        spec = importlib.util.spec_from_file_location("gelu_kernel", DOCS / "howto" / "gelu_kernel.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return {case.status.value for case in gradcheck.check_layer(module.Gelu).cases}

    assert in_child(results) == {"passed", "not tried"}


def test_the_reference_has_everything_that_is_public() -> None:
    named = re.findall(
        r"^::: gradcheck\.(\w+)$", (DOCS / "reference.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert sorted(named) == sorted({*gradcheck.__all__} - {"__version__"})


def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs")
    pytest.importorskip("mkdocstrings")
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    build(load_config(str(ROOT / "mkdocs.yml"), strict=True, site_dir=str(tmp_path)))
    assert (tmp_path / "tutorial.html").exists()
    assert "only these rules: codes, names, or" in (tmp_path / "reference.html").read_text(encoding="utf-8")
