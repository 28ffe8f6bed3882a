import torch
from torch import nn


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(1, 4, 3, padding=1)
        self.proj = nn.Linear(4 * 10, 8)

    def forward(self, x):
        return torch.tanh(self.proj(torch.relu(self.conv(x)).flatten(1)))


class Head:
    """Written by hand: no graph is kept for it."""

    def __init__(self, n_in, n_out):
        self.W = torch.randn(n_in, n_out) * 0.3
        self.b = torch.zeros(n_out)

    def forward(self, h):
        self.h = h
        return h @ self.W + self.b

    def backward(self, dout):
        self.dW = self.h.T @ dout
        self.db = dout.sum(0)
        return dout @ self.W.T


torch.manual_seed(81)
signals = torch.randn(20, 1, 10)
means = torch.stack([signals.mean((1, 2)), signals.amax((1, 2))], 1)
encoder, head = Encoder(), Head(8, 2)
optimizer = torch.optim.SGD(encoder.parameters(), lr=0.1)
for step in range(200):
    h = encoder(signals)
    with torch.no_grad():
        out = head.forward(h.detach())
        loss = ((out - means) ** 2).mean()
        dout = 2 * (out - means) / out.numel()
        dh = head.backward(dout)
    optimizer.zero_grad()
    h.backward(dh)
    optimizer.step()
    head.W -= 0.1 * head.dW
    head.b -= 0.1 * head.db
    if step % 50 == 0:
        print(step, loss.item())
