"""What the recorder cannot see ends in `unchecked`, with the reason: never in a pass, never in an accusation."""

from __future__ import annotations

import pytest
import torch

from gradcheck.analysis.session import run_report
from gradcheck.base.options import SessionOptions
from gradcheck.fronts.tape import Kind, Op, Value
from gradcheck.replay.fidelity import Fidelity
from gradcheck.replay.runner import Runner
from gradcheck.report.model import Report
from tests.support import report_on_source

PROGRAM = """\
import copy, ctypes, importlib, io, os, pickle, threading
{numpy}; import torch
torch.manual_seed(0)
inputs = torch.randn({rows}, 10{kind}); wanted = torch.randn({rows}, 1{kind})
first = torch.randn(10, 20{kind}) * 0.3; second = torch.randn(20, 1{kind}) * 0.3
{before}
for epoch in range(3):
    hidden = torch.tanh(inputs @ first)
    {in_forward}
    out = hidden @ second
    loss = ((out - wanted) ** 2).mean()
    {after_loss}
    d_out = 2 * (out - wanted) / len(wanted)
    d_second = hidden.T @ d_out
    d_hidden = d_out @ second.T
    {in_backward}
    d_first = inputs.T @ (d_hidden * (1 - hidden ** 2))
    {at_end}
    first -= 0.1 * d_first
    second -= 0.1 * d_second
"""
UNSEEN, SEEN = "np = importlib.import_module('numpy')", "import numpy as np"
AFTER_HIDDEN = ["d_second", "d_first"]
COMPILED = (
    r"torch.jit.CompilationUnit('def f(x):\n  return {}\n').f"  # what `jit.script` compiles is run as Python
)
IN_A_THREAD = "thread = threading.Thread(target=lambda: {}); thread.start(); thread.join()"

CHANGES = {
    "numpy": ("after_loss", "hidden.numpy()[:] *= 0.5", AFTER_HIDDEN),
    "one element": ("after_loss", "hidden.numpy()[3, 7] = 5", AFTER_HIDDEN),
    "copyto": ("after_loss", "np.copyto(hidden.numpy(), 0.25)", AFTER_HIDDEN),
    "ufunc with out": ("after_loss", "np.multiply(hidden.numpy(), 2, out=hidden.numpy())", AFTER_HIDDEN),
    "buffer": ("after_loss", "memoryview(hidden.numpy()).cast('B')[0:400] = bytes(400)", AFTER_HIDDEN),
    "storage fill": ("after_loss", "hidden.untyped_storage().fill_(0)", AFTER_HIDDEN),
    "storage copy": (
        "after_loss",
        "hidden.untyped_storage().copy_((hidden * 2).untyped_storage())",
        AFTER_HIDDEN,
    ),
    "C code": ("after_loss", "ctypes.memset(hidden.data_ptr(), 0, hidden.nbytes)", AFTER_HIDDEN),
    "thread": ("after_loss", IN_A_THREAD.format("hidden.mul_(0.5)"), AFTER_HIDDEN),
    "dlpack": (
        "after_loss",
        "alias = torch.utils.dlpack.from_dlpack(hidden); " + IN_A_THREAD.format("alias.zero_()"),
        AFTER_HIDDEN,
    ),
    "another process": (
        "after_loss",
        "hidden.share_memory_(); pid = os.fork(); (hidden.mul_(0.5), os._exit(0)) if pid == 0 else os.waitpid(pid, 0)",
        AFTER_HIDDEN,
    ),
    "below torch functions": (
        "after_loss",
        "\n    with torch._C.DisableTorchFunction(): hidden.mul_(0.5)",
        AFTER_HIDDEN,
    ),
    "operator": ("after_loss", "torch.ops.aten.mul_.Tensor(hidden, torch.tensor(0.5))", AFTER_HIDDEN),
    "element of a storage": ("after_loss", "hidden.untyped_storage()[5] = 77", AFTER_HIDDEN),
    "function of the person's": ("after_loss", "hidden.apply_(lambda x: x / 2)", AFTER_HIDDEN),
    "set_": (
        "after_loss",
        "hidden.set_((hidden * 0.5).untyped_storage(), 0, (32, 20), (20, 1))",
        AFTER_HIDDEN,
    ),
    "inputs": ("after_loss", "inputs.numpy()[:] = 3", ["d_first"]),
    "one input": ("after_loss", "inputs.numpy()[5, 3] = 30", ["d_first"]),
    "weights": ("after_loss", "second.numpy()[0] = 5", ["d_hidden", "d_first"]),
    "the gradient": ("in_backward", "d_hidden.numpy()[:] *= 2", ["d_hidden", "d_first"]),
    "the finished gradient": ("at_end", "d_first.numpy()[:] *= 2", ["d_first"]),
    "before the loss": (
        "in_forward",
        "hidden.numpy()[:] *= 0.5",
        ["d_out", "d_second", "d_hidden", "d_first"],
    ),
    "jit in place": ("in_backward", f"{COMPILED.format('x.mul_(2)')}(d_hidden)", ["d_hidden", "d_first"]),
    "jit result": (
        "in_backward",
        f"d_hidden = {COMPILED.format('x * 2')}(d_hidden)",
        ["d_hidden", "d_first"],
    ),
    "made in a thread": (
        "in_backward",
        "made = []; " + IN_A_THREAD.format("made.append(d_out @ second.T)") + "; d_hidden = made[0]",
        ["d_hidden", "d_first"],
    ),
    "pickle": ("in_backward", "d_hidden = pickle.loads(pickle.dumps(d_hidden))", ["d_hidden", "d_first"]),
    "file": (
        "in_backward",
        "file = io.BytesIO(); torch.save(d_hidden, file); file.seek(0); d_hidden = torch.load(file)",
        ["d_hidden", "d_first"],
    ),
    "bytes": (
        "in_backward",
        "d_hidden = torch.frombuffer(bytearray(d_hidden.numpy().tobytes()), dtype=torch.float32).reshape(32, 20)",
        ["d_hidden", "d_first"],
    ),
}


def _report(
    tmp_path, rows: int = 32, kind: str = "", before: str = "", numpy: str = UNSEEN, **lines: str
) -> Report:
    places = dict.fromkeys(("in_forward", "after_loss", "in_backward", "at_end"), "pass")
    program = tmp_path / "program.py"
    program.write_text(PROGRAM.format(rows=rows, kind=kind, before=before, numpy=numpy, **places | lines))
    return run_report(SessionOptions(target=str(program), fix_budget_s=0.0))


def _verdicts(report: Report) -> dict[str, str]:
    return {row.name: row.verdict for step in report.passes for row in step.gradients}


@pytest.mark.parametrize("way", CHANGES)
def test_what_is_changed_or_made_unseen_is_unchecked(tmp_path, way):
    where, line, names = CHANGES[way]
    report = _report(tmp_path, **{where: line})
    found = _verdicts(report)
    assert {name: found.get(name) for name in names} == dict.fromkeys(names, "unchecked")
    assert set(found.values()) <= {"correct", "unchecked"}
    assert not [f for f in report.findings if f.severity == "error"]


@pytest.mark.parametrize(
    "way", [way for way, (_, line, _) in CHANGES.items() if ".numpy()" in line and "bytes" not in line]
)
def test_what_numpy_changes_is_seen_where_the_program_is_followed_in_it(tmp_path, way):
    """Where the numbers of the forward pass change before the backward pass reads them, its gradients are those of no
    loss: the recorder sees it, and says so."""
    where, line, names = CHANGES[way]
    found = _verdicts(_report(tmp_path, numpy=SEEN, **{where: line}))
    if where == "in_forward":  # what follows is computed from the changed numbers, but for the slope of tanh
        assert [name for name in names if found[name] != "correct"] == ["d_first"]
    else:
        assert not [name for name in names if found[name] == "correct"]


@pytest.mark.parametrize("kind", [", dtype=torch.float64", ", dtype=torch.bfloat16"])
def test_in_every_type(tmp_path, kind):
    found = _verdicts(_report(tmp_path, kind=kind, after_loss="hidden.untyped_storage().fill_(0)"))
    assert found["d_second"] == found["d_first"] == "unchecked"


def test_a_part_of_a_large_tensor(tmp_path):
    found = _verdicts(_report(tmp_path, rows=3000, after_loss="hidden.numpy()[100:900] = 0.5"))
    assert found["d_second"] == found["d_first"] == "unchecked"


def test_the_reason_names_what_changed_and_between_which_lines(tmp_path):
    report = _report(tmp_path, after_loss="inputs.numpy()[:] = 3", before="")
    (row,) = [row for step in report.passes for row in step.gradients if row.name == "d_first"]
    assert row.reason == "`inputs` changed between line 8 and line 17 without a recorded operation"


@pytest.mark.parametrize(
    "line",
    [
        "pass",
        "d_hidden = copy.deepcopy(d_hidden)",
        "a, b = hidden * 1, hidden * 2; torch.utils.swap_tensors(a, b)",
    ],
)
def test_what_is_seen_is_judged(tmp_path, line):
    assert set(_verdicts(_report(tmp_path, in_backward=line)).values()) == {"correct"}


def test_the_loss_is_the_one_that_the_program_computed(tmp_path):
    report = _report(tmp_path, in_forward="hidden.numpy()[:] *= 0.5")
    (whole,) = _report(tmp_path, in_forward="hidden *= 0.5").passes
    assert report.passes[0].loss_value == pytest.approx(whole.loss_value, rel=1e-5)


def test_a_sparse_product_in_the_step(tmp_path):
    found = _verdicts(_report(tmp_path, in_forward="hidden = hidden @ torch.eye(20).to_sparse()", before=""))
    assert found["d_out"] == "correct"


UNWRITTEN = {
    "out=": "hidden = torch.empty(32, 20); torch.tanh(inputs @ first, out=hidden)",
    "every element": "hidden = torch.empty(32, 20); hidden[:] = torch.tanh(inputs @ first)",
    "column by column": (
        "hidden = inputs.new_empty(32, 20)\n"
        "    for j in range(20): hidden[:, j] = torch.tanh(inputs @ first[:, j])"
    ),
    "larger than what is kept whole": (
        "rows = torch.empty(500, 20); torch.tanh(inputs.repeat(20, 1)[:500] @ first, out=rows); hidden = rows[:32]"
    ),
}


@pytest.mark.parametrize("way", UNWRITTEN)
def test_memory_that_was_not_written_to_yet_is_as_it_was(tmp_path, way):
    """`torch.empty` gives whatever lay there: here, what was just thrown away."""
    litter = "litter = [torch.randn(n, 20) for n in (32, 32, 500, 500) for _ in range(3)]; del litter"
    found = _verdicts(_report(tmp_path, in_forward=f"{litter}\n    {UNWRITTEN[way]}", before=""))
    assert set(found.values()) == {"correct"}


_IN_FLOAT64 = """
import torch
torch.set_default_dtype(torch.float64)
litter = [torch.full((6, 9), 7e-310) for _ in range(50)]
del litter
W = torch.empty(6, 9)
W.uniform_(-1, 1)
x = torch.randn(5, 9)
h = torch.tanh(x @ W.T)
loss = (h**2).sum()
dh = 2 * h
dW = (dh * (1 - h**2)).T @ x
"""


def test_memory_that_was_not_written_to_yet_in_a_program_with_another_default_type():
    """What lay there may be no number in a shorter type."""
    assert set(_verdicts(report_on_source(_IN_FLOAT64)).values()) == {"correct"}


@pytest.mark.parametrize("index", range(6))
def test_what_is_left_of_two_numbers_that_are_nearly_one_is_rounding(index):
    """Two losses that are compared: their difference may be all that they differ by in another order of adding up."""
    first, second, left = (Value(None, 0, ()) for _ in range(3))
    numbers = {value: torch.tensor(3.0, dtype=torch.float64) for value in (first, second)}
    fidelity = Fidelity([], {}, {})
    fidelity._runner = Runner(None, start_from=numbers)
    fidelity._rounded = {first: 4e-16, second: 4e-16}
    op = Op(index, torch.sub, Kind.PURE, (first, second), None, compile("", "", "exec"), 0, left)
    assert fidelity._shaken(op)[0] == pytest.approx(8e-16, rel=0.2)
