"""An op that the program never made is put on the tape: what the tape says of moments moves with it."""

from dataclasses import replace
from typing import Any

from gradcheck.fronts.op import Kind, Op, Value
from gradcheck.fronts.tape import Recording


def number_op(at: int, function: Any, args: tuple[Any, ...], source: Op) -> Op:
    """One whose result is a number, at the place in the source of `source`."""
    op = Op(at, function, Kind.PURE, args, None, source.code, source.lasti)
    op.scope, op.out = source.scope, Value(op, at, ())
    return op


def insert(recording: Recording, added: list[Op]) -> None:
    """Puts each op where its `index` says, as the tape was before."""
    for op in sorted(added, key=lambda op: -op.index):
        _shift(recording, op.index, 1)
        recording.ops.insert(op.index, op)


def take_out(recording: Recording, added: list[Op]) -> None:
    """The tape is as it was before they were inserted."""
    for op in added:
        del recording.ops[op.index]
        _shift(recording, op.index, -1)


def _shift(recording: Recording, at: int, by: int) -> None:
    """The ops from `at` on, and all that happened after that moment, are `by` places later."""
    met: set[Value] = set()
    for later in recording.ops[at:]:
        later.index += by
        met.update(later.inputs)
        met.update(later.outputs)
    for value in met:
        value.birth += by * (value.birth > at)
    for binding in recording.bindings:
        binding.when += by * (binding.when > at)
    for plain in recording.plain:
        plain.when += by * (plain.when > at)
    recording.marks[:] = [replace(m, when=m.when + by * (m.when > at)) for m in recording.marks]
    recording.nones[:] = [
        (name, code, line, when + by * (when > at), number)
        for name, code, line, when, number in recording.nones
    ]
    for run in recording.loop_runs:
        run.begin += by * (run.begin > at)
        run.iterations[:] = [when + by * (when > at) for when in run.iterations]
        run.end = run.end if run.end is None else run.end + by * (run.end > at)
    cut = recording.aftermath_cut
    if cut is not None and cut.ops >= at:
        recording.aftermath_cut = replace(cut, ops=cut.ops + by)
