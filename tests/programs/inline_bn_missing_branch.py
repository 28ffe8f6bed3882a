import torch
import torch.nn.functional as F

torch.manual_seed(6)
n, f, k = 16, 8, 5
x = torch.randn(n, f) * 2 + 1
t = torch.randint(0, k, (n,))
W1 = torch.randn(f, 10) * 0.3
W2 = torch.randn(10, k) * 0.3
gamma = torch.ones(10)
beta = torch.zeros(10)

z = x @ W1
mu = z.mean(0)
zc = z - mu
var = (zc * zc).mean(0)
std = torch.sqrt(var + 1e-5)
z_hat = zc / std
bn = gamma * z_hat + beta
h = F.elu(bn)
logits = h @ W2
loss = F.nll_loss(F.log_softmax(logits, 1), t)

dlogits = (torch.softmax(logits, 1) - F.one_hot(t, k)) / n
dW2 = h.t().mm(dlogits)
dh = dlogits.mm(W2.t())
dbn = torch.where(bn > 0, dh, dh * torch.exp(bn))
dgamma = (dbn * z_hat).sum(0)
dbeta = dbn.sum(0)
dz_hat = dbn * gamma
dstd = -(dz_hat * zc / std**2).sum(0)
dvar = 0.5 * dstd / std
dzc = dz_hat / std
dmu = -dzc.sum(0)
dz = dzc + dmu / n
dW1 = x.t().mm(dz)
W1 -= 0.1 * dW1
W2 -= 0.1 * dW2
print(loss.item())
