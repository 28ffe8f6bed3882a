"""Layers in the styles of courses and libraries, right on every input that they take."""

from __future__ import annotations

import torch
from torch import nn

# -- functions in pairs, with a cache ----------------------------------------------------------------------------------


def relu_forward(x):
    out = torch.clamp(x, min=0)
    cache = x
    return out, cache


def relu_backward(dout, cache):
    x = cache
    return dout * (x > 0)


def tanh_forward(x):
    y = torch.tanh(x)
    return y


def tanh_backward(dy, y):  # the output again
    return dy * (1 - y**2)


def gelu_forward(x):
    return x * torch.sigmoid(1.702 * x)


def gelu_backward(dout, x):  # the input again
    s = torch.sigmoid(1.702 * x)
    return dout * (s + 1.702 * x * s * (1 - s))


def batchnorm_forward(x, gamma, beta, bn_param):
    mode = bn_param["mode"]
    eps = bn_param.get("eps", 1e-5)
    momentum = bn_param.get("momentum", 0.9)
    N, D = x.shape
    running_mean = bn_param.get("running_mean", torch.zeros(D))
    running_var = bn_param.get("running_var", torch.zeros(D))
    out, cache = None, None
    if mode == "train":
        mu, var = x.mean(0), x.var(0, unbiased=False)
        std = torch.sqrt(var + eps)
        xhat = (x - mu) / std
        out = gamma * xhat + beta
        cache = (xhat, gamma, std)
        running_mean = momentum * running_mean + (1 - momentum) * mu
        running_var = momentum * running_var + (1 - momentum) * var
    elif mode == "test":
        out = gamma * (x - running_mean) / torch.sqrt(running_var + eps) + beta
    bn_param["running_mean"], bn_param["running_var"] = running_mean, running_var
    return out, cache


def batchnorm_backward(dout, cache):
    xhat, gamma, std = cache
    N = dout.shape[0]
    dbeta = dout.sum(0)
    dgamma = (dout * xhat).sum(0)
    dxhat = dout * gamma
    dx = (N * dxhat - dxhat.sum(0) - xhat * (dxhat * xhat).sum(0)) / (N * std)
    return dx, dgamma, dbeta


def window_forward(x, pool_param):
    size, stride = pool_param.get("pool_height", 2), pool_param.get("stride", 2)
    n, c, h, w = x.shape
    out = torch.zeros(n, c, (h - size) // stride + 1, w)
    for i in range(out.shape[2]):
        out[:, :, i] = x[:, :, i * stride : i * stride + size].sum(2)
    return out, (x, pool_param)


def window_backward(dout, cache):
    x, pool_param = cache
    size, stride = pool_param.get("pool_height", 2), pool_param.get("stride", 2)
    dx = torch.zeros_like(x)
    for i in range(dout.shape[2]):
        dx[:, :, i * stride : i * stride + size] += dout[:, :, i : i + 1]
    return dx


def step_forward(x, prev_h, Wx, Wh, b):
    next_h = torch.tanh(x @ Wx + prev_h @ Wh + b)
    return next_h, (x, prev_h, Wx, Wh, next_h)


def step_backward(dnext_h, cache):
    x, prev_h, Wx, Wh, next_h = cache
    da = dnext_h * (1 - next_h**2)
    return da @ Wx.T, da @ Wh.T, x.T @ da, prev_h.T @ da, da.sum(0)


# -- classes of static functions, whose methods are assigned later ----------------------------------------------------


class Product:
    pass


def _product_forward(x, w):
    return x @ w, (x, w)


def _product_backward(dout, cache):
    x, w = cache
    return dout @ w.T, x.T @ dout


Product.forward = staticmethod(_product_forward)
Product.backward = staticmethod(_product_backward)


# -- a batch in columns -----------------------------------------------------------------------------------------------


def linear_forward(A, W, b):
    Z = W @ A + b
    return Z, (A, W, b)


def linear_backward(dZ, cache):
    A_prev, W, b = cache
    dW = dZ @ A_prev.T
    db = dZ.sum(1, keepdim=True)
    dA_prev = W.T @ dZ
    return dA_prev, dW, db


def sigmoid(Z):
    A = 1 / (1 + torch.exp(-Z))
    cache = Z
    return A, cache


def sigmoid_backward(dA, cache):
    Z = cache
    s = 1 / (1 + torch.exp(-Z))
    return dA * s * (1 - s)


# -- classes ----------------------------------------------------------------------------------------------------------


class HandedNorm:
    """Weight and bias are handed in as tensors."""

    def __init__(self, weight, bias, eps=1e-5):
        self.weight, self.bias, self.eps = weight, bias, eps

    def forward(self, x):
        centred = x - x.mean(-1, keepdim=True)
        self.rstd = (centred.pow(2).mean(-1, keepdim=True) + self.eps) ** -0.5
        self.norm = centred * self.rstd
        return self.norm * self.weight + self.bias

    def backward(self, dout):
        axes = tuple(range(dout.dim() - 1))
        db = dout.sum(axes)
        dw = (dout * self.norm).sum(axes)
        dnorm = dout * self.weight
        dx = dnorm - dnorm.mean(-1, keepdim=True) - self.norm * (dnorm * self.norm).mean(-1, keepdim=True)
        return dx * self.rstd, dw, db


class HandedLinear:
    def __init__(self, w):
        self.w = w

    def forward(self, x):
        self.x = x
        return x @ self.w.T

    def backward(self, grad_output):
        flat = grad_output.reshape(-1, grad_output.shape[-1])
        return grad_output @ self.w, flat.T @ self.x.reshape(-1, self.x.shape[-1])


class AsksForIt:
    """Computes what is asked for."""

    def __init__(self, dim):
        self.scale = torch.randn(dim)

    def forward(self, x):
        self.x = x
        return x * self.scale

    def backward(self, grad):
        axes = tuple(range(grad.dim() - 1))
        dscale = (grad * self.x).sum(axes)
        dx = grad * self.scale if self.x.requires_grad else None
        return dx, dscale


class WithWeights:
    """The second output is for looking at: `backward` takes the gradient of the first."""

    def forward(self, x):
        self.x, self.s = x, torch.softmax(x, -1)
        return self.s * x, self.s

    def backward(self, dout):
        ds = dout * self.x
        return dout * self.s + self.s * (ds - (ds * self.s).sum(-1, keepdim=True))


class TwoOutputs:
    def forward(self, x):
        self.x = x
        return torch.sin(x), torch.cos(x)

    def backward(self, grads):
        dsin, dcos = grads
        return dsin * torch.cos(self.x) - dcos * torch.sin(self.x)


# -- Functions and modules --------------------------------------------------------------------------------------------


class PerFeature(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, s):
        ctx.save_for_backward(x, s)
        return x * s

    @staticmethod
    def backward(ctx, grad_out):
        x, s = ctx.saved_tensors
        grad_s = (grad_out * x).sum(tuple(range(x.dim() - 1)))
        return grad_out * s, grad_s


class Grouped(torch.autograd.Function):
    """The mean of each group of channels, taken off; with a plain number for an argument."""

    @staticmethod
    def forward(ctx, x, num_groups):
        ctx.num_groups = num_groups
        parts = x.reshape(x.shape[0], num_groups, -1)
        return (parts - parts.mean(2, keepdim=True)).reshape(x.shape)

    @staticmethod
    def backward(ctx, grad_output):
        parts = grad_output.reshape(grad_output.shape[0], ctx.num_groups, -1)
        return (parts - parts.mean(2, keepdim=True)).reshape(grad_output.shape), None


class Halve(torch.autograd.Function):
    """Sums of neighbours; an odd length is padded, and the padding is cut off again."""

    @staticmethod
    def forward(ctx, x):
        ctx.size = x.shape[-1]
        if x.shape[-1] % 2:
            x = nn.functional.pad(x, (0, 1))
        return x[..., ::2] + x[..., 1::2]

    @staticmethod
    def backward(ctx, dy):
        dx = dy.repeat_interleave(2, -1)
        return dx[..., : ctx.size]


class Scaling(nn.Module):
    """Calls a Function inside."""

    def __init__(self, dim):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(dim))

    def forward(self, x):
        return PerFeature.apply(x, self.weight)


class Manual(nn.Module):
    def __init__(self, in_features, out_features):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_features, in_features))

    def forward(self, x):
        self.x = x
        return x @ self.weight.T

    def backward(self, grad):
        self.weight.grad = grad.reshape(-1, grad.shape[-1]).T @ self.x.reshape(-1, self.x.shape[-1])
        return grad @ self.weight


# -- what a parameter is, is seen by what is done with it ---------------------------------------------------------------


class Edges(torch.autograd.Function):
    """Sums what comes in over edges: two arguments are positions, one is a number of rows, whatever their names say."""

    @staticmethod
    def forward(ctx, feats, a, b, rows):
        ctx.save_for_backward(a, b)
        ctx.shape = feats.shape
        return feats.new_zeros(rows, feats.shape[1]).index_add_(0, b, feats[a])

    @staticmethod
    def backward(ctx, up):
        a, b = ctx.saved_tensors
        return up.new_zeros(ctx.shape).index_add_(0, a, up[b]), None, None, None


class Shrinkage(torch.autograd.Function):
    """`lam` is a tensor: it has a gradient; `floor` is a number: it has none."""

    @staticmethod
    def forward(ctx, x, lam, floor):
        ctx.save_for_backward(x, lam)
        ctx.floor = floor
        return torch.sign(x) * torch.relu(x.abs() - lam) + lam * floor

    @staticmethod
    def backward(ctx, up):
        x, lam = ctx.saved_tensors
        passed = x.abs() > lam
        dlam = (up * (ctx.floor - torch.sign(x) * passed)).sum()
        return up * passed, dlam, None


class Inverted(torch.autograd.Function):
    """Takes square matrices alone."""

    @staticmethod
    def forward(ctx, m):
        inverse = torch.linalg.inv(m)
        ctx.save_for_backward(inverse)
        return inverse

    @staticmethod
    def backward(ctx, up):
        (inverse,) = ctx.saved_tensors
        return -inverse.mT @ up @ inverse.mT


# -- forward passes that change what they are given --------------------------------------------------------------------


class HardShrink:
    """Changes its input in place, after it has looked where."""

    def forward(self, x):
        self.small = x.abs() < 0.4
        x[self.small] = 0.0
        return x

    def backward(self, dout):
        dx = dout.clone()
        dx[self.small] = 0.0
        return dx


class DoubledInPlace(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.mark_dirty(x.mul_(2.0))
        return x

    @staticmethod
    def backward(ctx, dout):
        return 2.0 * dout


# -- outputs that have no gradient, and passes that are for training ---------------------------------------------------


class Largest(torch.autograd.Function):
    """The row maximum, and where it is."""

    @staticmethod
    def forward(ctx, x):
        values, places = x.max(-1)
        ctx.mark_non_differentiable(places)
        ctx.save_for_backward(places)
        ctx.width = x.shape[-1]
        return values, places

    @staticmethod
    def backward(ctx, dvalues, dplaces):
        (places,) = ctx.saved_tensors
        dx = dvalues.new_zeros(*dvalues.shape, ctx.width)
        return dx.scatter_(-1, places.unsqueeze(-1), dvalues.unsqueeze(-1))


class TrainedOnly(nn.Module):
    """Refuses to go back after an evaluation."""

    def forward(self, x):
        self.kept = x.detach() if self.training else None
        return x**2

    def backward(self, dout):
        if self.kept is None:
            raise RuntimeError("backward() after a forward pass in evaluation mode")
        return 2 * self.kept * dout


# -- decisions that Python makes by the numbers ------------------------------------------------------------------------


def peaks_forward(x, pool_param):
    size = pool_param["pool_height"]
    n, c, height, width = x.shape
    windows = x.reshape(n, c, height // size, size, width // size, size)
    return windows.amax((3, 5)), (x, pool_param)


def peaks_backward(dout, cache):
    x, pool_param = cache
    size = pool_param["pool_height"]
    dx = torch.zeros_like(x)
    for n in range(dout.shape[0]):
        for c in range(dout.shape[1]):
            for i in range(dout.shape[2]):
                for j in range(dout.shape[3]):
                    area = x[n, c, i * size : (i + 1) * size, j * size : (j + 1) * size]
                    row, column = divmod(int(area.argmax()), size)
                    dx[n, c, i * size + row, j * size + column] += dout[n, c, i, j]
    return dx


# -- states written into a buffer, and read from it again --------------------------------------------------------------


def scan_forward(x, h0, w):
    h = torch.zeros(*x.shape[:2], h0.shape[1])
    kept = []
    for t in range(x.shape[1]):
        before = h0 if t == 0 else h[:, t - 1].clone()
        h[:, t] = torch.tanh(x[:, t] * w + before)
        kept.append((x[:, t], before))
    return h, (kept, w, x.shape)


def scan_backward(dh, cache):
    kept, w, shape = cache
    dx, dw, dbefore = torch.zeros(shape), torch.zeros_like(w), 0
    for t in reversed(range(shape[1])):
        x, before = kept[t]
        dnow = dh[:, t] + dbefore
        dbefore = dnow * (1 - torch.tanh(x * w + before) ** 2)
        dx[:, t] = dbefore * w
        dw += (dbefore * x).sum(0)
    return dx, dbefore, dw
