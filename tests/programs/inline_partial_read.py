import torch
import torch.nn.functional as F

torch.manual_seed(92)
x = torch.randn(14, 5)
cls = torch.randint(0, 3, (14,))
val = torch.randn(14, 1)
W = torch.randn(5, 9) * 0.5
Wc = torch.randn(9, 3) * 0.5
Wv = torch.randn(9, 1) * 0.5

z = x @ W
h = torch.tanh(z)
logits = h @ Wc
value = h @ Wv
loss = F.cross_entropy(logits, cls) + 0.5 * F.mse_loss(value, val)

dlogits = (F.softmax(logits, 1) - F.one_hot(cls, 3)) / 14
dWc = h.T @ dlogits
dh = dlogits @ Wc.T
dz = dh * (1 - h**2)
dvalue = (value - val) / 14
dWv = h.T @ dvalue
dh += dvalue @ Wv.T
dW = x.T @ dz
print(loss.item(), dW.norm().item())
