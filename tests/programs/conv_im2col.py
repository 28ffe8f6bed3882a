import torch
import torch.nn.functional as F


def im2col(x, k, stride, pad):
    return F.unfold(x, k, padding=pad, stride=stride)


def conv2d_forward(x, w, b, stride=2, pad=1):
    n, _, height, width = x.shape
    out_c, k = w.shape[0], w.shape[2]
    cols = im2col(x, k, stride, pad)
    out = w.reshape(out_c, -1) @ cols + b[:, None]
    size = ((height + 2 * pad - k) // stride + 1, (width + 2 * pad - k) // stride + 1)
    return out.reshape(n, out_c, *size), (x, w, cols, stride, pad)


def conv2d_backward(dout, cache):
    x, w, cols, stride, pad = cache
    flat = dout.flatten(2)
    db = flat.sum((0, 2))
    dw = torch.einsum("nol,nkl->ok", flat, cols).reshape(w.shape)
    dcols = w.reshape(w.shape[0], -1).T @ flat
    dx = F.fold(dcols, x.shape[2:], w.shape[2], padding=pad, stride=stride)
    return dx, dw, db


torch.manual_seed(87)
images = torch.randn(5, 1, 9, 7)
goal = torch.randn(5, 2, 3, 2)
k1, c1 = torch.randn(3, 1, 3, 3) * 0.4, torch.zeros(3)
k2, c2 = torch.randn(2, 3, 3, 3) * 0.3, torch.zeros(2)
for step in range(100):
    a, cache1 = conv2d_forward(images, k1, c1)
    h = torch.tanh(a)
    out, cache2 = conv2d_forward(h, k2, c2)
    loss = F.mse_loss(out, goal)
    dout = 2 * (out - goal) / goal.numel()
    dh, dk2, dc2 = conv2d_backward(dout, cache2)
    da = dh * (1 - h**2)
    _, dk1, dc1 = conv2d_backward(da, cache1)
    for p, g in zip((k1, c1, k2, c2), (dk1, dc1, dk2, dc2)):
        p -= 0.2 * g
    print(step, float(loss))
