import numpy as np

np.random.seed(5)
x = np.random.randn(6, 50, 40)  # more than is kept whole of a result
gain = np.ones(40)
target = np.random.randn(6, 50, 40)
for step in range(2):
    # The second mean is that of what has been centred: nothing but rounding.
    first = x - x.mean(-1, keepdims=True)
    second = first * gain
    centred = second - second.mean(-1, keepdims=True)
    loss = np.mean((centred - target) ** 2)
    dcentred = 2 * (centred - target) / target.size
    dsecond = dcentred - dcentred.mean(-1, keepdims=True) + 0 * second.mean(-1, keepdims=True)
    dgain = (dsecond * first).sum((0, 1))
    gain -= 0.1 * dgain
