"""Where the gradients of one step went: skipped ones, lines that read another gradient than they should, updates."""

from collections.abc import Collection

from gradcheck.judge.judge import Judge
from gradcheck.judge.judged import Judged
from gradcheck.judge.lines import line_of
from gradcheck.judge.step.minimised import is_minimised
from gradcheck.judge.step.records import Bypass, SkippedGradient, StepFlow
from gradcheck.judge.step.trails import Flow
from gradcheck.judge.step.updates import parameter_updates
from gradcheck.judge.step.wrong_reads import Why, WrongRead, find_wrong_reads
from gradcheck.program.location import Location


def follow_step(judge: Judge) -> StepFlow:
    """The evidence of the rules about dataflow. A line that reads a gradient too early or too late gets a note that
    says so."""
    flow = Flow(judge)
    words = _Words(judge)
    wrong_reads = find_wrong_reads(judge, flow)
    skipped = words.skipped([m for m in wrong_reads if m.why is Why.SKIPPED], flow)
    # One line that goes past a gradient is a wrong line; several have a layer in common that all of them leave out.
    layers = [one for one in skipped if len({bypass.location for bypass in one.bypassed_by}) > 1]
    told = {one.location for one in layers}
    for wrong_read in wrong_reads:
        note = words.note(wrong_read, told)
        if note is not None:
            wrong_read.wrong.notes.append(note)
    return StepFlow(
        skipped=layers, updates=parameter_updates(judge, flow), minimised=is_minimised(judge.plan)
    )


class _Words:
    def __init__(self, judge: Judge) -> None:
        self._names = judge.names
        self._places = judge.places

    def skipped(self, wrong_reads: list[WrongRead], flow: Flow) -> list[SkippedGradient]:
        by_gradient: dict[int, list[WrongRead]] = {}
        for wrong_read in wrong_reads:
            by_gradient.setdefault(id(wrong_read.meant), []).append(wrong_read)
        return [
            SkippedGradient(
                name=group[0].meant.candidate.name,
                of=self._of(group[0].meant),
                location=line_of(group[0].meant.version, self._places),
                bypassed_by=tuple(
                    Bypass(
                        name=m.wrong.candidate.name,
                        of=self._of(m.wrong),
                        location=line_of(m.wrong.version, self._places),
                        reads=m.read.candidate.name,
                        reads_of=self._of(flow.judged.get(m.read)),
                    )
                    for m in group
                ),
            )
            for group in by_gradient.values()
        ]

    def note(self, wrong_read: WrongRead, told: Collection[Location]) -> str | None:
        """Why it is wrong to read that variable at that time. `told`: gradients of which it is said anyway that they are
        skipped."""
        read, meant = wrong_read.read.candidate.name, wrong_read.meant
        seen_from = line_of(wrong_read.wrong.version, self._places)
        place = line_of(meant.version, self._places)
        line = _line(place, seen_from)
        if wrong_read.why is Why.SKIPPED and place not in told:
            return (
                f"it reads `{read}` as the gradient of `{self._of(meant)}`; that is `{meant.candidate.name}` ({line}), which "
                "nothing reads"
            )
        if wrong_read.why is Why.UNFINISHED:
            return (
                f"it reads `{read}` before {line} adds the rest of it; for what `{read}` holds at that point, this line "
                "is right"
            )
        if wrong_read.why is Why.STALE:
            made = _line(line_of(wrong_read.read, self._places), seen_from)
            return (
                f"`{read}` is still what {made} made of it; {line} assigns it again only afterwards, and with that value "
                "this line would be right"
            )
        return None  # which gradient it should have read, the diagnosis says

    def _of(self, judged: Judged | None) -> str | None:
        if judged is None or judged.of is None:
            return None
        return self._names.shown_for(judged.of, judged.candidate.name)


def _line(location: Location, seen_from: Location) -> str:
    """`line 24`, `cell 3 line 24`, `this line`."""
    if (location.file, location.cell, location.line) == (seen_from.file, seen_from.cell, seen_from.line):
        return "this very line"
    file = f"{location.file} " if location.file != seen_from.file else ""
    cell = f"cell {location.cell} " if location.cell is not None and location.cell != seen_from.cell else ""
    return f"{file}{cell}line {location.line}"
