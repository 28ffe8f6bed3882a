"""Every program in this folder gets the verdicts that are written beside it. The format is described in README.md."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch._dynamo  # once, and not in every child that makes an optimiser or a vjp

from gradcheck.base.options import SessionOptions
from gradcheck.analysis.session import run_report
from tests.support import ROOT, ChildFailedError, in_child

HERE = Path(__file__).parent
PROGRAMS = sorted(
    path for suffix in ("*.py", "*.ipynb") for path in HERE.glob(suffix) if path.with_suffix(".toml").exists()
)
GRAVEST_FIRST = ["introduced", "compensated", "inherited", "unchecked", "unobservable", "correct"]
ACCUSED = ("introduced", "compensated")
FIX_BUDGET_S = 0.1  # verdicts need none; a fix of a right program would be found at once
ABOUT_DATAFLOW = ("GC103", "GC104", "GC105")


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.name)
def test_verdicts(path: Path) -> None:
    expected = tomllib.loads(path.with_suffix(".toml").read_text())
    is_right = not any(row["verdict"] in ACCUSED for row in expected_rows(expected))
    budget, select = (FIX_BUDGET_S, ()) if is_right else (0.0, ABOUT_DATAFLOW)
    options = SessionOptions(
        str(path.relative_to(ROOT)), timeout_s=50.0, fix_budget_s=budget, select=select
    )
    try:
        report = in_child(lambda: run_report(options).to_dict(), timeout_s=100.0)
    except ChildFailedError as error:
        if "apply() takes no keyword arguments" in str(error):
            pytest.skip("in older torch a Function takes none")
        raise
    disagreements = compare(expected, report)
    if is_right:
        disagreements += [f"falsely fixed: {f['fix']['diff']}" for f in report["findings"] if f["fix"]]
    disagreements += compare_findings(expected, report)
    assert not disagreements, f"{expected['about']}\n" + "\n".join(disagreements)


def compare_findings(expected: dict[str, Any], report: dict[str, Any]) -> list[str]:
    """The findings about dataflow are exactly those expected: a right program has none."""
    wanted = Counter((row["rule"], row["line"], row.get("cell")) for row in expected.get("finding", []))
    found = Counter(
        (row["rule"], row["location"]["line"], row["location"]["cell"])
        for row in report["findings"]
        if row["rule"] in ABOUT_DATAFLOW
    )
    return [f"not found: {where}" for where in (wanted - found).elements()] + [
        f"falsely found: {where}" for where in (found - wanted).elements()
    ]


def expected_rows(expected: dict[str, Any]) -> list[dict[str, Any]]:
    steps = expected.get("pass", [])
    return [row for step in steps for row in (*step.get("gradient", []), *step.get("unnamed", []))]


def compare(expected: dict[str, Any], report: dict[str, Any]) -> list[str]:
    """In what the report differs from the expectation, one line each."""
    rows = report["gradients"]
    told: list[str] = []
    used: set[int] = set()
    opens: set[str] = set()
    wrong_somewhere = False
    for step in expected.get("pass", []):
        opens |= {_plain(name) for name in step.get("open", [])}
        for wanted in expected_rows({"pass": [step]}):
            wrong_somewhere |= wanted["verdict"] == "introduced"
            found = _rows_for(wanted, rows)
            used |= {id(row) for row in found}
            told += _differences(wanted, found, rows)
    for row in rows:
        if id(row) not in used and row["verdict"] in ACCUSED:
            if wrong_somewhere and _plain(row["name"]) in opens:
                continue
            told.append(f"falsely accused: {_shown(row)}")
    return told


def _rows_for(wanted: dict[str, Any], rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    names = {_plain(name) for name in (wanted["name"], *wanted.get("also", []))}
    places = {(wanted["line"], wanted.get("cell"))}
    if "bound" in wanted:
        places.add((wanted["bound"], wanted.get("bound_cell", wanted.get("cell"))))
    files = [wanted[key] for key in ("file", "bound_file") if key in wanted]
    found = [
        row
        for row in rows
        if (row["location"]["line"], row["location"]["cell"]) in places
        and _plain(row["name"]) in names
        and (not files or any(row["location"]["file"].endswith(file) for file in files))
    ]
    # The name inside the callee stands in for the wanted name only where that is not shown.
    return [row for row in found if _plain(row["name"]) == _plain(wanted["name"])] or found


def _differences(
    wanted: dict[str, Any], found: list[dict[str, Any]], rows: list[dict[str, Any]]
) -> list[str]:
    title = f"{wanted['name']} at line {wanted['line']}"
    if not found:
        names = (_plain(wanted["name"]), *map(_plain, wanted.get("also", [])))
        near = [
            _shown(row)
            for row in rows
            if _plain(row["name"]) in names or row["location"]["line"] == wanted["line"]
        ]
        return [f"{title}: no row ({wanted['verdict']}); near it: {near}"]
    worst = min(found, key=lambda row: GRAVEST_FIRST.index(row["verdict"]))
    told = []
    if worst["verdict"] != wanted["verdict"]:
        told.append(f"{title}: {wanted['verdict']} expected, found {[_shown(row) for row in found]}")
    elif wanted.get("problem", "") != (worst["problem"] or "").replace("wrong-value", ""):
        told.append(f"{title}: problem {wanted.get('problem', '')!r} expected, found {_shown(worst)}")
    if "of" in wanted and wanted["verdict"] != "unchecked":
        known = [name for row in found for name in (row["of"], *row.get("of_names", ())) if name]
        if not any(_same_value(wanted["of"], name) for name in known):
            told.append(f"{title}: of {wanted['of']} expected, found {known}")
    return told


def _same_value(wanted: str, found: str) -> bool:
    """Whether two names may mean one value. A value has many names (`w` in a function is `params['w1']` outside),
    and a report shows one of them: only a name of the same sort that says otherwise is a contradiction."""
    wanted, found = _plain(wanted), _plain(found)
    if wanted == found or _last(wanted) == _last(found):
        return True
    containers = ("[", ".")
    if any(c in wanted or c in found for c in containers):
        return True
    return _stem(wanted) == _stem(found) or _stem(wanted) in found or _stem(found) in wanted


def _last(name: str) -> str:
    """`W1` of `params['W1']`, `x` of `self.x`."""
    return re.findall(r"\w+", name)[-1]


def _stem(name: str) -> str:
    return re.sub(r"[\d_]+$", "", name)


def _plain(name: str) -> str:
    return re.sub(r"\s", "", name).replace('"', "'")


def _shown(row: dict[str, Any]) -> str:
    errors = ", ".join(
        f"{key.split('_')[0]} {row[key]:.1e}"
        for key in ("total_error", "local_error")
        if row[key] is not None
    )
    problem = f", {row['problem']}" if row["problem"] else ""
    return (
        f"{row['name']} (of {row['of']}) line {row['location']['line']} {row['verdict']} [{errors}{problem}]"
    )
