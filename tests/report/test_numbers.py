from __future__ import annotations

import math

import pytest

from gradcheck.base import numbers


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (None, "-"), (0.0, "0"), (0.43, "0.43"), (0.434, "0.43"), (1.0, "1"), (0.00321, "0.0032"),
        (2.2e-16, "2e-16"), (7.1e-6, "7e-6"), (1600.0, "1600"), (2.5e7, "2e7"), (math.nan, "nan"),
        (math.inf, "inf"), (-math.inf, "-inf"),
    ],
)  # fmt: skip
def test_error(given: float | None, text: str) -> None:
    assert numbers.error(given) == text


@pytest.mark.parametrize(
    ("given", "text"),
    [(0.02131, "0.0213"), (-0.000421, "-0.000421"), (1234.5, "1230"), (1e-9, "1e-9"), (123456.0, "123000")],
)
def test_value(given: float, text: str) -> None:
    assert numbers.value(given) == text


@pytest.mark.parametrize(
    ("first", "second", "shown"),
    [
        (0.1, 0.2, ("0.1", "0.2")),
        (1.0, 1.000007, ("1", "1.000007")),
        (0.5, 0.5, ("0.5", "0.5")),
        (math.nan, 1.0, ("nan", "1")),
        (None, 1.0, ("-", "1")),
    ],
)
def test_two_numbers_that_differ_look_different(
    first: float | None, second: float | None, shown: tuple[str, str]
) -> None:
    assert numbers.distinct(first, second) == shown


def test_count_and_element() -> None:
    assert numbers.count(1, "gradient") == "1 gradient"
    assert numbers.count(2, "gradient") == "2 gradients"
    assert numbers.element((3, 17)) == "[3, 17]"
    assert numbers.element(()) == "the scalar"
