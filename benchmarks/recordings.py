"""Recordings of programs, made in this process."""

from __future__ import annotations

import contextlib
import io
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import torch

from gradcheck.fronts.places import Places
from gradcheck.fronts.recorder import Recorder
from gradcheck.fronts.tape import Recording, Value
from gradcheck.judge.judgement import judge_recording
from gradcheck.judge.pairing.find_passes import find_passes
from gradcheck.judge.pairing.names import NameIndex
from gradcheck.judge.verdict import Verdict
from gradcheck.program.program import load
from gradcheck.program.runner import run
from gradcheck.program.source import SourceMap
from gradcheck.program.target import parse_target


@dataclass(frozen=True, slots=True)
class Recorded:
    recording: Recording
    sources: SourceMap

    def verdicts(self) -> Counter[Verdict]:
        """Judges every manual gradient: what is timed."""
        return Counter(
            row.verdict
            for result in judge_recording(self.recording, self.sources).results
            for row in result.gradients
        )

    def passes(self) -> int:
        """Finds the backward passes: what is timed."""
        names = NameIndex(self.recording, Places(self.sources))
        return len(find_passes(self.recording, names, None))

    def step_bytes(self) -> int:
        """The bytes of all tensors of the recorded training steps, in the program's own float32: parameters,
        forward values and gradients, each storage once. Whatever is larger than every result of the step (the
        data set a batch is drawn from) is not of the step."""
        marks = {mark.what: mark.when for mark in self.recording.marks}
        step = self.recording.ops[marks["step"] : marks["step-end"]]
        made = {value.root for op in step for value in op.outputs}
        largest = max(value_size(value) for value in made)
        read = {value.root for op in step for value in op.inputs if value_size(value.root) <= largest}
        return 4 * sum(value_size(value) for value in made | read)


def value_size(value: Value) -> int:
    return torch.Size(value.shape).numel()


def record(program: Path, cwd: Path | None = None) -> Recorded:
    """The recording of the program's first training iteration; what it prints is dropped."""
    loaded = load(parse_target(str(program)), str(cwd) if cwd else None)
    recorder = Recorder(loaded.sources)
    with contextlib.redirect_stdout(io.StringIO()):
        outcome = run(loaded, recorder)
    if outcome.faults:
        raise RuntimeError(f"{program}: {outcome.faults[0]}")
    return Recorded(recorder.recording, loaded.sources)
