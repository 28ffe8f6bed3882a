"""What takes the place of the functions of `os` that name files. Each is the function itself while nothing is held back."""

import errno
import functools
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from gradcheck.program.writes.entries import Entries
from gradcheck.program.writes.state import STATE
from gradcheck.program.writes.tree import Entry, Tree, real_files

Function = Callable[..., Any]
_OF_OS: dict[str, Function] = {name: getattr(os, name) for name in dir(os) if callable(getattr(os, name))}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_UNNAMED = getattr(os, "O_TMPFILE", 0)
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)


def replacements() -> dict[str, Function]:
    """By the name in `os`, those that this system has."""
    made: dict[str, Function] = {}
    for names, follow, act in _TABLE:
        for name in names.split():
            if name in _OF_OS:
                made[name] = _redirected(_OF_OS[name], act, follow)
    return made


def _redirected(real: Function, act: Function, follow: bool) -> Function:
    @functools.wraps(real)
    def call(*args: Any, **kwargs: Any) -> Any:
        tree = STATE.current()
        if tree is None:
            return real(*args, **kwargs)
        path = args[0] if args else kwargs.pop("path", kwargs.pop("src", None))
        rest = args[1:]
        if isinstance(path, int):  # an open file: one of the program's own, or the net catches it
            return real(path, *rest, **kwargs)
        return act(tree, real, follow, os.curdir if path is None else path, *rest, **kwargs)

    return call


@contextmanager
def _named(path: Any, other: Any = None) -> Iterator[None]:
    """What fails inside names the file as the program does."""
    with real_files():
        try:
            yield
        except OSError as error:
            error.filename = path
            if other is not None:
                error.filename2 = other
            raise


def _fail(number: int, path: Any) -> NoReturn:
    raise OSError(number, os.strerror(number), path)


def _found(tree: Tree, follow: bool, path: Any, options: dict[str, Any], name: str = "dir_fd") -> Entry:
    """And takes the options out that say where relative paths begin."""
    follow = follow and options.get("follow_symlinks", True)
    with _named(path):
        return tree.find(path, follow, options.pop(name, None))


def _like(path: Any, text: str) -> Any:
    return os.fsencode(text) if isinstance(path, bytes) else text


def _is_folder(entry: Entry) -> bool:
    return entry.actual is not None and stat.S_ISDIR(_OF_OS["lstat"](entry.actual).st_mode)


# -- reading -------------------------------------------------------------------------------------------------------


def _read(tree: Tree, real: Function, follow: bool, path: Any, *args: Any, **kwargs: Any) -> Any:
    if not tree.touched:
        return real(path, *args, **kwargs)
    entry = _found(tree, follow, path, kwargs)
    if entry.actual is None and entry.hidden:
        _fail(errno.ENOENT, path)
    with _named(path):
        return real(_like(path, entry.actual or entry.virtual), *args, **kwargs)


def _change_folder(tree: Tree, real: Function, follow: bool, path: Any) -> None:
    entry = _found(tree, follow, path, {})
    with _named(path):
        # What compiled code opens there must be there.
        if not entry.hidden and os.path.lexists(entry.virtual):
            real(entry.virtual)
            return
    _read(tree, real, follow, path)


def _list(tree: Tree, real: Function, follow: bool, path: Any) -> Any:
    if tree.touched:
        entry = _found(tree, follow, path, {})
        if not entry.own and _is_folder(entry):
            with _named(path):
                names = [_like(path, name) for name in tree.names_in(entry)]
                return Entries(path, names) if real is _OF_OS["scandir"] else names
    return _read(tree, real, follow, path)


# -- writing -------------------------------------------------------------------------------------------------------


def open_descriptor(
    tree: Tree, real: Function, follow: bool, path: Any, flags: int, mode: int = 0o777, **kwargs: Any
) -> int:
    if not flags & _WRITING:
        return _read(tree, real, follow, path, flags, mode, **kwargs)  # type: ignore[no-any-return]
    new = bool(flags & os.O_CREAT and flags & os.O_EXCL)
    entry = _found(tree, not (new or flags & _NO_FOLLOW), path, kwargs)
    with _named(path):
        if entry.own:
            target = entry.virtual
        elif _UNNAMED and flags & _UNNAMED == _UNNAMED:
            target = tree.temp
        elif entry.actual is not None:
            if new:
                _fail(errno.EEXIST, path)
            target = _to_write(tree, entry, flags)
        elif flags & os.O_CREAT:
            tree.make_folder_of(entry)
            target = entry.upper
        else:
            _fail(errno.ENOENT, path)
        return real(_like(path, target), flags, mode, **kwargs)  # type: ignore[no-any-return]


def _to_write(tree: Tree, entry: Entry, flags: int) -> str:
    """Where a file that is there is opened."""
    assert entry.actual is not None
    kind = _OF_OS["lstat"](entry.actual).st_mode
    if stat.S_ISBLK(kind):
        _fail(errno.EACCES, entry.virtual)
    if entry.is_upper or not stat.S_ISREG(kind):
        return entry.actual
    if not _OF_OS["access"](entry.actual, os.W_OK):
        _fail(errno.EACCES, entry.virtual)
    return tree.copy_up(entry, empty=bool(flags & os.O_TRUNC))


def _make(tree: Tree, real: Function, follow: bool, path: Any, *args: Any, **kwargs: Any) -> None:
    entry = _found(tree, follow, path, kwargs)
    with _named(path):
        if entry.own:
            real(entry.virtual, *args, **kwargs)
            return
        if entry.actual is not None:
            _fail(errno.EEXIST, path)
        tree.make_folder_of(entry)
        real(entry.upper, *args, **kwargs)


def _change(tree: Tree, real: Function, follow: bool, path: Any, *args: Any, **kwargs: Any) -> Any:
    entry = _found(tree, follow, path, kwargs)
    with _named(path):
        if entry.actual is None:
            _fail(errno.ENOENT, path)
        if real is _OF_OS["truncate"] and not entry.own:
            _to_write(tree, entry, 0)
        return real(tree.copy_up(entry), *args, **kwargs)


def _remove(tree: Tree, real: Function, follow: bool, path: Any, **kwargs: Any) -> None:
    entry = _found(tree, follow, path, kwargs)
    with _named(path):
        if entry.own:
            real(entry.virtual, **kwargs)
            return
        if entry.actual is None:
            _fail(errno.ENOENT, path)
        folder = real is _OF_OS["rmdir"]
        if folder is not _is_folder(entry):
            _fail(errno.ENOTDIR if folder else errno.EISDIR, path)
        if folder and tree.names_in(entry):
            _fail(errno.ENOTEMPTY, path)
        tree.check_may_change(entry)
        if entry.is_upper:
            real(entry.upper)
        tree.hide(entry)


def _rename(
    tree: Tree, real: Function, follow: bool, path: Any, to: Any = None, *args: Any, **kwargs: Any
) -> None:
    to = kwargs.pop("dst", to)
    source = _found(tree, follow, path, kwargs, "src_dir_fd")
    target = _found(tree, follow, to, kwargs, "dst_dir_fd")
    with _named(path, to):
        if source.actual is None:
            _fail(errno.ENOENT, path)
        if source.virtual == target.virtual:
            return
        if target.actual is not None:
            if os.name == "nt" and real is _OF_OS["rename"]:
                _fail(errno.EEXIST, path)
            if _is_folder(target) is not _is_folder(source):
                _fail(errno.EISDIR if _is_folder(target) else errno.ENOTDIR, path)
            if _is_folder(target) and tree.names_in(target):
                _fail(errno.ENOTEMPTY, path)
        if not source.own:
            tree.check_may_change(source)
            tree.copy_all(source)
        if not target.own:
            tree.make_folder_of(target)
            if _is_folder(target) and target.is_upper:
                _OF_OS["rmdir"](target.upper)
        _OF_OS["replace"](source.upper, target.upper)
        for entry in (source, target):
            if not entry.own:
                tree.hide(entry)


def _link(tree: Tree, real: Function, follow: bool, path: Any, to: Any = None, **kwargs: Any) -> None:
    to = kwargs.pop("dst", to)
    source = _found(tree, follow, path, kwargs, "src_dir_fd")
    target = _found(tree, False, to, kwargs, "dst_dir_fd")
    with _named(path, to):
        if source.actual is None or target.actual is not None:
            _fail(errno.ENOENT if source.actual is None else errno.EEXIST, path)
        if not target.own:
            tree.make_folder_of(target)
        real(tree.copy_up(source), target.upper)


def _link_by_name(
    tree: Tree, real: Function, follow: bool, text: Any, to: Any = None, *args: Any, **kwargs: Any
) -> None:
    def make(path: str, *args: Any, **kwargs: Any) -> None:
        real(text, path, *args, **kwargs)

    _make(tree, make, follow, kwargs.pop("dst", to), *args, **kwargs)


# By the names in `os`: whether a link at the end of the path is followed, and what is done.
_TABLE: tuple[tuple[str, bool, Function], ...] = (
    ("stat access statvfs pathconf getxattr listxattr", True, _read),
    ("lstat readlink", False, _read),
    ("chdir", True, _change_folder),
    ("listdir scandir", True, _list),
    ("open", True, open_descriptor),
    ("mkdir mkfifo mknod", False, _make),
    ("truncate chmod chown utime setxattr removexattr chflags", True, _change),
    ("lchmod lchown lchflags", False, _change),
    ("remove unlink rmdir", False, _remove),
    ("rename replace", False, _rename),
    ("link", True, _link),
    ("symlink", False, _link_by_name),
)
