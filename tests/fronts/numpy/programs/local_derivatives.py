import numpy as np
rng = np.random.RandomState(1)
rows = rng.randn(5, 2); goals = np.array([1, 0, 0, 1, 1])


class Net:
    def __init__(self):
        self.p, self.q, self.c = rng.normal(), rng.normal(), rng.normal()
        self.r, self.d = rng.normal(), rng.normal()

    def out(self, row):
        h = 1 / (1 + np.exp(-(self.p * row[0] + self.q * row[1] + self.c)))
        return 1 / (1 + np.exp(-(self.r * h + self.d)))

    def learn(self):
        for turn in range(10):
            for row, goal in zip(rows, goals):
                zh = self.p * row[0] + self.q * row[1] + self.c
                h = 1 / (1 + np.exp(-zh))
                zo = self.r * h + self.d
                o = 1 / (1 + np.exp(-zo))
                dL_do = -2 * (goal - o)
                do_dr = h * o * (1 - o)
                do_dd = o * (1 - o)
                do_dh = self.r * o * (1 - o)
                dh_dp = row[0] * h * (1 - h)
                dh_dq = row[1] * h * (1 - h)
                dh_dc = h * (1 - h)
                self.p -= 0.1 * dL_do * do_dh * dh_dp
                self.q -= 0.1 * dL_do * do_dh * dh_dq
                self.c -= 0.1 * dL_do * do_dh * dh_dc
                self.r -= 0.1 * dL_do * do_dr
                self.d -= 0.1 * dL_do * do_dd
            if turn % 5 == 0:
                every = np.apply_along_axis(self.out, 1, rows)
                loss = ((goals - every) ** 2).mean()
                print(turn, loss)


Net().learn()
