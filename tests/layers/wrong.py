"""The same layers, each with one mistake that its author's own inputs hide."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from tests.layers import right


class Untransposed(right.FlatLinear):
    """Hidden as long as as many features go out as come in: else it raises."""

    def backward(self, dout):
        self.grads["W"] = self.x.T @ dout
        self.grads["b"] = dout.sum(0)
        return dout @ self.params["W"]  # wrong


class BiasOverFirstAxis(right.Linear):
    """Hidden for matrices."""

    def backward(self, dout):
        flat, dflat = self.x.reshape(-1, self.x.shape[-1]), dout.reshape(-1, dout.shape[-1])
        self.dW = flat.T @ dflat
        self.db = dout.sum(0)  # wrong
        return dout @ self.W.T


class BiasMean(right.FlatLinear):
    """Hidden for a batch of one."""

    def backward(self, dout):
        self.grads["W"] = self.x.T @ dout
        self.grads["b"] = dout.mean(0)  # wrong
        return dout @ self.params["W"].T


class LazyBias(right.LazyLinear):
    def backward(self, grad_output):
        self.grad_W = self.x.T @ grad_output
        self.grad_b = grad_output.mean(0)  # wrong
        return grad_output @ self.W.T


class ReluPassedOn(right.Relu):
    """Hidden for positive inputs."""

    def backward(self, dout):
        return dout  # wrong


class SoftmaxDiagonal(right.Softmax):
    def backward(self, dout):
        return dout * self.p * (1 - self.p)  # wrong


class LayerNormWithoutGamma(right.LayerNorm):
    """Hidden as long as gamma is 1."""

    def backward(self, dout):
        axes = tuple(range(dout.dim() - 1))
        self.dgamma = (dout * self.xhat).sum(axes)
        self.dbeta = dout.sum(axes)
        mean, along = dout.mean(-1, keepdim=True), (dout * self.xhat).mean(-1, keepdim=True)
        return (dout - mean - self.xhat * along) * self.inv_std  # wrong


class BatchNormWithoutGamma(right.BatchNorm):
    """Hidden as long as gamma is 1."""

    def backward(self, dout):
        self.dgamma = (dout * self.xhat).sum(0)
        self.dbeta = dout.sum(0)
        if not self.training:
            return dout * self.gamma * self.inv_std
        return self.inv_std * (dout - dout.mean(0) - self.xhat * (dout * self.xhat).mean(0))  # wrong


class BatchNormOneMode(right.BatchNorm):
    """Hidden in training."""

    def backward(self, dout):
        self.dgamma = (dout * self.xhat).sum(0)
        self.dbeta = dout.sum(0)
        dxhat = dout * self.gamma
        return self.inv_std * (dxhat - dxhat.mean(0) - self.xhat * (dxhat * self.xhat).mean(0))  # wrong


class EmbeddingAssigned(right.Embedding):
    """Hidden as long as no index comes twice."""

    def backward(self, dout):
        self.dweight = torch.zeros_like(self.weight)
        self.dweight[self.idx] = dout  # wrong


class ConvAveraged(right.Conv2d):
    """Hidden for a batch of one."""

    def backward(self, dout):
        flat = dout.reshape(dout.shape[0], dout.shape[1], -1)
        self.db = flat.sum((0, 2))
        self.dW = torch.einsum("nol,nkl->ok", flat, self.cols).reshape(self.W.shape) / len(flat)  # wrong
        dcols = self.W.reshape(len(self.W), -1).T @ flat
        return F.fold(dcols, self.shape[2:], self.k, stride=self.stride, padding=self.padding)


class MaxPoolStretched(right.MaxPool2d):
    """Hidden as long as the windows divide the image."""

    def backward(self, dout):
        n, c, oh, ow = dout.shape
        k = self.k
        spread = F.one_hot(self.where, k * k) * dout[..., None]
        tiles = spread.reshape(n, c, oh, ow, k, k).permute(0, 1, 2, 4, 3, 5).reshape(n, c, oh * k, ow * k)
        top, left = self.shape[2] - oh * k, self.shape[3] - ow * k
        return F.pad(tiles, (left, 0, top, 0))  # wrong


class CrossEntropySummed(right.CrossEntropy):
    """Hidden for a batch of one."""

    def backward(self):
        dlogits = self.probs.clone()
        dlogits[torch.arange(len(self.targets)), self.targets] -= 1
        return dlogits  # wrong


class MeanOverRows(right.MeanSquaredError):
    """Hidden for one feature."""

    def backward(self):
        dprediction = 2 * self.error / len(self.error)  # wrong
        return dprediction, -dprediction


class RnnCellSwapped(right.RnnCell):
    def backward(self, dh):
        da = dh * (1 - self.h**2)
        self.dWx = self.x.T @ da
        self.dWh = self.h_prev.T @ da
        self.db = da.sum(0)
        return da @ self.Wx.T, da @ self.Wh  # wrong


class DropoutUnscaled(right.Dropout):
    def backward(self, dout):
        return dout * (self.mask > 0)  # wrong


class ScaledUnsummed(torch.autograd.Function):
    """Hidden for a batch of one."""

    @staticmethod
    def forward(ctx, x, weight, bias):
        ctx.save_for_backward(x, weight)
        return x @ weight.t() + bias

    @staticmethod
    def backward(ctx, grad_output):
        x, weight = ctx.saved_tensors
        dbias = grad_output.mean(0)  # wrong
        return grad_output @ weight, grad_output.t() @ x, dbias


class CubeSquared(right.Cube):
    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx.saved_tensors
        return grad_output * 3 * x  # wrong


def affine_backward(dout, cache):
    x, w = cache
    dx = (dout @ w.T).reshape(x.shape)
    dw = x.reshape(len(x), -1).T @ dout
    db = dout.mean(0)  # wrong
    return dx, dw, db


class ModuleOnes(right.Module):
    """Hidden as long as the weight is 1."""

    def backward(self, dout):
        self.weight.grad = (dout * self.saved).reshape(-1, dout.shape[-1]).sum(0)
        return dout * 1.0  # wrong


class HelperOverOtherAxes:
    """The gradient is computed in one line, from a helper of another line, which is the wrong one."""

    def forward(self, x):
        self.x = x
        self.mean = x.mean(-1, keepdim=True)
        return (x - self.mean) * x

    def backward(self, dout):
        part = (dout * self.x).mean(0, keepdim=True)  # mean(-1, ...)
        return dout * (2 * self.x - self.mean) - part


class MeanOverEdges(torch.autograd.Function):
    """Where all edges are one and the same, the line before the wrong one explains the numbers as well."""

    @staticmethod
    def forward(ctx, nodes, start, end, rows):
        sums = nodes.new_zeros(rows, nodes.shape[1]).index_add_(0, end, nodes[start])
        count = torch.bincount(end, minlength=rows).clamp(min=1).to(nodes.dtype)
        ctx.save_for_backward(start, end, count)
        ctx.shape = nodes.shape
        return sums / count[:, None]

    @staticmethod
    def backward(ctx, g):
        start, end, count = ctx.saved_tensors
        g = g / count[:, None]
        dnodes = g.new_zeros(ctx.shape)
        dnodes[start] = g[end]  # index_add_
        return dnodes, None, None, None
