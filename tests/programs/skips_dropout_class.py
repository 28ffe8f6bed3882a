import torch


class Linear:
    def __init__(self, i, o):
        self.W = torch.randn(i, o) * 0.3

    def __call__(self, x):
        self.x = x
        return x @ self.W

    def backward(self, dout):
        self.dW = self.x.T @ dout
        return dout @ self.W.T


class Dropout:
    def __call__(self, x):
        self.mask = (torch.rand(x.shape) > 0.4).float() / 0.6
        return x * self.mask

    def backward(self, dout):
        return dout * self.mask


torch.manual_seed(116)
x, y = torch.randn(26, 5), torch.randn(26, 2)
first, drop, last = Linear(5, 12), Dropout(), Linear(12, 2)

for epoch in range(500):
    z = first(x)
    h = torch.relu(z)
    kept = drop(h)
    out = last(kept)
    loss = 0.5 * ((out - y) ** 2).sum() / 26
    d_out = (out - y) / 26
    d_kept = last.backward(d_out)
    d_h = drop.backward(d_kept)
    d_z = d_kept * (z > 0)
    first.backward(d_z)
    for layer in (first, last):
        layer.W -= 0.1 * layer.dW
print(loss.item())
