"""All rules, found by scanning this package: a new rule is a new file and nothing else.

A rule's file is named after it, `gc101_wrong_gradient.py`, and binds `RULE`.
"""

import difflib
import pkgutil
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, lru_cache
from importlib import import_module

import gradcheck.checks
from gradcheck.checks.finding import Finding
from gradcheck.checks.rule import Evidence, Rule

ALL = "ALL"
OWN_FAMILY = "GC0"  # about comments and options of gradcheck itself
GRADIENT_FAMILY = "GC1"
HEALTH_FAMILIES = ("GC2", "GC3", "GC4", "GC5", "GC6")


@cache
def all_rules() -> tuple[Rule, ...]:
    """Every rule, by code."""
    names = (module.name for module in pkgutil.iter_modules(gradcheck.checks.__path__))
    rules = [import_module(f"gradcheck.checks.{n}").RULE for n in names if re.match(r"gc\d{3}_", n)]
    return tuple(sorted(rules, key=lambda rule: rule.code))


def find_rule(code_or_name: str) -> Rule | None:
    """The rule with this code or name, in any case."""
    wanted = code_or_name.strip().casefold()
    return next((r for r in all_rules() if wanted in (r.code.casefold(), r.name)), None)


def similar_rules(code_or_name: str) -> list[str]:
    """Codes and names close to a mistyped one, for "did you mean"."""
    spellings = {spelling.casefold(): spelling for r in all_rules() for spelling in (r.code, r.name)}
    return [spellings[close] for close in difflib.get_close_matches(code_or_name.casefold(), spellings, 2)]


def unknown_selectors(selectors: Iterable[str]) -> list[str]:
    """The selectors that no rule answers to: a mistyped `--ignore` must not pass for a clean report."""
    return [s for s in selectors if not rules_meant(s)]


def rules_meant(selector: str) -> list[Rule]:
    """All rules that a selector means: a code, a prefix of codes, a name, or ALL."""
    return [rule for rule in all_rules() if _specificity(selector, rule)]


def is_selected(rule: Rule, select: Sequence[str] = (), ignore: Sequence[str] = ()) -> bool:
    """Whether the rule is on. The most specific selector wins, and `ignore` wins a tie, as in ruff;
    with no `select` at all every rule is on unless ignored."""
    chosen = max((_specificity(s, rule) for s in select or (ALL,)), default=0)
    return chosen > max((_specificity(s, rule) for s in ignore), default=0)


def any_selected(prefixes: Sequence[str], select: Sequence[str] = (), ignore: Sequence[str] = ()) -> bool:
    """Whether any rule whose code begins with one of `prefixes` is on."""
    return any(
        rule.code.startswith(tuple(prefixes)) and is_selected(rule, select, ignore) for rule in all_rules()
    )


def run_checks(evidence: Evidence, select: Sequence[str] = (), ignore: Sequence[str] = ()) -> list[Finding]:
    """What the selected rules find, in the order of the program."""
    found = [f for rule in all_rules() if is_selected(rule, select, ignore) for f in rule.check(evidence)]
    return in_reading_order(found)


def in_reading_order(findings: Iterable[Finding]) -> list[Finding]:
    return sorted(findings, key=_reading_order)


def _reading_order(finding: Finding) -> tuple[str, int, int, int, str]:
    place = finding.location
    return place.file, place.cell or 0, place.line, place.column, finding.rule


@lru_cache(1024)  # asked for every rule in every report
def _specificity(selector: str, rule: Rule) -> int:
    """0 if the selector does not mean the rule; more the more exactly it does."""
    wanted = selector.strip().casefold()
    if wanted in (rule.code.casefold(), rule.name):
        return len(rule.code) + 1
    if wanted == ALL.casefold():
        return 1
    # "G" is too short to be meant as a prefix: the shortest is "GC".
    return len(wanted) if len(wanted) >= 2 and rule.code.casefold().startswith(wanted) else 0


class State(StrEnum):
    FOUND = "found"
    PASSED = "passed"
    NOT_TRIGGERED = "not triggered"
    NOT_SELECTED = "not selected"


@dataclass(slots=True)
class CheckState:
    """`looked_at` says what the rule judged, `reason` why it had nothing to judge."""

    rule: str
    name: str
    state: State
    findings: int = 0
    looked_at: str = ""
    reason: str = ""


def states_of(
    evidence: Evidence, findings: Iterable[Finding], select: Sequence[str] = (), ignore: Sequence[str] = ()
) -> list[CheckState]:
    """One for every rule, by code."""
    counts = Counter(finding.rule for finding in findings)
    states = []
    for rule in all_rules():
        if not is_selected(rule, select, ignore):
            states.append(CheckState(rule.code, rule.name, State.NOT_SELECTED))
            continue
        looked, count = rule.looked_at(evidence), counts[rule.code]
        if count:
            state = State.FOUND
        else:
            state = State.PASSED if looked.what else State.NOT_TRIGGERED
        states.append(CheckState(rule.code, rule.name, state, count, looked.what, looked.why_not))
    return states
