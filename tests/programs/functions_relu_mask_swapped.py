import torch
import torch.nn.functional as F


def forward(params, x):
    w1, b1, w2, b2, w3, b3 = params
    z1 = x @ w1 + b1
    h1 = z1.clamp(min=0)
    z2 = h1 @ w2 + b2
    h2 = z2.clamp(min=0)
    out = h2 @ w3 + b3
    return out, dict(x=x, z1=z1, h1=h1, z2=z2, h2=h2)


def backward(params, cache, dout):
    w1, b1, w2, b2, w3, b3 = params
    grads = {}
    grads["w3"] = cache["h2"].T @ dout
    grads["b3"] = dout.sum(0)
    dh2 = dout @ w3.T
    dz2 = dh2 * (cache["z1"] > 0)
    grads["w2"] = cache["h1"].T @ dz2
    grads["b2"] = dz2.sum(0)
    dh1 = dz2 @ w2.T
    dz1 = dh1 * (cache["z1"] > 0)
    grads["w1"] = cache["x"].T @ dz1
    grads["b1"] = dz1.sum(0)
    return grads


def main():
    torch.manual_seed(2)
    x = torch.randn(16, 4)
    y = (x.sum(1) > 0).long()
    sizes = [(4, 12), (12,), (12, 12), (12,), (12, 2), (2,)]
    params = [torch.randn(s) * 0.4 for s in sizes]
    names = ["w1", "b1", "w2", "b2", "w3", "b3"]
    for _ in range(400):
        out, cache = forward(params, x)
        loss = F.cross_entropy(out, y)
        dout = (F.softmax(out, -1) - F.one_hot(y, 2)) / len(y)
        grads = backward(params, cache, dout)
        params = [p - 0.2 * grads[k] for p, k in zip(params, names)]
    print(f"final loss {loss:.3f}")


if __name__ == "__main__":
    main()
