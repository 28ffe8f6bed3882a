import numpy as np

rng = np.random.RandomState(4)
samples, labels = rng.rand(6, 7), rng.randint(0, 4, 6)


class Scores:
    def __init__(self):
        self.weights, self.biases = rng.randn(5, 4) / 5, np.zeros(4)

    def forward(self, x):
        self.x = x
        self.scores = np.dot(x, self.weights) + self.biases
        e = np.exp(self.scores)
        return e / np.sum(e)

    def backward(self, dL_dout, rate):
        for i, gradient in enumerate(dL_dout):
            if gradient == 0:
                continue
            e = np.exp(self.scores)
            total = np.sum(e)
            slopes = -e[i] * e / total**2
            slopes[i] = e[i] * (total - e[i]) / total**2
            dL_dscores = gradient * slopes
            dL_dw = np.outer(self.x, dL_dscores)
            dL_db = dL_dscores * 1
            dL_dx = self.weights @ dL_dscores
            self.weights -= rate * dL_dw
            self.biases -= rate * dL_db
            return dL_dx


class Features:
    def __init__(self):
        self.kernel = rng.randn(3) / 3

    def windows(self, x):
        for i in range(len(x) - 2):
            yield x[i : i + 3], i

    def forward(self, x):
        self.x, out = x, np.zeros(len(x) - 2)
        for window, i in self.windows(x):
            out[i] = np.sum(window * self.kernel)
        return out

    def backward(self, dL_dout, rate):
        dL_dkernel = np.zeros_like(self.kernel)
        for window, i in self.windows(self.x):
            dL_dkernel += dL_dout[i] * window
        self.kernel -= rate * dL_dkernel


features, scores = Features(), Scores()
for x, label in zip(samples, labels):
    out = scores.forward(features.forward(x))
    loss = -np.log(out[label])
    dL_dout = np.zeros(4)
    dL_dout[label] = -1 / out[label]
    features.backward(scores.backward(dL_dout, 0.01), 0.01)
    print(loss)
