"""Finding passes: what it finds does not depend on how it is looked up, and its cost grows with the tape alone."""

from __future__ import annotations

import cProfile
import random
import re
import textwrap

import pytest

from benchmarks.generated import long_program
from gradcheck.fronts.places import Places
from gradcheck.fronts.tape import Kind
from gradcheck.fronts.updates import UpdateFinder
from gradcheck.judge.pairing.find_passes import find_passes
from gradcheck.judge.pairing.names import NameIndex
from gradcheck.judge.verdict import Problem
from gradcheck.replay.slices import Slicer
from tests.support import ROOT, record_source, report_on_source

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


TWO_MODELS = """
import torch
torch.manual_seed(0)
class Layer:
    def __init__(self):
        self.W = torch.randn(3, 2)
        self.dW = torch.zeros(3, 2)
    def backward(self, dout):
        self.dW += x.T @ dout
first, second = Layer(), Layer()
x, y = torch.randn(8, 3), torch.randn(8, 2)
for model in (first,):
    for step in range(3):
        model.dW.zero_()
        loss = ((x @ model.W - y) ** 2).mean()
        model.backward(2 * (x @ model.W - y) / 16)
        model.W -= 0.1 * model.dW
for step in range(3):
    second.dW.zero_()
    loss = ((x @ second.W - y) ** 2).mean()
    second.backward(2 * (x @ second.W - y) / 16)
    second.W -= 0.1 * second.dW
"""


# Its buffers are cleared after the update, and not before the forward pass.
CLEARED_LAST = re.sub(r"( +)(\w+)\.dW\.zero_\(\)\n", "", TWO_MODELS)
CLEARED_LAST = re.sub(r"( +)(\w+)\.W -= .*\n", r"\g<0>\1\2.dW.zero_()\n", CLEARED_LAST)


@pytest.mark.parametrize("text", [TWO_MODELS, CLEARED_LAST], ids=["cleared first", "cleared last"])
def test_a_buffer_made_before_both_passes_is_a_gradient_of_the_one_that_fills_it(text):
    assert text.count("dW.zero_()") == 2
    report = report_on_source(text)
    rows = [row for judged in report.passes for row in judged.gradients if "dW" in row.name]
    found = [(row.pass_index, row.verdict.value) for row in rows]
    assert found == [(0, "correct"), (1, "correct")]


PLACEHOLDERS = """
import torch
W = torch.randn(4, 2)
x, y = torch.randn(8, 4), torch.randn(8, 2)
pred = x @ W
loss = ((pred - y) ** 2).mean()
dpred = 2 * (pred - y) / 16
loss_again = ((x @ W - y) ** 2).mean()
dpred = 2 * (pred - y) / 16
dW = None
"""


def test_a_placeholder_is_listed_under_the_last_loss_before_it():
    rows = [row for judged in report_on_source(PLACEHOLDERS).passes for row in judged.gradients]
    assert [row.pass_index for row in rows if row.problem is Problem.UNFINISHED] == [1]


@pytest.mark.parametrize("name", ["LossMSE", "BCELoss", "mse_loss", "CrossEntropy", "MSE"])
def test_a_number_that_a_function_named_for_a_loss_returns_is_a_loss(name):
    run = record_source(UNNAMED.format(name=name))
    index = NameIndex(run.recording, Places(run.program.sources))
    assert [plan.loss_name for plan in find_passes(run.recording, index, None)] == [name]


def test_a_part_of_what_a_loss_returns_is_no_loss():
    text = UNNAMED.format(name="LossMSE").replace(".pow(2).mean()", ".pow(2).sum() / 16")
    before, _, step = text.partition("pred = x @ W\n")
    step = f"pred = x @ W\n{step}W = W - 0.1 * dW"
    text = f"{before}for number in range(2):\n" + textwrap.indent(step, "    ")
    (judged,) = report_on_source(text).passes
    assert [row.verdict.value for row in judged.gradients] == ["correct", "correct"]
    wrong = report_on_source(text.replace("- y) / 16", "- y)"))
    assert wrong.passes[0].gradients[0].verdict.value == "introduced"


def test_a_number_that_another_function_returns_is_none():
    run = record_source(UNNAMED.format(name="Accuracy"))
    index = NameIndex(run.recording, Places(run.program.sources))
    assert not find_passes(run.recording, index, None)


UNNAMED = """
import torch
class {name}:
    def forward(self, pred, target):
        self.pred, self.target = pred, target
        return (pred - target).pow(2).mean()
x, y, W = torch.randn(8, 4), torch.randn(8, 2), torch.randn(4, 2)
pred = x @ W
criterion = {name}()
criterion.forward(pred, y)
dpred = 2 * (pred - y) / 16
dW = x.T @ dpred
"""
