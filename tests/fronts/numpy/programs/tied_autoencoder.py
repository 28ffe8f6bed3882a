"""The decoder is the encoder turned round; momentum."""

import numpy as np

rs = np.random.RandomState(3)
data = rs.rand(16, 6)
W, b_hidden, b_visible = rs.randn(6, 3) * 0.3, np.zeros(3), np.zeros(6)
vW, vh, vv = np.zeros_like(W), np.zeros_like(b_hidden), np.zeros_like(b_visible)
mu, eta = 0.9, 0.05


def sigmoid(a):
    return 1.0 / (1.0 + np.exp(-a))


for epoch in range(40):
    h = sigmoid(data.dot(W) + b_hidden)
    r = sigmoid(h.dot(W.T) + b_visible)
    loss = 0.5 * np.sum((r - data) ** 2) / len(data)

    delta_r = (r - data) * r * (1 - r) / len(data)
    delta_h = delta_r.dot(W) * h * (1 - h)
    grad_W = data.T.dot(delta_h) + delta_r.T.dot(h)
    grad_b_hidden = delta_h.sum(0)
    grad_b_visible = delta_r.sum(0)

    vW = mu * vW - eta * grad_W
    vh = mu * vh - eta * grad_b_hidden
    vv = mu * vv - eta * grad_b_visible
    W += vW
    b_hidden += vh
    b_visible += vv
