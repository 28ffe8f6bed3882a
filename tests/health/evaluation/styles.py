"""The same in other styles: classes with a training flag, dictionaries of functions, recurrence, columns, regression."""

from __future__ import annotations

from tests.health.evaluation.programs import DATA

LAYERS = (
    DATA
    + """

class Linear:
    def __init__(self, a, b, bias=True):
        self.weight = torch.randn((a, b), generator=g) / a**0.5
        self.bias = torch.zeros(b) if bias else None

    def __call__(self, x):
        self.x = x
        self.out = x @ self.weight
        if self.bias is not None:
            self.out = self.out + self.bias
        return self.out

    def backward(self, dout):
        self.dweight = self.x.T @ dout
        if self.bias is not None:
            self.dbias = dout.sum(0)
        return dout @ self.weight.T

    def pairs(self):
        found = [(self.weight, self.dweight)]
        return found + ([(self.bias, self.dbias)] if self.bias is not None else [])


class BatchNorm1d:
    def __init__(self, dim):
        self.training = True
        self.gamma, self.beta = torch.ones(dim), torch.zeros(dim)
        self.running_mean, self.running_var = torch.zeros(dim), torch.ones(dim)

    def __call__(self, x):
        if self.training:
            mean, var = x.mean(0), x.var(0)
        else:
            mean, var = self.running_mean, self.running_var
        self.inv = 1 / torch.sqrt(var + 1e-5)
        self.xhat = (x - mean) * self.inv
        if self.training:
            self.running_mean = 0.9 * self.running_mean + 0.1 * mean
            self.running_var = 0.9 * self.running_var + 0.1 * var
        self.out = self.gamma * self.xhat + self.beta
        return self.out

    def backward(self, dout):
        n = dout.shape[0]
        self.dgamma, self.dbeta = (dout * self.xhat).sum(0), dout.sum(0)
        return self.gamma * self.inv / n * (
            n * dout - dout.sum(0) - n / (n - 1) * self.xhat * (dout * self.xhat).sum(0)
        )

    def pairs(self):
        return [(self.gamma, self.dgamma), (self.beta, self.dbeta)]


class Tanh:
    def __call__(self, x):
        self.out = torch.tanh(x)
        return self.out

    def backward(self, dout):
        return dout * (1 - self.out**2)

    def pairs(self):
        return []


class Dropout:
    def __init__(self, p):
        self.p, self.training = p, True

    def __call__(self, x):
        if self.training:
            self.mask = (torch.rand(x.shape, generator=g) > self.p).float() / (1 - self.p)
            return x * self.mask
        return x

    def backward(self, dout):
        return dout * self.mask

    def pairs(self):
        return []


class Embedding:
    def __init__(self, a, b):
        self.weight = torch.randn((a, b), generator=g)

    def __call__(self, index):
        self.index = index
        self.out = self.weight[index].view(index.shape[0], -1)
        return self.out

    def backward(self, dout):
        self.dweight = torch.zeros_like(self.weight)
        self.dweight.index_add_(0, self.index.view(-1), dout.view(-1, self.weight.shape[1]))

    def pairs(self):
        return [(self.weight, self.dweight)]


layers = [LAYERS]
for step in range(500):
    ix = torch.randint(0, 400, (16,), generator=g)
    x = X[ix]
    for layer in layers:
        x = layer(x)
    loss = F.cross_entropy(x, Y[ix])
    dx = F.softmax(x, 1)
    dx[range(16), Y[ix]] -= 1
    dx /= 16
    for layer in reversed(layers):
        dx = layer.backward(dx)
    for layer in layers:
        for p, d in layer.pairs():
            p -= 0.1 * d
"""
)

BATCH_NORM_LAYERS = LAYERS.replace(
    "[LAYERS]",
    "[Embedding(11, 4), Linear(12, 24, bias=False), BatchNorm1d(24), Tanh(), "
    "Linear(24, 24, bias=False), BatchNorm1d(24), Tanh(), Linear(24, 11)]",
)
DROPOUT_LAYERS = LAYERS.replace(
    "[LAYERS]", "[Embedding(11, 4), Linear(12, 24), Tanh(), Dropout(0.4), Linear(24, 11)]"
)
SWITCH_OFF = """
for layer in layers:
    layer.training = False
"""
RUN_LAYERS = """
def evaluate(x, y):
    for layer in layers:
        x = layer(x)
    return F.cross_entropy(x, y)


print(evaluate(X[:50], Y[:50]).item())
context = [0, 0, 0]
for _ in range(5):
    x = torch.tensor([context])
    for layer in layers:
        x = layer(x)
    probs = F.softmax(x, 1)
    context = context[1:] + [torch.multinomial(probs, 1, generator=g).item()]
"""

DICTIONARY = (
    DATA
    + """
params = {
    "C": torch.randn((11, 4), generator=g),
    "W1": torch.randn((12, 24), generator=g) * 0.3,
    "b1": torch.zeros(24),
    "W2": torch.randn((24, 11), generator=g) * 0.2,
    "b2": torch.zeros(11),
}


def forward(params, x):
    emb = params["C"][x].reshape(len(x), -1)
    h = torch.relu(emb @ params["W1"] + params["b1"])
    return emb, h, h @ params["W2"] + params["b2"]


def backward(params, x, y, emb, h, logits):
    grads = {}
    dlogits = F.softmax(logits, 1)
    dlogits[torch.arange(len(x)), y] -= 1
    dlogits = dlogits / len(x)
    grads["W2"] = h.T @ dlogits
    grads["b2"] = dlogits.sum(0)
    dz = dlogits @ params["W2"].T * (h > 0)
    grads["W1"] = emb.T @ dz
    grads["b1"] = dz.sum(0)
    demb = dz @ params["W1"].T
    grads["C"] = torch.zeros_like(params["C"])
    grads["C"].index_add_(0, x.reshape(-1), demb.reshape(-1, 4))
    return grads


for step in range(500):
    ix = torch.randint(0, 400, (16,), generator=g)
    emb, h, logits = forward(params, X[ix])
    loss = F.cross_entropy(logits, Y[ix])
    grads = backward(params, X[ix], Y[ix], emb, h, logits)
    params = {name: params[name] - 0.1 * grads[name] for name in params}
"""
)
RUN_DICTIONARY = """
print(F.cross_entropy(forward(params, X)[2], Y).item())
best = forward(params, torch.tensor([[0, 0, 0]]))[2].argmax(1)
"""

BIGRAM = (
    DATA
    + """
W = torch.randn((11, 11), generator=g)
xs, ys = X[:, 0], Y
for step in range(500):
    one_hot = F.one_hot(xs, 11).float()
    logits = one_hot @ W
    counts = logits.exp()
    probs = counts / counts.sum(1, keepdim=True)
    loss = -probs[torch.arange(400), ys].log().mean()
    dlogits = probs.clone()
    dlogits[torch.arange(400), ys] -= 1
    dlogits /= 400
    dW = one_hot.T @ dlogits
    W -= 10 * dW
"""
)
SAMPLE_BIGRAM = """
ix = 0
for _ in range(6):
    logits = F.one_hot(torch.tensor([ix]), 11).float() @ W
    counts = logits.exp()
    p = counts / counts.sum(1, keepdim=True)
    ix = torch.multinomial(p, 1, generator=g).item()
print(F.cross_entropy(W[xs], ys).item())
"""

RECURRENT = (
    DATA
    + """
Wx = torch.randn((11, 16), generator=g) * 0.3
Wh = torch.randn((16, 16), generator=g) * 0.2
bh = torch.zeros(16)
Wy = torch.randn((16, 11), generator=g) * 0.3
by = torch.zeros(11)
for step in range(500):
    ix = torch.randint(0, 400, (8,), generator=g)
    x = F.one_hot(X[ix], 11).float()
    hs = [torch.zeros(8, 16)]
    for t in range(3):
        hs.append(torch.tanh(x[:, t] @ Wx + hs[-1] @ Wh + bh))
    logits = hs[-1] @ Wy + by
    loss = F.cross_entropy(logits, Y[ix])
    dlogits = F.softmax(logits, 1)
    dlogits[range(8), Y[ix]] -= 1
    dlogits /= 8
    dWy = hs[-1].T @ dlogits
    dby = dlogits.sum(0)
    dh = dlogits @ Wy.T
    dWx, dWh, dbh = torch.zeros_like(Wx), torch.zeros_like(Wh), torch.zeros_like(bh)
    for t in reversed(range(3)):
        dz = dh * (1 - hs[t + 1] ** 2)
        dWx += x[:, t].T @ dz
        dWh += hs[t].T @ dz
        dbh += dz.sum(0)
        dh = dz @ Wh.T
    for p, d in ((Wx, dWx), (Wh, dWh), (bh, dbh), (Wy, dWy), (by, dby)):
        p -= 0.1 * d
"""
)
RUN_RECURRENT = """
def run(x):
    h = torch.zeros(x.shape[0], 16)
    for t in range(x.shape[1]):
        h = torch.tanh(F.one_hot(x[:, t], 11).float() @ Wx + h @ Wh + bh)
    return h @ Wy + by


print(F.cross_entropy(run(X), Y).item())
h = torch.zeros(1, 16)
ix = 0
for _ in range(7):
    h = torch.tanh(F.one_hot(torch.tensor([ix]), 11).float() @ Wx + h @ Wh + bh)
    logits = h @ Wy + by
    ix = torch.multinomial(F.softmax(logits, 1), 1, generator=g).item()
"""

COLUMNS = (
    DATA
    + """
inputs = torch.randn((6, 400), generator=g)
targets = torch.tanh(inputs[:2] * 2)
W1 = torch.randn((10, 6), generator=g) * 0.4
b1 = torch.zeros((10, 1))
W2 = torch.randn((2, 10), generator=g) * 0.4
b2 = torch.zeros((2, 1))
for step in range(500):
    ix = torch.randint(0, 400, (20,), generator=g)
    x, y = inputs[:, ix], targets[:, ix]
    Z1 = W1 @ x + b1
    A1 = torch.sigmoid(Z1)
    Z2 = W2 @ A1 + b2
    loss = ((Z2 - y) ** 2).mean()
    dZ2 = 2 * (Z2 - y) / Z2.numel()
    dW2 = dZ2 @ A1.T
    db2 = dZ2.sum(1, keepdim=True)
    dA1 = W2.T @ dZ2
    dZ1 = dA1 * A1 * (1 - A1)
    dW1 = dZ1 @ x.T
    db1 = dZ1.sum(1, keepdim=True)
    W1 = W1 - 0.1 * dW1
    b1 = b1 - 0.1 * db1
    W2 = W2 - 0.1 * dW2
    b2 = b2 - 0.1 * db2
"""
)
RUN_COLUMNS = """
predicted = W2 @ torch.sigmoid(W1 @ inputs + b1) + b2
print(((predicted - targets) ** 2).mean().item())
one = W2 @ torch.sigmoid(W1 @ inputs[:, :1] + b1) + b2
"""

ATTENTION = """
import torch
import torch.nn.functional as F

g = torch.Generator().manual_seed(1)
T = 4
data = torch.randint(0, 7, (200, T + 1), generator=g)
E = torch.randn((7, 8), generator=g) * 0.5
P = torch.randn((T, 8), generator=g) * 0.5
Wq, Wk, Wv = (torch.randn((8, 8), generator=g) * 0.3 for _ in range(3))
Wo = torch.randn((8, 7), generator=g) * 0.3
bo = torch.zeros(7)
tril = torch.tril(torch.ones(T, T))


def forward(ix):
    t = ix.shape[1]
    x = E[ix] + P[torch.arange(t)]
    q, k, v = x @ Wq, x @ Wk, x @ Wv
    s = q @ k.transpose(-2, -1) / 8**0.5
    a = F.softmax(s.masked_fill(tril[:t, :t] == 0, float("-inf")), -1)
    o = a @ v
    return x, q, k, v, a, o, o @ Wo + bo


for step in range(100):
    b = torch.randint(0, 200, (10,), generator=g)
    xb, yb = data[b, :-1], data[b, 1:]
    x, q, k, v, a, o, logits = forward(xb)
    loss = F.cross_entropy(logits.view(-1, 7), yb.reshape(-1))
    dlogits = (F.softmax(logits, -1) - F.one_hot(yb, 7)) / (10 * T)
    dWo = torch.einsum("bto,btc->oc", o, dlogits)
    dbo = dlogits.sum((0, 1))
    do = dlogits @ Wo.T
    dv = a.transpose(-2, -1) @ do
    da = do @ v.transpose(-2, -1)
    ds = a * (da - (a * da).sum(-1, keepdim=True)) / 8**0.5
    dq, dk = ds @ k, ds.transpose(-2, -1) @ q
    dWq = torch.einsum("bti,bto->io", x, dq)
    dWk = torch.einsum("bti,bto->io", x, dk)
    dWv = torch.einsum("bti,bto->io", x, dv)
    dx = dq @ Wq.T + dk @ Wk.T + dv @ Wv.T
    dP = dx.sum(0)
    dE = torch.zeros_like(E)
    dE.index_add_(0, xb.reshape(-1), dx.reshape(-1, 8))
    for p, d in zip([E, P, Wq, Wk, Wv, Wo, bo], [dE, dP, dWq, dWk, dWv, dWo, dbo]):
        p -= 0.1 * d
"""
RUN_ATTENTION = """
print(F.cross_entropy(forward(data[:, :-1])[-1].view(-1, 7), data[:, 1:].reshape(-1)).item())
ix = torch.zeros(1, 1, dtype=torch.long)
for _ in range(8):
    logits = forward(ix[:, -T:])[-1][:, -1]
    ix = torch.cat([ix, torch.multinomial(F.softmax(logits, -1), 1, generator=g)], 1)
"""
WITHOUT_POSITIONS = """
x = E[data[:, :-1]]
q, k, v = x @ Wq, x @ Wk, x @ Wv
a = F.softmax((q @ k.transpose(-2, -1) / 8**0.5).masked_fill(tril == 0, float("-inf")), -1)
print(F.cross_entropy((a @ v @ Wo + bo).view(-1, 7), data[:, 1:].reshape(-1)).item())
"""
WITHOUT_MASK = """
x = E[data[:, :-1]] + P[torch.arange(T)]
q, k, v = x @ Wq, x @ Wk, x @ Wv
a = F.softmax(q @ k.transpose(-2, -1) / 8**0.5, -1)
print(F.cross_entropy((a @ v @ Wo + bo).view(-1, 7), data[:, 1:].reshape(-1)).item())
"""

MODULE = """
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)
X = torch.randn(300, 5)
Y = torch.randint(0, 4, (300,))
a, b = nn.Linear(5, 8), nn.Linear(8, 4)
drop = nn.Dropout(0.3)
with torch.no_grad():
    for step in range(100):
        ix = torch.randint(0, 300, (16,))
        x, y = X[ix], Y[ix]
        z = a(x)
        h = torch.tanh(z)
        m = drop(h)
        logits = b(m)
        loss = F.cross_entropy(logits, y)
        dlogits = F.softmax(logits, 1)
        dlogits[range(16), y] -= 1
        dlogits /= 16
        dWb, dbb = dlogits.T @ m, dlogits.sum(0)
        dm = dlogits @ b.weight
        dh = dm * (m != 0) / 0.7
        dz = dh * (1 - h**2)
        dWa, dba = dz.T @ x, dz.sum(0)
        for p, d in zip([a.weight, a.bias, b.weight, b.bias], [dWa, dba, dWb, dbb]):
            p -= 0.1 * d
    SWITCH
    print(F.cross_entropy(b(drop(torch.tanh(a(X)))), Y).item())
"""
