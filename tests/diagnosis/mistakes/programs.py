"""Right programs in several styles; the tests put one mistake into each."""

NAMES_MODEL = """
import numpy as np
import torch
import torch.nn.functional as F

g = torch.Generator().manual_seed(5)
n = 24
X = torch.randint(0, 9, (n, 3), generator=g)
Y = torch.randint(0, 9, (n,), generator=g)
C = torch.randn((9, 4), generator=g)
W1 = torch.randn((12, 20), generator=g) * 0.3
b1 = torch.randn(20, generator=g) * 0.1
gamma = torch.ones((1, 20)) + 0.1 * torch.randn((1, 20), generator=g)
beta = torch.randn((1, 20), generator=g) * 0.1
W2 = torch.randn((20, 9), generator=g) * 0.3
b2 = torch.randn(9, generator=g) * 0.1

emb = C[X]
embcat = emb.view(n, -1)
hprebn = embcat @ W1 + b1
mean = hprebn.mean(0, keepdim=True)
diff = hprebn - mean
var = (diff**2).sum(0, keepdim=True) / (n - 1)
inv = (var + 1e-5) ** -0.5
raw = diff * inv
hpreact = gamma * raw + beta
h = torch.tanh(hpreact)
logits = h @ W2 + b2
loss = F.cross_entropy(logits, Y)

dlogits = F.softmax(logits, 1)
dlogits[range(n), Y] -= 1
dlogits /= n
dh = dlogits @ W2.T
dW2 = h.T @ dlogits
db2 = dlogits.sum(0)
dhpreact = (1 - h**2) * dh
dgamma = (raw * dhpreact).sum(0, keepdim=True)
dbeta = dhpreact.sum(0, keepdim=True)
dhprebn = gamma * inv / n * (n * dhpreact - dhpreact.sum(0) - n / (n - 1) * raw * (dhpreact * raw).sum(0))
dembcat = dhprebn @ W1.T
dW1 = embcat.T @ dhprebn
db1 = dhprebn.sum(0)
demb = dembcat.view(emb.shape)
dC = torch.zeros_like(C)
dC.index_add_(0, X.view(-1), demb.view(-1, 4))
"""

STEP_BY_STEP = """
import torch

torch.manual_seed(3)
m = 16
x = torch.randn(m, 6)
t = torch.randn(m, 5)
Wa, Wb = torch.randn(6, 8) * 0.4, torch.randn(8, 5) * 0.4
ba, bb = torch.randn(8) * 0.1, torch.randn(5) * 0.1
scale, shift = torch.rand(8) + 0.5, torch.randn(8) * 0.2

a = x @ Wa + ba
mu = a.sum(0, keepdim=True) / m
ac = a - mu
sq = ac**2
v = sq.sum(0, keepdim=True) / m
root = torch.sqrt(v + 1e-3)
xhat = ac / root
u = xhat * scale + shift
s = torch.sigmoid(u)
out = s @ Wb + bb
E = 0.5 * ((out - t) ** 2).sum() / m

d_out = (out - t) / m
d_Wb = s.T @ d_out
d_bb = d_out.sum(0)
d_s = d_out @ Wb.T
d_u = d_s * s * (1 - s)
d_scale = (d_u * xhat).sum(0)
d_shift = d_u.sum(0)
d_xhat = d_u * scale
d_root = (-d_xhat * ac / root**2).sum(0, keepdim=True)
d_v = d_root / (2 * root)
d_sq = (d_v / m).expand(m, 8)
d_ac = d_xhat / root + 2 * ac * d_sq
d_mu = -d_ac.sum(0, keepdim=True)
d_a = d_ac + d_mu / m
d_Wa = x.T @ d_a
d_ba = d_a.sum(0)
"""

SQUARE_LAYERS = """
import torch
import torch.nn.functional as F


class Net:
    def __init__(self, size):
        self.W1 = torch.randn(size, size) * 0.4
        self.W2 = torch.randn(size, size) * 0.4
        self.b1 = torch.randn(size) * 0.1

    def forward(self, x):
        self.x = x
        self.z1 = x @ self.W1 + self.b1
        self.h1 = F.leaky_relu(self.z1, 0.2)
        self.z2 = self.h1 @ self.W2
        self.h2 = F.softplus(self.z2) + self.h1
        return self.h2

    def backward(self, grad_out):
        self.grad_z2 = grad_out * torch.sigmoid(self.z2)
        self.grad_W2 = self.h1.T @ self.grad_z2
        self.grad_h1 = self.grad_z2 @ self.W2.T + grad_out
        self.grad_z1 = torch.where(self.z1 > 0, self.grad_h1, 0.2 * self.grad_h1)
        self.grad_W1 = self.x.T @ self.grad_z1
        self.grad_b1 = self.grad_z1.sum(0)


torch.manual_seed(11)
net = Net(7)
x, y = torch.randn(7, 7), torch.randn(7, 7)
for step in range(40):
    prediction = net.forward(x)
    loss = F.mse_loss(prediction, y)
    net.backward(2 * (prediction - y) / y.numel())
    net.W1 -= 0.05 * net.grad_W1
    net.W2 -= 0.05 * net.grad_W2
    net.b1 -= 0.05 * net.grad_b1
"""

ATTENTION = """
import math

import torch

torch.manual_seed(23)
dim, count = 6, 5
tokens = torch.randn(count, dim)
wanted = torch.randn(count, dim)
params = {k: torch.randn(dim, dim) / dim**0.5 for k in ("q", "k", "v")}


def attend(x, p):
    q, k, v = x @ p["q"], x @ p["k"], x @ p["v"]
    scores = q @ k.T / math.sqrt(dim)
    weights = torch.softmax(scores, dim=1)
    return weights @ v, dict(x=x, q=q, k=k, v=v, weights=weights)


def attend_backward(dout, c):
    dv = c["weights"].T @ dout
    dweights = dout @ c["v"].T
    dscores = c["weights"] * (dweights - (dweights * c["weights"]).sum(1, keepdim=True))
    dq = dscores @ c["k"] / math.sqrt(dim)
    dk = dscores.T @ c["q"] / math.sqrt(dim)
    return {"q": c["x"].T @ dq, "k": c["x"].T @ dk, "v": c["x"].T @ dv}


out, cache = attend(tokens, params)
loss = ((out - wanted) ** 2).mean()
grads = attend_backward(2 * (out - wanted) / wanted.numel(), cache)
for name in params:
    params[name] = params[name] - 0.1 * grads[name]
"""

RECURRENT = """
import torch

torch.manual_seed(2)
T, n, d, k = 4, 6, 3, 5
X = torch.randn(T, n, d)
goal = torch.randn(n, 2)
Wx, Wh, Wy = torch.randn(d, k) * 0.5, torch.randn(k, k) * 0.5, torch.randn(k, 2) * 0.5
b = torch.randn(k) * 0.1
hs = [torch.zeros(n, k)]
for step in range(T):
    hs.append(torch.tanh(X[step] @ Wx + hs[step] @ Wh + b))
pred = hs[T] @ Wy
loss = ((pred - goal) ** 2).sum() / n

dpred = 2 * (pred - goal) / n
dWy = hs[T].T @ dpred
dWx, dWh, db = torch.zeros_like(Wx), torch.zeros_like(Wh), torch.zeros_like(b)
dhs = [None] * T + [dpred @ Wy.T]
for step in reversed(range(T)):
    da = dhs[step + 1] * (1 - hs[step + 1] ** 2)
    dWx += X[step].T @ da
    dWh += hs[step].T @ da
    db += da.sum(0)
    dhs[step] = da @ Wh.T
"""

GATED = """
import torch

torch.manual_seed(8)
n = 10
x = torch.randn(n, 4)
y = torch.rand(n, 6)
W, V = torch.randn(4, 6) * 0.7, torch.randn(4, 6) * 0.7
gate_in = x @ W
gate = torch.sigmoid(gate_in)
value_in = x @ V
value = torch.exp(value_in)
mix = gate * value
log_mix = torch.log(mix + 1.5)
loss = ((log_mix - y) ** 2).sum(1).mean()

grad_log_mix = 2 * (log_mix - y) / n
grad_mix = grad_log_mix / (mix + 1.5)
grad_gate = grad_mix * value
grad_value = grad_mix * gate
grad_gate_in = grad_gate * gate * (1 - gate)
grad_value_in = grad_value * value
grad_W = x.T @ grad_gate_in
grad_V = x.T @ grad_value_in
"""

FILTER = """
import torch


def run(signal, weight, offset, power):
    mixed = signal * weight
    lifted = mixed + offset
    bent = torch.abs(lifted) ** power
    row = bent.sum(1, keepdim=True)
    share = bent / row
    return mixed, lifted, bent, row, share


torch.manual_seed(31)
signal = torch.rand(6, 6) + 0.2
weight, offset = torch.rand(6) + 0.5, torch.rand(6, 1)
target = torch.rand(6, 6)
for epoch in range(3):
    mixed, lifted, bent, row, share = run(signal, weight, offset, 3)
    cost = ((share - target) ** 2).sum()
    dshare = 2 * (share - target)
    drow = (-dshare * bent / row**2).sum(1, keepdim=True)
    dbent = dshare / row + drow
    dlifted = dbent * 3 * torch.abs(lifted) ** 2 * torch.sign(lifted)
    doffset = dlifted.sum(1, keepdim=True)
    dweight = (dlifted * signal).sum(0)
    weight = weight - 0.01 * dweight
    offset = offset - 0.01 * doffset
"""
