import torch

torch.manual_seed(5)
sizes = [6, 10, 8, 3]
weights = [torch.randn(n, m) / m**0.5 for m, n in zip(sizes[:-1], sizes[1:])]
biases = [torch.randn(n, 1) * 0.1 for n in sizes[1:]]


def sigmoid(z):
    return 1.0 / (1.0 + torch.exp(-z))


def sigmoid_prime(z):
    return sigmoid(z) * (1 - sigmoid(z))


x = torch.randn(6, 20)
y = torch.eye(3)[torch.randint(0, 3, (20,))].T

activation = x
activations = [x]
zs = []
for w, b in zip(weights, biases):
    z = w @ activation + b
    zs.append(z)
    activation = sigmoid(z)
    activations.append(activation)
loss = 0.5 * ((activations[-1] - y) ** 2).sum()

nabla_w = [torch.zeros_like(w) for w in weights]
nabla_b = [torch.zeros_like(b) for b in biases]
delta = (activations[-1] - y) * sigmoid_prime(zs[-1])
nabla_b[-1] = delta.sum(1, keepdim=True)
nabla_w[-1] = delta @ activations[-2].T
for l in range(2, len(sizes)):
    delta = (weights[-l + 1].T @ delta) * sigmoid_prime(zs[-l])
    nabla_b[-l] = delta.sum(1, keepdim=True)
    nabla_w[-l] = delta @ activations[-l - 1].T

weights = [w - 0.01 * nw for w, nw in zip(weights, nabla_w)]
biases = [b - 0.01 * nb for b, nb in zip(biases, nabla_b)]
print("cost", loss.item())
