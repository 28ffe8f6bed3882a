"""Functions that are handed their parameters in a dict."""

import numpy as np
import pytest

import gradcheck


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def cell_forward(xt, a_prev, c_prev, parameters):
    Wf, bf = parameters["Wf"], parameters["bf"]
    Wc, bc = parameters["Wc"], parameters["bc"]
    both = np.concatenate((a_prev, xt), axis=0)
    f = sigmoid(np.dot(Wf, both) + bf)
    g = np.tanh(np.dot(Wc, both) + bc)
    c_next = f * c_prev + (1 - f) * g
    a_next = np.tanh(c_next)
    return a_next, c_next, (a_next, c_next, a_prev, c_prev, f, g, both, parameters)


def cell_backward(da_next, dc_next, cache):
    a_next, c_next, a_prev, c_prev, f, g, both, parameters = cache
    n = a_prev.shape[0]
    dc = dc_next + da_next * (1 - a_next**2)
    df = dc * (c_prev - g) * f * (1 - f)
    dg = dc * (1 - f) * (1 - g**2)
    dboth = np.dot(parameters["Wf"].T, df) + np.dot(parameters["Wc"].T, dg)
    return {
        "dxt": dboth[n:],
        "da_prev": dboth[:n],
        "dc_prev": dc * f,
        "dWf": np.dot(df, both.T),
        "dbf": np.sum(df, axis=1, keepdims=True),
        "dWc": np.dot(dg, both.T),
        "dbc": np.sum(dg, axis=1, keepdims=True),
    }


def forgets_the_state_backward(da_next, dc_next, cache):
    found = cell_backward(da_next, dc_next, cache)
    found["dc_prev"] = da_next * (1 - cache[0] ** 2) * cache[4]
    return found


def windows_forward(A_prev, W, b, hparameters):
    f, stride, pad = W.shape[0], hparameters["stride"], hparameters["pad"]
    padded = np.pad(A_prev, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    m, height, width = (
        A_prev.shape[0],
        (padded.shape[1] - f) // stride + 1,
        (padded.shape[2] - f) // stride + 1,
    )
    Z = np.zeros((m, height, width, W.shape[3]))
    for i in range(m):
        for h in range(height):
            for w in range(width):
                part = padded[i, h * stride : h * stride + f, w * stride : w * stride + f]
                for c in range(W.shape[3]):
                    Z[i, h, w, c] = np.sum(part * W[..., c]) + b[..., c].item()
    return Z, (A_prev, padded, W, hparameters)


def windows_backward(dZ, cache):
    A_prev, padded, W, hparameters = cache
    f, stride, pad = W.shape[0], hparameters["stride"], hparameters["pad"]
    dpadded, dW = np.zeros(padded.shape), np.zeros(W.shape)
    for i in range(dZ.shape[0]):
        for h in range(dZ.shape[1]):
            for w in range(dZ.shape[2]):
                rows, columns = slice(h * stride, h * stride + f), slice(w * stride, w * stride + f)
                dpadded[i, rows, columns] += W @ dZ[i, h, w]
                dW += padded[i, rows, columns, :, None] * dZ[i, h, w]
    inside = slice(pad, padded.shape[1] - pad), slice(pad, padded.shape[2] - pad)
    return dpadded[:, inside[0], inside[1]], dW, dZ.sum(axis=(0, 1, 2))[None, None, None]


@pytest.mark.parametrize("pair", [(cell_forward, cell_backward), (windows_forward, windows_backward)])
def test_right_ones_are_judged_and_right(pair):
    report = gradcheck.check_layer(pair, fix_budget_s=0.0)
    assert not report.failures
    assert report.exit_status == 0


def test_the_wrong_one_is_told():
    report = gradcheck.check_layer((cell_forward, forgets_the_state_backward), fix_budget_s=0.0)
    assert report.failures
    assert {f.report.findings[0].evidence["gradient"] for f in report.failures if f.report} == {
        "found['dc_prev']"
    }
