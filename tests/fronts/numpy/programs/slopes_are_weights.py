import numpy as np

rng = np.random.RandomState(4)
images, labels = rng.randn(12, 6), rng.randint(0, 3, 12)
first, weights, biases = rng.randn(6, 5) * 0.4, rng.randn(5, 3) * 0.4, np.zeros(3)
for image, label in zip(images, labels):
    hidden = np.tanh(image @ first)
    totals = hidden @ weights + biases
    powers = np.exp(totals)
    loss = -np.log(powers[label] / powers.sum())
    dL_dtotals = powers / powers.sum()
    dL_dtotals[label] -= 1
    d_t_d_inputs = weights
    dL_dhidden = d_t_d_inputs @ dL_dtotals
    dL_dweights = hidden[np.newaxis].T @ dL_dtotals[np.newaxis]
    weights -= 0.1 * dL_dweights
    biases -= 0.1 * dL_dtotals
    dL_dfirst = np.outer(image, dL_dhidden * (1 - hidden**2))
    first -= 0.1 * dL_dfirst
