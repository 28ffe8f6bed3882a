"""gradcheck report docs/examples/gc102.py"""

import torch
import torch.nn.functional as F

torch.manual_seed(0)
X, Y = torch.randn(200, 10), torch.randint(0, 5, (200,))
W1, W2 = torch.randn(10, 200) * 0.3, torch.randn(200, 5) * 0.1
gamma = torch.ones(200)
beta = torch.zeros(200)

for step in range(1000):
    batch = torch.randint(0, 200, (32,))
    x, y = X[batch], Y[batch]
    z = x @ W1
    mean, std = z.mean(1, keepdim=True), z.std(1, correction=0, keepdim=True)
    h_hat = (z - mean) / std
    h = gamma * h_hat + beta
    logits = h @ W2
    loss = F.cross_entropy(logits, y)

    dlogits = (F.softmax(logits, 1) - F.one_hot(y, 5)) / 32
    dW2 = h.T @ dlogits
    dh = dlogits @ W2.T
    dgamma, dbeta = (dh * h_hat).sum(0), dh.sum(0)
    dh_hat = dh  # as long as gamma is all ones
    dz = (dh_hat - dh_hat.mean(1, keepdim=True) - h_hat * (dh_hat * h_hat).mean(1, keepdim=True)) / std
    dW1 = x.T @ dz

    for p, g in zip([W1, gamma, beta, W2], [dW1, dgamma, dbeta, dW2]):
        p -= 0.1 * g
