"""Layers of NumPy in the shapes people write them, right on every input that they take."""

import numpy as np

# -- functions in pairs, with a cache ----------------------------------------------------------------------------------


def affine_forward(x, w, b):
    flat = x.reshape(x.shape[0], -1)
    out = flat.dot(w) + b
    cache = (x, w, b)
    return out, cache


def affine_backward(dout, cache):
    x, w, b = cache
    dx = dout.dot(w.T).reshape(x.shape)
    dw = x.reshape(x.shape[0], -1).T.dot(dout)
    db = np.sum(dout, axis=0)
    return dx, dw, db


def relu_forward(x):
    return np.maximum(0, x), x


def relu_backward(dout, cache):
    dx = dout.copy()
    dx[cache <= 0] = 0
    return dx


def batchnorm_forward(x, gamma, beta, bn_param):
    mode = bn_param["mode"]
    eps = bn_param.get("eps", 1e-5)
    momentum = bn_param.get("momentum", 0.9)
    N, D = x.shape
    running_mean = bn_param.get("running_mean", np.zeros(D, dtype=x.dtype))
    running_var = bn_param.get("running_var", np.zeros(D, dtype=x.dtype))
    out, cache = None, None
    if mode == "train":
        mu = np.mean(x, axis=0)
        var = np.var(x, axis=0)
        std = np.sqrt(var + eps)
        xhat = (x - mu) / std
        out = gamma * xhat + beta
        running_mean = momentum * running_mean + (1 - momentum) * mu
        running_var = momentum * running_var + (1 - momentum) * var
        cache = (xhat, gamma, std)
    elif mode == "test":
        out = gamma * (x - running_mean) / np.sqrt(running_var + eps) + beta
    else:
        raise ValueError(f"no mode {mode}")
    bn_param["running_mean"] = running_mean
    bn_param["running_var"] = running_var
    return out, cache


def batchnorm_backward(dout, cache):
    xhat, gamma, std = cache
    N = dout.shape[0]
    dbeta = dout.sum(axis=0)
    dgamma = (dout * xhat).sum(axis=0)
    dxhat = dout * gamma
    dx = (N * dxhat - dxhat.sum(axis=0) - xhat * (dxhat * xhat).sum(axis=0)) / (N * std)
    return dx, dgamma, dbeta


def layernorm_forward(x, gamma, beta, ln_param):
    eps = ln_param.get("eps", 1e-5)
    mu = x.mean(axis=1, keepdims=True)
    var = x.var(axis=1, keepdims=True)
    xhat = (x - mu) / np.sqrt(var + eps)
    return gamma * xhat + beta, (xhat, gamma, var + eps)


def layernorm_backward(dout, cache):
    xhat, gamma, var = cache
    D = xhat.shape[1]
    dgamma = np.sum(dout * xhat, axis=0)
    dbeta = np.sum(dout, axis=0)
    dxhat = dout * gamma
    dx = dxhat - np.mean(dxhat, axis=1, keepdims=True)
    dx -= xhat * np.sum(dxhat * xhat, axis=1, keepdims=True) / D
    dx /= np.sqrt(var)
    return dx, dgamma, dbeta


def dropout_forward(x, dropout_param):
    p, mode = dropout_param["p"], dropout_param["mode"]
    if "seed" in dropout_param:
        np.random.seed(dropout_param["seed"])
    mask = None
    if mode == "train":
        mask = (np.random.rand(*x.shape) < p) / p
        out = x * mask
    else:
        out = x
    return out.astype(x.dtype, copy=False), (dropout_param, mask)


def dropout_backward(dout, cache):
    dropout_param, mask = cache
    if dropout_param["mode"] == "train":
        return dout * mask
    return dout


def conv_forward(x, w, b, conv_param):
    stride, pad = conv_param["stride"], conv_param["pad"]
    N, C, H, W = x.shape
    F, _, HH, WW = w.shape
    H_out = 1 + (H + 2 * pad - HH) // stride
    W_out = 1 + (W + 2 * pad - WW) // stride
    x_pad = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)), "constant")
    out = np.zeros((N, F, H_out, W_out))
    for n in range(N):
        for f in range(F):
            for i in range(H_out):
                for j in range(W_out):
                    window = x_pad[n, :, i * stride : i * stride + HH, j * stride : j * stride + WW]
                    out[n, f, i, j] = np.sum(window * w[f]) + b[f]
    return out, (x, w, b, conv_param)


def conv_backward(dout, cache):
    x, w, b, conv_param = cache
    stride, pad = conv_param["stride"], conv_param["pad"]
    N, F, H_out, W_out = dout.shape
    _, _, HH, WW = w.shape
    x_pad = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)), "constant")
    dx_pad, dw, db = np.zeros_like(x_pad), np.zeros_like(w), np.zeros_like(b)
    for n in range(N):
        for f in range(F):
            db[f] += np.sum(dout[n, f])
            for i in range(H_out):
                for j in range(W_out):
                    rows = slice(i * stride, i * stride + HH)
                    columns = slice(j * stride, j * stride + WW)
                    dw[f] += x_pad[n, :, rows, columns] * dout[n, f, i, j]
                    dx_pad[n, :, rows, columns] += w[f] * dout[n, f, i, j]
    dx = dx_pad[:, :, pad : pad + x.shape[2], pad : pad + x.shape[3]]
    return dx, dw, db


def max_pool_forward(x, pool_param):
    HH, WW, stride = pool_param["pool_height"], pool_param["pool_width"], pool_param["stride"]
    N, C, H, W = x.shape
    out = np.zeros((N, C, 1 + (H - HH) // stride, 1 + (W - WW) // stride))
    for i in range(out.shape[2]):
        for j in range(out.shape[3]):
            window = x[:, :, i * stride : i * stride + HH, j * stride : j * stride + WW]
            out[:, :, i, j] = np.max(window, axis=(2, 3))
    return out, (x, pool_param)


def max_pool_backward(dout, cache):
    x, pool_param = cache
    HH, WW, stride = pool_param["pool_height"], pool_param["pool_width"], pool_param["stride"]
    dx = np.zeros_like(x)
    for i in range(dout.shape[2]):
        for j in range(dout.shape[3]):
            rows, columns = slice(i * stride, i * stride + HH), slice(j * stride, j * stride + WW)
            window = x[:, :, rows, columns]
            mask = window == np.max(window, axis=(2, 3), keepdims=True)
            dx[:, :, rows, columns] += mask * dout[:, :, i, j][:, :, None, None]
    return dx


def rnn_step_forward(x, prev_h, Wx, Wh, b):
    next_h = np.tanh(x @ Wx + prev_h @ Wh + b)
    return next_h, (x, prev_h, Wx, Wh, next_h)


def rnn_step_backward(dnext_h, cache):
    x, prev_h, Wx, Wh, next_h = cache
    da = dnext_h * (1 - next_h**2)
    dx, dprev_h = da @ Wx.T, da @ Wh.T
    dWx, dWh = x.T @ da, prev_h.T @ da
    return dx, dprev_h, dWx, dWh, np.sum(da, axis=0)


def word_embedding_forward(x, W):
    return W[x], (x, W.shape)


def word_embedding_backward(dout, cache):
    x, shape = cache
    dW = np.zeros(shape)
    np.add.at(dW, x, dout)
    return dW


# -- a loss and its gradients at once ----------------------------------------------------------------------------------


def softmax_loss(x, y):
    shifted = x - np.max(x, axis=1, keepdims=True)
    Z = np.sum(np.exp(shifted), axis=1, keepdims=True)
    log_probs = shifted - np.log(Z)
    probs = np.exp(log_probs)
    N = x.shape[0]
    loss = -np.sum(log_probs[np.arange(N), y]) / N
    dx = probs.copy()
    dx[np.arange(N), y] -= 1
    dx /= N
    return loss, dx


def svm_loss(x, y):
    N = x.shape[0]
    correct = x[np.arange(N), y]
    margins = np.maximum(0, x - correct[:, np.newaxis] + 1.0)
    margins[np.arange(N), y] = 0
    loss = np.sum(margins) / N
    num_pos = np.sum(margins > 0, axis=1)
    dx = np.zeros_like(x)
    dx[margins > 0] = 1
    dx[np.arange(N), y] -= num_pos
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
    dW += 2 * reg * W
    return loss, dW


# -- a batch in columns -------------------------------------------------------------------------------------------------


def linear_forward(A, W, b):
    Z = np.dot(W, A) + b
    return Z, (A, W, b)


def linear_backward(dZ, cache):
    A_prev, W, b = cache
    dW = np.dot(dZ, A_prev.T)
    db = np.sum(dZ, axis=1, keepdims=True)
    dA_prev = np.dot(W.T, dZ)
    return dA_prev, dW, db


def sigmoid(Z):
    A = 1 / (1 + np.exp(-Z))
    return A, Z


def sigmoid_backward(dA, cache):
    s = 1 / (1 + np.exp(-cache))
    return dA * s * (1 - s)


# -- classes -----------------------------------------------------------------------------------------------------------


class Affine:
    def __init__(self, W, b):
        self.W, self.b = W, b
        self.x = self.dW = self.db = None

    def forward(self, x):
        self.x = x
        return np.dot(self.x, self.W) + self.b

    def backward(self, dout):
        dx = np.dot(dout, self.W.T)
        self.dW = np.dot(self.x.T, dout)
        self.db = np.sum(dout, axis=0)
        return dx


class Relu:
    def __init__(self):
        self.mask = None

    def forward(self, x):
        self.mask = x <= 0
        out = x.copy()
        out[self.mask] = 0
        return out

    def backward(self, dout):
        dout[self.mask] = 0
        return dout


class MatMul:
    """Its gradients in a list, written in place."""

    def __init__(self, W):
        self.params = [W]
        self.grads = [np.zeros_like(W)]
        self.x = None

    def forward(self, x):
        (W,) = self.params
        self.x = x
        return np.dot(x, W)

    def backward(self, dout):
        (W,) = self.params
        dx = np.dot(dout, W.T)
        self.grads[0][...] = np.dot(self.x.T, dout)
        return dx


class Dense:
    """Parameters and gradients in dicts."""

    def __init__(self, n_in, n_out):
        self.params = {"W": np.random.randn(n_in, n_out) / np.sqrt(n_in), "b": np.zeros((1, n_out))}
        self.grads = {}

    def forward(self, X):
        self.cache = X
        return X @ self.params["W"] + self.params["b"]

    def backward(self, grad_out):
        self.grads["W"] = self.cache.T @ grad_out
        self.grads["b"] = grad_out.sum(axis=0, keepdims=True)
        return grad_out @ self.params["W"].T


class Softmax:
    def forward(self, x):
        e = np.exp(x - x.max(axis=-1, keepdims=True))
        self.out = e / e.sum(axis=-1, keepdims=True)
        return self.out

    def backward(self, dout):
        dx = self.out * dout
        dx -= self.out * np.sum(dx, axis=-1, keepdims=True)
        return dx


class SoftmaxWithLoss:
    """A loss whose backward pass is given 1."""

    def __init__(self):
        self.loss = self.y = self.t = None

    def forward(self, x, t):
        self.t = t
        e = np.exp(x - np.max(x, axis=1, keepdims=True))
        self.y = e / np.sum(e, axis=1, keepdims=True)
        self.loss = -np.sum(np.log(self.y[np.arange(t.shape[0]), t] + 1e-7)) / t.shape[0]
        return self.loss

    def backward(self, dout=1):
        batch_size = self.t.shape[0]
        dx = self.y.copy()
        dx[np.arange(batch_size), self.t] -= 1
        return dx * dout / batch_size


class SquaredError:
    def forward(self, y_pred, y_true):
        self.diff = y_pred - y_true
        return np.mean(self.diff**2)

    def backward(self):
        return 2 * self.diff / self.diff.size


class LossOfProbabilities:
    def forward(self, p, y):
        self.p, self.y = np.clip(p, 1e-9, 1 - 1e-9), y
        return -np.mean(y * np.log(self.p) + (1 - y) * np.log(1 - self.p))

    def backward(self):
        return (self.p - self.y) / (self.p * (1 - self.p)) / self.p.size


class LossOfOpenProbabilities(LossOfProbabilities):
    def forward(self, p, y):
        self.p, self.y = p, y
        return -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))


class Dropout:
    def __init__(self, dropout_ratio=0.5):
        self.dropout_ratio = dropout_ratio
        self.mask = None

    def forward(self, x, train_flg=True):
        if train_flg:
            self.mask = np.random.rand(*x.shape) > self.dropout_ratio
            return x * self.mask
        return x * (1.0 - self.dropout_ratio)

    def backward(self, dout):
        return dout * self.mask


class Convolution:
    """As a product with patches."""

    def __init__(self, W, b, stride=1, pad=0):
        self.W, self.b, self.stride, self.pad = W, b, stride, pad

    def forward(self, x):
        FN, C, FH, FW = self.W.shape
        N, C, H, W = x.shape
        out_h = 1 + (H + 2 * self.pad - FH) // self.stride
        out_w = 1 + (W + 2 * self.pad - FW) // self.stride
        col = im2col(x, FH, FW, self.stride, self.pad)
        col_W = self.W.reshape(FN, -1).T
        out = np.dot(col, col_W) + self.b
        self.x, self.col, self.col_W = x, col, col_W
        return out.reshape(N, out_h, out_w, -1).transpose(0, 3, 1, 2)

    def backward(self, dout):
        FN, C, FH, FW = self.W.shape
        dout = dout.transpose(0, 2, 3, 1).reshape(-1, FN)
        self.db = np.sum(dout, axis=0)
        self.dW = np.dot(self.col.T, dout).transpose(1, 0).reshape(FN, C, FH, FW)
        dcol = np.dot(dout, self.col_W.T)
        return col2im(dcol, self.x.shape, FH, FW, self.stride, self.pad)


def im2col(image, height, width, stride=1, pad=0):
    N, C, H, W = image.shape
    out_h, out_w = (H + 2 * pad - height) // stride + 1, (W + 2 * pad - width) // stride + 1
    img = np.pad(image, [(0, 0), (0, 0), (pad, pad), (pad, pad)], "constant")
    col = np.zeros((N, C, height, width, out_h, out_w))
    for y in range(height):
        y_max = y + stride * out_h
        for x in range(width):
            x_max = x + stride * out_w
            col[:, :, y, x, :, :] = img[:, :, y:y_max:stride, x:x_max:stride]
    return col.transpose(0, 4, 5, 1, 2, 3).reshape(N * out_h * out_w, -1)


def col2im(col, shape, height, width, stride=1, pad=0):
    N, C, H, W = shape
    out_h, out_w = (H + 2 * pad - height) // stride + 1, (W + 2 * pad - width) // stride + 1
    col = col.reshape(N, out_h, out_w, C, height, width).transpose(0, 3, 4, 5, 1, 2)
    img = np.zeros((N, C, H + 2 * pad + stride - 1, W + 2 * pad + stride - 1))
    for y in range(height):
        y_max = y + stride * out_h
        for x in range(width):
            x_max = x + stride * out_w
            img[:, :, y:y_max:stride, x:x_max:stride] += col[:, :, y, x, :, :]
    return img[:, :, pad : H + pad, pad : W + pad]


# -- networks that give their loss and its gradients -------------------------------------------------------------------


class TwoLayerNet:
    def __init__(self, input_dim=12, hidden_dim=10, num_classes=3, weight_scale=1e-1, reg=0.0):
        self.reg = reg
        self.params = {
            "W1": weight_scale * np.random.randn(input_dim, hidden_dim),
            "b1": np.zeros(hidden_dim),
            "W2": weight_scale * np.random.randn(hidden_dim, num_classes),
            "b2": np.zeros(num_classes),
        }

    def loss(self, X, y=None):
        W1, b1, W2, b2 = (self.params[name] for name in ("W1", "b1", "W2", "b2"))
        hidden, cache = affine_relu_forward(X, W1, b1)
        scores, out_cache = affine_forward(hidden, W2, b2)
        if y is None:
            return scores
        grads = {}
        loss, dscores = softmax_loss(scores, y)
        loss += 0.5 * self.reg * (np.sum(W1 * W1) + np.sum(W2 * W2))
        dhidden, grads["W2"], grads["b2"] = affine_backward(dscores, out_cache)
        dx, grads["W1"], grads["b1"] = affine_relu_backward(dhidden, cache)
        grads["W1"] += self.reg * W1
        grads["W2"] += self.reg * W2
        return loss, grads


def affine_relu_forward(x, w, b):
    a, fc_cache = affine_forward(x, w, b)
    out, relu_cache = relu_forward(a)
    return out, (fc_cache, relu_cache)


def affine_relu_backward(dout, cache):
    fc_cache, relu_cache = cache
    da = relu_backward(dout, relu_cache)
    return affine_backward(da, fc_cache)


class Recurrent:
    """A whole sequence: its weights are handed to it, and what it gives is filled step by step, in float32."""

    def __init__(self, Wx, Wh, b, keeps=False):
        self.params = [Wx, Wh, b]
        self.grads = [np.zeros_like(each) for each in self.params]
        self.h = None
        self.keeps = keeps

    def forward(self, xs):
        Wx, Wh, b = self.params
        N, T, _ = xs.shape
        hs = np.empty((N, T, Wh.shape[0]), dtype="f")
        if self.h is None or not self.keeps:
            self.h = np.zeros((N, Wh.shape[0]))
        self.steps = []
        for t in range(T):
            before = self.h
            self.h = np.tanh(xs[:, t].dot(Wx) + before.dot(Wh) + b)
            self.steps.append((xs[:, t], before, self.h))
            hs[:, t] = self.h
        return hs

    def backward(self, dhs):
        Wx, Wh, _ = self.params
        N, T, _ = dhs.shape
        dxs = np.empty((N, T, Wx.shape[0]))
        for grad in self.grads:
            grad[...] = 0
        dh = 0
        for t in reversed(range(T)):
            x, before, h = self.steps[t]
            da = (dhs[:, t] + dh) * (1 - h**2)
            self.grads[0] += x.T.dot(da)
            self.grads[1] += before.T.dot(da)
            self.grads[2] += da.sum(axis=0)
            dxs[:, t] = da.dot(Wx.T)
            dh = da.dot(Wh.T)
        return dxs


class Cell:
    """Four gates in one product."""

    def __init__(self, W, U, b):
        self.W, self.U, self.b = W, U, b

    def forward(self, x, h_prev, c_prev):
        H = h_prev.shape[1]
        a = x @ self.W + h_prev @ self.U + self.b
        f, i, o = (1 / (1 + np.exp(-a[:, n * H : (n + 1) * H])) for n in range(3))
        g = np.tanh(a[:, 3 * H :])
        c = f * c_prev + i * g
        self.cache = x, h_prev, c_prev, f, i, o, g, c
        return o * np.tanh(c), c

    def backward(self, dh, dc):
        x, h_prev, c_prev, f, i, o, g, c = self.cache
        t = np.tanh(c)
        dc = dc + dh * o * (1 - t**2)
        da = np.hstack(
            [dc * c_prev * f * (1 - f), dc * g * i * (1 - i), dh * t * o * (1 - o), dc * i * (1 - g**2)]
        )
        self.dW, self.dU, self.db = x.T @ da, h_prev.T @ da, da.sum(axis=0)
        return da @ self.W.T, da @ self.U.T, dc * f


class LeavesItsOutput:
    """`forward` returns nothing, nor does `backward`."""

    def __init__(self, n_inputs, n_neurons):
        self.weights = 0.1 * np.random.randn(n_inputs, n_neurons)
        self.biases = np.zeros((1, n_neurons))

    def forward(self, inputs):
        self.inputs = inputs
        self.output = np.dot(inputs, self.weights) + self.biases

    def backward(self, dvalues):
        self.dweights = np.dot(self.inputs.T, dvalues)
        self.dbiases = np.sum(dvalues, axis=0, keepdims=True)
        self.dinputs = np.dot(dvalues, self.weights.T)


class OneRowAtATime:
    """It learns as it goes back, by other names; the sum over several rows is left to nobody."""

    def __init__(self, input_size, output_size):
        self.weights = np.random.rand(input_size, output_size) - 0.5
        self.bias = np.random.rand(1, output_size) - 0.5

    def forward_propagation(self, row):
        self.row = row
        return np.dot(row, self.weights) + self.bias

    def backward_propagation(self, output_error, learning_rate):
        row_error = np.dot(output_error, self.weights.T)
        self.weights -= learning_rate * np.dot(self.row.T, output_error)
        self.bias -= learning_rate * output_error
        return row_error


class GivenByAttribute:
    """Whoever comes after it puts the upstream gradient on it."""

    dout = None

    def forward(self, x):
        self.out = 1 / (1 + np.exp(-x))
        return self.out

    def backward(self):
        self.dx = self.dout * self.out * (1 - self.out)


def group_scale_forward(x, gamma, beta, G, params):
    """`G` counts the groups; `gamma` and `beta` are kept with the channels in the second of four axes."""
    n, c, h, w = x.shape
    parts = x.reshape(n, G, -1)
    centred = (parts - parts.mean(axis=2, keepdims=True)).reshape(x.shape)
    return gamma * centred + beta, (centred, gamma, G)


def group_scale_backward(dout, cache):
    centred, gamma, G = cache
    dbeta = dout.sum(axis=(0, 2, 3), keepdims=True)
    dgamma = (dout * centred).sum(axis=(0, 2, 3), keepdims=True)
    parts = (dout * gamma).reshape(len(dout), G, -1)
    dx = (parts - parts.mean(axis=2, keepdims=True)).reshape(dout.shape)
    return dx, dgamma, dbeta


class FarApart:
    """For two axes: with three, `same` would only run as a plain number, and the count of rows is another."""

    def forward(self, a, b, same):
        self.step = a - b
        self.length = np.sqrt((self.step**2).sum(axis=1) + 1e-9)
        self.same = same
        return np.mean(same * self.length**2 + (1 - same) * np.exp(-self.length))

    def backward(self):
        slope = (2 * self.same * self.length - (1 - self.same) * np.exp(-self.length)) / len(self.length)
        da = (slope / self.length)[:, None] * self.step
        return da, -da


class Kept:
    def __call__(self, x):
        self.seen = x
        return self.forward(x)


class Threshold(Kept):
    """What a caller calls keeps the input."""

    def forward(self, x):
        return np.maximum(x, 0)

    def backward(self, dout):
        return (self.seen > 0) * dout


class SumOfSquares:
    """It takes no upstream gradient, only once more what it was given."""

    def forward(self, target, predicted):
        return np.sum((target - predicted) ** 2)

    def backward(self, target, predicted):
        return 2 * (predicted - target)


class EveryOther:
    """A list of maps in, a list of maps out."""

    def __call__(self, maps):
        self.shape = maps[0].shape
        return [one[::2] for one in maps]

    def backprop(self, dmaps):
        found = []
        for i in range(len(dmaps)):
            d = np.zeros(self.shape)
            d[::2] += dmaps[i]
            found.append(d)
        return found


class InDicts:
    def __init__(self, n_in, n_out):
        self.params = {"W": np.random.randn(n_in, n_out) * 0.1, "b": np.zeros(n_out)}
        self.grads = {}

    def forward(self, x):
        self.x = x
        return x @ self.params["W"] + self.params["b"]

    def backward(self, dout):
        self.grads["W"] = self.x.T @ dout
        self.grads["b"] = dout.sum(axis=0)
        return dout @ self.params["W"].T


class Sampled:
    """Indices of which several belong to each row."""

    def __init__(self, vocab_size, dim):
        self.W, self.C = np.random.randn(vocab_size, dim), np.random.randn(vocab_size, dim)

    def loss_and_gradients(self, centers, contexts, negatives):
        w, c, n = self.W[centers], self.C[contexts], self.C[negatives]
        s = 1 / (1 + np.exp(-np.sum(w * c, axis=1)))
        t = 1 / (1 + np.exp(np.sum(w[:, np.newaxis, :] * n, axis=2)))
        loss = -np.sum(np.log(s)) - np.sum(np.log(t))
        grad_w = (s - 1)[:, np.newaxis] * c + np.sum((1 - t)[:, :, np.newaxis] * n, axis=1)
        grad_n = (1 - t)[:, :, np.newaxis] * w[:, np.newaxis, :]
        return loss, grad_w, grad_n


class StridedPool:
    """Its windows are the first thing made of the input."""

    def __init__(self, k=2):
        self.k = k

    def forward(self, x):
        n, c, h, w = x.shape
        s, self.x = x.strides, x
        shape = n, c, h // self.k, w // self.k, self.k, self.k
        strides = s[0], s[1], s[2] * self.k, s[3] * self.k, s[2], s[3]
        self.views = np.lib.stride_tricks.as_strided(x, shape, strides, writeable=False)
        return np.max(self.views, axis=(4, 5))

    def backward(self, dout):
        dx = np.zeros(shape=self.x.shape)
        for i in range(self.views.shape[2]):
            for j in range(self.views.shape[3]):
                window = self.views[:, :, i, j]
                mask = window == window.max(axis=(2, 3), keepdims=True)
                rows, columns = (slice(at * self.k, (at + 1) * self.k) for at in (i, j))
                dx[:, :, rows, columns] += mask * dout[:, :, i, j, None, None]
        return dx


class LargestOfEach:
    """`flat` of a row and of a window, which lies in memory with gaps."""

    def forward(self, x):
        rows, _ = self.shape = x.shape
        self.places = []
        out = np.zeros(shape=np.array([rows, 2]))
        for i in range(rows):
            for k, part in enumerate((x[i], x[i : i + 1, ::2])):
                self.places.append((i, k, np.argmax(part)))
                out[i, k] = part.flat[np.argmax(part)]
        return out

    def backward(self, dout):
        dx = np.zeros(self.shape)
        for i, k, place in self.places:
            dx[i].flat[place * (k + 1)] += dout[i, k]
        return dx
