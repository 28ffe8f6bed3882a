"""A gated recurrent unit over a sequence; its states are filled into an array that was empty."""

import numpy as np

np.random.seed(7)
T, I, H = 4, 3, 4
xs, ys = np.random.randn(T, I), np.random.randn(T, H)
p = {n: np.random.randn(H, I + H) * 0.4 for n in ("Wz", "Wr", "Wn")}


def sig(v):
    return 1 / (1 + np.exp(-v))


for it in range(15):
    h = np.empty((T + 1, H))
    h[0] = 0.3
    steps = []
    for t in range(T):
        both = np.concatenate([xs[t], h[t]])
        z, r = sig(p["Wz"] @ both), sig(p["Wr"] @ both)
        gated = np.concatenate([xs[t], r * h[t]])
        n = np.tanh(p["Wn"] @ gated)
        h[t + 1] = (1 - z) * h[t] + z * n
        steps.append((both, z, r, gated, n))
    loss = np.sum((h[1:] - ys) ** 2)

    grads = {name: np.zeros_like(w) for name, w in p.items()}
    dh_next = np.zeros(H)
    for t in reversed(range(T)):
        both, z, r, gated, n = steps[t]
        dh = 2 * (h[t + 1] - ys[t]) + dh_next
        dn = dh * z * (1 - n**2)
        dz = dh * (n - h[t]) * z * (1 - z)
        dgated = p["Wn"].T @ dn
        dr = dgated[I:] * h[t] * r * (1 - r)
        dboth = p["Wz"].T @ dz + p["Wr"].T @ dr
        grads["Wn"] += np.outer(dn, gated)
        grads["Wz"] += np.outer(dz, both)
        grads["Wr"] += np.outer(dr, both)
        dh_next = dh * (1 - z) + dgated[I:] * r + dboth[I:]
    for name in p:
        p[name] -= 0.02 * grads[name]
