"""Which line of a gradient that is built over several lines wrote what is wrong in it."""

from collections.abc import Iterator

import torch

from gradcheck.judge.case import Case
from gradcheck.judge.judged import Judged
from gradcheck.judge.verdicts.weight_decay import adds_decay
from gradcheck.ops import Family
from gradcheck.replay.compare import MOST_TERMS, is_multiple, summing_to
from gradcheck.replay.passes import Version

_WRONG_SHARE = 1e-6  # of the largest expected magnitude: an element that differs by more is wrong


def written_at(case: Case, judged: Judged) -> Version | None:
    """The stage at fault, if it is another than the last one."""
    expected, found = judged.expected, case.found
    if expected is None or expected.shape != found.shape:
        return None
    wrong = (found - expected).abs() > _WRONG_SHARE * expected.abs().max()
    if not bool(wrong.any()):
        return None
    right = ~wrong & (expected != 0)
    written = _first_write_of(case, wrong) if bool(right.any()) else None
    return written or _wrong_term(case, judged) or _since_when(case, judged, wrong)


def _first_write_of(case: Case, wrong: torch.Tensor) -> Version | None:
    """Where parts of it were written by position, and all of what is wrong is in such parts: the first line that wrote
    any of it. What happens to all elements alike afterwards made none of them wrong alone."""
    claimed, first = torch.zeros_like(wrong), None
    for version, earlier in _stages(case):
        op, before, after = version.writes[-1], case.judge.captured(earlier), case.judge.captured(version)
        if before is None or after is None or not before.shape == after.shape == wrong.shape:
            break
        if op.operation.family is Family.SCATTER:
            changed = (before != after) & ~claimed
            claimed |= changed
            first = version if bool((wrong & changed).any()) else first
        elif not op.operation.is_elementwise:
            break
    return first if not bool((wrong & ~claimed).any()) else None


def _wrong_term(case: Case, judged: Judged) -> Version | None:
    """Built as a sum over several lines (`dh = a; dh += b`): the one line whose term is none, where what every other line
    adds comes back on ways of its own from what reads the value."""
    terms: list[tuple[Version, torch.Tensor]] = []
    for version, earlier in _stages(case):
        before, after = case.judge.captured(earlier), case.judge.captured(version)
        if before is None or after is None or not before.shape == after.shape == case.found.shape:
            return None
        terms.append((version, after - before))
        first = earlier, before
    if judged.of is None or len(terms) < 2:
        return None
    ways = [way for way in case.judge.ways_back(judged.of, case.faults) if way.shape == case.found.shape]
    if not 0 < len(ways) <= MOST_TERMS:
        return None
    unknown: list[Version] = []
    for version, term in (*terms, first):
        places = summing_to(term, ways, case.tolerance)
        if places is None:
            unknown.append(version)
        ways = [way for place, way in enumerate(ways) if place not in (places or ())]
    return unknown[0] if len(unknown) == 1 else None


def _stages(case: Case) -> Iterator[tuple[Version, Version]]:
    """Each stage and the one before it, the last first; also of what has its name before (`d = d * up`)."""
    version = case.version
    while version.writes:
        versions = version.candidate.versions
        position = versions.index(version)
        if position > 0:
            earlier = versions[position - 1]
        else:
            found = _before(case, version)
            if found is None:
                return
            earlier = found
        yield version, earlier
        version = earlier


def _before(case: Case, version: Version) -> Version | None:
    """The last stage of what had one of its names until it was computed from it."""
    names = {(b.variable, b.scope) for b in version.candidate.bindings}
    read = {value.root for value in version.writes[-1].inputs}
    found = [
        candidate.versions[-1]
        for candidate in case.judge.plan.candidates
        if candidate.value.root in read and any((b.variable, b.scope) in names for b in candidate.bindings)
    ]
    earlier = [last for last in found if last.after < version.after]
    return max(earlier, key=lambda last: last.after, default=None)


def _since_when(case: Case, judged: Judged, wrong: torch.Tensor) -> Version | None:
    """Built over several lines: the first stage from which on the elements that are wrong stay as they are; not one that
    was the gradient of another value, and should have been changed."""
    expected, found = judged.expected, case.found
    assert expected is not None
    versions, since = case.candidate.versions, None
    later, now = case.version, found

    def is_decayed(whole: torch.Tensor, stage: torch.Tensor) -> bool:
        return judged.of is not None and adds_decay(whole, stage, judged.of, case.judge.run)

    for earlier in reversed(versions[: versions.index(case.version)]):
        stage = case.judge.captured(earlier)
        if stage is None or stage.shape != found.shape or _is_blank(earlier):
            break
        rescaled = case.judge.relations.only_rescales(later, earlier) and not is_multiple(stage, expected)
        decayed = is_decayed(now, stage) and not is_decayed(expected, stage)
        if not (rescaled or decayed or torch.equal(stage[wrong], now[wrong])):
            break
        if case.fingerprints.equals(stage, case.tolerance):
            break
        since, later, now = earlier, earlier, stage
    return since


def _is_blank(version: Version) -> bool:
    """Whether it is what nothing has been written to yet: what is missing in it, a later line leaves out."""
    return version.writes[-1].operation.family is Family.CONSTANT if version.writes else True
