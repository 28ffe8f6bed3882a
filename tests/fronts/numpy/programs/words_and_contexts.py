import numpy as np

rng = np.random.RandomState(5)
both = rng.randn(12, 3)


def pair(center, other, others):
    scores = others @ center
    scores -= np.max(scores)
    guess = np.exp(scores) / np.sum(np.exp(scores))
    delta = guess.copy()
    delta[other] -= 1
    return -np.log(guess[other]), others.T @ delta, np.outer(delta, center)


def window(center, context, centers, others):
    loss, grad_centers, grad_others = 0.0, np.zeros_like(centers), np.zeros_like(others)
    for other in context:
        cost, grad_center, products = pair(centers[center], other, others)
        loss += cost
        grad_centers[center] += grad_center
        grad_others += products
    return loss, grad_centers, grad_others


def several(both, count=4):
    loss, grad, half = 0.0, np.zeros_like(both), len(both) // 2
    for _ in range(count):
        cost, for_centers, for_others = window(rng.randint(6), rng.randint(0, 6, 5), both[:half], both[half:])
        loss += cost / count
        grad[:half] += for_centers / count
        grad[half:] += for_others / count
    return loss, grad


for turn in range(30):
    loss, grad = several(both)
    both = both - 0.3 * grad
    print(loss)
