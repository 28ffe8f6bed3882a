import torch
import torch.nn.functional as F

torch.manual_seed(107)
states = torch.randn(40, 4)
theta = torch.randn(4, 3) * 0.1
bias = torch.zeros(3)
lr = 0.1

for episode in range(300):
    scores = states @ theta + bias
    probs = F.softmax(scores, 1)
    actions = torch.multinomial(probs, 1).squeeze(1)
    reward = (actions == 1).float() + 0.1 * (actions == 2).float()
    log_prob = torch.log(probs[torch.arange(40), actions])
    objective = (log_prob * reward).mean()
    dscores = (F.one_hot(actions, 3) - probs) * reward[:, None] / 40
    dtheta = states.T @ dscores
    dbias = dscores.sum(0)
    theta += lr * dtheta
    bias += lr * dbias
    if episode % 100 == 0:
        print(episode, reward.mean().item())
