"""Layers as people write them, right on every input that they take."""

from __future__ import annotations

import torch
import torch.nn.functional as F


class Linear:
    """For inputs of any rank."""

    def __init__(self, in_features, out_features, bias=True):
        self.W = torch.randn(in_features, out_features) / in_features**0.5
        self.b = torch.zeros(out_features) if bias else None

    def forward(self, x):
        self.x = x
        return x @ self.W + (self.b if self.b is not None else 0)

    def backward(self, dout):
        flat, dflat = self.x.reshape(-1, self.x.shape[-1]), dout.reshape(-1, dout.shape[-1])
        self.dW = flat.T @ dflat
        self.db = dflat.sum(0)
        return dout @ self.W.T


class FlatLinear:
    """For matrices alone."""

    def __init__(self, n_in: int, n_out: int):
        self.params = {"W": torch.randn(n_in, n_out), "b": torch.zeros(n_out)}
        self.grads = {}

    def forward(self, x):
        self.x = x
        return x @ self.params["W"] + self.params["b"]

    def backward(self, dout):
        self.grads["W"] = self.x.T @ dout
        self.grads["b"] = dout.sum(0)
        return dout @ self.params["W"].T


class ColumnLinear:
    """A batch in columns, as some courses have it."""

    def __init__(self, n_x, n_h):
        self.W, self.b = torch.randn(n_h, n_x), torch.zeros(n_h, 1)

    def forward(self, X):
        self.X = X
        return self.W @ X + self.b

    def backward(self, dZ):
        self.dW = dZ @ self.X.T
        self.db = dZ.sum(1, keepdim=True)
        return self.W.T @ dZ


class LazyLinear:
    """Makes its weights when it sees how many features there are."""

    def __init__(self, units):
        self.units, self.W = units, None

    def forward(self, x):
        if self.W is None:
            self.W, self.b = torch.randn(x.shape[-1], self.units), torch.zeros(self.units)
        self.x = x
        return x @ self.W + self.b

    def backward(self, grad_output):
        self.grad_W = self.x.T @ grad_output
        self.grad_b = grad_output.sum(0)
        return grad_output @ self.W.T


class Relu:
    def forward(self, x):
        self.mask = x > 0
        return x * self.mask

    def backward(self, dout):
        return dout * self.mask


class Tanh:
    def forward(self, x):
        self.out = torch.tanh(x)
        return self.out

    def backward(self, dout):
        return dout * (1 - self.out**2)


class Softmax:
    def forward(self, x):
        e = torch.exp(x - x.max(-1, keepdim=True).values)
        self.p = e / e.sum(-1, keepdim=True)
        return self.p

    def backward(self, dout):
        return self.p * (dout - (dout * self.p).sum(-1, keepdim=True))


class LayerNorm:
    def __init__(self, dim, eps=1e-5):
        self.gamma, self.beta, self.eps = torch.ones(dim), torch.zeros(dim), eps

    def forward(self, x):
        centred = x - x.mean(-1, keepdim=True)
        self.inv_std = (centred.pow(2).mean(-1, keepdim=True) + self.eps).rsqrt()
        self.xhat = centred * self.inv_std
        return self.xhat * self.gamma + self.beta

    def backward(self, dout):
        axes = tuple(range(dout.dim() - 1))
        self.dgamma = (dout * self.xhat).sum(axes)
        self.dbeta = dout.sum(axes)
        dxhat = dout * self.gamma
        mean, along = dxhat.mean(-1, keepdim=True), (dxhat * self.xhat).mean(-1, keepdim=True)
        return (dxhat - mean - self.xhat * along) * self.inv_std


class BatchNorm:
    """For matrices alone, with running statistics."""

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        self.gamma, self.beta = torch.ones(num_features), torch.zeros(num_features)
        self.running_mean, self.running_var = torch.zeros(num_features), torch.ones(num_features)
        self.eps, self.momentum, self.training = eps, momentum, True

    def forward(self, x):
        if self.training:
            mean, var = x.mean(0), x.var(0, unbiased=False)
            self.running_mean = (1 - self.momentum) * self.running_mean + self.momentum * mean
            self.running_var = (1 - self.momentum) * self.running_var + self.momentum * var
        else:
            mean, var = self.running_mean, self.running_var
        self.inv_std = 1 / torch.sqrt(var + self.eps)
        self.xhat = (x - mean) * self.inv_std
        return self.gamma * self.xhat + self.beta

    def backward(self, dout):
        self.dgamma = (dout * self.xhat).sum(0)
        self.dbeta = dout.sum(0)
        dxhat = dout * self.gamma
        if not self.training:
            return dxhat * self.inv_std
        return self.inv_std * (dxhat - dxhat.mean(0) - self.xhat * (dxhat * self.xhat).mean(0))


class Embedding:
    def __init__(self, vocab_size, embedding_dim):
        self.weight = torch.randn(vocab_size, embedding_dim)

    def forward(self, idx):
        self.idx = idx
        return self.weight[idx]

    def backward(self, dout):
        self.dweight = torch.zeros_like(self.weight)
        self.dweight.index_add_(0, self.idx.reshape(-1), dout.reshape(-1, dout.shape[-1]))


class Conv2d:
    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0):
        self.W = torch.randn(out_channels, in_channels, kernel_size, kernel_size) * 0.3
        self.b = torch.zeros(out_channels)
        self.k, self.stride, self.padding = kernel_size, stride, padding

    def forward(self, x):
        self.shape = x.shape
        n, _, h, w = x.shape
        self.cols = F.unfold(x, self.k, stride=self.stride, padding=self.padding)
        oh = (h + 2 * self.padding - self.k) // self.stride + 1
        out = self.W.reshape(len(self.W), -1) @ self.cols + self.b[:, None]
        return out.reshape(n, len(self.W), oh, -1)

    def backward(self, dout):
        flat = dout.reshape(dout.shape[0], dout.shape[1], -1)
        self.db = flat.sum((0, 2))
        self.dW = torch.einsum("nol,nkl->ok", flat, self.cols).reshape(self.W.shape)
        dcols = self.W.reshape(len(self.W), -1).T @ flat
        return F.fold(dcols, self.shape[2:], self.k, stride=self.stride, padding=self.padding)


class MaxPool2d:
    """What is left over at the edges is dropped."""

    def __init__(self, kernel_size):
        self.k = kernel_size

    def forward(self, x):
        n, c, h, w = x.shape
        k = self.k
        self.shape, oh, ow = x.shape, h // k, w // k
        windows = x[:, :, : oh * k, : ow * k].reshape(n, c, oh, k, ow, k).permute(0, 1, 2, 4, 3, 5)
        out, self.where = windows.reshape(n, c, oh, ow, k * k).max(-1)
        return out

    def backward(self, dout):
        n, c, oh, ow = dout.shape
        k = self.k
        spread = F.one_hot(self.where, k * k) * dout[..., None]
        tiles = spread.reshape(n, c, oh, ow, k, k).permute(0, 1, 2, 4, 3, 5).reshape(n, c, oh * k, ow * k)
        dx = torch.zeros(self.shape)
        dx[:, :, : oh * k, : ow * k] = tiles
        return dx


class CrossEntropy:
    def forward(self, logits, targets):
        self.probs, self.targets = F.softmax(logits, -1), targets
        return F.cross_entropy(logits, targets)

    def backward(self):
        n = len(self.targets)
        dlogits = self.probs.clone()
        dlogits[torch.arange(n), self.targets] -= 1
        return dlogits / n


class MeanSquaredError:
    def forward(self, prediction, target):
        self.error = prediction - target
        return (self.error**2).mean()

    def backward(self):
        dprediction = 2 * self.error / self.error.numel()
        return dprediction, -dprediction


class RnnCell:
    """Two inputs, and a gradient for each."""

    def __init__(self, input_size, hidden_size):
        self.Wx = torch.randn(input_size, hidden_size) * 0.5
        self.Wh = torch.randn(hidden_size, hidden_size) * 0.5
        self.b = torch.zeros(hidden_size)

    def forward(self, x, h_prev):
        self.x, self.h_prev = x, h_prev
        self.h = torch.tanh(x @ self.Wx + h_prev @ self.Wh + self.b)
        return self.h

    def backward(self, dh):
        da = dh * (1 - self.h**2)
        self.dWx = self.x.T @ da
        self.dWh = self.h_prev.T @ da
        self.db = da.sum(0)
        return da @ self.Wx.T, da @ self.Wh.T


class Dropout:
    def __init__(self, p=0.5):
        self.p, self.training = p, True

    def forward(self, x):
        self.mask = (torch.rand(x.shape) > self.p) / (1 - self.p) if self.training else torch.ones(x.shape)
        return x * self.mask

    def backward(self, dout):
        return dout * self.mask


class Scaled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, bias):
        ctx.save_for_backward(x, weight)
        return x @ weight.t() + bias

    @staticmethod
    def backward(ctx, grad_output):
        x, weight = ctx.saved_tensors
        return grad_output @ weight, grad_output.t() @ x, grad_output.sum(0)


class Cube(torch.autograd.Function):
    """With a context set up apart."""

    @staticmethod
    def forward(x):
        return x**3

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(inputs[0])

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad_output):
        (x,) = ctx.saved_tensors
        return grad_output * 3 * x**2


class Affine:
    """Two static functions and a cache."""

    @staticmethod
    def forward(x, w, b):
        out = x.reshape(x.shape[0], -1).mm(w) + b
        return out, (x, w)

    @staticmethod
    def backward(dout, cache):
        x, w = cache
        dx = dout.mm(w.T).reshape(x.shape)
        dw = x.reshape(x.shape[0], -1).T.mm(dout)
        db = dout.sum(0)
        return dx, dw, db


def affine_forward(x, w, b):
    return Affine.forward(x, w, b)


def affine_backward(dout, cache):
    x, w = cache
    dx = (dout @ w.T).reshape(x.shape)
    dw = x.reshape(len(x), -1).T @ dout
    db = dout.sum(0)
    return dx, dw, db


def pool_forward(x, pool_param):
    k = pool_param["pool_height"]
    n, c, h, w = x.shape
    windows = x.reshape(n, c, h // k, k, w // k, k)
    return windows.mean((3, 5)), (x, pool_param)


def pool_backward(dout, cache):
    x, pool_param = cache
    k = pool_param["pool_height"]
    dx = dout.repeat_interleave(k, 2).repeat_interleave(k, 3) / k**2
    return dx


class Module(torch.nn.Module):
    """A torch module with a backward pass of its own."""

    def __init__(self, dim: int):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(dim))

    def forward(self, x):
        self.saved = x.detach()
        return x * self.weight

    def backward(self, dout):
        self.weight.grad = (dout * self.saved).reshape(-1, dout.shape[-1]).sum(0)
        return dout * self.weight.detach()
