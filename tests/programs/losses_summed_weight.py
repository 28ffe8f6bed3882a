import torch
import torch.nn.functional as F

torch.manual_seed(66)
x = torch.randn(24, 6)
label = torch.randint(0, 4, (24,))
height = x[:, :1] * 2 - x[:, 1:2]
shared = torch.randn(6, 10) * 0.4
to_class = torch.randn(10, 4) * 0.4
to_height = torch.randn(10, 1) * 0.4
alpha, beta = 0.5, 1e-3

for step in range(600):
    pre = x @ shared
    trunk = F.softplus(pre)
    logits = trunk @ to_class
    guess = trunk @ to_height
    class_loss = F.cross_entropy(logits, label)
    height_loss = F.mse_loss(guess, height)
    sparse_loss = trunk.abs().mean()
    loss = class_loss + alpha * height_loss + beta * sparse_loss

    grad_logits = (logits.softmax(1) - F.one_hot(label, 4)) / 24
    grad_guess = 2 * (guess - height) / 24
    grad_to_class = trunk.T @ grad_logits
    grad_to_height = trunk.T @ grad_guess
    grad_trunk = grad_logits @ to_class.T + grad_guess @ to_height.T + beta * trunk.sign() / trunk.numel()
    grad_pre = grad_trunk * torch.sigmoid(pre)
    grad_shared = x.T @ grad_pre

    shared -= 0.1 * grad_shared
    to_class -= 0.1 * grad_to_class
    to_height -= 0.1 * grad_to_height
