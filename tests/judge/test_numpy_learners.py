"""NumPy programs as learners write them: right lines are not accused, and of wrong ones the line that is wrong is."""

import pytest

from gradcheck.analysis.session import run_report
from gradcheck.base.options import SessionOptions

_ADAM_ADDED = """
import numpy as np
rng = np.random.RandomState(3)
x, y = rng.randn(12, 4), rng.randn(12, 1)
w, b = rng.randn(4, 1) * 0.5, np.zeros((1, 1))
m_w, v_w, m_b, v_b = 0.0, 0.0, 0.0, 0.0
out = x @ w + b
loss = np.mean((out - y) ** 2)
dout = 2 * (out - y) / 12
dw, db = x.T @ dout, dout.sum(axis=0, keepdims=True)
m_w, m_b = 0.9 * m_w + 0.1 * dw, 0.9 * m_b + 0.1 * db
v_w, v_b = 0.99 * v_w + 0.01 * dw ** 2, 0.99 * v_b + 0.01 * db ** 2
v_b_hat = v_b / 0.01
w += -0.01 * (m_w / 0.1) / (np.sqrt(v_w / 0.01) + 1e-7)
b += -0.01 * (m_b / 0.1) / (np.sqrt(v_b_hat) + 1e-7)
"""

# `_d` and `_g` are of the discriminator and of the generator.
_NAMED_BY_PLAYER = """
import numpy as np
rng = np.random.RandomState(2)
X = rng.randn(24, 3) + 1
class Players:
    def __init__(self):
        self.W_g, self.b_g = rng.randn(2, 3) * 0.5, np.zeros(3)
        self.V_d, self.U_d = rng.randn(3, 5) * 0.5, rng.randn(5, 1) * 0.5
    def judge(self, x):
        self.z_d = x @ self.V_d
        self.a_d = np.tanh(self.z_d)
        return 1 / (1 + np.exp(-(self.a_d @ self.U_d)))
    def train(self):
        for turn in range(20):
            x = X[turn:turn + 4]
            fake = rng.randn(4, 2) @ self.W_g + self.b_g
            real = self.judge(x)
            a_real = self.a_d
            made = self.judge(fake)
            J_D = -np.mean(np.log(real) + np.log(1 - made))
            dreal, dmade = (real - 1) / 4, made / 4
            dU = a_real.T @ dreal + self.a_d.T @ dmade
            dV = x.T @ (dreal @ self.U_d.T * (1 - a_real**2)) + fake.T @ (dmade @ self.U_d.T * (1 - self.a_d**2))
            self.U_d -= 0.1 * dU
            self.V_d -= 0.1 * dV
            J_G = -np.mean(np.log(self.judge(fake)))
            print(turn, J_D, J_G)
Players().train()
"""

_COMPARED_WITH_DIFFERENCES = """
import numpy as np
rng = np.random.RandomState(0)
x, y = rng.randn(6, 3), (rng.rand(6, 1) > 0.5) * 1.0
W = rng.randn(3, 1)
def predict():
    return 1 / (1 + np.exp(-(x @ W)))
def cross_entropy(p):
    return -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))
old, eps = W[0, 0], 1e-5
W[0, 0] = old + eps
loss_above = cross_entropy(predict())
W[0, 0] = old - eps
loss_below = cross_entropy(predict())
W[0, 0] = old
by_differences = (loss_above - loss_below) / (2 * eps)
p = predict()
dz = (p - y) / 6
dW = x.T @ dz
print(abs(dW[0, 0] - by_differences))
"""

# As a course has it: 1/m where a parameter's gradient is made, and not before. One layer has forgotten it.
_DIVIDED_AT_THE_END = """
import numpy as np
rng = np.random.RandomState(1)
class Dense:
    def __init__(self, out):
        self.out, self.W = out, None
    def forward(self, x):
        if self.W is None:
            self.W = rng.randn(x.shape[1], self.out) * np.sqrt(1.0 / x.shape[1])
        self.x = x
        return x @ self.W
    def backward(self, d):
        self.dW = self.x.T @ d / len(d)
        return d @ self.W.T
class Relu:
    def forward(self, x):
        self.x = x
        return np.maximum(0, x)
    def backward(self, d):
        d[self.x <= 0] = 0
        return d
class Scale(Dense):
    def backward(self, d):
        self.dW = self.x.T @ d
        dx = d @ self.W.T
        return dx
layers = [Scale(6), Relu(), Dense(5), Relu(), Dense(4), Relu(), Dense(3)]
x, y = rng.randn(4, 5), np.eye(3)[[0, 2, 1, 1]]
a = x
for layer in layers:
    a = layer.forward(a)
p = np.exp(a) / np.exp(a).sum(axis=1, keepdims=True)
loss = -np.mean(np.sum(y * np.log(p), axis=1))
d = p - y
for layer in reversed(layers):
    d = layer.backward(d)
for layer in layers:
    if isinstance(layer, Dense):
        layer.W -= 0.1 * layer.dW
"""

_WITH_ANOTHER_OBJECTIVE = """
import numpy as np
rng = np.random.RandomState(2)
x, E, D = rng.randn(5, 4), rng.randn(4, 4) * 0.5, rng.randn(2, 4)
h = x @ E
mean, log_var = h[:, :2], h[:, 2:]
dkl = np.append(mean, 0.5 * (np.exp(log_var) - 1), axis=1)
noise = rng.randn(5, 2)
z = mean + np.exp(log_var * 0.5) * noise
out = z @ D
loss = np.sum((out - x) ** 2)
dout = 2 * (out - x)
dD = z.T @ dout
dz = dout @ D.T
dh = dkl + np.append(dz, 0.5 * dz * noise * np.exp(0.5 * log_var), axis=1)
dE = x.T @ dh
D -= 0.01 * dD
E -= 0.01 * dE
"""

_VECTORS_OF_ZERO = """
import numpy as np
rng = np.random.RandomState(4)
W, C = rng.randn(9, 3) * 0.3, np.zeros((9, 3))
words, around, drawn = np.array([1, 4, 4]), np.array([2, 2, 7]), np.array([[3, 5], [0, 3], [8, 6]])
def sigmoid(x):
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + small), small / (1 + small))
w, c, n = W[words], C[around], C[drawn]
near = (w * c).sum(axis=1)
far = (n * w[:, None, :]).sum(axis=2)
loss = -np.log(sigmoid(near)).sum() - np.log(1 - sigmoid(far)).sum()
dnear = sigmoid(near) - 1
dfar = sigmoid(far)
dw = dnear[:, None] * c + (dfar[:, :, None] * n).sum(axis=1)
dc = dnear[:, None] * w
dn = dfar[:, :, None] * w[:, None, :]
np.add.at(W, words, -0.1 * dw)
np.add.at(C, around, -0.1 * dc)
np.add.at(C, drawn.reshape(-1), -0.1 * dn.reshape(-1, 3))
"""

_COLUMNS_OF_IMAGES = """
import numpy as np
rng = np.random.RandomState(5)
images, kernel = rng.randn(2, 4, 4), rng.randn(1, 4)
rows = np.array([[0, 0, 1], [0, 1, 1], [1, 1, 2], [1, 2, 2]])
columns = np.array([[0, 1, 0], [1, 2, 1], [0, 1, 0], [1, 2, 1]])
cols = np.concatenate(images[:, rows, columns], axis=-1)
widened = np.insert(cols, 0, np.ones((1, 4)), axis=1)
out = kernel @ widened
loss = (out ** 2).sum()
dout = 2 * out
dkernel = dout @ widened.T
dcols = (kernel.T @ dout)[:, 1:]
dimages = np.zeros_like(images)
for i, d in enumerate(np.split(dcols, 2, axis=1)):
    np.add.at(dimages[i], (rows, columns), d)
kernel -= 0.1 * dkernel
"""

_COUNTS_AMONG_FLOATS = """
import numpy as np
rng = np.random.RandomState(0)
x, W, y = rng.randn(6, 4), rng.randn(4, 3) * 0.3, np.array([0, 2, 1, 1, 0, 2])
s = x @ W
margins = np.maximum(0, s - s[np.arange(6), y][:, None] + 1)
loss = (np.sum(margins) - 6) / 6
over = margins > 0
ds = np.ones_like(s)
ds *= over
ds[np.arange(6), y] = -1 * (np.sum(over, axis=1) - 1)
dW = x.T @ ds / 6
W -= 0.1 * dW
"""

_KEPT_IN_BUFFERS = """
import numpy as np
rng = np.random.RandomState(6)
x, y, W, V = rng.randn(6, 4), np.eye(3)[[0, 1, 2, 2, 1, 0]], rng.randn(4, 5) * 0.4, rng.randn(5, 3) * 0.4
order = np.random.RandomState(1)
order.shuffle(y)
h, z, p, dW, dh = np.zeros((6, 5)), np.zeros((6, 3)), np.zeros((6, 3)), np.zeros((4, 5)), np.zeros((6, 5))
np.matmul(x, W, out=h)
h[h < 0] = 0
np.matmul(h, V, out=z)
np.exp(z, out=p)
np.divide(p, np.sum(p, axis=1).reshape(6, 1), out=p)
loss = -np.sum(np.log(np.sum(p * y, axis=1))) / 6
dz = np.zeros((6, 3))
for row, (one, at) in enumerate(zip(p, np.argmax(y, axis=1))):
    dp = np.zeros((3, 1))
    dp[at] = -1 / one[at] / 6
    one = one.reshape(3, 1)
    dz[row] = ((np.diagflat(one) - one @ one.T) @ dp)[:, 0]
dV = h.T @ dz
np.matmul(dz, V.T, out=dh)
dh[h == 0] = 0
np.einsum('...ij,ik->...jk', x, dh, out=dW, optimize='optimal')
W -= 0.1 * dW
V -= 0.1 * dV
"""

_PUT_BACK_BY_POSITION = """
import numpy as np
rng = np.random.RandomState(7)
x, W = rng.randn(2, 3, 4, 4), rng.randn(2, 3, 4, 4)
h = x * W
windows = h.reshape(2, 3, 2, 2, 2, 2).transpose(0, 1, 2, 4, 3, 5).reshape(2, 3, 2, 2, 4)
out = windows.max(axis=-1)
loss = (out ** 2).sum()
dout = 2 * out
dh = np.zeros_like(h)
images, channels = np.arange(2)[:, None], np.arange(3)[None, :]
for r in range(2):
    for c in range(2):
        at = h[:, :, 2 * r:2 * r + 2, 2 * c:2 * c + 2].reshape(2, 3, -1).argmax(-1)
        down, right = np.unravel_index(at, (2, 2))
        dh[:, :, 2 * r:2 * r + 2, 2 * c:2 * c + 2][images, channels, down, right] += dout[:, :, r, c]
dW = dh * x
W -= 0.1 * dW
"""

_DERIVATIVES_WITH_NAMES = """
import numpy as np
rng = np.random.RandomState(0)
x, y = rng.randn(4, 5, 3), rng.randn(5, 2)
Wx, Wh, Wo = rng.randn(6, 3) * 0.4, rng.randn(6, 6) * 0.4, rng.randn(2, 6) * 0.4
for epoch in range(3):
    h = np.zeros((5, 6))
    before, states = h, []
    for t in range(4):
        h = np.tanh(x[t] @ Wx.T + before @ Wh.T)
        states.append(h.copy())
        before = h.copy()
    z = h @ Wo.T
    dL_dz = -2 * (y - z) / 5
    dz_dWo = h
    dL_dWo = dL_dz.T @ dz_dWo
    dz_dh = Wo
    dL_dh = dL_dz @ dz_dh
    dL_dWh, dL_dWx = np.zeros_like(Wh), np.zeros_like(Wx)
    for t in reversed(range(4)):
        dL_da = (1 - states[t] ** 2) * dL_dh
        dL_dWh += dL_da.T @ (states[t - 1] if t > 0 else np.zeros_like(h))
        dL_dWx += dL_da.T @ x[t]
        dL_dh = dL_da @ Wh
    Wo = Wo - 0.1 * dL_dWo
    Wh = Wh - 0.1 * dL_dWh
    Wx = Wx - 0.1 * dL_dWx
"""

_CLIPPED = """
import numpy as np
rng = np.random.RandomState(0)
x, y, W, b = rng.randn(1, 4) * 3, rng.randn(1, 1), rng.randn(4, 1) * 3, rng.randn(1, 1)
grad = {}
out = x @ W + b
loss = 0.5 * (out - y) ** 2
grad['b'] = out - y
grad['W'] = x.T @ grad['b']
grad['b'] = np.clip(grad['b'], -1, 1)
grad['W'] = np.clip(grad['W'], -1, 1)
W -= 0.1 * grad['W']
b -= 0.1 * grad['b']
"""

_DECAYED_IN_ONE_LINE = """
import numpy as np
rng = np.random.RandomState(0)
x, y, W, V = rng.randn(12, 4), rng.randn(12, 3), rng.randn(4, 5) * 0.3, rng.randn(5, 3) * 0.3
h = np.tanh(x @ W)
loss = ((h @ V - y) ** 2).sum() / 12 + 0.5 * 0.05 * np.sum(W * W)
dout = 2 * (h @ V - y) / 12
dV = h.T @ dout + 0.05 * V
dW = x.T @ (dout @ V.T * (1 - h * h)) + 2 * 0.05 * W
W -= 0.1 * dW
V -= 0.1 * dV
"""

_MEASURED = """
import numpy as np
rng = np.random.RandomState(0)
x, y, W = rng.randn(6, 3), rng.randn(6, 2), rng.randn(3, 2)
class Loss:
    def forward(self, out):
        self.diff = out - y
        self.loss = np.mean(self.diff ** 2)
        return self.loss
    def backward(self):
        return 2 * self.diff / self.diff.size
def by_differences(f, a, h=1e-3):
    grad = np.zeros_like(a)
    for at in np.ndindex(a.shape):
        was = a[at]
        a[at] = was + h
        above = f(a)
        a[at] = was - h
        below = f(a)
        a[at] = was
        grad[at] = (above - below) / (2 * h)
    return grad
cost = Loss()
out = np.tanh(x @ W)
loss = cost.forward(out)
dout = cost.backward()
grad_numeric = by_differences(cost.forward, out)
print(abs(dout - grad_numeric).max())
"""

# Nothing in it is named as a gradient, and its steps are added.
_WITHOUT_NAMES = """
import numpy as np
rng = np.random.RandomState(0)
x, y = rng.rand(10, 4), rng.rand(10, 2)
into, out_of = rng.randn(5, 4) * 0.5, rng.randn(2, 5) * 0.5
def squash(z):
    return 1 / (1 + np.exp(-z))
def learn(row, wanted):
    global into, out_of
    column, wanted = np.array(row, ndmin=2).T, np.array(wanted, ndmin=2).T
    hidden = squash(np.dot(into, column))
    result = squash(np.dot(out_of, hidden))
    missing = wanted - result
    behind = np.dot(out_of.T, missing * result * (1 - result))
    out_of += 0.1 * np.dot(missing * result * (1 - result), hidden.T)
    into += 0.1 * np.dot(behind * hidden * (1 - hidden), column.T)
for row, wanted in zip(x, y):
    learn(row, wanted)
"""

# The second player's forward pass lies before the first one moves: of that, the second loss knows nothing.
_TWO_PLAYERS = """
import numpy as np
rng = np.random.RandomState(1)
real = rng.randn(60, 2) + 3
D = {'U': rng.randn(2, 5) * 0.3, 'v': rng.randn(5, 1) * 0.3}
G = {'U': rng.randn(2, 5) * 0.3, 'v': rng.randn(5, 2) * 0.3}
def squash(s):
    return 1 / (1 + np.exp(-s))
def run(net, x):
    h = np.tanh(x @ net['U'])
    return h, h @ net['v']
def back(net, x, h, dout):
    dh = dout @ net['v'].T * (1 - h ** 2)
    return {'U': x.T @ dh, 'v': h.T @ dout}, dh @ net['U'].T
for turn in range(20):
    x, z = real[rng.randint(60, size=8)], rng.randn(8, 2)
    hz, made = run(G, z)
    hx, ox = run(D, x)
    hm, om = run(D, made)
    d_loss = -np.mean(np.log(squash(ox)) + np.log(1 - squash(om)))
    of_real, _ = back(D, x, hx, (squash(ox) - 1) / 8)
    of_made, _ = back(D, made, hm, squash(om) / 8)
    for k in D:
        D[k] -= 0.1 * (of_real[k] + of_made[k])
    hm, om = run(D, made)
    g_loss = -np.mean(np.log(squash(om)))
    _, dmade = back(D, made, hm, (squash(om) - 1) / 8)
    grads, _ = back(G, z, hz, dmade)
    for k in G:
        G[k] -= 0.1 * grads[k]
    print(d_loss, g_loss)
"""

_TRUTH_VALUES = """
import numpy as np
rng = np.random.RandomState(0)
x, y, W = rng.randn(8, 3), rng.randint(0, 4, 8), rng.randn(3, 4) * 0.1
loss, dW = 0.0, np.zeros_like(W)
for i in range(8):
    p = np.exp(x[i] @ W) / np.sum(np.exp(x[i] @ W))
    loss -= np.log(p[y[i]]) / 8
    for j in range(4):
        dW[:, j] += (p[j] - (j == y[i])) * x[i] / 8
W -= 0.1 * dW
"""

_EXPECTED = {
    "truth_values": (_TRUTH_VALUES, {"dW": "correct"}),
    "two_players": (
        _TWO_PLAYERS,
        {"dout": "correct", "dmade": "correct", "grads['U']": "unchecked", "grads['v']": "unchecked"},
    ),
    "without_names": (
        _WITHOUT_NAMES,
        {
            "np.dot(missing * result * (1 - result), hidden.T)": "correct",
            "np.dot(behind * hidden * (1 - hidden), column.T)": "correct",
        },
    ),
    "without_names_a_factor_missing": (
        _WITHOUT_NAMES.replace("out_of.T, missing * result * (1 - result)", "out_of.T, missing"),
        {
            "np.dot(missing * result * (1 - result), hidden.T)": "correct",
            "np.dot(behind * hidden * (1 - hidden), column.T)": "introduced",
        },
    ),
    "decayed_in_one_line": (_DECAYED_IN_ONE_LINE, {"dout": "correct", "dV": "unchecked", "dW": "introduced"}),
    "adam_added": (_ADAM_ADDED, {"dw": "correct", "db": "correct"}),
    "compared_with_differences": (_COMPARED_WITH_DIFFERENCES, {"dW": "unchecked", "dz": "unchecked"}),
    "divided_at_the_end": (_DIVIDED_AT_THE_END, {"d": "correct", "dx": "correct"}),
    "with_another_objective": (
        _WITH_ANOTHER_OBJECTIVE,
        {"dD": "correct", "dz": "correct", "dh": "unchecked", "dE": "correct"},
    ),
    "vectors_of_zero": (_VECTORS_OF_ZERO, dict.fromkeys(("dnear", "dfar", "dw", "dc", "dn"), "correct")),
    "counts_among_floats": (_COUNTS_AMONG_FLOATS, {"dW": "correct"}),
    "kept_in_buffers": (_KEPT_IN_BUFFERS, {"dz": "correct", "dW": "correct", "dV": "correct"}),
    "put_back_by_position": (_PUT_BACK_BY_POSITION, dict.fromkeys(("dout", "dh", "dW"), "correct")),
    "derivatives_with_names": (
        _DERIVATIVES_WITH_NAMES,
        dict.fromkeys(("dL_dz", "dL_dWo", "dL_dh", "dL_dWh", "dL_dWx"), "correct"),
    ),
    "clipped": (_CLIPPED, {"grad['b']": "correct", "grad['W']": "correct"}),
    "columns_of_images": (_COLUMNS_OF_IMAGES, dict.fromkeys(("dkernel", "dimages"), "correct")),
}
_ACCUSED = {
    "without_names_a_factor_missing": [16],
    "decayed_in_one_line": [9],
    "divided_at_the_end": [_DIVIDED_AT_THE_END.splitlines().index("        self.dW = self.x.T @ d") + 1],
}


@pytest.mark.parametrize("name", _EXPECTED)
def test_it_is_judged_as_a_person_would(tmp_path, name):
    text, expected = _EXPECTED[name]
    (tmp_path / "program.py").write_text(text)
    report = run_report(SessionOptions(str(tmp_path / "program.py"), fix_budget_s=0.0))
    found = {row.name: row.verdict.value for row in report.rows}
    assert found | expected == found
    wrong = [f.location.line for f in report.findings if f.severity.value == "error"]
    assert wrong == _ACCUSED.get(name, [])


def test_the_letter_of_a_player_is_not_that_of_a_gradient(tmp_path):
    (tmp_path / "program.py").write_text(_NAMED_BY_PLAYER)
    report = run_report(SessionOptions(str(tmp_path / "program.py"), fix_budget_s=0.0))
    assert {row.name: row.verdict.value for row in report.rows} == dict.fromkeys(
        ("dreal", "dmade", "dU", "dV"), "correct"
    )


def test_what_is_measured_is_no_manual_gradient(tmp_path):
    (tmp_path / "program.py").write_text(_MEASURED)
    report = run_report(SessionOptions(str(tmp_path / "program.py"), fix_budget_s=0.0))
    assert [(row.name, row.verdict.value) for row in report.rows] == [("dout", "correct")]


_COUNTS_ITS_ERRORS = """
import numpy as np
rng = np.random.RandomState(0)
x, y, w = rng.randn(1, 3), np.zeros((1, 1)), rng.randn(3, 1) * 0.1
for step in range(20):
    out = 1 / (1 + np.exp(8 - x @ w))
    out_err = y - out
    overall_err = 0
    overall_err += np.abs(out_err[0])
    delta = out_err * out * (1 - out)
    w += 0.1 * x.T @ delta
    print(overall_err)
"""


def test_a_number_is_no_gradient_because_a_large_factor_is_near_a_whole_number(tmp_path):
    (tmp_path / "program.py").write_text(_COUNTS_ITS_ERRORS)
    report = run_report(SessionOptions(str(tmp_path / "program.py"), fix_budget_s=0.0))
    assert {row.name: row.verdict.value for row in report.rows} == {
        "out_err": "correct",
        "overall_err": "unchecked",
        "delta": "correct",
        "0.1 * x.T @ delta": "correct",
    }
