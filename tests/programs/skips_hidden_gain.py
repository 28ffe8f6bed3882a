import torch
import torch.nn.functional as F

torch.manual_seed(117)
X = torch.randn(20, 6)
Y = torch.randint(0, 5, (20,))
W1 = torch.randn(6, 8) * 0.4
gain = torch.ones(8)
shift = torch.zeros(8)
W2 = torch.randn(8, 5) * 0.4

z = X @ W1
s = torch.tanh(z)
u = gain * s + shift
logits = u @ W2
loss = F.cross_entropy(logits, Y)

dlogits = (F.softmax(logits, 1) - F.one_hot(Y, 5)) / 20
dW2 = u.T @ dlogits
du = dlogits @ W2.T
dshift = du.sum(0)
dgain = (du * s).sum(0)
ds = gain * du
dz = du * (1 - s**2)
dW1 = X.T @ dz
print(loss.item(), dW1.norm().item())
