import torch
import torch.nn.functional as F

torch.manual_seed(118)
n = 16
X = torch.randn(n, 6)
Y = torch.randint(0, 5, (n,))
W1 = torch.randn(6, 8) * 0.4
gain = torch.randn(8) * 0.1 + 1
shift = torch.randn(8) * 0.1
W2 = torch.randn(8, 5) * 0.4
b2 = torch.randn(5) * 0.1
for p in (W1, gain, shift, W2, b2):
    p.requires_grad = True

pre = X @ W1
mean = pre.mean(0, keepdim=True)
diff = pre - mean
var = (diff**2).sum(0, keepdim=True) / (n - 1)
inv = (var + 1e-5) ** -0.5
raw = diff * inv
act = gain * raw + shift
h = torch.tanh(act)
logits = h @ W2 + b2
probs = F.softmax(logits, 1)
logprobs = probs.log()
loss = -logprobs[range(n), Y].mean()
for t in [logprobs, probs, logits, h, act, raw, inv, var, diff, mean, pre]:
    t.retain_grad()
loss.backward()


def cmp(name, dt, t):
    close = torch.allclose(dt, t.grad, atol=1e-6)
    print(name, close, (dt - t.grad).abs().max().item())


dlogprobs = torch.zeros_like(logprobs)
dlogprobs[range(n), Y] = -1.0 / n
dprobs = dlogprobs / probs
dlogits = probs * (dprobs - (dprobs * probs).sum(1, keepdim=True))
dh = dlogits @ W2.T
dW2 = h.T @ dlogits
db2 = dlogits.sum(0)
dact = (1.0 - h**2) * dh
dgain = (raw * dact).sum(0)
dshift = dact.sum(0)
draw = gain * dact
ddiff = inv * draw
dinv = (diff * draw).sum(0, keepdim=True)
dvar = (-0.5 * (var + 1e-5) ** -1.5) * dinv
ddiff += (2.0 / (n - 1)) * diff * dvar
dpre = ddiff.clone()
dmean = -ddiff.sum(0, keepdim=True)
dpre += dmean / n
dW1 = X.T @ dpre
for name, d, t in [("probs", dprobs, probs), ("act", dact, act), ("pre", dpre, pre), ("W1", dW1, W1)]:
    cmp(name, d, t)

dlogits = F.softmax(logits, 1)
dlogits[range(n), Y] -= 1
dlogits /= n
cmp("logits", dlogits, logits)
dpre = gain * inv / n * (n * dact - dact.sum(0) - n / (n - 1) * raw * (dact * raw).sum(0))
cmp("pre", dpre, pre)
