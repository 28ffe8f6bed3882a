"""A line in a class: one of its parameters begins as an integer."""

import numpy as np

class Line:
    def __init__(self):
        self.m = 0.5
        self.c = 0

    def fit(self, x, y, rate):
        n = len(x)
        for i in range(100):
            y_pred = self.m * x + self.c
            cost = (1 / n) * sum([val**2 for val in (y - y_pred)])
            dm = -(2 / n) * sum(x * (y - y_pred))
            dc = -(2 / n) * sum(y - y_pred)
            self.m = self.m - rate * dm
            self.c = self.c - rate * dc
        print(self.m, self.c, cost)

Line().fit(np.array([1, 2, 3, 4, 5.0]), np.array([5, 7, 9, 11, 13.0]), 0.02)
