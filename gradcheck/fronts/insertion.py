"""An op that the program never made is put on the tape: what the tape says of moments moves with it."""

from __future__ import annotations

from dataclasses import replace

from gradcheck.fronts.op import Op, Value
from gradcheck.fronts.tape import Recording


def insert(recording: Recording, added: list[Op]) -> None:
    """Puts each op where its `index` says, as the tape was before."""
    for op in sorted(added, key=lambda op: -op.index):
        _insert(recording, op)


def _insert(recording: Recording, op: Op) -> None:
    at, ops = op.index, recording.ops
    met: set[Value] = set()
    for later in ops[at:]:
        later.index += 1
        met.update(later.inputs)
        met.update(later.outputs)
    ops.insert(at, op)
    for value in met:
        value.birth += value.birth > at
    for binding in recording.bindings:
        binding.when += binding.when > at
    for plain in recording.plain:
        plain.when += plain.when > at
    recording.marks[:] = [replace(m, when=m.when + (m.when > at)) for m in recording.marks]
    recording.nones[:] = [
        (name, code, line, when + (when > at)) for name, code, line, when in recording.nones
    ]
    for run in recording.loop_runs:
        run.begin += run.begin > at
        run.iterations[:] = [when + (when > at) for when in run.iterations]
        run.end = run.end if run.end is None else run.end + (run.end > at)
    cut = recording.aftermath_cut
    if cut is not None and cut.ops >= at:
        recording.aftermath_cut = replace(cut, ops=cut.ops + 1)
