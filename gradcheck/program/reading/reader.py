"""What a person's expressions give, read by their syntax: nothing of theirs is compiled or run.

A reader says what names, attributes and items hold: those of a frame, of a moment of a recording, or of a replay. All
else is the same for all of them.
"""

import ast
import builtins
import operator
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from types import FunctionType
from typing import Any

from gradcheck.program.reading.tree import Function, defaults

_BINARY: dict[type[ast.operator], str] = {
    ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "truediv", ast.MatMult: "matmul", ast.Pow: "pow",
    ast.FloorDiv: "floordiv", ast.Mod: "mod", ast.BitAnd: "and_", ast.BitOr: "or_", ast.BitXor: "xor",
    ast.LShift: "lshift", ast.RShift: "rshift",
}  # fmt: skip
_UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.USub: operator.neg, ast.UAdd: operator.pos, ast.Invert: operator.invert, ast.Not: operator.not_,
}  # fmt: skip
_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Gt: operator.gt, ast.Lt: operator.lt, ast.GtE: operator.ge, ast.LtE: operator.le, ast.Eq: operator.eq,
    ast.NotEq: operator.ne, ast.Is: operator.is_, ast.IsNot: operator.is_not,
    ast.In: lambda item, container: item in container, ast.NotIn: lambda item, container: item not in container,
}  # fmt: skip
_PLAIN = frozenset({int, float, bool, str, bytes, complex, tuple, type(None)})
_ITERABLE = frozenset({
    list, dict, set, frozenset, range, zip, enumerate, reversed, map, type({}.items()), type({}.keys()),
    type({}.values()),
})  # fmt: skip
_DEEPEST = 20  # functions that call each other
_MOST_TURNS = 10_000  # of all loops in functions that are followed


class UnknownNameError(Exception):
    """Nothing is known of what a name held."""


class UnreadableError(Exception):
    """The expression does what a reader does not do."""


class _ReturnError(Exception):
    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value


class Reader:
    """`locals` are the names bound in what is being read: by `=`, `:=`, comprehensions, parameters."""

    def __init__(self) -> None:
        self.locals: dict[str, Any] = {}
        self.following: list[FunctionType] = []  # functions of the person's, the innermost last
        self._turns = 0

    # -- what a kind of reader says --------------------------------------------------------------------------------

    def name(self, name: str) -> Any:
        raise UnknownNameError(name)

    def attribute(self, base: Any, name: str) -> Any:
        raise UnknownNameError(name)

    def item(self, base: Any, key: Any) -> Any:
        raise UnknownNameError(repr(key))

    def call(self, function: Any, arguments: list[Any], keywords: dict[str, Any]) -> Any:
        """Plain reads call nothing but `str` and the methods of strings, as keys are made with them."""
        of_text = function is str or type(getattr(function, "__self__", None)) is str
        if of_text and all(self.is_operand(one) for one in (*arguments, *keywords.values())):
            return function(*arguments, **keywords)
        raise UnreadableError("a call")

    def set_item(self, base: Any, key: Any, value: Any) -> None:
        raise UnreadableError("an assignment to an item")

    def set_attribute(self, base: Any, name: str, value: Any) -> None:
        raise UnreadableError("an assignment to an attribute")

    def is_operand(self, value: Any) -> bool:
        """Whether arithmetic with it runs no code of the person's."""
        return type(value) in _PLAIN

    # -- expressions -----------------------------------------------------------------------------------------------

    def read(self, node: ast.expr) -> Any:
        """Raises UnknownNameError, UnreadableError, and whatever the operations raise."""
        method = _EXPRESSIONS.get(type(node))
        if method is None:
            raise UnreadableError(type(node).__name__)
        return getattr(self, method)(node)

    def operand(self, node: ast.expr) -> Any:
        found = self.read(node)
        if not self.is_operand(found):
            raise UnreadableError(f"arithmetic with {type(found).__name__}")
        return found

    def constant(self, node: ast.Constant) -> Any:
        return node.value

    def _name(self, node: ast.Name) -> Any:
        return self.locals[node.id] if node.id in self.locals else self.name(node.id)

    def _attribute(self, node: ast.Attribute) -> Any:
        return self.attribute(self.read(node.value), node.attr)

    def _subscript(self, node: ast.Subscript) -> Any:
        return self.item(self.read(node.value), self.read(node.slice))

    def _binary(self, node: ast.BinOp) -> Any:
        return getattr(operator, _BINARY[type(node.op)])(self.operand(node.left), self.operand(node.right))

    def _unary(self, node: ast.UnaryOp) -> Any:
        return _UNARY[type(node.op)](self.operand(node.operand))

    def _compare(self, node: ast.Compare) -> Any:
        left = self.operand(node.left)
        for i, (kind, comparator) in enumerate(zip(node.ops, node.comparators, strict=True)):
            right = self.operand(comparator)
            result = _COMPARE[type(kind)](left, right)
            if i == len(node.ops) - 1 or not result:
                return result
            left = right
        raise AssertionError

    def _bool(self, node: ast.BoolOp) -> Any:
        stops = isinstance(node.op, ast.Or)
        result = None
        for value in node.values:
            result = self.operand(value)
            if bool(result) is stops:
                break
        return result

    def _if(self, node: ast.IfExp) -> Any:
        return self.read(node.body if self.operand(node.test) else node.orelse)

    def _sequence(self, node: ast.Tuple | ast.List | ast.Set) -> Any:
        return {ast.Tuple: tuple, ast.List: list, ast.Set: set}[type(node)](self._items(node.elts))

    def _items(self, nodes: Iterable[ast.expr]) -> Iterator[Any]:
        for node in nodes:
            if isinstance(node, ast.Starred):
                yield from self._over(self.read(node.value))
            else:
                yield self.read(node)

    def _dict(self, node: ast.Dict) -> Any:
        found: dict[Any, Any] = {}
        for key, value in zip(node.keys, node.values, strict=True):
            found.update({self.read(key): self.read(value)} if key is not None else self.read(value))
        return found

    def _slice(self, node: ast.Slice) -> Any:
        return slice(*(None if p is None else self.read(p) for p in (node.lower, node.upper, node.step)))

    def _format(self, node: ast.JoinedStr) -> Any:
        return "".join(str(self.operand(part)) for part in node.values)

    def _formatted(self, node: ast.FormattedValue) -> Any:
        if node.format_spec is not None:
            return format(self.operand(node.value), self.read(node.format_spec))
        return str(self.operand(node.value))

    def _walrus(self, node: ast.NamedExpr) -> Any:
        value = self.read(node.value)
        self.assign(node.target, value)
        return value

    def _call(self, node: ast.Call) -> Any:
        function = self.read(node.func)
        arguments = list(self._items(node.args))
        keywords: dict[str, Any] = {}
        for keyword in node.keywords:
            value = self.read(keyword.value)
            keywords.update({keyword.arg: value} if keyword.arg is not None else value)
        return self.call(function, arguments, keywords)

    def _comprehension(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp) -> Any:
        with self._names_around({}):
            found = [self.read(node.elt) for _ in self._generated(node.generators)]
        return set(found) if isinstance(node, ast.SetComp) else found

    def _dict_comprehension(self, node: ast.DictComp) -> Any:
        with self._names_around({}):
            return {self.read(node.key): self.read(node.value) for _ in self._generated(node.generators)}

    def _generated(self, generators: list[ast.comprehension]) -> Iterator[None]:
        if not generators:
            yield
            return
        first, rest = generators[0], generators[1:]
        for item in self._over(self.read(first.iter)):
            self.assign(first.target, item)
            if all(self.operand(condition) for condition in first.ifs):
                yield from self._generated(rest)

    def _over(self, iterable: Any) -> Iterator[Any]:
        if not self.is_operand(iterable) and type(iterable) not in _ITERABLE:
            raise UnreadableError(f"a loop over {type(iterable).__name__}")
        for item in iterable:
            self._turns += 1
            if self._turns > _MOST_TURNS:
                raise UnreadableError("a long loop")
            yield item

    def _lambda(self, node: ast.Lambda) -> Any:
        return Closure(self, node, dict(self.locals))

    @contextmanager
    def _names_around(self, names: dict[str, Any], *, inner: bool = True) -> Iterator[None]:
        before = self.locals
        self.locals = {**before, **names} if inner else names
        try:
            yield
        finally:
            self.locals = before

    # -- statements ------------------------------------------------------------------------------------------------

    def run(self, statements: Iterable[ast.stmt]) -> None:
        for statement in statements:
            self._run(statement)

    def _run(self, node: ast.stmt) -> None:
        if isinstance(node, ast.Assign):
            value = self.read(node.value)
            for target in node.targets:
                self.assign(target, value)
        elif isinstance(node, ast.AnnAssign):
            if node.value is not None:
                self.assign(node.target, self.read(node.value))
        elif isinstance(node, ast.AugAssign):
            self._augment(node)
        elif isinstance(node, ast.Expr):
            self.read(node.value)
        elif isinstance(node, ast.If):
            self.run(node.body if self.operand(node.test) else node.orelse)
        elif isinstance(node, ast.For) and not node.orelse:
            for item in self._over(self.read(node.iter)):
                self.assign(node.target, item)
                self.run(node.body)
        elif isinstance(node, ast.With):
            with ExitStack() as stack:
                for item in node.items:
                    entered = stack.enter_context(self.read(item.context_expr))
                    if item.optional_vars is not None:
                        self.assign(item.optional_vars, entered)
                self.run(node.body)
        elif isinstance(node, ast.FunctionDef) and not node.decorator_list:
            self.locals[node.name] = Closure(self, node, self.locals)
        elif isinstance(node, ast.Return):
            raise _ReturnError(None if node.value is None else self.read(node.value))
        elif not isinstance(node, ast.Pass):
            raise UnreadableError(type(node).__name__)

    def _augment(self, node: ast.AugAssign) -> None:
        change = getattr(operator, "i" + _BINARY[type(node.op)].rstrip("_"))
        self.assign(node.target, change(self.operand(node.target), self.operand(node.value)))

    def assign(self, target: ast.expr, value: Any) -> None:
        if isinstance(target, ast.Name):
            self.locals[target.id] = value
        elif isinstance(target, ast.Subscript):
            self.set_item(self.read(target.value), self.read(target.slice), value)
        elif isinstance(target, ast.Attribute):
            self.set_attribute(self.read(target.value), target.attr, value)
        elif isinstance(target, (ast.Tuple, ast.List)):
            items = list(self._over(value))
            if len(items) != len(target.elts) or any(isinstance(t, ast.Starred) for t in target.elts):
                raise UnreadableError("an unpacking")
            for part, item in zip(target.elts, items, strict=True):
                self.assign(part, item)
        else:
            raise UnreadableError("an assignment")

    # -- functions -------------------------------------------------------------------------------------------------

    def call_of(
        self, function: FunctionType, node: Function, arguments: list[Any], keywords: dict[str, Any]
    ) -> Any:
        """What a call of a function gives whose source is `node`. It may only compute."""
        if len(self.following) >= _DEEPEST:
            raise UnreadableError(f"a call of `{function.__name__}`")
        self.following.append(function)
        try:
            return self.follow(node, arguments, keywords, {})
        finally:
            self.following.pop()

    def name_around(self, name: str) -> Any:
        """What a name holds now that the innermost function has from around it."""
        function = self.following[-1]
        for free, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            if free == name:
                return cell.cell_contents
        if name not in function.__globals__ and not hasattr(builtins, name):
            raise UnknownNameError(name)
        return function.__globals__.get(name, getattr(builtins, name, None))

    def follow(
        self,
        node: Function | ast.Lambda,
        arguments: list[Any],
        keywords: dict[str, Any],
        names: dict[str, Any],
    ) -> Any:
        """The same of a function that was made while reading; `names` are those it sees beside its parameters."""
        with self._names_around(dict(names), inner=False):
            self.locals.update(self._parameters(node, arguments, keywords))
            if isinstance(node, ast.Lambda):
                return self.read(node.body)
            try:
                self.run(node.body)
            except _ReturnError as returned:
                return returned.value
        return None

    def _parameters(
        self, node: Function | ast.Lambda, arguments: list[Any], keywords: dict[str, Any]
    ) -> dict[str, Any]:
        given = node.args
        positional = [p.arg for p in (*given.posonlyargs, *given.args)]
        if given.vararg or given.kwarg or len(arguments) > len(positional):
            raise UnreadableError("arguments that are passed on")
        found = {name: self.read(default) for name, default in defaults(given).items()}
        found |= dict(zip(positional, arguments, strict=False)) | keywords
        if set(found) != {*positional, *(p.arg for p in given.kwonlyargs)}:
            raise TypeError("other arguments than the function takes")
        return found


class Closure:
    """A function that was made while reading."""

    def __init__(self, reader: Reader, node: ast.FunctionDef | ast.Lambda, names: dict[str, Any]) -> None:
        self._reader = reader
        self._node = node
        self._names = names

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        return self._reader.follow(self._node, list(arguments), keywords, self._names)


_EXPRESSIONS: dict[type[ast.expr], str] = {
    ast.Constant: "constant", ast.Name: "_name", ast.Attribute: "_attribute",
    ast.Subscript: "_subscript", ast.BinOp: "_binary", ast.UnaryOp: "_unary",
    ast.Compare: "_compare", ast.BoolOp: "_bool", ast.IfExp: "_if", ast.Tuple: "_sequence",
    ast.List: "_sequence", ast.Set: "_sequence", ast.Dict: "_dict", ast.Slice: "_slice",
    ast.JoinedStr: "_format", ast.FormattedValue: "_formatted", ast.NamedExpr: "_walrus",
    ast.Call: "_call", ast.ListComp: "_comprehension", ast.SetComp: "_comprehension",
    ast.GeneratorExp: "_comprehension", ast.DictComp: "_dict_comprehension", ast.Lambda: "_lambda",
}  # fmt: skip
