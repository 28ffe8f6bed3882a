import torch


def dense(x, w, b):
    return torch.matmul(x, w) + b


def gelu(z):
    return z * torch.sigmoid(1.702 * z)


def block(x, p):
    z = dense(x, p["w"], p["b"])
    return gelu(z), (x, z)


def network(x, blocks):
    kept = []
    for p in blocks:
        x, cache = block(x, p)
        kept.append(cache)
    return x, kept


def dense_grads(x, w, dz):
    return dz @ w.T, x.T @ dz, dz.sum(0)


def gelu_grad(z, dout):
    s = torch.sigmoid(1.702 * z)
    return dout * (s + 1.702 * z * s * (1 - s))


def block_grads(p, cache, dout):
    x, z = cache
    dz = gelu_grad(z, dout)
    dx, dw, db = dense_grads(x, p["w"], dz)
    return dx, {"w": dw, "b": db}


def network_grads(blocks, kept, dout):
    found = []
    for p, cache in zip(reversed(blocks), reversed(kept)):
        dout, grads = block_grads(p, cache, dout)
        found.insert(0, grads)
    return found


def distance(out, goal):
    away = out - goal
    return away.square().sum(1).mean(), 2 * away / len(away)


torch.manual_seed(61)
points = torch.randn(40, 3)
goals = torch.stack([points.prod(1), points.sum(1).sin()], 1)
sizes = [3, 12, 12, 2]
blocks = [{"w": torch.randn(m, n) * 0.5, "b": torch.randn(n) * 0.1} for m, n in zip(sizes, sizes[1:])]
for epoch in range(500):
    out, kept = network(points, blocks)
    loss, dout = distance(out, goals)
    for p, grads in zip(blocks, network_grads(blocks, kept, dout)):
        for key in p:
            p[key] -= 0.05 * grads[key]
    if epoch % 100 == 0:
        print(epoch, loss.item())
