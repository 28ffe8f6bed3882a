"""A NumPy program does the same whether it is recorded or not: values, types, random numbers, prints."""

import runpy
from pathlib import Path

import numpy as np
import pytest
import torch

from gradcheck.fronts.recorder import Recorder
from gradcheck.program.program import load
from gradcheck.program.runner import run
from gradcheck.program.target import parse_target
from tests.support import torch_settings_kept

PROGRAMS = sorted((Path(__file__).parent / "programs").glob("*.py"))
ENDS = "\nthe_next_number = np.random.rand()\n"


def same(one, other):
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, torch.Tensor):
        return (
            type(one) is type(other) and one.requires_grad == other.requires_grad and torch.equal(one, other)
        )
    if isinstance(one, (np.ndarray, np.generic, int, float, str)):
        return type(one) is type(other) and np.array_equal(one, other)
    return True


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_a_recorded_program_ends_as_it_would(tmp_path, capfd, path):
    program = tmp_path / "program.py"
    program.write_text("import numpy as np\nnp.random.seed(0)\n" + path.read_text() + ENDS)
    with torch_settings_kept():
        bare = runpy.run_path(str(program))
    printed = capfd.readouterr().out
    loaded = load(parse_target(str(program)))
    recorder = Recorder(loaded.sources, (10_000,))  # no such step: the whole program runs
    with torch_settings_kept():
        outcome = run(loaded, recorder)
    assert not outcome.faults
    assert not any("inside gradcheck" in note for note in recorder.recording.notes)
    assert capfd.readouterr().out == printed
    ended = recorder.recording.final_namespace
    assert {name for name in ended if isinstance(ended[name], np.ndarray)} <= bare.keys()
    assert all(same(bare[name], ended[name]) for name in ended if name in bare)
