"""Every layer of right.py passes, and every one of wrong.py is found at its own line, on the smallest input."""

from __future__ import annotations

import inspect
import random

import numpy as np
import pytest
import torch

import gradcheck
from gradcheck.layers.records import Status
from gradcheck.layers.report import LayerReport
from tests.layers import right, wrong

PAIRS = {
    "affine": (right.affine_forward, right.affine_backward),
    "pool": (right.pool_forward, right.pool_backward),
}
RIGHT = [thing for thing in vars(right).values() if isinstance(thing, type)] + list(PAIRS.values())

# What shows each mistake, at its smallest.
SMALLEST = {
    wrong.Untransposed: ["1,2"],
    wrong.BiasOverFirstAxis: ["2,2,1"],
    wrong.BiasMean: ["2,1"],
    wrong.LazyBias: ["2,1"],
    wrong.ReluPassedOn: ["1,2"],
    wrong.SoftmaxDiagonal: ["1,2"],
    wrong.LayerNormWithoutGamma: ["1,2"],
    wrong.BatchNormWithoutGamma: ["2,1"],
    wrong.BatchNormOneMode: ["1,1"],
    wrong.EmbeddingAssigned: ["2:1"],
    wrong.ConvAveraged: ["2,1,1,1"],
    wrong.MaxPoolStretched: ["1,1,2,3"],
    wrong.CrossEntropySummed: ["2,2", "2:2"],
    wrong.MeanOverRows: ["1,2", "1,2"],
    wrong.RnnCellSwapped: ["1,1", "1,2"],
    wrong.DropoutUnscaled: ["1,1"],
    wrong.ScaledUnsummed: ["2,1", "1,1", "1"],
    wrong.CubeSquared: ["1,1"],
    wrong.ModuleOnes: ["1,1"],
    (right.affine_forward, wrong.affine_backward): ["2,1", "1,1", "1"],
}


def name_of(layer):
    return "-".join(part.__name__ for part in layer) if isinstance(layer, tuple) else layer.__name__


def check(layer, **options) -> LayerReport:
    return gradcheck.check_layer(layer, fix_budget_s=0.0, **options)


def by_name(report, rank=None):
    return {case.name: case for case in report.cases if rank is None or case.rank == rank}


@pytest.mark.parametrize("layer", RIGHT, ids=name_of)
def test_right_layers_are_not_accused(layer):
    report = check(layer)
    assert report.exit_status == 0, str(report)
    assert not report.failures
    assert not report.never_judged
    assert report.summary["passed"] >= 6
    report.raise_for_errors()


@pytest.mark.parametrize("layer", SMALLEST, ids=name_of)
def test_wrong_layers_are_found_at_their_line_and_shrunk(layer):
    ranks = [2, 3] if layer is wrong.BiasOverFirstAxis else [SMALLEST[layer][0].count(",") + 1]
    report = check(layer, ranks=ranks)
    assert report.exit_status == 1
    lines = inspect.getsource(wrong).splitlines()
    places = [failure.report.findings[0].location for failure in report.failures]
    assert all(place.file.endswith("tests/layers/wrong.py") for place in places)
    told = [lines[place.line - 1] for place in places]
    if layer is wrong.CrossEntropySummed:  # the edit is at the line that computes it, or hands it on
        assert "dlogits" in told[0]
    else:
        assert "# wrong" in told[0]
    if layer is not wrong.MeanOverRows:  # whose second gradient is the first one turned round
        assert len(report.failures) == 1
    assert report.failures[0].smallest.shapes == SMALLEST[layer]
    assert "^^" in str(report)
    with pytest.raises(gradcheck.GradientError, match="smallest input"):
        report.raise_for_errors()


def test_what_a_shape_hides_passes_where_it_is_hidden():
    cases = by_name(check(wrong.BiasOverFirstAxis, ranks=[2, 3]), rank=2)
    assert cases["several rows"].status is Status.PASSED
    assert by_name(check(wrong.BiasMean, ranks=[2]), rank=2)["batch of 1"].status is Status.PASSED
    pool = by_name(check(wrong.MaxPoolStretched, ranks=[4]))
    assert [pool["several rows"].status, pool["odd sizes"].status] == [Status.PASSED, Status.FAILED]
    norm = by_name(check(wrong.BatchNormOneMode, ranks=[2]), rank=2)
    assert [norm["several rows"].status, norm["eval mode"].status] == [Status.PASSED, Status.FAILED]
    words = by_name(check(wrong.EmbeddingAssigned, ranks=[1]), rank=1)
    assert [words["several rows"].status, words["repeated indices"].status] == [Status.PASSED, Status.FAILED]


def test_a_backward_pass_that_raises_where_forward_runs_is_a_fault():
    class Reshaped:
        def forward(self, x):
            self.x = x
            return x * 2

        def backward(self, dout):
            return dout.reshape(3, 4) * 2

    report = check(Reshaped, ranks=[2])
    assert report.exit_status == 1
    cases = by_name(report)
    assert cases["several rows"].status is Status.PASSED
    assert cases["batch of 1"].status is Status.BACKWARD_RAISED
    assert "`backward` raises on an input that `forward` accepts: RuntimeError" in str(report)
    assert "dout.reshape(3, 4)" in str(report)


try:
    import kernels_that_nobody_compiled as kernels
except ImportError:
    kernels = None


def test_what_is_not_there_for_backward_is_no_fault_of_it():
    class Imports:
        def forward(self, x):
            self.x = x
            return x * 2

        def backward(self, dout):
            if len(dout) == 1:
                import kernels_that_nobody_compiled

                return kernels_that_nobody_compiled.scaled(dout)
            return dout * 2

    class Lacks(Imports):
        def backward(self, dout):
            return kernels.scaled(dout) if len(dout) == 1 else dout * 2

    class OfADevice(Imports):
        def backward(self, dout):
            return torch.ops.no_such_library.scaled(dout) if len(dout) == 1 else dout * 2

    for layer in (Imports, Lacks, OfADevice):
        report = check(layer, ranks=[2])
        assert report.exit_status == 0
        assert by_name(report)["several rows"].status is Status.PASSED
        alone = by_name(report)["batch of 1"]
        assert alone.status is Status.NOT_JUDGED
        assert "needs something that is missing here" in alone.reason


def test_inputs_of_a_rank_that_backward_is_not_for_are_no_fault_and_no_pass():
    report = check(right.BatchNorm)
    flat, deep = by_name(report, rank=2), by_name(report, rank=3)
    assert flat["several rows"].status is Status.PASSED
    assert deep["several rows"].status is Status.UNSUPPORTED
    assert deep["large values"].status is Status.NOT_TRIED
    assert check(right.BatchNorm, ranks=[3]).exit_status == 1  # asked for


class ImageScale:
    """For images alone; `forward` runs on other inputs by broadcasting."""

    def __init__(self, channels):
        self.gamma = torch.ones(channels, 1, 1)

    def forward(self, x):
        self.x = x
        return x * self.gamma

    def backward(self, dout):
        self.dgamma = (dout * self.x).sum((0, 2, 3)).reshape(self.gamma.shape)
        return dout * self.gamma


class SequenceScale:
    """For sequences alone: of matrices it would sum over the features too."""

    def __init__(self, dim):
        self.gamma = torch.ones(dim)

    def forward(self, x):
        self.x = x
        return x * self.gamma

    def backward(self, dout):
        self.dgamma = (dout * self.x).sum((0, 1))
        return dout * self.gamma


@pytest.mark.parametrize(
    ("layer", "rank"), [(ImageScale, 4), (SequenceScale, 3)], ids=["images", "sequences"]
)
def test_a_layer_for_inputs_of_more_dimensions_is_not_accused_of_those_of_fewer(layer, rank):
    report = check(layer)
    assert report.exit_status == 0, str(report)
    assert by_name(report, rank)["several rows"].status is Status.PASSED
    assert by_name(report, 2)["several rows"].status is Status.UNSUPPORTED


def test_a_case_that_does_not_run_has_not_passed():
    class Halves:
        def __init__(self, dim):
            self.dim = dim

        def forward(self, x):
            if len(x) == 1:
                raise ValueError("one row is too few")
            return x / 2

        def backward(self, dout):
            return dout / 2

    report = check(Halves)
    case = by_name(report, rank=2)["batch of 1"]
    assert case.status is Status.NOT_RUN
    assert case.reason == "`forward` raised ValueError: one row is too few"
    assert not case.gradients
    assert report.exit_status == 0


def test_overflow_in_forward_is_no_fault_of_backward():
    class Exponential:
        def forward(self, x):
            self.y = torch.exp(x * 30)
            return self.y

        def backward(self, dout):
            return dout * self.y * 30

    report = check(Exponential, ranks=[2])
    assert by_name(report)["large values"].status is Status.NOT_RUN
    assert report.exit_status == 0


def test_a_gradient_that_is_never_computed_fails():
    class Forgotten(right.FlatLinear):
        def __init__(self, n_in, n_out):
            super().__init__(n_in, n_out)
            self.grads = {"W": torch.zeros(n_in, n_out), "b": torch.zeros(n_out)}

        def backward(self, dout):
            self.grads["W"] = self.x.T @ dout
            return dout @ self.params["W"].T

    report = check(Forgotten)
    assert report.exit_status == 1
    assert not report.failures
    assert list(report.never_judged) == ["self.grads['b']"]


def test_arguments_and_inputs_can_be_said():
    class Strange:
        def __init__(self, first: str, second):
            self.first = first
            self.W = torch.randn(second, 2)

        def forward(self, x):
            self.x = x
            return x @ self.W

        def backward(self, dout):
            self.dW = self.x.T @ dout
            return dout @ self.W.T

    with pytest.raises(gradcheck.NothingToCheckError, match=r"for `first` \(str\) cannot be inferred"):
        check(Strange)
    report = check(Strange, args=["name", 5], inputs=["4,5"])
    assert report.exit_status == 0
    assert by_name(report)["several rows"].shapes == ["4,5"]
    assert by_name(report)["batch of 1"].shapes == ["1,5"]
    by_example = check(Strange, args=["name", 5], inputs=[torch.randn(4, 5)])
    assert by_example.to_dict()["cases"] == report.to_dict()["cases"]


def test_what_was_tried_is_told():
    class Picky:
        def forward(self, x):
            raise ValueError("never")

        def backward(self, dout):
            return dout

    with pytest.raises(gradcheck.NothingToCheckError) as raised:
        check(Picky)
    told = str(raised.value)
    assert "no inputs were found on which it runs" in told
    assert "never, with test_what_was_tried_is_told.Picky() on x (3, 4) and 31 more" in " ".join(told.split())
    assert "--input 4,3" in told


def test_a_class_without_backward_is_told():
    class Half:
        def forward(self, x):
            return x

    with pytest.raises(TypeError, match="has no `backward`: a layer is a class"):
        check(Half)


def test_objects_and_factories():
    made = right.FlatLinear(4, 2)
    before = made.params["W"].clone()
    assert check(made).exit_status == 0
    assert torch.equal(made.params["W"], before)  # a copy of it was checked
    assert not hasattr(made, "x")
    assert check(lambda size: wrong.BiasMean(size, 3)).exit_status == 1


def test_the_random_numbers_of_the_program_are_its_own():
    def drawn():
        return torch.rand(2).tolist(), random.random(), float(np.random.rand())

    torch.manual_seed(3)
    random.seed(3)
    np.random.seed(3)
    expected = drawn()
    torch.manual_seed(3)
    random.seed(3)
    np.random.seed(3)
    check(right.Dropout, ranks=[2])
    assert drawn() == expected


def test_the_seed_decides_and_the_report_travels():
    first, second = check(wrong.BiasMean, seed=4, ranks=[2]), check(wrong.BiasMean, seed=4, ranks=[2])
    assert str(first) == str(second)
    assert LayerReport.from_dict(first.to_dict()).to_dict() == first.to_dict()
    assert str(first) != str(check(wrong.BiasMean, seed=5, ranks=[2]))


def test_a_fix_is_proved_on_an_ordinary_input_alone():
    report = gradcheck.check_layer(wrong.BiasMean, fix_budget_s=5.0)
    fix = report.failures[0].report.findings[0].fix
    assert fix is not None
    assert fix.verified
    assert "sum" in fix.diff
    # For matrices the line is right: a fix that is right for 3-D inputs alone would break it.
    assert gradcheck.check_layer(wrong.BiasOverFirstAxis).failures[0].report.findings[0].fix is None


def test_the_call_that_is_told_shows_the_failure_again():
    report = check(wrong.BatchNormOneMode, ranks=[2])
    call = report.failures[0].smallest.command
    expected = "gradcheck.check_layer(BatchNormOneMode, inputs=['1,1'], case='eval mode', seed=0)"
    assert call == expected
    again = eval(call, {"gradcheck": gradcheck, "BatchNormOneMode": wrong.BatchNormOneMode})
    assert [case.status for case in again.cases] == [Status.FAILED]
    with pytest.raises(ValueError, match="case goes with inputs"):
        check(wrong.BatchNormOneMode, case="eval mode")


def test_a_gradient_that_is_zero_by_invariance_is_not_called_right():
    class Centred:
        """The bias is taken off again with the mean."""

        def __init__(self, dim):
            self.w, self.b = torch.ones(dim), torch.zeros(dim)

        def forward(self, x):
            self.x = x
            y = x * self.w + self.b
            return y - y.mean(0)

        def backward(self, dout):
            dy = dout - dout.mean(0)
            self.dw = (dy * self.x).sum(0)
            self.db = dy.sum(0)
            return dy * self.w

    report = check(Centred, ranks=[2])
    assert report.exit_status == 0, str(report)
    told = " ".join(str(report).split())
    assert "`self.db`: unobservable, zero by invariance in every case." in told


def test_large_values_are_activations_and_not_weights():
    seen = []

    def forward(x, w, b):
        seen.append((float(x.abs().max()), float(w.abs().max())))
        out = torch.tanh(x @ w + b)
        return out, (x, w, out)

    def backward(dout, cache):
        x, w, out = cache
        da = dout * (1 - out**2)
        return da @ w.T, x.T @ da, da.sum(0)

    report = check((forward, backward), ranks=[2])
    assert by_name(report)["large values"].status is Status.PASSED
    assert max(x for x, _ in seen) > 5
    assert max(w for _, w in seen) < 5


def normalised(x, scale, param):
    """Its cache is that of training in whatever mode, as nobody goes back from an evaluation."""
    mean, var = (x.mean(0), x.var(0, unbiased=False)) if param["mode"] == "train" else (0.5, 2.0)
    std = (var + 1e-5) ** 0.5
    xhat = (x - mean) / std
    return scale * xhat, (xhat, scale, std)


def normalised_backward(dout, cache):
    xhat, scale, std = cache
    dscale = (dout * xhat).sum(0)
    dxhat = dout * scale
    dx = (dxhat - dxhat.mean(0) - xhat * (dxhat * xhat).mean(0)) / std
    return dx, dscale


def test_a_line_that_is_right_in_training_is_not_accused_of_an_evaluation_that_its_call_asks_for() -> None:
    report = gradcheck.check_layer((normalised, normalised_backward), fix_budget_s=0.0)
    assert report.exit_status == 0
    case = by_name(report, rank=2)["eval mode"]
    assert case.status is Status.UNSUPPORTED
    assert (
        case.reason
        == "`backward` is that of training mode, where it is right: here `dx` is not the gradient of `x`"
    )


def test_the_cause_in_a_helper_s_line_is_shown_with_its_fix():
    report = gradcheck.check_layer(wrong.HelperOverOtherAxes, fix_budget_s=10.0)
    (failure,) = report.failures
    (finding,) = failure.report.findings
    _, first = inspect.getsourcelines(wrong.HelperOverOtherAxes)
    assert finding.location.line == first + 9
    assert finding.fix.verified
    assert "run in all" in finding.helps[-1]


def test_a_line_that_is_right_elsewhere_is_not_accused_beside_the_wrong_one():
    report = gradcheck.check_layer(wrong.MeanOverEdges, fix_budget_s=0.0)
    (failure,) = report.failures
    _, first = inspect.getsourcelines(wrong.MeanOverEdges)
    assert failure.report.findings[0].location.line == first + 16
