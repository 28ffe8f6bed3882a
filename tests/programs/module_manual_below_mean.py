import torch
import torch.nn as nn


class Net(nn.Module):
    """The embedding's part of the backward pass is written by hand, the rest is autograd's."""

    def __init__(self, vocab, dim, classes):
        super().__init__()
        self.table = nn.Parameter(torch.randn(vocab, dim) * 0.5, requires_grad=False)
        self.mix = nn.Parameter(torch.randn(dim, dim) * 0.4, requires_grad=False)
        self.rest = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, classes))

    def forward(self, tokens):
        self.tokens = tokens
        self.bag = self.table[tokens].mean(1)
        self.hidden = torch.sigmoid(self.bag @ self.mix).requires_grad_()
        return self.rest(self.hidden)

    def manual_backward(self):
        g = self.hidden.grad * self.hidden.detach() * (1 - self.hidden.detach())
        self.mix.grad = self.bag.T @ g / len(g)
        g_bag = g @ self.mix.T
        length = self.tokens.shape[1]
        g_table = torch.zeros_like(self.table)
        for t in range(length):
            g_table.index_add_(0, self.tokens[:, t], g_bag / length)
        self.table.grad = g_table


torch.manual_seed(82)
tokens = torch.randint(0, 15, (26, 4))
classes = tokens.sum(1) % 3
net = Net(15, 6, 3)
opt = torch.optim.Adam(net.parameters(), lr=0.02)
for epoch in range(100):
    loss = nn.functional.cross_entropy(net(tokens), classes)
    opt.zero_grad()
    loss.backward()
    net.manual_backward()
    opt.step()
    if epoch % 10 == 0:
        print(f"{epoch}: {loss.item():.3f}")
