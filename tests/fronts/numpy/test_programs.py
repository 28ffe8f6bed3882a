"""NumPy programs in several styles: right as they stand, and accused at the line where a mistake is made."""

import contextlib
import io
from pathlib import Path
from typing import Any

import pytest

from gradcheck.analysis.session import run_report
from gradcheck.base.options import SessionOptions
from gradcheck.program.errors import NothingFoundError
from tests.support import VERDICTS_ONLY

PROGRAMS = sorted((Path(__file__).parent / "programs").glob("*.py"))
# (program, what is written, what is written by mistake)
MISTAKES = [
    ("two_layers", "dW2 = h.T.dot(dscores)", "dW2 = 2 * h.T.dot(dscores)"),
    ("two_layers", "dh[h <= 0] = 0", "dh[h > 0] = 0"),
    ("layer_objects", "dout * (1 - self.out**2)", "dout * (1 - self.out)"),
    ("dict_of_gradients", "1 / m * np.sum(dZ1", "np.sum(dZ1"),
    ("recurrent", "dWhh += np.dot(dhraw, hs[t - 1].T)", "dWhh += np.dot(dhraw, hs[t].T)"),
    ("normalised_embedding", "dad * mask", "dad"),
    ("normalised_embedding", "np.add.at(dE, ix, demb)", "dE[ix] += demb"),
    ("normalised_embedding", "(N * dzhat - dzhat.sum(0)", "(N * dzhat"),
    ("convolution_loops", "+= w[m] * up", "= w[m] * up"),
    ("minibatches", "* hidden * (1.0 - hidden)", "* hidden"),
    # No loss is computed in these: it is inferred from the first line of the backward pass.
    ("no_loss_dense", "delta = miss * (1 - out**2)", "delta = miss * (1 - out)"),
    ("no_loss_dense", "(1 - self.a[i] ** 2)", "(1 - self.a[i])"),
    ("no_loss_softmax", "db2 = dscores.sum(axis=0)", "db2 = dscores.mean(axis=0)"),
    ("no_loss_softmax", "dhidden[hidden <= 0] = 0", "dhidden[hidden <= 0.5] = 0"),
    ("no_loss_onehot", "* a1 * (1 - a1)", "* (1 - a1)"),
    ("no_loss_onehot", "dz1.sum(axis=1, keepdims=True) / m", "dz1.sum(axis=1, keepdims=True)"),
    ("no_loss_samples", "delta_out = error * out * (1 - out)", "delta_out = error * (1 - out)"),
    ("no_loss_samples", "* hid * (1 - hid)", "* hid"),
    ("no_loss_recurrent", "dh = dz @ W.T + dh_next", "dh = dz @ W.T - dh_next"),
    ("dict_by_depth", "dz.sum(axis=1, keepdims=True) / m", "dz.sum(axis=1, keepdims=True)"),
    ("items_of_plurals", "dWh += dhraw @ hs[t - 1].T", "dWh += dhraw @ hs[t].T"),
    ("list_of_sizes", "delta @ outs[-back - 1].T", "-delta @ outs[-back - 1].T"),
    (
        "leaves_output",
        "self.dinputs = dvalues.copy()\n        self.dinputs[self.inputs <= 0] = 0",
        "self.dinputs = dvalues * (self.inputs < 0)",
    ),
    ("learns_going_back", "np.dot(self.input.T, output_error)", "-np.dot(self.input.T, output_error)"),
    ("learns_going_back", "2 * (y_pred - y_true)", "2 * (y_true - y_pred)"),
    ("slopes_are_weights", "d_t_d_inputs @ dL_dtotals", "d_t_d_inputs @ powers"),
    ("partial_names", "dL_dA1 * np.where(Z1 > 0, 1.0, 0.1)", "dL_dA1 * np.where(Z1 > 0, 1.0, 0.0)"),
    ("partial_names", "dL_db2 = dL_dZ2.sum(axis=0)", "dL_db2 = dL_dZ2.mean(axis=0)"),
    ("attention", "(datt - (datt * att).sum(axis=-1, keepdims=True))", "datt"),
    ("attention", "dscores.transpose(0, 2, 1) @ q", "dscores @ q"),
    ("tied_autoencoder", " + delta_r.T.dot(h)", ""),
    ("tied_autoencoder", "* h * (1 - h)", "* (1 - h)"),
    ("skip_gram", "np.add.at(grad_W_out, negative, grad_n)", "grad_W_out[negative] += grad_n"),
    ("skip_gram", "(g_neg * n).sum(axis=1)", "(g_neg * n).mean(axis=1)"),
    ("huber_l2", " + 2 * REG * params", " + REG * params"),
    ("huber_l2", "LIMIT * np.sign(r))", "np.sign(r))"),
    ("layer_norm", "dgamma = (dz * xhat)", "dgamma = (dz * z)"),
    ("layer_norm", "(s + a * s * (1 - s))", "s"),
    ("gated_cell", "dn = dh * z * (1 - n**2)", "dn = dh * (1 - n**2)"),
    ("gated_cell", "np.outer(dz, both)", "np.outer(dz, gated)"),
    ("mixture", "1.0 - np.sum(dscaled * scaled)", "-np.sum(dscaled * scaled)"),
    ("scipy_functions", "dh * h * (1 - h)", "dh * h"),
    ("scipy_functions", "(dc, K[::-1, ::-1]", "(dc, K[::-1]"),
    ("engine_contexts", "g.dot(self.b.T), self.a.T.dot(g)", "g.dot(self.b.T), 2 * self.a.T.dot(g)"),
    ("engine_contexts", "g[self.x < 0] = 0", "g[self.x > 0] = 0"),
    ("local_derivatives", "0.1 * dL_do * do_dh * dh_dq", "0.1 * dL_do * do_dh * dh_dp"),
    ("local_derivatives", "0.1 * dL_do * do_dd", "0.1 * dL_do * do_dd * h"),
    ("local_derivatives", "0.1 * dL_do * do_dd", "-0.1 * dL_do * do_dd"),
    ("engine_tape", "a.g += out.g * s * (1 - s)", "a.g += out.g * (1 - s)"),
    # No array at all.
    ("engine_of_plain_numbers", "(1 - t * t)", "(1 - t)"),
    ("engine_of_plain_numbers", "other.grad += self.data * out.grad", "other.grad += other.data * out.grad"),
    # A gradient that is kept as a multiple, and rebound from itself.
    ("dict_by_depth", 'dz = params[f"W{i}"].T', 'dz = 2 * params[f"W{i}"].T'),
    # NumPy and torch.
    ("both_compared", "(1 - h ** 2)", "(1 - z1 ** 2)"),
    ("both_dict_compared", "* (a > 0)", "* (h > 1)"),
    ("both_numpy_inside", "dx = dpre @ W.T", "dx = dh @ W.T"),
    ("both_read_as_arrays", "np.where(z > 0, 1.0, 0.1)", "np.where(z > 0, 1.0, 0.0)"),
    ("both_backward_of_torch", "d_h * h_np * (1 - h_np)", "d_h * h_np"),
    ("both_moved_by_arrays", "grad_b = grad_out.sum(axis=0)", "grad_b = grad_out.mean(axis=0)"),
    ("both_one_memory", "dout = (2 * ", "dout = (1 * "),
    ("both_in_one_line", "dh = do * scale", "dh = do / scale"),
    ("both_softmax_of_torch", "(probs - np.eye(3)[y])", "(np.eye(3)[y] - probs)"),
    ("both_optimiser_of_torch", "(d.T @ X)", "(d.T @ np.abs(X))"),
    ("both_rows_of_a_tensor", "dC[i] += torch", "dC[i] = torch"),
    ("both_functions", "g * scale.detach().numpy() * (1", "g * (1"),
    ("both_functions", "np.exp(-ctx.a))", "np.exp(ctx.a))"),
    ("both_scipy_function", 'filter.numpy(), mode="full"', 'flip(filter.numpy()), mode="full"'),
    # A loop over what is moved is no training loop, although it computes what it moves by.
    ("context_words", "* -context[:, k]", "* context[:, k]"),
    ("weights_one_by_one", "* (1 - y**2)", "* (1 - y)"),
    ("strided_windows", "dz * k[j]", "dz * k[-j - 1]"),
    # Several passes of one step.
    ("micro_batches", "(dh * (1 - h**2))", "(dh * (1 - h))"),
    ("micro_batches_of_a_function", "gb += db", "gb += dW.sum(axis=0)"),
    ("kept_of_each_row", "(dkept, best, axis=1)", "(dkept, best[:, ::-1], axis=1)"),
    ("counted_words", "weights=de[:, j]", "weights=e[:, j]"),
    ("truncated_steps", "dnext = dz @ self.r", "dnext = dz @ self.r.T"),
    ("summed_samples", "* outs[-back] * (1 - outs[-back])", "* outs[-back]"),
    ("letters_sampled", "dnext = V.T @ dz", "dnext = V @ dz"),
    # Gradients of one sample after the other, added up in lists.
    ("lists_added_up", "delta) * out * (1 - out)", "delta) * out * (1 + out)"),
    ("lists_added_up", "np.dot(delta, outputs[-back - 1].T)", "np.dot(delta, 1 - outputs[-back - 1].T)"),
    ("labels_of_bytes", "dW = points.T @ dscores + 0.1 * W", "dW = points.T @ dscores + 0.05 * W"),
    # What the gradient of `A2` is kept as, the biases say, and not the weights, which decay.
    ("means_and_decay", "-(Y / A2 - (1 - Y)", "-(Y / A2 + (1 - Y)"),
    ("line_in_a_class", "-(2 / n) * sum(y - y_pred)", "-(1 / n) * sum(y - y_pred)"),
]


def verdicts(path):
    report = run_report(SessionOptions(str(path), **VERDICTS_ONLY))
    rows = report.gradients.to_dict("records")
    return {(row["name"], row["line"]): row["verdict"] for row in rows}


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_right_programs_are_right(path):
    found = verdicts(path)
    assert len(found) >= 2 or path.stem == "weights_one_by_one"
    assert set(found.values()) == {"correct"}


def test_what_earlier_micro_batches_gave_must_not_be_dropped(tmp_path):
    text = (PROGRAMS[0].parent / "micro_batches_of_a_function.py").read_text()
    (tmp_path / "program.py").write_text(text.replace("gb += db", "gb = db"))
    report = run_report(SessionOptions(str(tmp_path / "program.py"), fix_budget_s=0))
    assert {row.name: row.verdict.value for row in report.rows} == {
        "dy": "correct", "gW": "correct", "db": "introduced",
    }  # fmt: skip


def test_the_softmax_of_a_sampler_is_no_normalisation_by_the_batch():
    report = run_report(SessionOptions(str(PROGRAMS[0].parent / "letters_sampled.py"), fix_budget_s=0))
    assert not [found.rule for found in report.findings if found.severity.value == "error"]
    assert report.health.evaluation.runs


@pytest.mark.parametrize(
    "arranged",
    [
        "np.pad(x, ((0, 0), (1, 1)), mode='reflect')", "x.reshape(6, 4, order='F')", "x.flatten('F').reshape(4, 6)",
        "np.insert(x, 1, 0.5, axis=1)", "np.append(x, x[:1], axis=0)", "np.delete(x, [0, 2], axis=1)", "x[::-1, ::-2]",
        "np.c_[x, x[:, 0]]", "np.take_along_axis(x, order, axis=1)", "np.tile(x, (2, 1))", "x.repeat(2, axis=1)",
        "np.rot90(x, 1, (1, 0))", "np.hstack(np.hsplit(x, 3))",
    ],
)  # fmt: skip
def test_where_elements_go_is_asked_of_the_function_itself(tmp_path, arranged):
    """The gradient is checked against differences: each element of `x` counts as often as it is there, with its factor."""
    program = tmp_path / "program.py"
    program.write_text(
        "import numpy as np\nrng = np.random.RandomState(3)\nW = rng.randn(4, 6)\norder = np.arange(24).reshape(4, 6) % 5\n"
        f"def loss_of(W):\n    x = 1.5 * W\n    y = {arranged}\n    return ((y - factors(y)) ** 2).sum()\n"
        "def factors(y):\n    return np.arange(y.size).reshape(y.shape) / y.size\n"
        f"x = 1.5 * W\ny = {arranged}\nloss = ((y - factors(y)) ** 2).sum()\ndW = np.zeros_like(W)\n"
        "for i in range(24):\n    moved = np.eye(24)[i].reshape(4, 6) * 1e-5\n"
        "    dW.flat[i] = (loss_of(W + moved) - loss_of(W - moved)) / 2e-5\nprint(dW.tolist())\n"
    )
    text = program.read_text()
    names: dict[str, Any] = {}
    with contextlib.redirect_stdout(io.StringIO()):
        exec(text, names)
    again = tmp_path / "again.py"
    again.write_text(
        text[: text.index("dW = np")] + f"dW = np.array({names['dW'].tolist()}) + 0 * loss\nW -= 0.1 * dW\n"
    )
    report = run_report(SessionOptions(str(again), fix_budget_s=0))
    (row,) = [row for row in report.rows if row.name == "dW"]
    assert row.total_error is not None
    assert row.total_error < 1e-6


@pytest.mark.parametrize("mistaken", ["carry = R @ (dy * dh)", "carry = R.T @ (dy * dy * dh)"])
def test_what_gradients_are_multiplied_with_is_none_whatever_its_name_is(tmp_path, mistaken):
    """`dy = 1 - h * h`, where the data is called `y` and has another shape: the line after it is at fault."""
    program = tmp_path / "program.py"
    program.write_text(
        "import numpy as np\nrng = np.random.RandomState(0)\n"
        "U, R, W = rng.randn(7, 4) * 0.4, rng.randn(7, 7) * 0.3, rng.randn(3, 7) * 0.4\n"
        "x, y = rng.randn(4, 6), np.eye(3)[:, rng.randint(3, size=6)]\nh, ps, loss = [np.zeros(7)], [], 0.0\n"
        "for t in range(6):\n    h.append(np.tanh(U @ x[:, t] + R @ h[-1]))\n    e = np.exp(W @ h[-1])\n"
        "    ps.append(e / e.sum())\n    loss -= np.sum(y[:, t] * np.log(ps[-1]))\n"
        "DR, DW, carry = np.zeros_like(R), np.zeros_like(W), np.zeros(7)\nfor t in reversed(range(6)):\n"
        "    q = ps[t] - y[:, t]\n    DW += np.outer(q, h[t + 1])\n    dh = W.T @ q + carry\n"
        "    dy = 1 - h[t + 1] * h[t + 1]\n    DR += np.outer(dy * dh, h[t])\n"
        f"    {mistaken}\nR -= 0.05 * DR\nW -= 0.05 * DW\n"
    )
    report = run_report(SessionOptions(str(program), fix_budget_s=0))
    errors = [f for f in report.findings if f.severity.value == "error"]
    assert [f.rule for f in errors] == ["GC101"]
    assert "dy" not in {row.name for row in report.rows if row.verdict.value == "introduced"}


def test_of_the_steps_of_single_numbers_one_is_no_other_multiple_than_the_rest(tmp_path):
    """Any number is a multiple of another."""
    text = next(path for path in PROGRAMS if path.stem == "local_derivatives").read_text()
    (tmp_path / "program.py").write_text(text.replace("dh_dq = row[1] * h", "dh_dq = 2 * row[1] * h"))
    found = verdicts(tmp_path / "program.py")
    assert [name for (name, _), verdict in found.items() if verdict != "correct"] == [
        "0.1 * dL_do * do_dh * dh_dq"
    ]


def test_the_fix_of_a_step_leaves_the_rate_to_the_step(tmp_path):
    text = next(path for path in PROGRAMS if path.stem == "local_derivatives").read_text()
    (tmp_path / "program.py").write_text(text.replace("do_dh = self.r", "do_dh = self.d"))
    report = run_report(SessionOptions(str(tmp_path / "program.py"), fix_budget_s=60))
    fixes = [found.fix for found in report.findings if found.rule == "GC101"]
    assert {fix and (fix.location.line, fix.replacement) for fix in fixes} == {(25, "self.r")}


def test_what_is_added_to_an_output_is_not_what_it_should_be(tmp_path):
    """No loss has `out + y` as its gradient."""
    program = tmp_path / "program.py"
    program.write_text(
        "import numpy as np\nrng = np.random.RandomState(0)\nX, y = rng.randn(20, 3), rng.randn(20, 1)\n"
        "theta = np.zeros((3, 1))\nfor i in range(9):\n    h = X.dot(theta)\n"
        "    theta = theta - 0.1 / 20 * X.T.dot(h + y)\n"
    )
    with pytest.raises(NothingFoundError):
        run_report(SessionOptions(str(program), fix_budget_s=0))


@pytest.mark.parametrize(("stem", "written", "mistaken"), MISTAKES)
def test_a_mistake_is_accused_where_it_is_made(tmp_path, stem, written, mistaken):
    text = next(path for path in PROGRAMS if path.stem == stem).read_text()
    assert text.count(written) == 1
    (tmp_path / "program.py").write_text(text.replace(written, mistaken))
    line = text[: text.index(written)].count("\n") + 1
    found = verdicts(tmp_path / "program.py")
    assert {at for (_, at), verdict in found.items() if verdict == "introduced"} == {line}


def test_of_a_value_and_its_negative_the_one_is_meant_that_moves_the_program_its_own_way(tmp_path):
    """The updates add the gradients: with the sign that the negative says, they would go the other way."""
    path = next(path for path in PROGRAMS if path.stem == "no_loss_samples")
    text = path.read_text().replace("delta_out = error * out * (1 - out)", "delta_out = error * (1 - out)")
    (tmp_path / "program.py").write_text(text)
    report = run_report(SessionOptions(str(tmp_path / "program.py"), fix_budget_s=20))
    (finding,) = [found for found in report.findings if found.rule.startswith("GC10")]
    assert finding.fix is not None
    assert finding.fix.replacement == "error * (1 - out) * out"


def test_a_sum_with_the_wrong_sign_is_not_the_gradient_of_a_value_turned_round(tmp_path):
    """`exp(-z)` is in the forward pass: that the wrong sign makes it the gradient of `-z` is no reason to call it right."""
    path = next(path for path in PROGRAMS if path.stem == "list_of_sizes")
    text = path.read_text().replace("total + g for", "total - g for")
    (tmp_path / "program.py").write_text(text)
    found = verdicts(tmp_path / "program.py")
    assert not [
        name for (name, _), verdict in found.items() if name.startswith("all_") and verdict == "correct"
    ]


def test_the_number_in_an_object_that_is_called_a_loss_is_the_loss():
    path = next(path for path in PROGRAMS if path.stem == "engine_contexts")
    report = run_report(SessionOptions(str(path), fix_budget_s=0))
    assert [found.loss for found in report.passes] == ["loss"]


def test_a_plain_number_that_becomes_an_array_has_a_gradient_of_its_name(tmp_path):
    path = next(path for path in PROGRAMS if path.stem == "mixture")
    text = path.read_text().replace("mean = mean - 0.1 * dmean", "d = 0.1 * dmean\n    mean = mean - d")
    (tmp_path / "program.py").write_text(text)
    found = verdicts(tmp_path / "program.py")
    assert {name for name, _ in found} == {"dscaled", "dmean", "dlog_std"}
    assert set(found.values()) == {"correct"}


def test_a_function_of_each_row_of_more_axes_is_followed(tmp_path):
    """Along an axis in the middle, and where it returns a row."""
    program = tmp_path / "program.py"
    program.write_text(
        "import numpy as np\nrng = np.random.RandomState(1)\nW = rng.randn(2, 3, 4)\n"
        "peaks = np.apply_along_axis(lambda row: row == row.max(), 1, W)\n"
        "lowered = np.apply_along_axis(lambda row: row - row.max(), 1, W)\nloss = (lowered ** 3).sum()\n"
        "dlowered = 3 * lowered ** 2\ndW = dlowered - peaks * dlowered.sum(1, keepdims=True)\n"
        "scale = np.linalg.norm(W[0], 'fro')\nW -= 0.1 * dW / scale\n"
    )
    report = run_report(SessionOptions(str(program), fix_budget_s=0.0))
    assert {row.name: row.verdict.value for row in report.rows} == {"dlowered": "correct", "dW": "correct"}


@pytest.mark.parametrize("function", ["np.linalg.norm", "lambda row: np.sqrt((row * row).sum())", "sum_of"])
def test_a_function_of_each_row_is_followed(tmp_path, function):
    """What its results come from is seen; where it is not, nothing is said of it."""
    program = tmp_path / "program.py"
    program.write_text(
        "import numpy as np\nrng = np.random.RandomState(1)\nx, y = rng.randn(8, 3), rng.randn(8)\nW = rng.randn(3, 2)\n"
        "def sum_of(row):\n    return float(str((row * row).sum() ** 0.5))\n"
        f"z = x @ W\nn = np.apply_along_axis({function}, 1, z)\nloss = ((n - y) ** 2).mean()\n"
        "dn = 2 * (n - y) / 8\ndz = dn[:, None] * z / n[:, None]\ndW = x.T @ dz\nW -= 0.1 * dW\n"
    )
    report = run_report(SessionOptions(str(program), fix_budget_s=0.0))
    verdicts = {row.name: row.verdict.value for row in report.rows}
    seen = "correct" if function != "sum_of" else "unchecked"
    assert [verdicts[name] for name in ("dn", "dz", "dW")] == [seen] * 3
    assert not [f for f in report.findings if f.severity.value == "error"]
