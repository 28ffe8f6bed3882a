"""Finding passes: what it finds does not depend on how it is looked up, and its cost grows with the tape alone."""

from __future__ import annotations

import cProfile
import random

import pytest

from benchmarks.generated import long_program
from gradcheck.recording.tape import Kind
from gradcheck.recording.updates import UpdateFinder
from gradcheck.replay.find_passes import find_passes
from gradcheck.replay.names import NameIndex
from gradcheck.replay.places import Places
from gradcheck.replay.slices import Slicer
from tests.support import ROOT, record_source

PROGRAMS = [
    "inline_two_layer_atomic", "unnamed_updates", "rnn_unrolled", "residual_accumulated", "microbatch_accumulate",
    "classes_filled_in_place", "embedding_index_add", "scalars_decay_fit",
]  # fmt: skip


def recorded(name):
    return record_source((ROOT / "tests/programs" / f"{name}.py").read_text())


def slice_by_scanning(ops, wanted, start, stop):
    """Every op from the last to the first: the plain meaning of a slice."""
    needed, chosen = {value.root for value in wanted}, []
    for op in reversed(ops[start:stop]):
        if op.kind in (Kind.ESCAPE, Kind.BACKWARD, Kind.GRAD_WRITE):
            continue
        if any(v.root in needed for v in (*op.outputs, *op.mutated)):
            chosen.append(op)
            needed -= {v for v in op.outputs if v.root is v and v.producer is op}
            if op.kind is not Kind.RANDOM:
                needed |= {v.root for v in op.inputs}
    return chosen[::-1]


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_slice_holds_what_a_scan_of_the_whole_tape_finds(name):
    ops = recorded(name).ops
    slicer = Slicer(ops)
    choose = random.Random(name)
    values = [value for op in ops for value in op.outputs]
    for _ in range(60):
        wanted = choose.sample(values, 2)
        start, stop = sorted(choose.choices(range(len(ops) + 1), k=2))
        assert slicer.slice(wanted, start, stop) == slice_by_scanning(ops, wanted, start, stop)


@pytest.mark.parametrize("name", PROGRAMS)
def test_updates_in_a_window_are_those_that_a_search_from_its_start_finds(name):
    recording = recorded(name).recording
    whole = UpdateFinder(recording)
    found = 0
    for start in range(len(recording.ops)):
        in_window = whole.between(start)
        assert in_window == UpdateFinder(recording, start).between(start)
        assert all(whole.is_update(update.op, start) for update in in_window)
        found += len(in_window)
    if name in ("unnamed_updates", "microbatch_accumulate", "scalars_decay_fit"):
        assert found


def calls_to_find(passes, updates):
    run = record_source(long_program(passes, updates=updates))
    names = NameIndex(run.recording, Places(run.program.sources))
    profile = cProfile.Profile()
    profile.enable()
    found = find_passes(run.recording, names, None)
    profile.disable()
    assert len(found) == passes
    return sum(entry.callcount for entry in profile.getstats())


@pytest.mark.parametrize("updates", [False, True])
def test_the_cost_is_linear_in_the_length_of_the_program(updates):
    short, long = calls_to_find(6, updates), calls_to_find(24, updates)
    assert long < 5 * short
