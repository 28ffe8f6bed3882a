import numpy as np

np.random.seed(3)
steps, rows, width = 12, 6, 4


class Trace:
    def __init__(self):
        self.hs, self.os = [], []

    def stacked(self):
        return np.array(self.os), np.array(self.hs)


class Cell:
    def __init__(self):
        self.a = np.random.randn(width, 1) * 0.5
        self.r = np.random.randn(width, width) * 0.5
        self.o = np.random.randn(1, width) * 0.5
        self.bh, self.bo = np.zeros(width), np.zeros(1)

    def step(self, trace, xs, t):
        before = np.zeros((rows, width)) if t == 0 else trace.hs[-1]
        h = np.tanh(xs[t] @ self.a.T + before @ self.r.T + self.bh)
        trace.hs.append(h)
        trace.os.append(h @ self.o.T + self.bo)

    def back(self, hs, xs, douts, first, stop):
        da, dr, do = np.zeros_like(self.a), np.zeros_like(self.r), np.zeros_like(self.o)
        dbh, dbo = np.zeros_like(self.bh), np.zeros_like(self.bo)
        dnext = np.zeros((rows, width))
        for i in reversed(range(first, stop)):
            dout = douts[i - first]
            do += dout.T @ hs[i]
            dbo += dout.sum(0)
            dh = dout @ self.o + dnext
            dz = dh * (1 - hs[i] ** 2)
            before = hs[i - 1] if i else np.zeros_like(hs[i])
            da += dz.T @ xs[i]
            dr += dz.T @ before
            dbh += dz.sum(0)
            dnext = dz @ self.r
        return da, dr, do, dbh, dbo

    def move(self, rate, da, dr, do, dbh, dbo):
        self.a -= rate * da
        self.r -= rate * dr
        self.o -= rate * do
        self.bh -= rate * dbh
        self.bo -= rate * dbo


cell = Cell()
for epoch in range(30):
    phase = np.random.uniform(0, 3, rows)
    ts = np.arange(2 * steps) / 4
    wave = np.sin(ts[:, None] + phase)[:, :, None]
    xs, ys = wave[:steps], wave[1 : steps + 1]
    trace, total = Trace(), 0.0
    for t in range(steps):
        cell.step(trace, xs, t)
        if t % 4 == 3:
            os, hs = trace.stacked()
            part = slice(t - 3, t + 1)
            loss = np.mean((os[part] - ys[part]) ** 2)
            douts = 2 * (os[part] - ys[part]) / os[part].size
            grads = cell.back(hs, xs, douts, t - 3, t + 1)
            cell.move(0.1, *grads)
            total += loss
    print(epoch, total)
