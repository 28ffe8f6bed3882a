"""The faults of a layer, each with the cases that show it; what several cases and lines show of one cause is one fault."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gradcheck.checks.finding import Finding
from gradcheck.judge.verdict import Verdict
from gradcheck.layers.cases import Case
from gradcheck.layers.outcome import Key, Outcome
from gradcheck.layers.records import CaseResult, Failure
from gradcheck.layers.trial import Trial


@dataclass(slots=True)
class Fault:
    case: Case
    trial: Trial
    outcome: Outcome
    cases: list[CaseResult]
    raises: Fault | None = None  # the same line, where it raises


def join_by_cause(faults: dict[Key, Fault], outcomes: Sequence[Outcome]) -> None:
    _join_raised(faults)
    for key in list(faults):
        other = _cause_elsewhere(key, faults, outcomes)
        if other is not None:
            cases = [*faults[other].cases, *faults.pop(key).cases]
            faults[other].cases = list({id(case): case for case in cases}.values())


def contradicted(faults: dict[Key, Fault], outcomes: Sequence[Outcome]) -> Iterator[Key]:
    """Those of a line as the gradient of another value than the one for which it is right in more cases: with a single row,
    say, several values have the same numbers."""
    for key in faults:
        own, rest = _split(key, outcomes)
        right = [of for o in rest for of, verdict in _rows_at(key, o) if verdict is Verdict.CORRECT]
        if len(right) > len(own) and not any(of in right for o in own for of, _ in _rows_at(key, o)):
            yield key


def _join_raised(faults: dict[Key, Fault]) -> None:
    """A line that is wrong on some inputs and raises on others is one fault."""
    for key, fault in list(faults.items()):
        if key[0] != "raised":
            continue
        judged = next((k for k in faults if k[0] != "raised" and k[:2] == key[1:]), None)
        if judged is not None:
            assert fault.outcome.raised is not None
            faults[judged].raises = fault
            del faults[key]


def _cause_elsewhere(key: Key, faults: dict[Key, Fault], outcomes: Sequence[Outcome]) -> Key | None:
    """The fault that explains what is seen at another line. That is right in other cases, and wrong only where the faulty
    line is not: there, two lines explain the same numbers. Or it inherits the fault in other cases, and where it does
    not, the faulty line is a stage that is not judged; or it inherits it in most, and the rest say nothing: zeros."""
    own, rest = _split(key, outcomes)
    is_right_elsewhere = any(Verdict.CORRECT in _verdicts(key, outcome) for outcome in rest)
    for other in faults:
        wrong_there, _ = _split(other, rest)
        if other == key or not wrong_there:
            continue
        inherits = all(Verdict.INHERITED in _verdicts(key, outcome) for outcome in wrong_there)
        beside = [outcome for outcome in own if other in outcome.faults]
        if beside == own and inherits and len(wrong_there) > len(own):
            return other
        if beside:
            continue
        if is_right_elsewhere and all(Verdict.INHERITED in _verdicts(other, outcome) for outcome in own):
            return other
        unseen = not any(_verdicts(other, outcome) for outcome in own)
        if unseen and inherits:
            return other
    return None


def _split(key: Key, outcomes: Sequence[Outcome]) -> tuple[list[Outcome], list[Outcome]]:
    """Those with this fault, and those without."""
    return [o for o in outcomes if key in o.faults], [o for o in outcomes if key not in o.faults]


def _verdicts(key: Key, outcome: Outcome) -> set[Verdict]:
    """Of what is judged at the line of a fault."""
    return {verdict for _, verdict in _rows_at(key, outcome)}


def _rows_at(key: Key, outcome: Outcome) -> list[tuple[str | None, Verdict]]:
    rows = outcome.report.rows if outcome.report is not None else []
    return [(row.of, row.verdict) for row in rows if (row.location.file, str(row.location.line)) == key[:2]]


def moved_to(fixed: Outcome, before: Outcome, finding: Finding) -> Key | None:
    """The line to which the search for a fix has traced what the finding was about, alone or with others."""
    moved = {
        key: found for key, found in fixed.faults.items() if key not in before.faults and found is not None
    }
    of = finding.evidence.get("gradient")
    same = [key for key, found in moved.items() if found.evidence.get("gradient") == of]
    return next(iter(same or (moved if len(moved) == 1 else ())), None)


def add_failure(failures: list[Failure], failure: Failure) -> None:
    """Several lines may have one cause."""
    for known in failures:
        if failure.report and known.report and failure.report.findings and known.report.findings:
            one, other = failure.report.findings[0], known.report.findings[0]
            if one.fix is not None and (one.location, one.fix) == (other.location, other.fix):
                known.cases = list(dict.fromkeys([*known.cases, *failure.cases]))
                return
    failures.append(failure)
