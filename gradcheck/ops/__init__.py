"""The one vocabulary: what an operation is called in every library, and what is known about it.

`from gradcheck import ops`, then `op.operation is ops.MUL`, `op.operation.family is Family.REDUCTION`,
`op.operation in ops.SCALING`. No other file holds a set of names of operations. Imports no torch.
"""

from gradcheck.ops.operation import OPAQUE as OPAQUE
from gradcheck.ops.operation import Axis as Axis
from gradcheck.ops.operation import Family as Family
from gradcheck.ops.operation import Operation as Operation
from gradcheck.ops.operation import Spelling as Spelling
from gradcheck.ops.operation import operation_called as operation_called
from gradcheck.ops.operation import spelling as spelling
from gradcheck.ops.table import *  # noqa: F403 - one name per operation
