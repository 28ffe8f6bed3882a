import numpy as np

np.random.seed(3)
x = np.random.randn(2, 1, 5, 5)
w = np.random.randn(3, 1, 3, 3) * 0.3
b = np.zeros(3)
target = np.random.randn(2, 3, 3, 3)


def forward(x, w, b):
    n, c, height, width = x.shape
    f, _, k, _ = w.shape
    out = np.zeros((n, f, height - k + 1, width - k + 1))
    for i in range(out.shape[2]):
        for j in range(out.shape[3]):
            window = x[:, :, i : i + k, j : j + k]
            for m in range(f):
                out[:, m, i, j] = np.sum(window * w[m], axis=(1, 2, 3))
    return out + b[None, :, None, None], (x, w)


def backward(dout, cache):
    x, w = cache
    k = w.shape[2]
    dx, dw = np.zeros(x.shape), np.zeros_like(w)
    for i in range(dout.shape[2]):
        for j in range(dout.shape[3]):
            for m in range(w.shape[0]):
                up = dout[:, m, i, j][:, None, None, None]
                dw[m] += (x[:, :, i : i + k, j : j + k] * up).sum(0)
                dx[:, :, i : i + k, j : j + k] += w[m] * up
    db = dout.sum(axis=(0, 2, 3))
    return dx, dw, db


out, cache = forward(x, w, b)
loss = 0.5 * np.square(out - target).sum()
dout = out - target
dx, dw, db = backward(dout, cache)
w -= 0.01 * dw
b -= 0.01 * db
