"""What is known about one operation, and how a spelling (`__radd__`, `add_`, `subtract`) leads to it."""

from dataclasses import dataclass
from enum import Enum, auto
from functools import cache


class Family(Enum):
    """What kind of thing an operation does to arrays."""

    ELEMENTWISE = auto()  # each element of the result depends on one element of each operand
    COMPARE = auto()  # the same, with a result of truth values
    REDUCTION = auto()  # several elements become one
    SCAN = auto()  # running sums and the like
    CHOICE = auto()  # positions and orders: argmax, sort keys
    PRODUCT = auto()  # linear in each of two operands: matrix products, convolutions
    SAME = auto()  # the same numbers, in the same shape: clone, detach, casts
    LAYOUT = auto()  # the same numbers in another shape or order
    BROADCAST = auto()  # the same numbers, repeated
    GATHER = auto()  # some of the numbers, picked by position
    SCATTER = auto()  # numbers written into others by position
    JOIN = auto()  # several arrays become one, or are padded
    SOFTMAX = auto()
    LOSS = auto()
    NORMALISATION = auto()
    POOLING = auto()
    DROPOUT = auto()
    DRAW = auto()  # random numbers
    CONSTANT = auto()  # made of Python numbers and shapes alone
    OPTIMISER = auto()  # several updates in one call
    QUERY = auto()  # asks for a shape, a type, an address
    ESCAPE = auto()  # hands numbers to Python
    BACKWARD = auto()  # autograd's own pass
    OPAQUE = auto()  # unknown


@dataclass(frozen=True, slots=True)
class Axis:
    """Which argument names the axis: its keywords, and its position among the arguments (the operand is 0)."""

    position: int
    keywords: tuple[str, ...] = ("dim", "axis")


@dataclass(frozen=True, eq=False)
class Operation:
    """One operation. `linear` says in which operands it is linear: "all" together (add), "each" alone (mul),
    "first" alone (div), or "" for none. `vjp` is the source text of its vector-Jacobian product, with `{g}` the
    upstream gradient, `{x}` the operand, `{y}` the result and `{axis}` the axis; `derivative` says the same in words.
    `step` marks functions that are constant but for jumps: their derivative is zero."""

    name: str
    family: Family
    arity: int = 1
    linear: str = ""
    axis: Axis | None = None
    vjp: str = ""
    derivative: str = ""
    step: bool = False

    def __repr__(self) -> str:
        return f"<operation {self.name}>"

    @property
    def is_elementwise(self) -> bool:
        """Whether each element of the result depends on one element of each operand."""
        return self.family in (Family.ELEMENTWISE, Family.COMPARE, Family.SAME)

    @property
    def keeps_numbers(self) -> bool:
        """Whether the result holds the numbers of the operand, perhaps in another shape, order or type."""
        return self.family in (Family.SAME, Family.LAYOUT)


@dataclass(frozen=True, slots=True)
class Spelling:
    """One way of writing an operation. `reverse`: the operands are the other way round (`__rsub__`)."""

    operation: Operation
    reverse: bool = False
    in_place: bool = False


OPAQUE = Operation("opaque", Family.OPAQUE)
_SPELLINGS: dict[str, Operation] = {}
_DUNDERS: dict[str, Operation] = {}  # by the part between the underscores, without `r` or `i`


def define(
    name: str, family: Family, spelled: str = "", *, dunder: str = "", arity: int = 1, linear: str = "",
    axis: int | None = None, vjp: str = "", derivative: str = "", step: bool = False,
) -> Operation:  # fmt: skip
    """A row of the table: `spelled` lists further names, `dunder` the special methods without `r`, `i` and underscores."""
    along = None if axis is None else Axis(axis)
    operation = Operation(name, family, arity, linear, along, vjp, derivative, step)
    for spelling_ in (name, *spelled.split()):
        if _SPELLINGS.setdefault(spelling_, operation) is not operation:
            raise ValueError(f"{spelling_} is spelled twice")
    for method in dunder.split():
        _DUNDERS[method] = operation
    return operation


@cache
def spelling(name: str) -> Spelling:
    """What a function or method of that name does: `mul_`, `__rsub__`, `T`, `matmul`."""
    if name.startswith("__") and name.endswith("__"):
        inner = name[2:-2]
        if inner in _DUNDERS:
            return Spelling(_DUNDERS[inner])
        if inner[1:] in _DUNDERS and inner[0] in "ri":
            return Spelling(_DUNDERS[inner[1:]], reverse=inner[0] == "r", in_place=inner[0] == "i")
        return Spelling(OPAQUE)
    in_place = name.endswith("_")
    found = (
        _SPELLINGS.get(name) or _SPELLINGS.get(name.rstrip("_")) or _SPELLINGS.get(name.strip("_"), OPAQUE)
    )
    return Spelling(found, reverse=found.name == "sub" and name.startswith("rsub"), in_place=in_place)


def operation_called(name: str) -> Operation:
    """The operation that a function or method of that name is; OPAQUE if it is not in the table."""
    return spelling(name).operation
