"""One report with all that it rests on: the recording and the judges, which `run_report` itself lets go."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from gradcheck import session
from gradcheck.options import SessionOptions
from gradcheck.program.source import SourceMap
from gradcheck.recording.recorder import Recorder
from gradcheck.recording.tape import Recording
from gradcheck.replay import report_gradients
from gradcheck.replay.judge import Judge
from gradcheck.replay.places import Places


@dataclass
class Observed:
    report: dict[str, Any] = field(default_factory=dict)
    recorders: list[Recorder] = field(default_factory=list)
    sources: SourceMap = field(default_factory=SourceMap)
    places: Places | None = None
    judges: dict[int, Judge] = field(
        default_factory=dict
    )  # by pass; of several for one, the one with most right

    @property
    def recording(self) -> Recording:
        return self.recorders[0].recording


def observe(observed: Observed, options: SessionOptions) -> None:
    """Fills `observed` bit by bit, so that what there was before an exception is there."""
    with _watched(observed):
        observed.report = session.run_report(options).to_dict()


@contextmanager
def _watched(observed: Observed) -> Iterator[None]:
    rows_of = report_gradients.rows_of

    class KeptRecorder(Recorder):
        def __init__(self, sources: SourceMap, *more: Any, **options: Any) -> None:
            super().__init__(sources, *more, **options)
            observed.recorders.append(self)
            observed.sources = sources

    def kept_rows(judge: Judge, names: Any, places: Places, index: int, *more: Any) -> Any:
        observed.places = places
        before = observed.judges.get(index)
        if before is None or _right(judge) > _right(before):
            observed.judges[index] = judge
        return rows_of(judge, names, places, index, *more)

    saved = session.Recorder
    session.Recorder, report_gradients.rows_of = KeptRecorder, kept_rows  # type: ignore[misc]
    try:
        yield
    finally:
        session.Recorder, report_gradients.rows_of = saved, rows_of  # type: ignore[misc]


def _right(judge: Judge) -> int:
    return sum(judged.verdict in ("correct", "unobservable") for judged in judge.judged)
