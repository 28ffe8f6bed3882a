import torch
import torch.nn.functional as F

words = ["anna", "bert", "carla", "dora", "emil", "frida", "gustav", "hanna", "ivo", "jana"]
chars = sorted(set("".join(words)))
stoi = {c: i + 1 for i, c in enumerate(chars)}
stoi["."] = 0
vocab = len(stoi)
ctx = 3

xs, ys = [], []
for w in words:
    window = [0] * ctx
    for c in w + ".":
        xs.append(window)
        ys.append(stoi[c])
        window = window[1:] + [stoi[c]]
X = torch.tensor(xs)
Y = torch.tensor(ys)

g = torch.Generator().manual_seed(42)
emb_dim, hidden, n = 5, 12, 16
E = torch.randn((vocab, emb_dim), generator=g)
W1 = torch.randn((emb_dim * ctx, hidden), generator=g) * 0.3
b1 = torch.randn(hidden, generator=g) * 0.1
W2 = torch.randn((hidden, vocab), generator=g) * 0.1
b2 = torch.randn(vocab, generator=g) * 0.1
gain = torch.randn((1, hidden), generator=g) * 0.1 + 1.0
shift = torch.randn((1, hidden), generator=g) * 0.1

ix = torch.randint(0, X.shape[0], (n,), generator=g)
Xb, Yb = X[ix], Y[ix]

emb = E[Xb]
flat = emb.view(n, -1)
pre = flat @ W1 + b1
mu = pre.sum(0, keepdim=True) / n
centred = pre - mu
sq = centred**2
var = sq.sum(0, keepdim=True) / (n - 1)
inv = (var + 1e-5) ** -0.5
norm = centred * inv
act_in = gain * norm + shift
h = torch.tanh(act_in)
logits = h @ W2 + b2
maxes = logits.max(1, keepdim=True).values
safe = logits - maxes
ex = safe.exp()
tot = ex.sum(1, keepdim=True)
tot_inv = tot**-1
probs = ex * tot_inv
logp = probs.log()
loss = -logp[range(n), Yb].mean()

dlogp = torch.zeros_like(logp)
dlogp[range(n), Yb] = -1.0 / n
dprobs = dlogp / probs
dtot_inv = (dprobs * ex).sum(1, keepdim=True)
dtot = -(tot**-2) * dtot_inv
dex = dprobs * tot_inv
dex += torch.ones_like(ex) * dtot
dsafe = dex * ex
dmaxes = -dsafe.sum(1, keepdim=True)
dlogits = dsafe.clone()
dlogits += F.one_hot(logits.max(1).indices, num_classes=vocab) * dmaxes
dh = dlogits @ W2.T
dW2 = h.T @ dlogits
db2 = dlogits.sum(0)
dact_in = (1.0 - h**2) * dh
dgain = (norm * dact_in).sum(0, keepdim=True)
dshift = dact_in.sum(0, keepdim=True)
dnorm = gain * dact_in
dinv = (centred * dnorm).sum(0, keepdim=True)
dcentred = inv * dnorm
dvar = -0.5 * (var + 1e-5) ** -1.5 * dinv
dsq = torch.ones_like(sq) / (n - 1) * dvar
dcentred += 2 * centred * dsq
dmu = -dcentred.sum(0, keepdim=True)
dpre = dcentred.clone()
dpre += torch.ones_like(pre) / n * dmu
dflat = dpre @ W1.T
dW1 = flat.T @ dpre
db1 = dpre.sum(0)
demb = dflat.view(emb.shape)
dE = torch.zeros_like(E)
for r in range(Xb.shape[0]):
    for c in range(Xb.shape[1]):
        dE[Xb[r, c]] += demb[r, c]
print(f"loss {loss.item():.4f}, dE norm {dE.norm().item():.4f}")
