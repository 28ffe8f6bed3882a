"""A re-entrant switch: while it is entered, what our own code does to arrays is not recorded."""


class Unrecorded:
    __slots__ = ("level",)

    def __init__(self) -> None:
        self.level = 0

    def __enter__(self) -> None:
        self.level += 1

    def __exit__(self, *exc: object) -> None:
        self.level -= 1
