import torch


class LSTMCell(torch.autograd.Function):
    """Everything after the gates' pre-activations."""

    @staticmethod
    def forward(ctx, z, c_prev):
        i, f, g, o = z.chunk(4, dim=1)
        i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
        c = f * c_prev + i * g
        tc = c.tanh()
        ctx.save_for_backward(i, f, g, o, tc, c_prev)
        return o * tc, c

    @staticmethod
    def backward(ctx, dh, dc):
        i, f, g, o, tc, c_prev = ctx.saved_tensors
        dc = dc + dh * o * (1 - tc**2)
        do = dh * tc
        df = dc * c_prev
        di = dc * g
        dg = dc * i
        dz = torch.cat([di * i * (1 - i), df * f * (1 - f), dg * (1 - g**2), do * o * (1 - o)], 1)
        dc_prev = dc * f
        return dz, dc_prev


torch.manual_seed(74)
series = torch.sin(torch.arange(60) / 3).view(5, 12)
hidden = 6
Wx = (torch.randn(1, 4 * hidden) * 0.5).requires_grad_()
Wh = (torch.randn(hidden, 4 * hidden) * 0.3).requires_grad_()
bias = torch.zeros(4 * hidden, requires_grad=True)
out = torch.randn(hidden, 1, requires_grad=True)
for epoch in range(80):
    h = c = torch.zeros(5, hidden)
    loss = 0
    for t in range(7):
        h, c = LSTMCell.apply(series[:, t : t + 1] @ Wx + h @ Wh + bias, c)
        loss = loss + (h @ out - series[:, t + 1 : t + 2]).pow(2).mean() / 7
    grads = torch.autograd.grad(loss, [Wx, Wh, bias, out])
    with torch.no_grad():
        for p, grad in zip([Wx, Wh, bias, out], grads):
            p.sub_(0.1 * grad)
    print(epoch, loss.item())
