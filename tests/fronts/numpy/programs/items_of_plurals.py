import numpy as np

np.random.seed(3)
seq, size, chars = 5, 6, 4
Wx, Wh = np.random.randn(size, chars) * 0.3, np.random.randn(size, size) * 0.3
Wy, bh = np.random.randn(chars, size) * 0.3, np.zeros((size, 1))
text = np.random.randint(0, chars, seq + 1)


def one_step(h, ix):
    """To sample with: its `h` is the one that the sequence begins with."""
    x = np.zeros((chars, 1))
    x[ix] = 1
    return Wy @ np.tanh(Wx @ x + Wh @ h + bh)


hprev = np.random.randn(size, 1) * 0.1
smooth_loss = np.log(chars) * seq
for turn in range(2):
    one_step(hprev, 0)
    xs, hs, ps, loss = {}, {-1: np.copy(hprev)}, {}, 0
    for t in range(seq):
        xs[t] = np.zeros((chars, 1))
        xs[t][text[t]] = 1
        hs[t] = np.tanh(Wx @ xs[t] + Wh @ hs[t - 1] + bh)
        y = Wy @ hs[t]
        ps[t] = np.exp(y) / np.sum(np.exp(y))
        loss += -np.log(ps[t][text[t + 1], 0])
    dWx, dWh, dWy, dbh = np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(Wy), np.zeros_like(bh)
    dhnext = np.zeros_like(hprev)
    for t in reversed(range(seq)):
        dy = np.copy(ps[t])
        dy[text[t + 1]] -= 1
        dWy += dy @ hs[t].T
        dh = Wy.T @ dy + dhnext
        dhraw = (1 - hs[t] ** 2) * dh
        dbh += dhraw
        dWx += dhraw @ xs[t].T
        dWh += dhraw @ hs[t - 1].T
        dhnext = Wh.T @ dhraw
    smooth_loss = smooth_loss * 0.999 + loss * 0.001
    for param, grad in zip([Wx, Wh, Wy, bh], [dWx, dWh, dWy, dbh]):
        param -= 0.1 * np.clip(grad, -5, 5)
    hprev = hs[seq - 1]
