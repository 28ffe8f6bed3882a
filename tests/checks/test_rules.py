"""Every rule is complete, and every rule is found by being a file."""

from __future__ import annotations

import ast
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from gradcheck.checks.page import rule_page
from gradcheck.checks.registry import all_rules, find_rule, is_selected, similar_rules, unknown_selectors
from gradcheck.checks.rule import Rule

ROOT = Path(__file__).parents[2]
TEXTS = ("What it does", "Why is this bad?", "Example", "Use instead", "How it is measured", "References")
each_rule = pytest.mark.parametrize("rule", all_rules(), ids=lambda rule: rule.code)


def rule(code: str) -> Rule:
    found = find_rule(code)
    assert found is not None
    return found


@each_rule
def test_the_text_is_complete(rule: Rule) -> None:
    assert rule.summary
    assert not rule.summary.endswith(".")
    assert tuple(rule.sections) == TEXTS
    for name, text in rule.sections.items():
        assert len(text.split()) >= 3, f"{rule.code} says too little in {name}"
        assert text == text.strip(), name
        assert "TODO" not in text.replace("None  # TODO", ""), name
        assert all(len(line) <= 110 or "https://" in line for line in text.splitlines()), name
    assert rule.sections["Example"] != rule.sections["Use instead"]
    for threshold in rule.thresholds:
        assert threshold.source


@each_rule
def test_the_examples_are_python(rule: Rule) -> None:
    for name in ("Example", "Use instead"):
        fenced = rule.sections[name]
        assert fenced.startswith("```python\n")
        assert fenced.endswith("\n```")
        ast.parse(fenced.removeprefix("```python\n").removesuffix("\n```"))


@each_rule
def test_the_file_is_named_after_the_rule(rule: Rule) -> None:
    file = ROOT / "gradcheck" / "checks" / f"{rule.code.lower()}_{rule.name.replace('-', '_')}.py"
    assert file.is_file()


def test_codes_and_names_are_unique() -> None:
    assert len({r.code for r in all_rules()}) == len({r.name for r in all_rules()}) == len(all_rules())


def test_a_rule_is_found_by_code_or_name() -> None:
    assert rule("gc101") is rule("wrong-gradient") is rule(" GC101 ")
    assert find_rule("GC999") is None
    assert "wrong-gradient" in similar_rules("wrong-gradeint")
    assert similar_rules("nothing like it") == []


@pytest.mark.parametrize(
    ("select", "ignore", "on"),
    [
        ((), (), True),
        (("GC1",), (), True),
        (("GC2",), (), False),
        (("gc101",), ("GC1",), True),
        (("GC1",), ("GC101",), False),
        (("GC101",), ("GC101",), False),
        (("ALL",), ("GC1",), False),
        ((), ("wrong-gradient",), False),
        (("wrong-gradient",), ("ALL",), True),
        (("G",), (), False),
    ],
)
def test_the_most_specific_selector_wins(select: tuple[str, ...], ignore: tuple[str, ...], on: bool) -> None:
    assert is_selected(rule("GC101"), select, ignore) is on


def test_a_mistyped_selector_is_known_for_one() -> None:
    assert unknown_selectors(["GC1", "GC101", "ALL", "wrong-gradient", "GC9", "gx", ""]) == ["GC9", "gx", ""]


def test_the_rule_pages_need_no_torch() -> None:
    program = (
        "import sys; from gradcheck.checks.page import rule_page, thresholds_table;"
        "from gradcheck.checks.registry import all_rules;"
        "thresholds_table(), [rule_page(rule) for rule in all_rules()];"
        "print([n for n in ('torch', 'numpy', 'pandas', 'rich') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@each_rule
def test_the_page_holds_all_of_it(rule: Rule) -> None:
    page = rule_page(rule)
    assert page.startswith(f"## {rule.code} {rule.name}\n")
    for heading, text in rule.sections.items():
        assert f"### {heading}\n\n{text}\n" in page


def test_the_documentation_is_up_to_date() -> None:
    written = (ROOT / "docs" / "rules.md").read_text(encoding="utf-8")
    made = runpy.run_path(str(ROOT / "docs" / "make_rules.py"))
    assert written == made["rules_page"](), "run `python docs/make_rules.py`"
