import torch
import torch.nn.functional as F

torch.manual_seed(109)
X = torch.randn(32, 6)
Y = torch.randint(0, 6, (32,))
W1 = torch.randn(6, 6) * 0.4
b1 = torch.randn(6) * 0.1
W2 = torch.randn(6, 6) * 0.4
b2 = torch.randn(6) * 0.1
params = [W1, b1, W2, b2]
first = [torch.zeros_like(p) for p in params]
second = [torch.zeros_like(p) for p in params]

for step in range(1, 1001):
    z1 = X @ W1 + b1
    h1 = torch.tanh(z1)
    logits = h1 @ W2 + b2
    loss = F.cross_entropy(logits, Y)

    grads = []
    dlogits = (F.softmax(logits, 1) - F.one_hot(Y, 6)) / 32
    dW2 = h1.T @ dlogits
    db2 = dlogits.sum(0)
    grads += [dW2, db2]
    dz1 = (dlogits @ W2.T) * (1 - h1**2)
    dW1 = X.T @ dz1
    db1 = dz1.sum(0)
    grads += [dW1, db1]

    for p, m, v, g in zip(params, first, second, grads):
        m.mul_(0.9).add_(g, alpha=0.1)
        v.mul_(0.999).addcmul_(g, g, value=0.001)
        m_hat = m / (1 - 0.9**step)
        v_hat = v / (1 - 0.999**step)
        p -= 0.01 * m_hat / (v_hat.sqrt() + 1e-8)
print(loss.item())
