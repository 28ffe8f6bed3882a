"""Statistics by hand: the mean and the spread of a normal distribution are learned from their likelihood."""

import numpy as np

np.random.seed(8)
sample = 2.0 + 1.5 * np.random.randn(40)
mean, log_std = 0.0, 0.0
mean, log_std = np.array(mean), np.array(log_std)
for _ in range(50):
    std = np.exp(log_std)
    scaled = (sample - mean) / std
    loss = np.mean(0.5 * scaled**2 + log_std)
    dscaled = scaled / len(sample)
    dmean = -np.sum(dscaled) / std
    dlog_std = 1.0 - np.sum(dscaled * scaled)
    mean = mean - 0.1 * dmean
    log_std = log_std - 0.1 * dlog_std
