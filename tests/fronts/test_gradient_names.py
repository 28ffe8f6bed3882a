"""Which of many names are compared with one."""

from itertools import product

from gradcheck.fronts.gradient_names import may_fit, name_affinity

BASES = ("W", "h", "bias", "out_b", "Wx")
NAMES = [
    name
    for base, number in product(BASES, ("", "1", "_1", "12"))
    for one in (base + number,)
    for name in (
        one,
        one.lower(),
        one + "s",
        f"self.{one}",
        f"params['{one}']",
        f"{one}s[3]",
        f"{one}[3]",
        f"{one}[i]",
    )
]


def test_no_name_that_fits_is_left_out() -> None:
    assert all(may_fit(stem, name) for stem in NAMES for name in NAMES if name_affinity(stem, name) >= 0.6)


def test_those_of_other_layers_are_left_out() -> None:
    names = [f"{word}{number}" for word in ("W", "b", "h") for number in range(100)]
    assert [name for name in names if may_fit("W7", name)] == ["W7"]
