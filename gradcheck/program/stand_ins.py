"""Stand-ins for optional packages that are not installed: plots, progress bars and logging do nothing.

Only packages that no gradient depends on are listed. A stand-in takes the place of the package only for the
person's own `import`, and not where they catch the ImportError themselves.
"""

import ast
import importlib.util
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import FrameType, FunctionType, ModuleType
from typing import Any, ClassVar

from gradcheck.program.reading.tree import Tree, lines_of
from gradcheck.program.source import SourceMap

_OPTIONAL = frozenset(
    """altair bokeh colorama comet_ml dotenv fastprogress google graphviz icecream ipdb ipympl ipywidgets
    jupyterthemes line_profiler livelossplot loguru matplotlib memory_profiler mlflow mpl_toolkits neptune
    plotly progressbar pydot pydotplus pyvis seaborn tensorboard tensorboardX tensorboard_logger termcolor
    torchinfo torchsummary torchview torchviz tqdm visdom wandb watermark""".split()  # noqa: SIM905  # a list of quoted names would hide them
)
# Modules that exist but cannot be imported without a package that may be absent.
_NEEDS = {"torch.utils.tensorboard": "tensorboard", "google.colab": "google.colab"}


class Nothing:
    """Takes every use a plot, a logger or a widget is put to, and does nothing."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._given = args

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return Nothing()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if len(args) == 1 and not kwargs and isinstance(args[0], FunctionType):
            return args[0]  # a decorator (`@profile`) must hand its function back
        return Nothing(*args)

    def __iter__(self) -> Iterator[Any]:
        # A progress bar of any make is called with an iterable: it must not empty the loop.
        first = self._given[0] if self._given else ()
        return iter(first if isinstance(first, Iterable) and not isinstance(first, str) else ())

    def __len__(self) -> int:
        return 0

    def __bool__(self) -> bool:
        return True

    def __str__(self) -> str:
        return ""

    def __add__(self, other: Any) -> Any:  # Fore.RED + "text"
        return other

    __radd__ = __add__

    def __getitem__(self, key: Any) -> Any:
        return Nothing()

    def __setitem__(self, key: Any, value: Any) -> None:
        pass

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *args: object) -> None:
        pass


class ProgressBar(Nothing):
    """`tqdm`: passes its iterable on and shows nothing."""

    def __init__(self, iterable: Iterable[Any] = (), *args: Any, **kwargs: Any) -> None:
        super().__init__(iterable)
        self.iterable = iterable
        self.n = 0
        self.total = kwargs.get("total")

    def __len__(self) -> int:
        return len(self.iterable)  # type: ignore[arg-type]  # fails as len() of the bare iterable would

    @staticmethod
    def write(text: str, *args: Any, **kwargs: Any) -> None:
        sys.stdout.write(f"{text}\n")


class _Tqdm:
    """The names of the package and of each of its submodules."""

    tqdm = tqdm_notebook = ProgressBar

    @staticmethod
    def trange(*args: int, **kwargs: Any) -> ProgressBar:
        return ProgressBar(range(*args))


def _first_argument(value: Any = None, *args: Any, **kwargs: Any) -> Any:
    return value


_SPECIAL: dict[str, dict[str, Any]] = {
    "tqdm": {**vars(_Tqdm), "notebook": _Tqdm, "auto": _Tqdm, "autonotebook": _Tqdm, "std": _Tqdm},
    "icecream": {"ic": _first_argument},
    "termcolor": {"colored": _first_argument},
}


class _StandInModule(ModuleType):
    __all__: ClassVar[list[str]] = []  # `from seaborn import *` brings nothing

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        special = _SPECIAL.get(self.__name__.partition(".")[0], {})
        return special[name] if name in special else Nothing()


class _StandInLoader(Loader):
    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _StandInModule(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        pass


class StandInFinder(MetaPathFinder):
    """Stands last on `sys.meta_path`, where only what nobody else found arrives, and (for the modules that
    exist but need an absent package) first."""

    def __init__(self, sources: SourceMap, note: Callable[[str], None]) -> None:
        self._sources = sources
        self._note = note
        self._first = _FirstFinder(self)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        root = fullname.partition(".")[0]
        parent = sys.modules.get(fullname.rpartition(".")[0])
        inside = isinstance(parent, _StandInModule)
        if not inside and (root not in _OPTIONAL or root in sys.modules or not self.wanted()):
            return None
        return self.stand_in(fullname, root)

    def stand_in(self, fullname: str, package: str) -> ModuleSpec:
        self._note(f"{package} is not installed: a stand-in that does nothing was imported in its place")
        return ModuleSpec(fullname, _StandInLoader(), is_package=True)

    def wanted(self) -> bool:
        """Whether the import is the person's, and would end their program."""
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and _is_import_machinery(frame.f_code.co_filename):
            frame = frame.f_back
        if frame is None or not self._sources.is_user(frame.f_code.co_filename):
            return False
        unit = self._sources.unit(frame.f_code.co_filename)
        return unit is None or not _is_guarded(unit.tree, frame.f_lineno or 0)

    def install(self) -> None:
        sys.meta_path.append(self)
        sys.meta_path.insert(0, self._first)

    def remove(self) -> None:
        sys.meta_path[:] = [f for f in sys.meta_path if f is not self and f is not self._first]


class _FirstFinder(MetaPathFinder):
    def __init__(self, finder: StandInFinder) -> None:
        self._finder = finder

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        package = _NEEDS.get(fullname)
        if package is None or not self._finder.wanted() or _is_installed(package):
            return None
        return self._finder.stand_in(fullname, package)


def _is_installed(package: str) -> bool:
    if package == "google.colab":  # only Colab itself has it, and there its dialogs would wait for an answer
        return False
    return importlib.util.find_spec(package) is not None


def _is_import_machinery(filename: str) -> bool:
    return filename.startswith("<frozen importlib") or filename == __file__


def _is_guarded(tree: Tree, line: int) -> bool:
    """Whether `line` is in a `try` body: then the program itself says what happens without the package."""
    bodies = (node.body for node in tree.nodes if isinstance(node, ast.Try) and node.handlers)
    return any(line in lines_of(statement) for body in bodies for statement in body)
