import torch

torch.manual_seed(2024)
times = torch.linspace(0.0, 4.0, 60)
readings = 1.7 * torch.exp(-0.6 * times) + 0.2 + 0.01 * torch.randn(60)
amp = torch.rand(())
rate = torch.rand(())
level = torch.zeros(())
speed = 2e-3

for k in range(30_000):
    decay = torch.exp(-rate * times)
    fitted = amp * decay + level
    miss = fitted - readings
    loss = (miss * miss).sum()
    if k % 3000 == 0:
        print("after", k, "steps:", loss.item())
    grad_fitted = 2 * miss
    grad_level = grad_fitted.sum()
    grad_amp = (grad_fitted * decay).sum()
    grad_decay = grad_fitted * amp
    grad_rate = -(grad_decay * decay * times).sum()
    amp -= speed * grad_amp
    rate -= speed * grad_rate
    level -= speed * grad_level
print(f"{amp:.3f} * exp(-{rate:.3f} t) + {level:.3f}")
