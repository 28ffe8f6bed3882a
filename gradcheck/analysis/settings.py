"""The settings of the Python API, unless a call overrides them. The pytest plugin sets it for each test. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from gradcheck.base.thresholds import thresholds_with
from gradcheck.checks.registry import similar_rules, unknown_selectors

if TYPE_CHECKING:
    from gradcheck.report.model import Report


@dataclass(frozen=True, slots=True)
class Settings:
    """`select`, `ignore` and `thresholds` as on the command line; `fix_budget_s` are seconds for each fault, `total_budget_s`
    for all of them. `reports` keeps every report that is made."""

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    thresholds: Mapping[str, float] = field(default_factory=dict)
    fix_budget_s: float = 5.0
    total_budget_s: float | None = None
    reports: list[Report] | None = None

    def but(
        self,
        select: str | Sequence[str] | None = None,
        ignore: str | Sequence[str] | None = None,
        thresholds: Mapping[str, float] | None = None,
        fix_budget_s: float | None = None,
        total_budget_s: float | None = None,
    ) -> Settings:
        """These settings with what is given in its place. Raises ValueError for a rule or a threshold that is none."""
        changed: dict[str, Any] = {}
        for name, rules in (("select", select), ("ignore", ignore)):
            if rules is not None:
                changed[name] = _selectors(name, rules)
        if thresholds is not None:
            thresholds_with(thresholds)  # raises for what is none, or out of its range
            changed["thresholds"] = {**self.thresholds, **thresholds}
        for name, seconds in (("fix_budget_s", fix_budget_s), ("total_budget_s", total_budget_s)):
            if seconds is not None:
                if not seconds >= 0:
                    raise ValueError(f"{name} is a number of seconds from 0 up, not {seconds!r}")
                changed[name] = float(seconds)
        return replace(self, **changed)


def _selectors(what: str, given: str | Sequence[str]) -> tuple[str, ...]:
    names = tuple(part.strip() for part in given.split(",")) if isinstance(given, str) else tuple(given)
    for name in unknown_selectors(names):
        close = " or ".join(f"`{rule}`" for rule in similar_rules(name))
        hint = f"did you mean {close}?" if close else "`gradcheck rules` lists them"
        raise ValueError(f"{what}: there is no rule `{name}`; {hint}")
    return names


_IN_FORCE: ContextVar[Settings | None] = ContextVar("gradcheck_settings", default=None)


def in_force() -> Settings:
    return _IN_FORCE.get() or Settings()


@contextmanager
def using(settings: Settings) -> Iterator[Settings]:
    token = _IN_FORCE.set(settings)
    try:
        yield settings
    finally:
        _IN_FORCE.reset(token)
