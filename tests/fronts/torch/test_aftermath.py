"""What a program does after its training is recorded for a while, and what it draws can be told apart by sequence."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from gradcheck.fronts import control
from gradcheck.fronts.loop_runs import ENDLESS_DRAWS
from gradcheck.judge.judgement import judge_recording
from gradcheck.program.observer import LoopEnd
from gradcheck.program.outcome import Ending
from gradcheck.program.program import load
from gradcheck.program.runner import run as run_program
from gradcheck.program.target import parse_target
from tests.fronts.torch.sequences import drawn_sequences
from tests.fronts.torch.test_rest_of_run import TRAINING
from tests.program.conftest import notebook_json
from tests.support import NamespaceRecorder, record_source

# The distribution depends on how many draws there were, so that every sequence ends; `letters` is what it drew.
SAMPLER = """
g = torch.Generator().manual_seed(3)
all_letters = []
def pick(letters):
    probs = torch.softmax((X[:1] @ W).repeat(1, 4) + torch.randn(1, 4, generator=g), 1)
    if len(letters) > 3: probs = torch.tensor([[1.0, 0.0, 0.0, 0.0]])
    for layer in range(2):
        probs = probs * 1.0
    return torch.multinomial(probs, num_samples=1, generator=g).item()
"""
LOOPS = {
    "while True": (
        "for _ in range(9):\n    letters = []\n    while True:\n        ix = pick(letters)\n        letters.append(ix)\n"
        "        if ix == 0: break\n    all_letters.append(letters)",
        LoopEnd.BROKEN,
    ),
    "while with a condition": (
        "for _ in range(9):\n    letters, ix = [], 1\n    while ix != 0:\n        ix = pick(letters)\n"
        "        letters.append(ix)\n    all_letters.append(letters)",
        LoopEnd.CONDITION,
    ),
    "for": (
        "for _ in range(9):\n    letters = []\n    for t in range(4):\n        ix = pick(letters)\n        letters.append(ix)\n"
        "    all_letters.append(letters)",
        LoopEnd.EXHAUSTED,
    ),
    "a function, from a comprehension": (
        "def name():\n    letters = []\n    while True:\n        ix = pick(letters)\n        letters.append(ix)\n"
        "        if not ix:\n            return letters\nall_letters = [name() for _ in range(9)]",
        LoopEnd.BROKEN,
    ),
    "Categorical": (
        "from torch.distributions import Categorical\nfor _ in range(9):\n    letters = []\n    while True:\n"
        "        logits = torch.zeros(4) if len(letters) < 3 else torch.tensor([9e9, 0, 0, 0])\n"
        "        ix = Categorical(logits=logits).sample().item()\n        letters.append(ix)\n"
        "        if ix == 0: break\n    all_letters.append(letters)",
        LoopEnd.BROKEN,
    ),
    "after a long sleep": (
        "for _ in range(9):\n    for i in range(9_000):\n        i += 1\n    letters = []\n    while True:\n"
        "        ix = pick(letters)\n        letters.append(ix)\n        if ix == 0: break\n    all_letters.append(letters)",
        LoopEnd.BROKEN,
    ),
}


@pytest.mark.parametrize("name", LOOPS)
def test_draws_are_grouped_by_the_run_of_their_loop(name):
    text, how = LOOPS[name]
    run = record_source(f"{TRAINING}{SAMPLER}{text}\n")
    sequences = drawn_sequences(run.recording)
    letters = [[int(op.out.data.reshape(-1)[0]) for op in sequence.draws] for sequence in sequences]
    assert letters == run.names["all_letters"]
    assert len(letters) == 9
    assert {sequence.run.how for sequence in sequences} == {how}
    assert len({sequence.run.site.line for sequence in sequences}) == 1
    assert len({sequence.run.activation for sequence in sequences}) == 9
    assert not run.lines_left()[1:]
    parents = {sequence.run.parent and sequence.run.parent.activation for sequence in sequences}
    assert len(parents) == 1
    assert (parents == {None}) == ("comprehension" in name)
    for sequence in sequences:
        assert sequence.run.turns == len(sequence.draws)
        if sequence.run.whole:
            assert [len(draws) for draws in sequence.by_iteration()] == [1] * len(sequence.draws)


def test_the_aftermath_can_be_replayed_alone():
    run = record_source(f"{TRAINING}before = W.clone()\ntotal = ((X @ W + b - Y) ** 2).mean()\nW.zero_()\n")
    recording = run.recording
    (mark,) = [mark for mark in recording.marks if mark.what == "aftermath"]
    assert (mark.when, mark.number) == (recording.aftermath, 0)
    matmul = next(op for op in recording.aftermath_ops if op.name == "matmul")
    data, weights = matmul.inputs
    assert weights.data.equal(run.names["before"])  # as it was, although it was zeroed afterwards
    step = recording.before_aftermath().ops
    assert weights.earlier in {value for op in step for value in (*op.inputs, *op.outputs)}
    assert data.earlier in {value for op in step for value in op.inputs}
    known = {value for op in recording.aftermath_ops for value in (*op.inputs, *op.outputs)}
    assert not known & {value for op in step for value in (*op.inputs, *op.outputs)}
    assert "W" in [b.name for b in recording.bindings if b.value is weights]
    assert "total" in [b.name for b in recording.bindings]
    assert recording.earlier_value_of(run.names["X"]) is data.earlier


def test_a_loss_in_the_aftermath_is_no_backward_pass():
    training_alone = record_source(TRAINING)
    evaluated = record_source(
        f"{TRAINING}loss = ((X @ W + b - Y) ** 2).mean()\nfor i in range(3): x = X @ W\n"
    )
    told = [
        [(row.name, row.of, row.verdict, row.total_error) for p in judgement.results for row in p.gradients]
        for judgement in (
            judge_recording(r.recording, r.program.sources) for r in (training_alone, evaluated)
        )
    ]
    assert told[0] == told[1] != []


def test_passes_after_the_training_are_judged():
    run = record_source(
        f"{TRAINING}for i in range(3): x = torch.multinomial(torch.ones(3), 1)\nloss = ((X @ W - Y) ** 2).mean()\n"
        "dP = 2 * (X @ W - Y) / 16\ndV = X.T @ dP\n"
    )
    assert run.recording.aftermath_cut is None
    assert run.recording.aftermath is not None
    assert [len(s.draws) for s in drawn_sequences(run.recording)] == [3]
    results = judge_recording(run.recording, run.program.sources).results
    rows = [row for result in results for row in result.gradients]
    assert {"dP", "dV"} <= {row.name for row in rows}


def test_a_second_training_moves_the_aftermath():
    second = "for step in range(3_000):\n    dV = X.T @ (X @ W - Y)\n    W -= lr * dV\n    count += 1\n"
    run = record_source(f"{TRAINING}x = X @ W\n{second}y = X @ W\n")
    assert run.names["count"] == 2
    assert len([mark for mark in run.recording.marks if mark.what == "aftermath"]) == 1
    assert [op.name for op in run.recording.aftermath_ops] == ["matmul"]


def test_a_function_after_its_module_leaves_the_aftermath_of_the_module_behind():
    step = "    global W\n    dW = X.T @ (X @ W - Y)\n    W = W - lr * dW\n    return W.sum()\n"
    text = f"{TRAINING}x = X @ W\ndef again():\n{step}"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "module_then_function.py")
        path.write_text(text)
        program = load(parse_target(f"{path}::again"))
        recorder = NamespaceRecorder(program.sources)
        run_program(program, recorder)
    assert recorder.recording.aftermath is None
    (end,) = {mark.when for mark in recorder.recording.marks if mark.what == "step-end"}
    assert [op.name for op in recorder.recording.ops[end:]].count("matmul") == 2
    assert set(recorder.recording.final_namespace) >= {"X", "Y", "W", "alias"}


ENDLESS = """
    letters = []
    while True:
        ix = torch.multinomial(torch.tensor([0.0, 1.0, 1.0]), 1, generator=g).item()
        letters.append(ix)
        if ix == 0: break
"""
GENERATOR = "g = torch.Generator().manual_seed(1)\n"


@pytest.mark.parametrize("most_ops", [5, 12_000])
def test_a_sampler_without_an_end_is_left(most_ops, monkeypatch):
    monkeypatch.setattr(control, "AFTERMATH_OPS", most_ops)
    loop = f"names = 0\nfor _ in range(20):{ENDLESS}    names += 1\nafter = True\n"
    run = record_source(f"{TRAINING}{GENERATOR}{loop}")
    assert run.outcome.ended is Ending.COMPLETED
    assert run.names["after"]
    assert run.names["names"] == 3
    assert ENDLESS_DRAWS <= len(run.names["letters"]) <= ENDLESS_DRAWS + 2
    assert len(run.recording.notes) == 4
    assert all("was left after" in note for note in run.recording.notes)
    assert len(run.recording.aftermath_ops) == most_ops
    if most_ops > 5:
        assert drawn_sequences(run.recording)[0].run.how is LoopEnd.LEFT


def test_samplers_without_an_end_from_a_comprehension():
    name = f"def name():{ENDLESS}    return letters\n"
    run = record_source(f"{TRAINING}{GENERATOR}{name}all_letters = [name() for _ in range(9)]\n")
    lengths = [len(letters) for letters in run.names["all_letters"]]
    assert min(lengths[:3]) >= ENDLESS_DRAWS
    assert max(lengths[3:]) < ENDLESS_DRAWS / 10


BOUNDED = {
    "a condition that counts": "while len(letters) < 3_000:\n    letters.append(torch.multinomial(p, 1).item())",
    "a break that counts": (
        "while True:\n    letters.append(torch.multinomial(p, 1).item())\n    if len(letters) >= 3_000: break"
    ),
    "a for loop": "for t in range(3_000):\n    letters.append(torch.multinomial(p, 1).item())",
    "two draws in an iteration": (
        "while len(letters) != 3_000:\n    letters.append(torch.multinomial(p, 1).item())\n    q = torch.multinomial(p, 1)"
    ),
    "no draw in the first iteration": (
        "while len(letters) != 3_000:\n    letters.append(torch.multinomial(p, 1).item() if letters else 0)"
    ),
    "no draws": "while len(letters) != 3_000:\n    letters.append((p * 2)[0])",
}


@pytest.mark.parametrize("name", BOUNDED)
def test_other_long_loops_run_to_their_end(name):
    run = record_source(f"{TRAINING}p, letters = torch.ones(3), []\nx = p + 1\n{BOUNDED[name]}\n")
    assert len(run.names["letters"]) == 3_000
    assert not run.recording.notes


def test_long_sequences_before_the_training_ends_are_left_alone():
    sampling = "while len(letters) != 3_000:\n    letters.append(torch.multinomial(p, 1))\n"
    run = record_source(f"import torch\np, letters = torch.ones(3), []\n{sampling}{TRAINING}")
    assert len(run.names["letters"]) == 3_000
    assert not run.recording.loop_runs


def test_loops_around_the_training_are_left_after_long_work_without_tensors():
    body = "".join(f"    {line}\n" for line in TRAINING.split("for step in")[1].splitlines()[1:] if line)
    run = record_source(
        f"{TRAINING.split('for step in')[0]}epochs = 0\nfor epoch in range(50):\n    for step in range(40):\n{body}"
        "    epochs += 1\n    for i in range(9_000):\n        i += 1\nafter = X @ W\n"
    )
    assert (run.names["epochs"], run.names["count"]) == (1, 1)
    assert run.recording.aftermath is not None


def test_what_was_sampled_is_not_kept_alive_and_the_budget_is_one_of_bytes_too(monkeypatch):
    monkeypatch.setattr(control, "AFTERMATH_BYTES", 1 << 20)
    run = record_source(
        f"{TRAINING}import numpy as np\ntotal = 0.0\nfor i in range(100):\n"
        "    read = bytearray(np.ones(100_000, dtype=np.float32).tobytes())\n"
        "    batch = torch.frombuffer(read, dtype=torch.float32)\n    total += batch.mean().item()\n"
        "kept = 1\n"
    )
    held = {v for op in run.recording.aftermath_ops for v in op.inputs if v.data is not None}
    assert 1 << 20 < sum(v.data.nbytes for v in held) < 3 << 20
    assert run.names["total"] == pytest.approx(100)


def test_the_final_namespace():
    run = record_source(
        f"{TRAINING}words, name, table, number = ['emma', 'ava'], 'emma', {{'a': 1}}, 4\nnames = tuple(words)\nshown = X[:2]\n"
    )
    held = run.recording.final_namespace
    assert held["words"] is run.names["words"]
    assert held["shown"] is run.names["shown"]
    assert (held["name"], held["table"], held["names"]) == ("emma", {"a": 1}, ("emma", "ava"))
    assert not held.keys() & {"number", "torch", "Layer", "__builtins__"}


def test_the_final_namespace_of_a_notebook_keeps_nothing_alive_before_the_end():
    cells = [
        TRAINING,
        "import weakref\nbig = torch.ones(9)\nalive = weakref.ref(big)",
        "del big\ngone = [alive() is None]",
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "program.ipynb")
        path.write_text(notebook_json(cells))
        program = load(parse_target(str(path)))
        recorder = NamespaceRecorder(program.sources)
        run_program(program, recorder)
    assert recorder.recording.final_namespace["gone"] == [True]


def test_names_of_a_loop_that_repeats_are_followed_at_first_only():
    run = record_source(f"{TRAINING}for i in range(900):\n    y = X @ W\n    z = y + i\nlast = X.sum()\n")
    assert 8 <= len(run.bound("z")) < 200
    assert run.bound("last")
    assert len(run.recording.aftermath_ops) == 1_801
