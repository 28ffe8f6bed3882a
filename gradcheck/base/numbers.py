"""How numbers are written, in one place: short, and never so short that two different numbers look alike."""

import math

ABSENT = "-"


def error(value: float | None) -> str:
    """A relative error: `0.43`, `0.0032`, `7e-6`, `2e-16`; two digits where they matter, one where not."""
    if value is None:
        return ABSENT
    if not math.isfinite(value) or value == 0:
        return _special(value)
    return _tidy(f"{value:.2g}" if 1e-3 <= abs(value) < 1e5 else f"{value:.0e}")


def value(number: float | None, digits: int = 3) -> str:
    """An element, a norm or a loss, to `digits` significant digits."""
    if number is None:
        return ABSENT
    if not math.isfinite(number) or number == 0:
        return _special(number)
    return _tidy(f"{number:.{digits}g}")


def distinct(first: float | None, second: float | None, digits: int = 3) -> tuple[str, str]:
    """Both numbers with as many digits as it takes to see that they differ.

    A misplaced epsilon changes the sixth digit; "expected 0.0213, found 0.0213" would be no message at all. What differs by
    rounding alone is the same: the norms where a sign is flipped.
    """
    shortest = digits
    differ = first is not None and second is not None and not math.isclose(first, second, rel_tol=1e-12)
    while digits < 17 and differ and value(first, digits) == value(second, digits):
        digits += 1
    # The first digit that differs is rounded; one more shows by how much.
    digits += digits > shortest
    return value(first, digits), value(second, digits)


def count(number: int, singular: str, plural: str | None = None) -> str:
    """`1 gradient`, `2 gradients`."""
    return f"{number} {singular if number == 1 else plural or singular + 's'}"


def element(index: tuple[int, ...]) -> str:
    """The subscript a person would write: `[3, 17]`; a scalar has none."""
    return f"[{', '.join(map(str, index))}]" if index else "the scalar"


def _special(number: float) -> str:
    if math.isnan(number):
        return "nan"
    if math.isinf(number):
        return "inf" if number > 0 else "-inf"
    return "0"


def _tidy(text: str) -> str:
    """`1.6e+03` as `1600`, `2e-06` as `2e-6`: exponents as people write them."""
    if "e" not in text:
        return text
    mantissa, exponent = text.split("e")
    power = int(exponent)
    if 0 <= power < 6:
        return f"{float(text):.0f}"
    return f"{mantissa}e{power}"
