import torch


def affine(inp, w, b):
    return inp @ w + b


def softplus(inp):
    return (1 + inp.exp()).log()


def affine_grad(inp, out, w, b):
    w.g = inp.mT @ out.g
    b.g = out.g.sum(0)
    inp.g = out.g @ w.mT


def softplus_grad(inp, out):
    inp.g = out.g * inp.sigmoid()


def quartic_grad(out, goal):
    out.g = 4 * (out - goal) ** 3 / out.numel()


torch.manual_seed(101)
x, goal = torch.randn(13, 5), torch.randn(13, 2)
w1, b1 = torch.randn(5, 8) / 2, torch.randn(8) / 5
w2, b2 = torch.randn(8, 2) / 3, torch.randn(2) / 5

u1 = affine(x, w1, b1)
a1 = softplus(u1)
u2 = affine(a1, w2, b2)
loss = ((u2 - goal) ** 4).mean()

quartic_grad(u2, goal)
affine_grad(a1, u2, w2, b2)
softplus_grad(u1, a1)
affine_grad(x, u1, w1, b1)
for p in (w1, b1, w2, b2):
    p -= 0.01 * p.g
print(loss)
