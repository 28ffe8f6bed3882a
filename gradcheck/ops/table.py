"""The table of operations. The VJPs are the entries of PyTorch's tools/autograd/derivatives.yaml."""

import tomllib
from pathlib import Path

from gradcheck.ops.operation import Family, define

F = Family

# -- arithmetic ----------------------------------------------------------------------------------------------------
ADD = define("add", F.ELEMENTWISE, dunder="add", arity=2, linear="all")
SUB = define("sub", F.ELEMENTWISE, "subtract rsub", dunder="sub", arity=2, linear="all")
MUL = define("mul", F.ELEMENTWISE, "multiply", dunder="mul", arity=2, linear="each")
DIV = define("div", F.ELEMENTWISE, "divide true_divide", dunder="truediv div", arity=2, linear="first")
NEG = define("neg", F.ELEMENTWISE, "negative", dunder="neg", linear="all", vjp="-{g}", derivative="-1")
RECIPROCAL = define("reciprocal", F.ELEMENTWISE, vjp="-{g} * {y}**2", derivative="-1 / x**2")
POW = define("pow", F.ELEMENTWISE, "power float_power", dunder="pow", arity=2)
SQUARE = define("square", F.ELEMENTWISE, vjp="2 * {g} * {x}", derivative="2 * x")
SQRT = define("sqrt", F.ELEMENTWISE, vjp="{g} / (2 * {y})", derivative="1 / (2 * sqrt(x))")
RSQRT = define("rsqrt", F.ELEMENTWISE, vjp="-{g} * {y}**3 / 2", derivative="-0.5 * x**-1.5")
ABS = define(
    "abs", F.ELEMENTWISE, "absolute", dunder="abs", vjp="{g} * torch.sign({x})", derivative="sign(x)"
)
ADDCMUL = define("addcmul", F.ELEMENTWISE, arity=3)
ADDCDIV = define("addcdiv", F.ELEMENTWISE, arity=3)

# -- functions of one element --------------------------------------------------------------------------------------
EXP = define("exp", F.ELEMENTWISE, vjp="{g} * {y}", derivative="exp(x)")
LOG = define("log", F.ELEMENTWISE, vjp="{g} / {x}", derivative="1 / x")
LOG1P = define("log1p", F.ELEMENTWISE, vjp="{g} / (1 + {x})", derivative="1 / (1 + x)")
LOG2 = define("log2", F.ELEMENTWISE)
LOG10 = define("log10", F.ELEMENTWISE)
SIN = define("sin", F.ELEMENTWISE, vjp="{g} * torch.cos({x})", derivative="cos(x)")
COS = define("cos", F.ELEMENTWISE, vjp="-{g} * torch.sin({x})", derivative="-sin(x)")
TANH = define("tanh", F.ELEMENTWISE, vjp="{g} * (1 - {y}**2)", derivative="1 - tanh(x)**2")
ATAN = define("atan", F.ELEMENTWISE, "arctan", vjp="{g} / (1 + {x}**2)", derivative="1 / (1 + x**2)")
SIGMOID = define(
    "sigmoid", F.ELEMENTWISE, "expit", vjp="{g} * {y} * (1 - {y})", derivative="sigmoid(x) * (1 - sigmoid(x))"
)
RELU = define("relu", F.ELEMENTWISE, vjp="{g} * ({x} > 0)", derivative="1 where x > 0, else 0")
RELU6 = define("relu6", F.ELEMENTWISE)
ELU = define("elu", F.ELEMENTWISE)
SELU = define("selu", F.ELEMENTWISE)
GELU = define("gelu", F.ELEMENTWISE)
SILU = define(
    "silu",
    F.ELEMENTWISE,
    "swish",
    vjp="{g} * torch.sigmoid({x}) * (1 + {x} * (1 - torch.sigmoid({x})))",
    derivative="sigmoid(x) * (1 + x * (1 - sigmoid(x)))",
)
MISH = define("mish", F.ELEMENTWISE)
SOFTPLUS = define("softplus", F.ELEMENTWISE, vjp="{g} * torch.sigmoid({x})", derivative="sigmoid(x)")
SOFTSIGN = define("softsign", F.ELEMENTWISE)
HARDTANH = define("hardtanh", F.ELEMENTWISE)
LOGSIGMOID = define(
    "logsigmoid", F.ELEMENTWISE, vjp="{g} * (1 - torch.sigmoid({x}))", derivative="1 - sigmoid(x)"
)
NAN_TO_NUM = define("nan_to_num", F.ELEMENTWISE)
SIGN = define("sign", F.ELEMENTWISE, "sgn", step=True, vjp="0 * {g}", derivative="0")
ROUND = define("round", F.ELEMENTWISE, "fix trunc floor ceil rint", step=True)

# -- functions of several elements at the same place ----------------------------------------------------------------
MAXIMUM = define("maximum", F.ELEMENTWISE, "fmax", arity=2)
MINIMUM = define("minimum", F.ELEMENTWISE, "fmin", arity=2)
CLAMP = define("clamp", F.ELEMENTWISE, "clip clamp_min clamp_max")
WHERE = define("where", F.ELEMENTWISE, arity=3)
COMPARE = define(
    "gt", F.COMPARE, "ge lt le eq ne greater greater_equal less less_equal not_equal isclose isnan isinf isfinite signbit",
    dunder="gt ge lt le eq ne", arity=2, step=True
)  # fmt: skip

# -- reductions and scans --------------------------------------------------------------------------------------------
SUM = define("sum", F.REDUCTION, "nansum", linear="all", axis=1)
MEAN = define("mean", F.REDUCTION, "nanmean average", linear="all", axis=1)
VAR = define("var", F.REDUCTION, axis=1)
STD = define("std", F.REDUCTION, axis=1)
VAR_MEAN = define("var_mean", F.REDUCTION, axis=1)
STD_MEAN = define("std_mean", F.REDUCTION, axis=1)
MAX = define("max", F.REDUCTION, "amax", axis=1)
MIN = define("min", F.REDUCTION, "amin", axis=1)
NORM = define("norm", F.REDUCTION, "vector_norm linalg_norm linalg_vector_norm matrix_norm", axis=2)
LOGSUMEXP = define("logsumexp", F.REDUCTION, axis=1)
CHOICE = define(
    "argmax", F.CHOICE, "argmin searchsorted bincount argsort sort topk nonzero unique bucketize", axis=1, step=True
)  # fmt: skip
ONE_HOT = define("one_hot", F.CHOICE, step=True)

# -- products --------------------------------------------------------------------------------------------------------
MATMUL = define("matmul", F.PRODUCT, "mm bmm mv dot vdot", dunder="matmul", arity=2, linear="each")
LINEAR = define("linear", F.PRODUCT, arity=2)
ADDMM = define("addmm", F.PRODUCT, "baddbmm addmv addbmm", arity=3)
CONVOLUTION = define("convolution", F.PRODUCT, "conv1d conv2d conv3d", arity=2)

# -- the same numbers ------------------------------------------------------------------------------------------------
CLONE = define("clone", F.SAME, "contiguous alias copy", dunder="deepcopy", linear="all")  # fmt: skip
DETACH = define("detach", F.SAME, "data converted", linear="all")
REQUIRES_GRAD = define("requires_grad", F.SAME, linear="all")
CAST = define("to", F.SAME, "float double half bfloat16 type type_as cuda cpu xpu mps astype", linear="all")
RESHAPE = define(
    "reshape", F.LAYOUT, "view view_as reshape_as flatten unflatten squeeze unsqueeze ravel atleast_1d atleast_2d",
    linear="all"
)  # fmt: skip
PERMUTE = define(
    "permute", F.LAYOUT, "T mT H mH t transpose swapaxes swapdims movedim moveaxis adjoint", linear="all"
)  # fmt: skip
EXPAND = define(
    "expand", F.BROADCAST, "expand_as broadcast_to broadcast_tensors repeat repeat_interleave tile", linear="all"
)  # fmt: skip

# -- picking, writing, joining -----------------------------------------------------------------------------------------
GETITEM = define("getitem", F.GATHER, "index", dunder="getitem", linear="all")
SELECT = define("select", F.GATHER, "narrow index_select take gather take_along_dim", linear="all")  # fmt: skip
EMBEDDING = define("embedding", F.GATHER, linear="all")
MASKED_SELECT = define("masked_select", F.GATHER, linear="all")
SPLIT = define("split", F.GATHER, "chunk unbind hsplit vsplit tensor_split", linear="all", axis=2)  # fmt: skip
SETITEM = define("setitem", F.SCATTER, "index_put index_copy scatter masked_scatter", dunder="setitem")
FILL = define("fill", F.SCATTER, "zero")
COPY_INTO = define("copy_", F.SCATTER)
JOIN = define("cat", F.JOIN, "concat concatenate stack hstack vstack dstack column_stack", linear="all")  # fmt: skip

# -- networks ----------------------------------------------------------------------------------------------------------
SOFTMAX = define(
    "softmax", F.SOFTMAX, axis=1,
    vjp="{y} * ({g} - ({g} * {y}).sum({axis}, keepdim=True))", derivative="diag(y) - y y^T",
)  # fmt: skip
LOG_SOFTMAX = define(
    "log_softmax", F.SOFTMAX, axis=1,
    vjp="{g} - {y}.exp() * {g}.sum({axis}, keepdim=True)", derivative="1 - softmax(x) of every element",
)  # fmt: skip
CROSS_ENTROPY = define("cross_entropy", F.LOSS, "nll_loss", arity=2)
SQUARED_ERROR = define("mse_loss", F.LOSS, arity=2)
BATCH_NORM = define("batch_norm", F.NORMALISATION, "instance_norm")
POOLING = define(
    "max_pool2d", F.POOLING, "max_pool1d max_pool3d avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool2d "
    "adaptive_max_pool2d adaptive_avg_pool1d adaptive_max_pool1d lp_pool2d",
)  # fmt: skip
DROPOUT = define(
    "dropout", F.DROPOUT, "dropout1d dropout2d dropout3d alpha_dropout feature_alpha_dropout native_dropout"
)
ATTENTION = define("scaled_dot_product_attention", F.OPAQUE, arity=3)

# -- numbers from nowhere, and back to Python ---------------------------------------------------------------------------
DRAW = define(
    "rand", F.DRAW,
    "randn randint randperm normal bernoulli poisson binomial rand_like randn_like randint_like "
    "_sample_dirichlet _standard_gamma gumbel_softmax uniform random exponential geometric cauchy log_normal "
    "xavier_uniform xavier_normal kaiming_uniform kaiming_normal trunc_normal orthogonal sparse "
    "permutation permuted standard_normal random_sample integers",
)  # fmt: skip
CATEGORICAL = define("multinomial", F.DRAW, "choice")  # from a distribution over categories
ZEROS = define("zeros", F.CONSTANT, "zeros_like new_zeros")
ONES = define("ones", F.CONSTANT, "ones_like new_ones")
FULL = define("full", F.CONSTANT, "full_like new_full")
EMPTY = define("empty", F.CONSTANT, "empty_like new_empty new")
TENSOR = define("tensor", F.CONSTANT, "as_tensor asarray from_numpy from_dlpack frombuffer new_tensor")  # fmt: skip
OPTIMISER_STEP = define("_foreach_add", F.OPTIMISER, "_foreach_sub _foreach_addcdiv _foreach_addcmul")
QUERY = define(
    "size", F.QUERY,
    "dim numel nelement ndimension stride storage_offset element_size get_device data_ptr untyped_storage storage "
    "register_hook retain_grad _is_view _set_grad_enabled get_default_dtype manual_seed is_tensor result_type can_cast "
    "promote_types _record_function_enter_new _record_function_exit._RecordFunction set_default_dtype "
    "set_default_device typename has_names share_memory_ pin_memory shape dtype ndim device",
    dunder="len hash repr str format dir reduce_ex array_wrap setstate",
)  # fmt: skip
ESCAPE = define("item", F.ESCAPE, "tolist numpy", dunder="float int index array complex")
QUESTION = define("equal", F.ESCAPE, "allclose is_nonzero array_equal", dunder="bool contains")
BACKWARD = define("backward", F.BACKWARD, "_backward")

# -- those that no other file asks about by name ------------------------------------------------------------------------
for _row in tomllib.loads(Path(__file__).with_name("others.toml").read_text(encoding="utf-8"))["operations"]:
    define(family=Family[_row.pop("family")], **_row)

# -- groups that several stages ask about ---------------------------------------------------------------------------------
ADDITIVE = frozenset({ADD, SUB})
SCALING = frozenset({MUL, DIV, NEG})
NO_COMPUTATION = frozenset({DETACH, CLONE, REQUIRES_GRAD})
POWERS = frozenset({POW, SQUARE, SQRT, RSQRT, RECIPROCAL})
LOGARITHMS = frozenset({LOG, LOG1P, LOG2, LOG10, LOG_SOFTMAX, LOGSIGMOID, LOGSUMEXP})
SPREADS = frozenset({VAR, STD, VAR_MEAN, STD_MEAN})
LOOK_UPS = frozenset({GETITEM, SELECT, EMBEDDING})
NOT_NEGATIVE = frozenset({SQUARE, ABS, NORM, RELU})
REPORTING = frozenset({LOG, LOG10, LOG2, EXP, SQRT, ROUND})  # of a loss: decibels, perplexity
SIZED = frozenset({SPLIT, SELECT, ONE_HOT})  # are told a size of their result
UNIFORM = frozenset({ZEROS, ONES, FULL, EMPTY})
# Functions of one element that are mistaken for one another, the commonest first; reductions that are.
COMMON_FUNCTIONS = (TANH, SIGMOID, EXP, LOG, SQRT, RELU, ABS, SIGN, SIN, COS, SQUARE)
COUNTERPARTS = {SUM: MEAN, MEAN: SUM, VAR: STD, STD: VAR}
