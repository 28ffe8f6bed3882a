import torch


def soft_cross_entropy(logits, soft_targets, T):
    scaled = logits / T
    logp = scaled - torch.logsumexp(scaled, dim=1, keepdim=True)
    loss = -(soft_targets * logp).sum(1).mean()
    d_loss_d_logits = (logp.exp() - soft_targets) / logits.shape[0] / T
    return loss, d_loss_d_logits


torch.manual_seed(44)
x = torch.randn(12, 6)
teacher = torch.softmax(torch.randn(12, 4) / 2, 1)
W = torch.randn(6, 4) * 0.3
b = torch.zeros(4)
for step in range(600):
    student_logits = x @ W + b
    loss, d_logits = soft_cross_entropy(student_logits, teacher, T=2.0)
    d_loss_d_W = x.T @ d_logits
    d_loss_d_b = d_logits.sum(0)
    W = W - 0.5 * d_loss_d_W
    b = b - 0.5 * d_loss_d_b
print(loss)
