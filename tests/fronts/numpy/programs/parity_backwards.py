import copy

import numpy as np

rng = np.random.RandomState(2)


def squash(z):
    return 1 / (1 + np.exp(-z))


def slope(s):
    return s * (1 - s)


from_bit, between, to_bit = 2 * rng.rand(1, 6) - 1, 2 * rng.rand(6, 6) - 1, 2 * rng.rand(6, 1) - 1
change_in, change_between, change_out = np.zeros_like(from_bit), np.zeros_like(between), np.zeros_like(to_bit)
for turn in range(300):
    bits = rng.randint(0, 2, 5)
    wanted = np.cumsum(bits) % 2
    states, deltas, missed = [np.zeros(6)], [], 0
    for bit, right in zip(bits, wanted):
        state = squash(np.array([[bit]]) @ from_bit + states[-1] @ between)
        answer = squash(state @ to_bit)
        answer_error = np.array([[right]]) - answer
        deltas.append(answer_error * slope(answer))
        missed += np.abs(answer_error[0])
        states.append(copy.deepcopy(state))
    later = np.zeros(6)
    for back in range(1, 6):
        state_delta = (later @ between.T + deltas[-back] @ to_bit.T) * slope(states[-back])
        change_out += np.atleast_2d(states[-back]).T @ deltas[-back]
        change_between += np.atleast_2d(states[-back - 1]).T @ state_delta
        change_in += np.array([[bits[-back]]]).T @ state_delta
        later = state_delta
    from_bit += change_in * 0.1
    between += change_between * 0.1
    to_bit += change_out * 0.1
    change_in *= 0
    change_between *= 0
    change_out *= 0
    if turn % 100 == 0:
        print(missed)
