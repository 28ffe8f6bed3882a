"""What goes from NumPy to torch and back is an operation on the tape: replayed, it gives what the program computed, in one
memory where it is one."""

from __future__ import annotations

from collections import defaultdict

import pytest

from gradcheck.replay.fidelity import Fidelity
from tests.support import record_source

BEGINNING = """
import numpy as np
import torch
np.random.seed(0)
torch.manual_seed(0)
a = np.random.randn(6, 4)
x = torch.randn(6, 4)
"""
WAYS = {
    "a part of an array is changed as a tensor": "t = torch.from_numpy(a[1:])\nt += 1\nend = a * 2",
    "an array is changed that is a tensor too": "t = torch.as_tensor(a)\na[0] = 5.0\nend = t * 2",
    "a tensor is changed as an array": "n = x.numpy()\nn[n < 0] = 0\nend = x * 2",
    "both, in a loop": "t = torch.from_numpy(a)\nfor i in range(3):\n    a *= 0.5\n    t += 1\nend = a + 0",
    "a copy is changed": "n = x.detach().cpu().numpy().copy()\nn *= 2\nend = x + torch.from_numpy(n)",
    "a copy of another type": "end = torch.Tensor(a) * torch.FloatTensor(a).double() * torch.tensor(a, dtype=torch.float32)",
    "a new tensor like another": "end = x.new_tensor(a) + x",
    "rows": "t = torch.stack([torch.from_numpy(r) for r in a])\nend = np.stack([r.numpy() for r in t]) - a",
    "a list of arrays": "end = torch.tensor([a[0], a[1]]) + torch.from_numpy(np.array([x[0].numpy(), x[1].numpy()]))",
    "a list of arrays, of another type": "end = torch.tensor([a[0], a[1]], dtype=torch.float32) * 2",
    "items": "q = np.zeros((2, 4))\nq[0] = x[0]\nr = torch.zeros(2, 4)\nr[1] = torch.from_numpy(a[0])\nend = q + r.numpy()",
    "functions of NumPy on tensors": "end = np.dot(np.asarray(x), a.T) + np.maximum(x, 0).numpy() @ np.array(x).T",
    "operators between both": "t = x.double()\nend = t * a + t / a - torch.exp(t) * np.float64(2)",
    "another axis": "end = np.array(a[0], ndmin=2).T + torch.ones(4, 1).numpy() * np.array(a[1], dtype=np.float32)",
    "rows added up": "end = np.exp(a) / sum(np.exp(a)) + sum([a, x.numpy()]) * max(a[0])",
    "another order of the axes": "end = torch.from_numpy(a.T) @ torch.from_numpy(np.asfortranarray(a))",
    "numbers": "s = np.sum(x.numpy() ** 2)\nend = x * s + x * float(s) + torch.tensor(s)",
    "masks and places": "end = np.where((x > 0).numpy(), a, 0.0).sum() + a[np.arange(6), x.argmax(1).numpy()]",
    "written into": "o = np.empty((6, 4))\nnp.multiply(a, 2, out=o)\ntorch.add(x, 1, out=torch.from_numpy(o))\nend = o + 0",
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("way", WAYS)
def test_every_way_is_replayed_as_it_was(way: str) -> None:
    run = record_source(f"{BEGINNING}{WAYS[way]}\n")
    assert not [note for note in run.recording.notes if "inside gradcheck" in note]
    (end, *_) = run.bound("end")
    assert end.producer is not None
    assert not Fidelity(run.ops, {}, defaultdict(list)).partings
    drawn = [op for op in run.ops if op.kind.name == "RANDOM"]
    read = {value.root for op in run.ops for value in op.inputs}
    assert any(op.out.root in read for op in drawn)
