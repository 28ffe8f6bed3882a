import torch


def conv_forward(x, k):
    n, size = x.shape[0], x.shape[1] - k.shape[0] + 1
    out = torch.zeros(n, size, size)
    for i in range(size):
        for j in range(size):
            out[:, i, j] = (x[:, i : i + k.shape[0], j : j + k.shape[1]] * k).sum((1, 2))
    return out


def conv_backward(dout, x, k):
    dk = torch.zeros_like(k)
    dx = torch.zeros_like(x)
    for i in range(dout.shape[1]):
        for j in range(dout.shape[2]):
            patch = x[:, i : i + k.shape[0], j : j + k.shape[1]]
            dk += (patch * dout[:, i, j, None, None]).sum(0)
            dx[:, i : i + k.shape[0], j : j + k.shape[1]] += k * dout[:, i, j, None, None]
    return dk, dx


torch.manual_seed(37)
images = torch.randn(3, 5, 5)
target = torch.tensor([1.0, -1.0, 0.5])
kernel = torch.randn(2, 2)
maps = conv_forward(images, kernel)
act = maps.sigmoid()
score = act.mean((1, 2))
loss = ((score - target) ** 2).mean()

dscore = 2 * (score - target) / 3
dact = dscore[:, None, None].expand_as(act) / act[0].numel()
dmaps = dact * act * (1 - act)
dkernel, dimages = conv_backward(dmaps, images, kernel)
kernel -= 0.5 * dkernel
print(loss.item())
