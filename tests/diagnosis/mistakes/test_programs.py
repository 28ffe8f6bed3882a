"""Whole programs: the bundled regressions, and those that the verdicts are tested on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.diagnosis.mistakes.explained import judged_file, told
from tests.support import ROOT, report_on_source

# NumPy has the last word on a torch method that the programs call through it.
pytestmark = pytest.mark.filterwarnings("ignore:__array_wrap__:DeprecationWarning")
PROGRAMS = ROOT / "tests" / "programs"

# program, gradient, kind, decisive words
EXPECTED = [
    ("attention_softmax_wrong.py", "grad_s", "softmax-diagonal", "element by element"),
    ("camelcase_network.py", "gradHiddenOut", "wrong-operand", "`self.weightsHidden` as line 21 left it"),
    ("embedding_assign_bug.py", "dtable", "repeated-index", "only the last use"),
    ("functions_relu_mask_swapped.py", "dz2", "wrong-argument", "is taken at `z1`; it belongs at `z2`"),
    ("grad_attribute_assignment.py", "dpre", "missing-branch", "`slope * pre` (line 17) is missing"),
    ("inline_bias_shape.py", "db2", "missing-reduction", "its gradient is not summed over dimension 0"),
    ("inline_bn_eps_misplaced.py", "d_var", "misplaced-epsilon", "the 1e-5 added to `var` (line 19) is left out"),
    ("inline_bn_hidden_gamma.py", "dbhprebn", "missing-factor", "the factor `bngain` of line 26"),
    ("inline_bn_missing_branch.py", "dzc", "missing-branch", "the variance `var` (line 16) is missing"),
    ("inline_dropout_scale.py", "act_grad", "constant-factor", "0.75 times what it should be: line 19 divides by 0.75"),
    ("inline_epochs_batches.py", "dloss_db2", "constant-factor", "the sum over the 16 uses in line 20 is taken as a mean"),
    ("inline_loop_bn_wrong.py", "d_a_1", "scaled-branch", "the variance `variance` (line 22) is 31/32 times"),
    ("inline_no_loop_sum_loss.py", "d_zh", "wrong-derivative", "taken as `cos(h)`; it is `cos(zh)`"),
    ("inline_partial_read.py", "dz", "wrong-upstream", "`dh` as it was after line 20, before it was finished"),
    ("inline_square_transpose.py", "d_o1", "transposed-operand", "`w2` is transposed"),
    ("inline_tanh_derivative.py", "grad_z1", "wrong-derivative", "taken as `1 - a1`; it is `1 - a1**2`"),
    ("inline_wrong_upstream.py", "dW2", "wrong-upstream", "from `dh2` instead of `dz2`"),
    ("layernorm_hidden_gamma.py", "d_a", "missing-factor", "the factor `gamma` of line 20"),
    ("layernorm_keepdim_forgotten.py", "grad_a", "wrong-axis", "the gradient of `mean` is spread along the wrong axis"),
    ("loops_depth_stale_delta.py", "dW[i]", "wrong-upstream", "the `delta` of an earlier turn of the loop instead of"),
    (
        "notebook_rerun_same_names.ipynb",
        "dh",
        "wrong-upstream",
        "from `dout` of cell 3 line 1, which is older than this backward pass, instead of `dout2`",
    ),
    ("notebook_three_passes.ipynb", "dpre", "wrong-derivative", "(cell 4 line 2) is taken as `1 - h`; it is `1 - h**2`"),
    ("regression_missing_two.py", "pred_grad", "constant-factor", "1/2 times what it should be: the derivative of the square"),
    ("residual_accumulated.py", "dx1", "missing-branch", "the direct path from `x1` to `x2` (line 15) is missing"),
    ("sibling_import.py", "grad_u", "wrong-derivative", "taken as `1 - v`; it is `1 - v**2`"),
    ("tied_weights_forgotten.py", "dW", "missing-branch", "the path through `W.T` (line 14) is missing"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("program", "gradient", "kind", "words"), EXPECTED, ids=[f"{e[0]}-{e[1]}" for e in EXPECTED]
)
def test_a_program_is_explained(
    program: str, gradient: str, kind: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(PROGRAMS)
    found = {one.name: one.explanations for one in told(judged_file(PROGRAMS / program))}
    assert [(e.kind, words in e.sentence) for e in found[gradient]] == [(kind, True)], found[gradient]


def _of_model(name: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[str, str]]:
    monkeypatch.chdir(ROOT / "models")
    monkeypatch.setenv("MPLBACKEND", "Agg")
    found = told(judged_file(Path(name)))
    assert all(len(one.explanations) == 1 for one in found)
    return {one.name: (one.explanations[0].kind, one.explanations[0].sentence) for one in found}


@pytest.mark.parametrize("name", ["day70.py", "day70.ipynb"])
def test_three_lines_go_around_the_second_normalisation(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = _of_model(name, monkeypatch)
    around = ("wrong-upstream", "this is what you get from `d_Z_2` instead of `d_pre_batch_norm_2`")
    assert {found[gradient] for gradient in ("d_A_1", "d_W_2", "d_b_2")} == {around}
    kind, sentence = found["d_pre_batch_norm_2"]
    assert kind == "wrong-derivative"
    assert "taken as `-var_inv_2**3 / 2`, which is that of the inverse square root" in sentence
    assert len(found) == 4


@pytest.mark.parametrize("name", ["day70_tanh.py", "day70_tanh.ipynb"])
def test_tanh_without_its_square(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = _of_model(name, monkeypatch)
    assert list(found) == ["d_Z_1"]
    assert "taken as `1 - T_1`; it is `1 - T_1**2`" in found["d_Z_1"][1]


def test_only_the_wrong_sum_is_explained_and_not_what_reuses_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    text = (ROOT / "models" / "three_layer.py").read_text()
    right = "d_gamma_2 = (d_Z_2 * norm_2).sum(0, keepdim=True)"
    assert text.count(right) == 1
    (tmp_path / "data").symlink_to(ROOT / "models" / "data")
    monkeypatch.chdir(tmp_path)
    program = tmp_path / "three_layer.py"
    program.write_text(text.replace(right, "d_gamma_2 = (d_Z_2 * pre_batch_norm_2).sum(0, keepdim=True)"))
    found = told(judged_file(program))
    assert [one.name for one in found] == ["d_gamma_2"]
    assert [(e.kind, e.sentence) for e in found[0].explanations] == [
        ("wrong-operand", "this is what you get with `pre_batch_norm_2` in the place of `norm_2`")
    ]


SHARED = """
    import torch

    torch.manual_seed(3)

    class Tanh:
        def forward(self, x):
            self.output = x.tanh()
            return self.output

        def backward(self, upstream):
            return upstream * (1 - self.output**2)

    shared = Tanh()
    x, goal, first, second = (torch.randn(4, 4) for _ in range(4))
    pre_hidden = x @ first
    hidden = shared.forward(pre_hidden)
    pre_out = hidden @ second
    loss = ((shared.forward(pre_out) - goal) ** 2).sum()

    d_pre_out = shared.backward(2 * (shared.output - goal))
    d_second = hidden.T @ d_pre_out
    d_pre_hidden = shared.backward(d_pre_out @ second.T)
    d_first = x.T @ d_pre_hidden
"""


def test_two_values_of_one_name_are_told_apart():
    (finding,) = report_on_source(SHARED, fix_budget_s=3.0).findings
    assert any(
        "is taken at `self.output` of another run of line 8; it belongs at `self.output`" in note
        for note in finding.notes
    )
