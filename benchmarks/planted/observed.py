"""One report with all that it rests on: the recording and the judges, which `run_report` itself lets go."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

from gradcheck.analysis import session
from gradcheck.base.options import SessionOptions
from gradcheck.fronts.places import Places
from gradcheck.fronts.tape import Recording
from gradcheck.judge.judge import Judge
from gradcheck.judge.judgement import judge_recording
from gradcheck.program.source import SourceMap


@dataclass
class Observed:
    """Filled bit by bit, so that what there was before an exception is there."""

    report: dict[str, Any] = field(default_factory=dict)
    recording: Recording = field(default_factory=Recording)
    sources: SourceMap = field(default_factory=SourceMap)
    places: Places | None = None
    judges: dict[int, Judge] = field(default_factory=dict)  # by pass


def observe(observed: Observed, options: SessionOptions) -> None:
    with _watched(observed):
        observed.report = session.run_report(options).to_dict()


@contextmanager
def _watched(observed: Observed) -> Iterator[None]:
    def watched(recording: Recording, sources: SourceMap, **options: Any) -> Any:
        observed.recording, observed.sources = recording, sources
        judgement = judge_recording(recording, sources, **options)
        observed.places = judgement.places
        observed.judges = {p.result.index: p.judge for p in judgement.passes if p.judge is not None}
        return judgement

    with patch.object(session, "judge_recording", watched):
        yield
