"""The layers of numpy_right.py, each with one mistake that its author's own inputs may hide."""

import numpy as np

from tests.layers import numpy_right as right


def affine_backward(dout, cache):
    x, w, b = cache
    dx = dout.dot(w.T).reshape(x.shape)
    dw = x.reshape(x.shape[0], -1).T.dot(dout)
    db = np.mean(dout, axis=0)  # wrong
    return dx, dw, db


def relu_backward(dout, cache):
    """Hidden from whoever has only positive inputs."""
    dx = dout.copy()
    dx[dout <= 0] = 0  # wrong
    return dx


def batchnorm_backward(dout, cache):
    """The variance depends on the input as well."""
    xhat, gamma, std = cache
    N = dout.shape[0]
    dbeta = dout.sum(axis=0)
    dgamma = (dout * xhat).sum(axis=0)
    dxhat = dout * gamma
    dx = (N * dxhat - dxhat.sum(axis=0)) / (N * std)  # wrong
    return dx, dgamma, dbeta


def batchnorm_gamma_backward(dout, cache):
    """Hidden as long as gamma is 1."""
    xhat, gamma, std = cache
    N = dout.shape[0]
    dbeta = dout.sum(axis=0)
    dgamma = (dout * xhat).sum(axis=0)
    dx = (N * dout - dout.sum(axis=0) - xhat * (dout * xhat).sum(axis=0)) / (N * std)  # wrong
    return dx, dgamma, dbeta


def layernorm_backward(dout, cache):
    xhat, gamma, var = cache
    dgamma = np.sum(dout * xhat, axis=0)
    dbeta = np.sum(dout, axis=0)
    dxhat = dout * gamma
    sums = np.sum(dxhat, axis=1, keepdims=True) + xhat * np.sum(dxhat * xhat, axis=1, keepdims=True)
    dx = (dxhat - sums / xhat.shape[0]) / np.sqrt(var)  # wrong
    return dx, dgamma, dbeta


def dropout_backward(dout, cache):
    dropout_param, mask = cache
    if dropout_param["mode"] == "train":
        return dout * (mask > 0)  # wrong
    return dout


def conv_backward(dout, cache):
    """Hidden as long as windows do not overlap."""
    x, w, b, conv_param = cache
    stride, pad = conv_param["stride"], conv_param["pad"]
    N, F, H_out, W_out = dout.shape
    _, _, HH, WW = w.shape
    x_pad = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)), "constant")
    dx_pad, dw = np.zeros_like(x_pad), np.zeros_like(w)
    db = np.sum(dout, axis=(0, 2, 3))
    for n in range(N):
        for f in range(F):
            for i in range(H_out):
                for j in range(W_out):
                    rows = slice(i * stride, i * stride + HH)
                    columns = slice(j * stride, j * stride + WW)
                    dw[f] = dw[f] + x_pad[n, :, rows, columns] * dout[n, f, i, j]
                    dx_pad[n, :, rows, columns] = w[f] * dout[n, f, i, j]  # wrong
    dx = dx_pad[:, :, pad : pad + x.shape[2], pad : pad + x.shape[3]]
    return dx, dw, db


def max_pool_backward(dout, cache):
    """The mask is that of the whole channel."""
    x, pool_param = cache
    HH, WW, stride = pool_param["pool_height"], pool_param["pool_width"], pool_param["stride"]
    dx = np.zeros_like(x)
    for i in range(dout.shape[2]):
        for j in range(dout.shape[3]):
            rows, columns = slice(i * stride, i * stride + HH), slice(j * stride, j * stride + WW)
            window = x[:, :, rows, columns]
            mask = window == np.max(x, axis=(2, 3), keepdims=True)
            dx[:, :, rows, columns] += mask * dout[:, :, i, j][:, :, None, None]  # wrong
    return dx


def rnn_step_backward(dnext_h, cache):
    x, prev_h, Wx, Wh, next_h = cache
    da = dnext_h * (1 - next_h)  # wrong
    dx, dprev_h = da @ Wx.T, da @ Wh.T
    dWx, dWh = x.T @ da, prev_h.T @ da
    return dx, dprev_h, dWx, dWh, np.sum(da, axis=0)


def word_embedding_backward(dout, cache):
    """Hidden as long as no word comes twice."""
    x, shape = cache
    dW = np.zeros(shape)
    dW[x] += dout  # wrong
    return dW


def softmax_loss(x, y):
    shifted = x - np.max(x, axis=1, keepdims=True)
    probs = np.exp(shifted) / np.sum(np.exp(shifted), axis=1, keepdims=True)
    N = x.shape[0]
    loss = -np.sum(np.log(probs[np.arange(N), y])) / N
    dx = probs.copy()
    dx[np.arange(N), y] -= 1  # wrong
    return loss, dx


def svm_loss(x, y):
    N = x.shape[0]
    correct = x[np.arange(N), y]
    margins = np.maximum(0, x - correct[:, np.newaxis] + 1.0)
    margins[np.arange(N), y] = 0
    loss = np.sum(margins) / N
    dx = np.zeros_like(x)
    dx[margins > 0] = 1
    dx[np.arange(N), y] -= 1  # wrong
    dx /= N
    return loss, dx


def svm_loss_in_loops(W, X, y, reg):
    dW = np.zeros(W.shape)
    num_train, loss = X.shape[0], 0.0
    for i in range(num_train):
        scores = X[i].dot(W)
        for j in range(W.shape[1]):
            if j == y[i]:
                continue
            margin = scores[j] - scores[y[i]] + 1
            if margin > 0:
                loss += margin
                dW[:, j] += X[i]
                dW[:, y[i]] -= X[i]
    loss /= num_train
    dW /= num_train
    loss += reg * np.sum(W * W)
    dW += reg * W  # wrong
    return loss, dW


def linear_backward(dZ, cache):
    A_prev, W, b = cache
    dW = np.dot(dZ, A_prev.T)
    db = np.sum(dZ, axis=1, keepdims=True) / dZ.shape[1]  # wrong
    dA_prev = np.dot(W.T, dZ)
    return dA_prev, dW, db


def sigmoid_backward(dA, cache):
    s = 1 / (1 + np.exp(-cache))
    return dA * s * (1 + s)  # wrong


class Affine(right.Affine):
    """Hidden as long as as many features go out as come in: else it raises."""

    def backward(self, dout):
        dx = np.dot(dout, self.W)  # wrong
        self.dW = np.dot(self.x.T, dout)
        self.db = np.sum(dout, axis=0)
        return dx


class Relu(right.Relu):
    def backward(self, dout):
        dout[~self.mask] = 0  # wrong
        return dout


class MatMul(right.MatMul):
    def backward(self, dout):
        (W,) = self.params
        dx = np.dot(dout, W.T)
        self.grads[0][...] = np.dot(self.x.T, np.abs(dout))  # wrong
        return dx


class Dense(right.Dense):
    def backward(self, grad_out):
        self.grads["W"] = self.cache.T @ grad_out / len(grad_out)  # wrong
        self.grads["b"] = grad_out.sum(axis=0, keepdims=True)
        return grad_out @ self.params["W"].T


class Softmax(right.Softmax):
    """The derivative of an element alone."""

    def backward(self, dout):
        return dout * self.out * (1 - self.out)  # wrong


class SoftmaxWithLoss(right.SoftmaxWithLoss):
    """The loss of all rows, without the mean over them."""

    def backward(self, dout=1):
        dx = self.y.copy()
        dx[np.arange(self.t.shape[0]), self.t] += 1  # wrong
        dx *= dout / self.t.shape[0]
        return dx


class SquaredError(right.SquaredError):
    def backward(self):
        return 2 * self.diff / self.diff.shape[0]  # wrong


class Dropout(right.Dropout):
    """Scaled on the way back alone."""

    def backward(self, dout):
        return dout * self.mask / (1.0 - self.dropout_ratio)  # wrong


class Convolution(right.Convolution):
    def backward(self, dout):
        FN, C, FH, FW = self.W.shape
        dout = dout.transpose(0, 2, 3, 1).reshape(-1, FN)
        self.db = np.sum(dout, axis=0)
        self.dW = np.dot(self.col.T, dout).reshape(FN, C, FH, FW)  # wrong
        dcol = np.dot(dout, self.col_W.T)
        return right.col2im(dcol, self.x.shape, FH, FW, self.stride, self.pad)


class TwoLayerNet(right.TwoLayerNet):
    """Hidden without regularisation."""

    def loss(self, X, y=None):
        W1, b1, W2, b2 = (self.params[name] for name in ("W1", "b1", "W2", "b2"))
        hidden, cache = right.affine_relu_forward(X, W1, b1)
        scores, out_cache = right.affine_forward(hidden, W2, b2)
        if y is None:
            return scores
        grads = {}
        loss, dscores = right.softmax_loss(scores, y)
        loss += 0.5 * self.reg * (np.sum(W1 * W1) + np.sum(W2 * W2))
        dhidden, grads["W2"], grads["b2"] = right.affine_backward(dscores, out_cache)
        dx, grads["W1"], grads["b1"] = right.affine_relu_backward(dhidden, cache)
        grads["W1"] += self.reg * W1
        grads["W2"] += 2 * self.reg * W2  # wrong
        return loss, grads


class Recurrent(right.Recurrent):
    """It is multiplied with the state after the step, and not with the one before."""

    def backward(self, dhs):
        Wx, Wh, _ = self.params
        N, T, _ = dhs.shape
        dxs = np.empty((N, T, Wx.shape[0]))
        for grad in self.grads:
            grad[...] = 0
        dh = 0
        for t in reversed(range(T)):
            x, _, h = self.steps[t]
            da = (dhs[:, t] + dh) * (1 - h**2)
            self.grads[0] += x.T.dot(da)
            self.grads[1] += h.T.dot(da)  # wrong
            self.grads[2] += da.sum(axis=0)
            dxs[:, t] = da.dot(Wx.T)
            dh = da.dot(Wh.T)
        return dxs


class Cell(right.Cell):
    def backward(self, dh, dc):
        x, h_prev, c_prev, f, i, o, g, c = self.cache
        t = np.tanh(c)
        dc = dc + dh * o * (1 - t**2)
        dg = dc * i * (1 - g)  # wrong
        da = np.hstack([dc * c_prev * f * (1 - f), dc * g * i * (1 - i), dh * t * o * (1 - o), dg])
        self.dW, self.dU, self.db = x.T @ da, h_prev.T @ da, da.sum(axis=0)
        return da @ self.W.T, da @ self.U.T, dc * f


class LeavesItsOutput(right.LeavesItsOutput):
    def backward(self, dvalues):
        self.dweights = np.dot(self.inputs.T, dvalues)
        self.dbiases = np.mean(dvalues, axis=0, keepdims=True)  # wrong
        self.dinputs = np.dot(dvalues, self.weights.T)


class OneRowAtATime(right.OneRowAtATime):
    def backward_propagation(self, output_error, learning_rate):
        self.weights -= learning_rate * np.dot(self.row.T, output_error)
        self.bias -= learning_rate * output_error
        row_error = np.dot(output_error, self.weights.T)  # wrong
        return row_error


class GivenByAttribute(right.GivenByAttribute):
    def backward(self):
        self.dx = self.dout * self.out * (1 + self.out)  # wrong


def group_scale_backward(dout, cache):
    centred, gamma, G = cache
    dbeta = dout.sum(axis=(0, 2, 3), keepdims=True)
    dgamma = dout.sum(axis=(0, 2, 3), keepdims=True)  # wrong
    parts = (dout * gamma).reshape(len(dout), G, -1)
    dx = (parts - parts.mean(axis=2, keepdims=True)).reshape(dout.shape)
    return dx, dgamma, dbeta


class InDicts(right.InDicts):
    """It is not summed over the rows."""

    def backward(self, dout):
        self.grads["W"] = self.x.T @ dout
        self.grads["b"] = dout  # wrong
        return dout @ self.params["W"].T


class InADict(right.InDicts):
    def backward(self, dout):
        dW, dx = self.x.T @ dout, dout @ self.params["W"].T
        db = 1.0 * dout  # wrong
        return {"x": dx, "W": dW, "b": db}
