from types import SimpleNamespace

import torch

torch.manual_seed(23)
dim = 6
tokens = torch.randn(7, dim)
wanted = torch.randn(7, dim)
Wq, Wk, Wv, Wo = (torch.randn(dim, dim) / dim**0.5 for _ in range(4))


def forward(x):
    q, k, v = x @ Wq, x @ Wk, x @ Wv
    s = (q @ k.T) * dim**-0.5
    p = torch.softmax(s, 1)
    ctx = p @ v
    y = ctx @ Wo
    return y, SimpleNamespace(x=x, q=q, k=k, v=v, s=s, p=p, ctx=ctx)


def backward(grad_y, c):
    grad_Wo = c.ctx.T @ grad_y
    grad_ctx = grad_y @ Wo.T
    grad_p = grad_ctx @ c.v.T
    grad_v = c.p.T @ grad_ctx
    grad_s = grad_p * c.p * (1 - c.p)
    grad_q = grad_s @ c.k * dim**-0.5
    grad_k = grad_s.T @ c.q * dim**-0.5
    grad_Wq = c.x.T @ grad_q
    grad_Wk = c.x.T @ grad_k
    grad_Wv = c.x.T @ grad_v
    return {"Wq": grad_Wq, "Wk": grad_Wk, "Wv": grad_Wv, "Wo": grad_Wo}


y, cache = forward(tokens)
loss = torch.mean((y - wanted) ** 2)
grads = backward(2 * (y - wanted) / y.numel(), cache)
for name, grad in grads.items():
    print(name, tuple(grad.shape), f"{grad.norm():.4f}")
