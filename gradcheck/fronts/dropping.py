"""Takes the end of a tape away: what it made is, from then on, simply there."""

from gradcheck.fronts.tape import PlainBinding, Recording


def drop_end(recording: Recording, first_op: int, first_binding: int) -> None:
    for op in recording.ops[first_op:]:
        for value in op.outputs:
            # A view of something older has the older one for its root, which is still needed.
            for touched in {value, value.root} if value.root.birth >= first_op else {value}:
                touched.producer = None
                touched.data = None
        for value in op.mutated:
            value.root.producer = value.root.data = None
    del recording.ops[first_op:]
    del recording.bindings[first_binding:]
    recording.marks[:] = [m for m in recording.marks if m.when <= first_op]
    _forget_but_the_last(recording.plain, first_op)


def _forget_but_the_last(plain: list[PlainBinding], first_op: int) -> None:
    """Of what was bound after `first_op`, what each name held in the end, as if it had held it from there on."""
    last: dict[tuple[int, str], PlainBinding] = {}
    while plain and plain[-1].when > first_op:
        binding = plain.pop()
        last.setdefault((binding.scope, binding.name), binding)
    for binding in reversed(last.values()):
        binding.when = first_op
        plain.append(binding)
