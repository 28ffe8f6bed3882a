"""A straight line fitted to points, with plain numbers as its parameters."""
import numpy as np

rng = np.random.default_rng(7)
x = rng.uniform(0, 4, 25)
y = 3.0 * x - 1.0 + rng.normal(0, 0.1, 25)
slope = 0.0
offset = 0.0
for i in range(300):
    fitted = slope * x + offset
    residual = fitted - y
    d_slope = (residual * x).mean()
    d_offset = residual.mean()
    slope -= 0.05 * d_slope
    offset -= 0.05 * d_offset
print(slope, offset)
