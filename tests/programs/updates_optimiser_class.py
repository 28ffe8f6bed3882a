import torch


class Momentum:
    def __init__(self, params, lr=0.1, mu=0.9, weight_decay=1e-3):
        self.params, self.lr, self.mu, self.weight_decay = params, lr, mu, weight_decay
        self.buffers = [torch.zeros_like(p) for p in params]

    def step(self, grads):
        for i, (p, g) in enumerate(zip(self.params, grads)):
            g = g + self.weight_decay * p
            self.buffers[i] = self.mu * self.buffers[i] + g
            p -= self.lr * (g + self.mu * self.buffers[i])


torch.manual_seed(105)
signal = torch.randn(36, 4)
wanted = torch.randn(36, 2)
A = torch.randn(4, 9) * 0.4
a = torch.zeros(9)
B = torch.randn(9, 2) * 0.4
optimiser = Momentum([A, a, B])

for epoch in range(400):
    pre = signal @ A + a
    act = torch.sigmoid(pre)
    guess = act @ B
    loss = 0.5 * (guess - wanted).pow(2).sum(1).mean()
    grad_guess = (guess - wanted) / 36
    grad_B = act.T @ grad_guess
    grad_act = grad_guess @ B.T
    grad_pre = grad_act * act * (1 - act)
    grad_A = signal.T @ grad_pre
    grad_a = grad_pre.sum(0)
    optimiser.step([grad_A, grad_a, grad_B])
    if epoch % 100 == 0:
        print(epoch, loss.item())
