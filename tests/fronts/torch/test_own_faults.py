"""An error inside the recorder never reaches the person's program: recording ends, and a note says so."""

from __future__ import annotations

import sys

import pytest
import torch

from gradcheck.fronts import bindings, follower, loop_runs, names, reach, steps
from gradcheck.fronts.torch import calls, entries, kinds, leaves, mode, values, writer
from gradcheck.program.outcome import Ending
from tests.support import record_source

PROGRAM = """
import numpy as np
import torch
def double(x):
    y = x * 2
    return y
torch.manual_seed(0)
x = torch.rand(3)
for i in range(4):
    x = double(x)
    x[0] += np.maximum(x, 1)[1]
total = x.sum().item()
"""


def broken(*args, **kwargs):
    raise KeyError("a fault of ours")


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (calls.Calls, "prepared"),
        (writer.Writer, "write"),
        (values.Values, "encode"),
        (values.Values, "before_change"),
        (leaves.Leaves, "keep"),
        (entries.EntryStates, "before_change"),
        (reach.Reach, "inside_loop"),
        (bindings.Bindings, "bound"),
        (bindings.Bindings, "name_namespace"),
        (names.NameTracer, "flush"),
        (follower.Follower, "called"),
        (mode, "kind_of"),
        (writer, "as_tensor"),
        (names.NameTracer, "_look"),
        (names.NameTracer, "_watch"),
        (names.NameTracer, "_note_parameters"),
        (steps.StepWatcher, "iteration_started"),
        (steps.StepWatcher, "iteration_finished"),
        (steps.StepWatcher, "unit_finished"),
    ],
    ids=lambda x: getattr(x, "__name__", x).rpartition(".")[2],
)
def test_the_program_runs_on(monkeypatch, owner, name):
    expected = record_source(PROGRAM).names["total"]
    monkeypatch.setattr(owner, name, broken)
    kinds.known_kinds.clear()  # or none would have to be classified
    run = record_source(PROGRAM)
    assert run.outcome.ended is Ending.COMPLETED
    assert run.names["total"] == expected
    (note,) = run.recording.notes
    assert "by an error inside gradcheck: KeyError: 'a fault of ours'" in note
    assert sys.gettrace() is None or "gradcheck" not in repr(sys.gettrace())


SAMPLES = """
import torch
torch.manual_seed(0)
X, W = torch.randn(8, 3), torch.randn(3, 3)
for step in range(10):
    dW = X.T @ (X @ W)
    W -= 0.01 * dW
total = 0
for i in range(5):
    while True:
        index = torch.multinomial(torch.softmax(X[i] @ W, 0), 1).item()
        total = 3 * total + index
        if index == 0: break
"""


@pytest.mark.parametrize("name", ["started", "finished", "ended", "drew"])
def test_the_program_samples_on(monkeypatch, name):
    expected = record_source(SAMPLES).names["total"]
    monkeypatch.setattr(loop_runs.LoopRuns, name, broken)
    run = record_source(SAMPLES)
    assert run.outcome.ended is Ending.COMPLETED
    assert run.names["total"] == expected
    assert "by an error inside gradcheck: KeyError: 'a fault of ours'" in run.recording.notes[0]


def test_errors_of_the_person_stay_theirs():
    run = record_source("""
        import torch
        caught = []
        for bad in (lambda: torch.ones(2) @ torch.ones(3), lambda: torch.ones(2).nothing, lambda: torch.ones(2)[5]):
            try:
                bad()
            except Exception as error:
                caught.append((type(error).__name__, error.__context__, error.__cause__))
        y = torch.ones(2) + 1
        """)
    assert run.names["caught"] == [(n, None, None) for n in ("RuntimeError", "AttributeError", "IndexError")]
    assert run.op_names()[-1] == "add"
    assert not run.recording.notes


def test_everything_is_put_back():
    before = torch.Tensor.__array_wrap__, sys.gettrace()
    record_source(PROGRAM)
    assert (torch.Tensor.__array_wrap__, sys.gettrace()) == before
    assert not torch._C._len_torch_function_stack()
