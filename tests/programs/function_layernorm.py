import torch


class LayerNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, gamma, beta):
        mu = x.mean(-1, keepdim=True)
        xc = x - mu
        var = (xc**2).mean(-1, keepdim=True)
        rstd = (var + 1e-5) ** -0.5
        xhat = xc * rstd
        ctx.save_for_backward(xc, rstd, xhat, gamma)
        return gamma * xhat + beta

    @staticmethod
    def backward(ctx, dy):
        xc, rstd, xhat, gamma = ctx.saved_tensors
        n = xc.shape[-1]
        dgamma = (dy * xhat).sum(0)
        dbeta = dy.sum(0)
        dxhat = dy * gamma
        drstd = (dxhat * xc).sum(-1, keepdim=True)
        dvar = drstd * -0.5 * rstd**3
        dxc = dxhat * rstd + dvar * 2 * xc / n
        dmu = -dxc.sum(-1, keepdim=True)
        dx = dxc + dmu / n
        return dx, dgamma, dbeta


torch.manual_seed(72)
inputs = torch.randn(13, 4)
targets = torch.randn(13, 3)
A = torch.randn(4, 9, requires_grad=True)
gain = torch.ones(9, requires_grad=True)
shift = torch.zeros(9, requires_grad=True)
B = torch.randn(9, 3, requires_grad=True)

for it in range(100):
    h = LayerNorm.apply(inputs @ A, gain, shift)
    pred = torch.tanh(h) @ B
    loss = (pred - targets).pow(2).mean()
    gA, gg, gs, gB = torch.autograd.grad(loss, (A, gain, shift, B))
    with torch.no_grad():
        for p, g in ((A, gA), (gain, gg), (shift, gs), (B, gB)):
            p -= 0.05 * g
    if it % 20 == 0:
        print(loss.item())
