import torch


class LSTM:
    def __init__(self, n_in, n_hid):
        self.n = n_hid
        self.W = torch.randn(n_in + n_hid, 4 * n_hid) * 0.3
        self.b = torch.zeros(4 * n_hid)

    def forward(self, xs):
        h = torch.zeros(xs.shape[1], self.n)
        c = torch.zeros(xs.shape[1], self.n)
        self.tape = []
        for x in xs:
            v = torch.cat([x, h], 1)
            z = v @ self.W + self.b
            i, f, g, o = z.chunk(4, 1)
            i, f, g, o = torch.sigmoid(i), torch.sigmoid(f), torch.tanh(g), torch.sigmoid(o)
            c_prev = c
            c = f * c_prev + i * g
            h = o * torch.tanh(c)
            self.tape.append((v, i, f, g, o, c_prev, c))
        return h

    def backward(self, dh):
        self.dW = torch.zeros_like(self.W)
        self.db = torch.zeros_like(self.b)
        dc = torch.zeros_like(dh)
        for v, i, f, g, o, c_prev, c in reversed(self.tape):
            tc = torch.tanh(c)
            do = dh * tc
            dc = dc + dh * o * (1 - tc**2)
            di, df, dg = dc * g, dc * c_prev, dc * i
            dz = torch.cat([di * i * (1 - i), df * f * (1 - f), dg * (1 - g**2), do * o * (1 - o)], 1)
            self.dW += v.T @ dz
            self.db += dz.sum(0)
            dv = dz @ self.W.T
            dh = dv[:, -self.n :]
            dc = dc * f


torch.manual_seed(52)
xs = torch.randn(4, 5, 3)
labels = torch.randn(5, 2)
lstm = LSTM(3, 6)
Wy = torch.randn(6, 2) * 0.4
for epoch in range(300):
    h_last = lstm.forward(xs)
    y = h_last @ Wy
    loss = ((y - labels) ** 2).sum(1).mean()
    dy = 2 * (y - labels) / len(y)
    dWy = h_last.T @ dy
    lstm.backward(dy @ Wy.T)
    Wy -= 0.05 * dWy
    lstm.W -= 0.05 * lstm.dW
    lstm.b -= 0.05 * lstm.db
