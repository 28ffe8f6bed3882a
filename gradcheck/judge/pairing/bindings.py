"""What a further name of a value says: another gradient, a better name, or the caller's."""

from gradcheck.fronts.gradient_names import Form, parse, split_path
from gradcheck.fronts.tape import Binding, Value
from gradcheck.replay.passes import Candidate


def set_on(binding: Binding) -> Value | None:
    """The tensor that it is set on as the gradient: `x.g = ...`."""
    explicit = parse(binding.name).form is Form.EXPLICIT
    return binding.of if explicit and binding.of is not binding.value else None


def set_on_another(binding: Binding, candidate: Candidate) -> bool:
    """Whether it is set as the gradient of another tensor than it is known to be of: `inp.g = out.g`."""
    owner = set_on(binding)
    return owner is not None and candidate.of is not None and owner.root is not candidate.of.root


def names_another(binding: Binding, candidate: Candidate) -> bool:
    """Whether it is the name of another gradient than the same code has called it before: `db = dz`."""
    if binding.alias or split_path(binding.name)[0]:
        return False
    held = [candidate.binding] if candidate.binding is not None else []
    own = [b for b in (*held, *candidate.bindings) if not b.alias and b.scope == binding.scope]
    new = parse(binding.name).stem
    stems = [parse(b.name).stem for b in own if not split_path(b.name)[0]]
    if new is None or not stems or len(stems) < len(own) or None in stems:
        return False
    return all(stem is not None and _plain(stem) != _plain(new) for stem in stems)


def _plain(stem: str) -> str:
    return stem.strip("_").lower()


def is_better(new: Binding, old: Binding | None) -> bool:
    """Whether `new` says more about what it is the gradient of."""
    if old is None:
        return True
    if old.alias != new.alias:
        return old.alias
    if new.alias or _is_position(new):
        return False
    new_form, old_form = parse(new.name).form, parse(old.name).form
    strength = (Form.NONE, Form.GENERIC, Form.BARE_D, Form.EXPLICIT)
    return old_form in (Form.NONE, Form.GENERIC) and strength.index(new_form) > strength.index(old_form)


def is_callers(new: Binding, old: Binding | None) -> bool:
    """Whether it is what the caller of a function calls the gradient."""
    if old is None or new.alias or new.scope == old.scope or _is_position(new):
        return False
    parsed = parse(new.name)
    return parsed.form is not Form.NONE and parsed.stem is not None


def _is_position(binding: Binding) -> bool:
    return split_path(binding.name)[1].lstrip("-").isdigit()
