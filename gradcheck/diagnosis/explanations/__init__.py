"""Why a gradient is wrong. Each file but a few holds one family of mistakes; each mistake is tried by computing what
a program with it would have found, and told only if that is the number found, at the recorded point and at every
probe point."""

from gradcheck.diagnosis.explanations.explanation import Explanation
from gradcheck.diagnosis.explanations.proof import explain

__all__ = ["Explanation", "explain"]
