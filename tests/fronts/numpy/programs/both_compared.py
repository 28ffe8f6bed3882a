import numpy as np
import torch
import torch.nn.functional as F

np.random.seed(0)
X = np.random.randn(16, 5)
y = np.random.randint(0, 3, 16)
W1 = np.random.randn(5, 8) * 0.3
b1 = np.random.randn(8) * 0.1
W2 = np.random.randn(8, 3) * 0.3
b2 = np.zeros(3)

# by hand
z1 = X @ W1 + b1
h = np.tanh(z1)
logits = h @ W2 + b2
p = np.exp(logits - logits.max(1, keepdims=True))
p /= p.sum(1, keepdims=True)
loss = -np.log(p[np.arange(16), y]).mean()
dlogits = p.copy()
dlogits[np.arange(16), y] -= 1
dlogits /= 16
dW2 = h.T @ dlogits
db2 = dlogits.sum(0)
dh = dlogits @ W2.T
dz1 = dh * (1 - h ** 2)
dW1 = X.T @ dz1
db1 = dz1.sum(0)

# with autograd
tW1 = torch.tensor(W1, requires_grad=True)
tb1 = torch.tensor(b1, requires_grad=True)
tW2 = torch.tensor(W2, requires_grad=True)
tb2 = torch.tensor(b2, requires_grad=True)
out = torch.tanh(torch.from_numpy(X) @ tW1 + tb1) @ tW2 + tb2
tloss = F.cross_entropy(out, torch.from_numpy(y))
tloss.backward()
for name, a, b in [("W1", dW1, tW1), ("b1", db1, tb1), ("W2", dW2, tW2), ("b2", db2, tb2)]:
    print(name, np.allclose(a, b.grad.numpy()))
