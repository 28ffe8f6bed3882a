import numpy as np

rng = np.random.default_rng(0)
E = rng.normal(size=(7, 4))
W = rng.standard_normal((4, 6)) * 0.5
g = np.ones(6)
b = np.zeros(6)
V = rng.normal(0, 0.3, (6, 3))
ix = np.array([1, 2, 2, 5, 0, 1, 3, 6])
y = np.array([0, 1, 2, 0, 1, 2, 1, 0])
N = len(ix)
mask = (rng.random((N, 6)) < 0.8) / 0.8
emb = E[ix]
z = emb @ W
mu = z.mean(axis=0)
var = z.var(axis=0)
zhat = (z - mu) / np.sqrt(var + 1e-5)
zn = g * zhat + b
a = np.where(zn > 0, zn, 0.1 * zn)
ad = a * mask
logits = ad.dot(V)
m = logits.max(1)[:, None]
p = np.exp(logits - m)
p /= p.sum(1, keepdims=True)
Y = np.eye(3)[y]
loss = -(Y * np.log(p)).sum(axis=1).mean()
dlogits = (p - Y) / N
dV = ad.T @ dlogits
dad = dlogits @ V.T
da = dad * mask
dzn = np.where(zn > 0, da, 0.1 * da)
dg = (dzn * zhat).sum(0)
db = np.einsum("ij->j", dzn)
dzhat = dzn * g
dz = (1.0 / N) / np.sqrt(var + 1e-5) * (N * dzhat - dzhat.sum(0) - zhat * (dzhat * zhat).sum(0))
dW = np.einsum("ni,nj->ij", emb, dz)
demb = dz @ W.T
dE = np.zeros_like(E)
np.add.at(dE, ix, demb)
for param, grad in zip([E, W, g, b, V], [dE, dW, dg, db, dV]):
    param -= 0.1 * grad
