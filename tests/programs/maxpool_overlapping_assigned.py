import torch
import torch.nn.functional as F


def max_pool(x, size, stride):
    windows = x.unfold(2, size, stride)
    values, where = windows.max(-1)
    starts = torch.arange(values.shape[2]) * stride
    return values, (x.shape, where + starts)


def max_pool_grad(dout, cache):
    shape, index = cache
    dx = torch.zeros(shape)
    dx.scatter_(2, index, dout)
    return dx


torch.manual_seed(88)
waves = torch.sin(torch.linspace(0, 9, 15) * (1 + torch.rand(8, 1))).unsqueeze(1)
kind = torch.randint(0, 2, (8,))
kernel = torch.randn(4, 1, 3) * 0.6
readout = torch.randn(4 * 6, 2) * 0.3

for step in range(150):
    maps = F.conv1d(waves, kernel)
    pooled, cache = max_pool(maps, 3, 2)
    features = pooled.flatten(1)
    scores = features @ readout
    loss = F.cross_entropy(scores, kind)

    dscores = (scores.softmax(1) - F.one_hot(kind, 2)) / 8
    dreadout = features.T @ dscores
    dpooled = (dscores @ readout.T).view_as(pooled)
    dmaps = max_pool_grad(dpooled, cache)
    dkernel = torch.einsum("ncl,nlk->ck", dmaps, waves.squeeze(1).unfold(1, 3, 1)).unsqueeze(1)
    kernel -= 0.2 * dkernel
    readout -= 0.2 * dreadout
    print(step, loss.item())
