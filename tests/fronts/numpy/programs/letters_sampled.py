import numpy as np

rng = np.random.RandomState(0)
letters, hidden = 7, 12
U = rng.randn(hidden, letters) * 0.3
V = rng.randn(hidden, hidden) * 0.3
W = rng.randn(letters, hidden) * 0.3
text = rng.randint(0, letters, 60)


def forward(xs, ys, state):
    states, ps, loss = [state], [], 0.0
    for t, (a, b) in enumerate(zip(xs, ys)):
        one = np.zeros((letters, 1))
        one[a] = 1
        states.append(np.tanh(U @ one + V @ states[t]))
        o = W @ states[-1]
        ps.append(np.exp(o) / np.sum(np.exp(o)))
        loss += -np.log(ps[-1][b, 0])
    return states, ps, loss


def backward(xs, ys, states, ps):
    dU, dV, dW = np.zeros_like(U), np.zeros_like(V), np.zeros_like(W)
    dnext = np.zeros((hidden, 1))
    for t in reversed(range(len(xs))):
        do = ps[t].copy()
        do[ys[t]] -= 1
        dW += do @ states[t + 1].T
        ds = W.T @ do + dnext
        dz = (1 - states[t + 1] ** 2) * ds
        one = np.zeros((letters, 1))
        one[xs[t]] = 1
        dU += dz @ one.T
        dV += dz @ states[t].T
        dnext = V.T @ dz
    return dU, dV, dW


def sample(state, start, n):
    one = np.zeros((letters, 1))
    one[start] = 1
    out = []
    for _ in range(n):
        state = np.tanh(np.dot(U, one) + np.dot(V, state))
        o = np.dot(W, state)
        p = np.exp(o) / np.sum(np.exp(o))
        k = np.random.choice(range(letters), p=p.ravel())
        out.append(k)
        one = np.zeros((letters, 1))
        one[k] = 1
    return out


for epoch in range(20):
    state = np.zeros((hidden, 1))
    for i in range(0, 50, 10):
        states, ps, loss = forward(text[i : i + 10], text[i + 1 : i + 11], state)
        state = states[-1]
        dU, dV, dW = backward(text[i : i + 10], text[i + 1 : i + 11], states, ps)
        for w, d in zip([U, V, W], [dU, dV, dW]):
            w -= 0.02 * d
    if epoch % 5 == 0:
        print(epoch, loss, sample(state, 3, 40))
