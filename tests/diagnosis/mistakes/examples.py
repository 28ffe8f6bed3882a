"""One mistake each: where it is made, the gradient it spoils, the kind of explanation and its decisive words."""

from __future__ import annotations

from dataclasses import dataclass

from tests.diagnosis.mistakes import programs


@dataclass(frozen=True)
class Mistake:
    program: str
    right: str
    wrong: str
    gradient: str
    kind: str
    words: tuple[str, ...]


def _names(right: str, wrong: str, gradient: str, kind: str, *words: str) -> Mistake:
    return Mistake(programs.NAMES_MODEL, right, wrong, gradient, kind, words)


def _steps(right: str, wrong: str, gradient: str, kind: str, *words: str) -> Mistake:
    return Mistake(programs.STEP_BY_STEP, right, wrong, gradient, kind, words)


def _square(right: str, wrong: str, gradient: str, kind: str, *words: str) -> Mistake:
    return Mistake(programs.SQUARE_LAYERS, right, wrong, gradient, kind, words)


def _attention(right: str, wrong: str, gradient: str, kind: str, *words: str) -> Mistake:
    return Mistake(programs.ATTENTION, right, wrong, gradient, kind, words)


def _recurrent(right: str, wrong: str, gradient: str, kind: str, *words: str) -> Mistake:
    return Mistake(programs.RECURRENT, right, wrong, gradient, kind, words)


def _gated(right: str, wrong: str, gradient: str, kind: str, *words: str) -> Mistake:
    return Mistake(programs.GATED, right, wrong, gradient, kind, words)


def _filter(right: str, wrong: str, gradient: str, kind: str, *words: str) -> Mistake:
    return Mistake(programs.FILTER, right, wrong, gradient, kind, words)


FUSED = "n * dhpreact - dhpreact.sum(0) - n / (n - 1) * raw * (dhpreact * raw).sum(0)"

MISTAKES = {
    # constant factors
    "the mean's n": _names(
        "dlogits /= n\n", "\n", "dlogits", "constant-factor", "24 times", "`cross_entropy` in line 29 divides by 24"
    ),
    "sign": _steps("d_u = d_s * s * (1 - s)", "d_u = -d_s * s * (1 - s)", "d_u", "flipped-sign", "sign is flipped"),
    "sign of a factor": _steps(
        "d_u = d_s * s * (1 - s)", "d_u = d_s * s * (s - 1)", "d_u", "flipped-sign", "sign is flipped"
    ),
    "two": _gated(
        "grad_log_mix = 2 * (", "grad_log_mix = (", "grad_log_mix", "constant-factor", "1/2 times", "the square in line 15"
    ),
    "mean for sum": _names(
        "db2 = dlogits.sum(0)", "db2 = dlogits.mean(0)", "db2", "constant-factor", "1/24", "taken as a mean"
    ),
    "root of the size": _attention(
        "dq = dscores @ c[\"k\"] / math.sqrt(dim)", "dq = dscores @ c[\"k\"]", "dq", "constant-factor",
        "2.44949 times", "line 15 divides by 2.44949",
    ),
    "size of the features": _names(
        "dembcat = dhprebn @ W1.T", "dembcat = dhprebn @ W1.T / 20", "dembcat", "constant-factor", "1/20"
    ),
    "plain constant": _gated("grad_mix = grad_log", "grad_mix = 1.37 * grad_log", "grad_mix", "constant-factor", "1.37"),
    "all zero": _gated(
        "grad_gate = grad_mix * value", "grad_gate = 0 * grad_mix * value", "grad_gate", "zero", "zero throughout"
    ),
    # branches
    "no mean path": _names(
        FUSED, FUSED.replace("- dhpreact.sum(0)", ""), "dhprebn", "missing-branch", "the path through the mean `mean`",
        "line 21", "is missing",
    ),
    "no variance path": _names(
        FUSED, "n * dhpreact - dhpreact.sum(0)", "dhprebn", "missing-branch", "the variance `var` (line 23) is missing"
    ),
    "n for n - 1": _names(
        "n / (n - 1) * raw", "raw", "dhprebn", "scaled-branch", "the variance `var` (line 23) is 23/24 times",
        "(n - 1)/n for n = 24",
    ),
    "sign of the mean": _names(
        "- dhpreact.sum(0)", "+ dhpreact.sum(0)", "dhprebn", "flipped-branch", "the mean `mean`", "wrong sign"
    ),
    "mean twice": _names(
        "- dhpreact.sum(0)", "- 2 * dhpreact.sum(0)", "dhprebn", "doubled-branch", "the mean `mean`", "counted twice"
    ),
    "both signs": _names(
        FUSED, FUSED.replace(" - ", " + ").replace("n + 1", "n - 1"), "dhprebn", "flipped-branch", "the mean `mean`",
        "the variance `var`", ", and ",
    ),
    "mean path one step up": _steps(
        "d_a = d_ac + d_mu / m", "d_a = d_ac", "d_a", "missing-branch", "the path through the mean `mu`", "is missing"
    ),
    "variance only": _steps(
        "d_ac = d_xhat / root + 2 * ac * d_sq", "d_ac = 2 * ac * d_sq", "d_ac", "missing-branch", "`xhat`", "is missing"
    ),
    "square without 2": _steps(
        "+ 2 * ac * d_sq", "+ ac * d_sq", "d_ac", "scaled-branch", "`sq` (line 15) is 1/2 times", "square in line 15"
    ),
    "residual forgotten": _square(
        "self.grad_z2 @ self.W2.T + grad_out", "self.grad_z2 @ self.W2.T", "self.grad_h1", "missing-branch",
        "the direct path from `self.h1`", "is missing",
    ),
    "residual twice": _square(
        "self.grad_z2 @ self.W2.T + grad_out", "self.grad_z2 @ self.W2.T + 2 * grad_out", "self.grad_h1",
        "doubled-branch", "counted twice",
    ),
    "last time step only": _recurrent(
        "dWh += hs[step].T @ da", "dWh = hs[step].T @ da", "dWh", "not-accumulated", "of the 4 uses of `Wh`", "added up"
    ),
    # upstream gradients
    "wrong layer": _names(
        "dW1 = embcat.T @ dhprebn", "dW1 = embcat.T @ dhpreact", "dW1", "wrong-upstream",
        "from `dhpreact` instead of `dhprebn`",
    ),
    "wrong layer for a bias": _steps(
        "d_shift = d_u.sum(0)", "d_shift = d_s.sum(0)", "d_shift", "wrong-upstream", "from `d_s` instead of `d_u`"
    ),
    "wrong layer in the middle": _names(
        "dembcat = dhprebn @ W1.T", "dembcat = dh @ W1.T", "dembcat", "wrong-upstream", "from `dh` instead of `dhprebn`"
    ),
    "rows shifted": _steps(
        "d_xhat = d_u * scale", "d_xhat = d_u.roll(1, 0) * scale", "d_xhat", "wrong-upstream",
        "from `d_u.roll(1, 0)` instead of `d_u`",
    ),
    # functions applied to every element
    "tanh without square": _names(
        "(1 - h**2) * dh", "(1 - h) * dh", "dhpreact", "wrong-derivative", "tanh (line 27) is taken as `1 - h`; it is "
        "`1 - h**2`",
    ),
    "tanh at the argument": _names(
        "(1 - h**2) * dh", "(1 - hpreact**2) * dh", "dhpreact", "wrong-derivative", "`1 - hpreact**2`", "`1 - h**2`"
    ),
    "tanh twice": _names(
        "(1 - h**2) * dh", "(1 - torch.tanh(h)**2) * dh", "dhpreact", "wrong-argument", "tanh", "at its result `h`"
    ),
    "no derivative": _names(
        "dhpreact = (1 - h**2) * dh", "dhpreact = 1.0 * dh", "dhpreact", "missing-derivative",
        "the derivative of tanh (line 27) is left out",
    ),
    "sigmoid's for tanh": _names(
        "(1 - h**2) * dh", "h * (1 - h) * dh", "dhpreact", "wrong-derivative", "`h * (1 - h)`, which is that of the sigmoid"
    ),
    "tanh's for the sigmoid": _steps(
        "d_u = d_s * s * (1 - s)", "d_u = d_s * (1 - s**2)", "d_u", "wrong-derivative", "the sigmoid (line 20)",
        "`1 - s**2`, which is that of tanh; it is `s * (1 - s)`",
    ),
    "plus for minus": _steps(
        "d_u = d_s * s * (1 - s)", "d_u = d_s * s * (1 + s)", "d_u", "wrong-derivative", "`s * (1 + s)`"
    ),
    "half of a sigmoid": _steps(
        "d_u = d_s * s * (1 - s)", "d_u = d_s * (1 - s)", "d_u", "wrong-derivative", "`1 - s`; it is `s * (1 - s)`"
    ),
    "sigmoid at its result": _steps(
        "d_u = d_s * s * (1 - s)", "d_u = d_s * torch.sigmoid(s) * (1 - torch.sigmoid(s))", "d_u", "wrong-argument",
        "the sigmoid", "at its result `s`",
    ),
    "leaky slope lost": _square(
        "torch.where(self.z1 > 0, self.grad_h1, 0.2 * self.grad_h1)", "self.grad_h1 * (self.z1 > 0)", "self.grad_z1",
        "wrong-derivative", "leaky relu with slope 0.2", "relu",
    ),
    "leaky sides exchanged": _square(
        "self.z1 > 0, self.grad_h1, 0.2 * self.grad_h1", "self.z1 < 0, self.grad_h1, 0.2 * self.grad_h1",
        "self.grad_z1", "wrong-derivative", "`0.2 where self.z1 > 0 and 1 elsewhere`",
    ),
    "mask of another layer": _square(
        "torch.where(self.z1 > 0,", "torch.where(self.z2 > 0,", "self.grad_z1", "wrong-argument", "`self.z2`; it "
        "belongs at `self.z1`",
    ),
    "softplus as its own derivative": _square(
        "torch.sigmoid(self.z2)", "F.softplus(self.z2)", "self.grad_z2", "wrong-derivative", "softplus"
    ),
    "exp at its result": _gated(
        "grad_value_in = grad_value * value\n", "grad_value_in = grad_value * torch.exp(value)\n", "grad_value_in",
        "wrong-derivative", "exp", "`exp(value)`; it is `value`",
    ),
    "exp at its argument": _gated(
        "grad_value_in = grad_value * value\n", "grad_value_in = grad_value * value_in\n", "grad_value_in",
        "wrong-derivative", "`value_in`; it is `value`",
    ),
    "root's derivative": _steps(
        "d_v = d_root / (2 * root)", "d_v = d_root * 2 * root", "d_v", "wrong-derivative", "`2 * root`"
    ),
    # operands and factors
    "scale forgotten": _steps(
        "d_xhat = d_u * scale", "d_xhat = d_u * 1.0", "d_xhat", "missing-factor", "the factor `scale` of line 19 is missing"
    ),
    "gamma forgotten": _names(
        "dhprebn = gamma * inv", "dhprebn = inv", "dhprebn", "missing-factor", "the factor `gamma` of line 26 is missing"
    ),
    "inverse for factor": _names(
        "dhprebn = gamma * inv", "dhprebn = 1 / gamma * inv", "dhprebn", "inverted-factor", "divided by `gamma`"
    ),
    "the wrong operand": _gated(
        "grad_gate = grad_mix * value\n", "grad_gate = grad_mix * gate\n", "grad_gate", "wrong-operand",
        "`gate` in the place of `value`",
    ),
    "the wrong activations": _square(
        "self.grad_W2 = self.h1.T", "self.grad_W2 = self.z1.T", "self.grad_W2", "wrong-operand",
        "`self.z1` in the place of `self.h1`",
    ),
    "the other matrix": _attention(
        'dk = dscores.T @ c["q"]', 'dk = dscores.T @ c["k"]', "dk", "wrong-operand", "in the place of"
    ),
    "not transposed": _square(
        "self.grad_z2 @ self.W2.T", "self.grad_z2 @ self.W2", "self.grad_h1", "transposed-operand", "`self.W2` is transposed"
    ),
    "transposed result": _square(
        "self.grad_W1 = self.x.T @ self.grad_z1", "self.grad_W1 = self.grad_z1.T @ self.x", "self.grad_W1", "transposed",
        "the transpose of the right gradient",
    ),
    "square of the quotient": _steps(
        "-d_xhat * ac / root**2", "-d_xhat * ac / root", "d_root", "missing-square", "divided by `root`", "squared"
    ),
    "division forgotten": _gated(
        "grad_mix = grad_log_mix / (mix + 1.5)", "grad_mix = 1.0 * grad_log_mix", "grad_mix", "missing-derivative", "log"
    ),
    "inverse deviation forgotten": _names(
        "dhprebn = gamma * inv / n", "dhprebn = gamma / n", "dhprebn", "missing-factor", "the factor `inv`", "is missing"
    ),
    "all factors forgotten": _names(
        "dhprebn = gamma * inv / n *", "dhprebn =", "dhprebn", "missing-factor", "`gamma`", "`inv`", "are missing, and it "
        "is 24 times",
    ),
    "a factor of one term": _names(
        "n / (n - 1) * raw * (", "n / (n - 1) * (", "dhprebn", "missing-factor", "in the path through the variance `var`",
        "the factor `raw`",
    ),
    "n of one term": _names(
        "(n * dhpreact -", "(dhpreact -", "dhprebn", "scaled-branch", "the direct path from `hprebn` by `diff` to `raw`",
        "1/24 times",
    ),
    "derivative alone": _names(
        "(1 - h**2) * dh", "(1 - h**2)", "dhpreact", "missing-upstream", "not multiplied with `dh`"
    ),
    "divided by what comes in": _steps(
        "d_u = d_s * s * (1 - s)", "d_u = s * (1 - s) / d_s", "d_u", "inverted-factor", "divided by `d_s`"
    ),
    # sums
    "wrong axis": _square(
        "self.grad_z1.sum(0)", "self.grad_z1.sum(1)", "self.grad_b1", "wrong-axis", "summed over dimension 1"
    ),
    "last row": _names(
        "db2 = dlogits.sum(0)", "db2 = dlogits[-1]", "db2", "not-accumulated", "only the last use counts"
    ),
    "sum before product": _filter(
        "(dlifted * signal).sum(0)", "dlifted.sum(0) * signal.sum(0)", "dweight", "sum-before-product",
        "the product of the sum of `signal` and the sum of the gradient of `mixed`",
    ),
    "mean before product": _filter(
        "(dlifted * signal).sum(0)", "dlifted.sum(0) * signal.mean(0)", "dweight", "sum-before-product", "the mean of `signal`"
    ),
    "weights summed over the wrong axis": _filter(
        "(dlifted * signal).sum(0)", "(dlifted * signal).sum(1)", "dweight", "wrong-axis", "summed over dimension 1"
    ),
    "power without its factor": _filter(
        "dbent * 3 * torch.abs(lifted) ** 2", "dbent * torch.abs(lifted) ** 2", "dlifted", "constant-factor", "1/3"
    ),
    "power not lowered": _filter(
        "dbent * 3 * torch.abs(lifted) ** 2", "dbent * 3 * torch.abs(lifted) ** 3", "dlifted", "wrong-derivative",
        "the power 3", "`3 * lifted**3`; it is `3 * lifted**2`",
    ),
    "no sign of abs": _filter(
        "dbent * 3 * torch.abs(lifted) ** 2 * torch.sign(lifted)", "dbent * 3 * lifted", "dlifted", "wrong-derivative",
        "the power 3",
    ),
    "the sum of a quotient forgotten": _filter(
        "dbent = dshare / row + drow", "dbent = dshare / row", "dbent", "missing-branch", "`row`", "is missing"
    ),
    "a quotient's sum not reduced": _filter(
        "drow = (-dshare * bent / row**2).sum(1, keepdim=True)", "drow = (-dshare * bent / row**2).sum(0).unsqueeze(1)",
        "drow", "wrong-axis", "summed over dimension 0",
    ),
    # indices
    "rows assigned": _names(
        "dC.index_add_(0, X.view(-1), demb.view(-1, 4))", "dC[X] = demb", "dC", "repeated-index", "only the last use of"
    ),
    "rows added at once": _names(
        "dC.index_add_(0, X.view(-1), demb.view(-1, 4))", "dC[X] += demb", "dC", "repeated-index", "only the last use of"
    ),
    # epsilon
    "no epsilon": _steps(
        "d_v = d_root / (2 * root)", "d_v = d_root / (2 * torch.sqrt(v))", "d_v", "misplaced-epsilon",
        "0.001 added to `v` (line 17) is left out",
    ),
    "epsilon outside": _steps(
        "d_v = d_root / (2 * root)", "d_v = d_root / (2 * (torch.sqrt(v) + 1e-3))", "d_v", "misplaced-epsilon",
        "added to the root of `v`; the forward pass adds it under the root",
    ),
    "another epsilon": _steps(
        "d_v = d_root / (2 * root)", "d_v = d_root / (2 * torch.sqrt(v + 1e-5))", "d_v", "misplaced-epsilon",
        "1e-5 is added to `v` where the forward pass adds 0.001",
    ),
    "no epsilon in the fused formula": _names(
        "dhprebn = gamma * inv / n", "dhprebn = gamma * var**-0.5 / n", "dhprebn", "misplaced-epsilon",
        "1e-5 added to `var` (line 24) is left out",
    ),
    # softmax and losses
    "softmax by element": _attention(
        'dweights - (dweights * c["weights"]).sum(1, keepdim=True)', 'dweights * (1 - c["weights"])', "dscores",
        "softmax-diagonal", "element by element",
    ),
    "softmax without its sum": _attention(
        '(dweights - (dweights * c["weights"]).sum(1, keepdim=True))', "dweights", "dscores", "missing-branch",
        "the sum in the derivative of softmax",
    ),
    "softmax along the wrong axis": _attention(
        '(dweights * c["weights"]).sum(1,', '(dweights * c["weights"]).sum(0,', "dscores", "wrong-axis", "dimension 0"
    ),
    "no one-hot": _names(
        "dlogits[range(n), Y] -= 1\n", "\n", "dlogits", "missing-branch", "the 1 at the right class is not subtracted"
    ),
    "softmax over the batch": _names(
        "dlogits = F.softmax(logits, 1)", "dlogits = F.softmax(logits, 0)", "dlogits", "wrong-axis", "dimension 0"
    ),
    "logits for softmax": _names(
        "dlogits = F.softmax(logits, 1)", "dlogits = logits.clone()", "dlogits", "wrong-operand", "their softmax belongs"
    ),
    "parameter updated too early": _square(
        "        self.grad_h1 =", "        self.W2 = self.W2 - 0.05 * self.grad_W2\n        self.grad_h1 =",
        "self.grad_h1", "wrong-operand", "left it",
    ),
}  # fmt: skip
