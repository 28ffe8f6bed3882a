import torch
import torch.nn.functional as F


def layernorm_forward(x, gamma, beta, eps=1e-5):
    mean = x.mean(-1, keepdim=True)
    rstd = 1 / torch.sqrt(x.var(-1, keepdim=True, unbiased=False) + eps)
    xhat = (x - mean) * rstd
    return gamma * xhat + beta, (xhat, rstd, gamma)


def layernorm_backward(dout, cache):
    xhat, rstd, gamma = cache
    dgamma = (dout * xhat).sum(0)
    dbeta = dout.sum(0)
    dxhat = dout * gamma
    dx = rstd * (dxhat - dxhat.mean(-1, keepdim=True) - xhat * (dxhat * xhat).mean(-1, keepdim=True))
    return dx, dgamma, dbeta


torch.manual_seed(3)
N, D, K = 9, 11, 4
data = torch.randn(N, 6)
labels = torch.randint(K, (N,))
W1 = torch.randn(6, D) * 0.4
gamma = 1 + 0.2 * torch.randn(D)
beta = 0.1 * torch.randn(D)
W2 = torch.randn(D, K) * 0.4

pre = data @ W1
normed, ln_cache = layernorm_forward(pre, gamma, beta)
hidden = F.silu(normed)
logits = hidden @ W2
loss = F.cross_entropy(logits, labels)

dlogits = (logits.softmax(1) - torch.eye(K)[labels]) / N
dW2 = hidden.T @ dlogits
dhidden = dlogits @ W2.T
sig = torch.sigmoid(normed)
dnormed = dhidden * (sig * (1 + normed * (1 - sig)))
dpre, dgamma, dbeta = layernorm_backward(dnormed, ln_cache)
dW1 = data.T @ dpre
print(f"{loss:.4f} {dW1.norm():.4f}")
