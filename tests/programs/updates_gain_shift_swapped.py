import torch
import torch.nn.functional as F

torch.manual_seed(110)
x = torch.randn(24, 5)
t = torch.randint(0, 3, (24,))
W1 = torch.randn(5, 8) * 0.4
gain = torch.ones(8)
shift = torch.zeros(8)
W2 = torch.randn(8, 3) * 0.4
lr = 0.1

for i in range(500):
    z = x @ W1
    s = torch.tanh(z)
    u = gain * s + shift
    logits = u @ W2
    loss = F.cross_entropy(logits, t)
    dlogits = (F.softmax(logits, 1) - F.one_hot(t, 3)) / 24
    dW2 = u.T @ dlogits
    du = dlogits @ W2.T
    dshift = du.sum(0)
    dgain = (du * s).sum(0)
    ds = du * gain
    dz = ds * (1 - s**2)
    dW1 = x.T @ dz
    W1 = W1 - lr * dW1
    gain = gain - lr * dshift
    shift = shift - lr * dgain
    W2 = W2 - lr * dW2
print(loss.item())
