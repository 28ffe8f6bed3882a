"""gradcheck report docs/examples/gc304.py"""

import torch
import torch.nn.functional as F

torch.manual_seed(0)
X, Y = torch.randn(1000, 10), torch.randint(0, 5, (1000,))
W1, W2 = torch.randn(10, 20), torch.randn(20, 20) * 0.3
gamma1, beta1 = torch.ones(20), torch.zeros(20)
gamma2, beta2 = torch.ones(20), torch.zeros(20)
V = torch.randn(20, 5) * 0.1


def backward(dnorm, norm, var):
    return (dnorm - dnorm.mean(0) - norm * (dnorm * norm).sum(0) / 31) / (var + 1e-5).sqrt()


for step in range(1000):
    batch = torch.randint(0, 1000, (32,))
    x, y = X[batch], Y[batch]
    z1 = x @ W1
    norm1 = (z1 - z1.mean(0)) / (z1.var(0) + 1e-5).sqrt()
    h1 = torch.tanh(gamma1 * norm1 + beta1)
    z2 = h1 @ W2
    norm2 = (z2 - z2.mean(0)) / (z2.var(0) + 1e-5).sqrt()
    h2 = torch.tanh(gamma2 * norm2 + beta2)
    logits = h2 @ V
    loss = F.cross_entropy(logits, y)

    dlogits = (F.softmax(logits, 1) - F.one_hot(y, 5)) / 32
    dV = h2.T @ dlogits
    dout2 = (dlogits @ V.T) * (1 - h2**2)
    dgamma2, dbeta2 = (dout2 * norm2).sum(0), dout2.sum(0)
    dz2 = backward(gamma2 * dout2, norm2, z2.var(0))
    dW2 = h1.T @ dz2
    dout1 = (dz2 @ W2.T) * (1 - h1**2)
    dgamma1, dbeta1 = (dout1 * norm1).sum(0), dout1.sum(0)
    dz1 = backward(gamma1 * dout1, norm1, z1.var(0))
    dW1 = x.T @ dz1

    grads = [dW1, dgamma1, dbeta1, dW2, dgamma2, dbeta2, dV]
    for p, g in zip([W1, gamma1, beta1, W2, gamma2, beta2, V], grads):
        p -= 0.1 * g

x = X                                         # the statistics of all of the data ...
z1 = x @ W1
mean1, var1 = z1.mean(0), z1.var(0)
z2 = torch.tanh(z1) @ W2                  # without the normalisation that the training has here
mean2, var2 = z2.mean(0), z2.var(0)

norm1 = (X[:100] @ W1 - mean1) / (var1 + 1e-5).sqrt()      # ... are used in evaluation
norm2 = (torch.tanh(gamma1 * norm1 + beta1) @ W2 - mean2) / (var2 + 1e-5).sqrt()
logits = torch.tanh(gamma2 * norm2 + beta2) @ V
print(F.cross_entropy(logits, Y[:100]).item())
