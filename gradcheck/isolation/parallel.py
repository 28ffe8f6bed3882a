"""Does the tasks of an experiment side by side: on local processes, or on a Dask or Ray cluster, through futures.

The parent process runs none of them itself: it imports no torch, and the person's program is free to end the process
it runs in. A worker that dies does not affect the results of others.
"""

import os
import signal
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, as_completed
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Self, TypeVar

from gradcheck.base.extras import how_to_install, is_installed
from gradcheck.base.groups import grouped
from gradcheck.base.options import BACKENDS
from gradcheck.base.parent_death import end_with_parent
from gradcheck.base.private_folder import private_folder
from gradcheck.isolation.crossing import as_text, from_text
from gradcheck.isolation.tasks import MOST_TRAINERS, Done, Outcome, Survey, Task, perform, survey
from gradcheck.program.errors import ProgramError

_DEATHS_BEFORE_CAUTION = 2  # of workers; then the tasks that are left are done one by one
_CHUNKS_OF_A_WORKER = 4
_DEATHS = ("BrokenProcessPool", "TerminatedWorkerError", "KilledWorker", "WorkerCrashedError", "CommClosedError")  # fmt: skip
_IDLE_S = 300
_SAFE_PATH = "PYTHONSAFEPATH"
_WORKER_DIED = "the process that trained it was killed, or memory ran out"
T = TypeVar("T")
Chunk = list[tuple[int, Task]]
Submit = Callable[..., Future[Any]]  # a function of one argument, and that argument, for some worker


@dataclass(frozen=True, slots=True)
class Workers:
    """`jobs` counts processes, all cores if it is None; `address` is of a running cluster, else one is started
    here."""

    jobs: int | None = None
    backend: str = "local"
    address: str | None = None

    @property
    def count(self) -> int:
        if self.jobs is not None:
            return self.jobs
        available = getattr(os, "sched_getaffinity", None)
        return len(available(0)) if available is not None else os.cpu_count() or 1


class WorkerPool(ExitStack):
    """The workers of one experiment. To be used as a context: what it started ends with it."""

    _submit: Submit

    def __init__(self, workers: Workers) -> None:
        super().__init__()
        self.workers = workers

    def __enter__(self) -> Self:
        self._submit = self.enter_context(cluster(self.workers))
        return self

    def survey(self, task: Task) -> Survey:
        """Raises ProgramError if the worker dies of it."""
        try:
            # Every worker has to import torch and to record the program: they do it side by side.
            found: list[Future[str]] = [self._submit(_survey, task) for _ in range(self.workers.count)]
            return from_text(Survey, found[0].result())
        except Exception as error:
            if not _is_death(error):
                raise
            return Survey(error=_WORKER_DIED)

    def perform(self, tasks: Mapping[int, Task]) -> Iterator[tuple[int, Outcome]]:
        """Each task's number and outcome, as they are done."""
        left = dict(tasks)
        deaths = 0
        while left:
            try:
                for number, outcome in self._side_by_side(_chunks(left, self.workers.count)):
                    del left[number]
                    yield number, outcome
            except Exception as error:
                if not _is_death(error):
                    raise
                deaths += 1
                if deaths >= _DEATHS_BEFORE_CAUTION:
                    break
        for number, task in left.items():  # its workers may have died of it
            try:
                yield from self._side_by_side([[(number, task)]])
            except Exception as error:
                if not _is_death(error):
                    raise
                yield number, Outcome(error=_WORKER_DIED)

    def _side_by_side(self, chunks: Sequence[Chunk]) -> Iterator[tuple[int, Outcome]]:
        running = [self._submit(_perform_chunk, chunk) for chunk in chunks]
        try:
            for done in as_completed(running):
                yield from from_text(Done, done.result()).outcomes
        finally:
            for future in running:
                future.cancel()


def _begin_local_worker(folder: str, parent: int) -> None:
    end_with_parent(parent)
    os.environ.pop(_SAFE_PATH, None)  # the program does not see it
    tempfile.tempdir = folder
    _begin_worker()


def _begin_worker() -> None:
    """Ctrl-C reaches every process of a terminal; only the parent decides what ends."""
    with suppress(ValueError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _perform_chunk(chunk: Chunk) -> str:
    """As text: an object of the program's, handed over as it is, would be made again in the parent, by its own code."""
    if threading.current_thread() is threading.main_thread():
        _begin_worker()
    with _plain_errors():
        return as_text(Done([(number, perform(task)) for number, task in chunk]))


def _survey(task: Task) -> str:
    with _plain_errors():
        return as_text(survey(task))


@contextmanager
def _plain_errors() -> Iterator[None]:
    """An exception of a class of the program's would be made again in the parent, too."""
    try:
        yield
    except BaseException as error:
        raise RuntimeError(f"{type(error).__name__}: {error}") from None


def _chunks(tasks: Mapping[int, Task], workers: int) -> list[Chunk]:
    """The seeds of one variant together, for a worker compiles it once, but not so many that a worker is left idle at
    the end. The variants keep their order, because the most informative come first; where there are more edited
    programs than a worker keeps, those of one program are next to each other."""
    most = max(1, len(tasks) // (_CHUNKS_OF_A_WORKER * workers))
    by_variant = grouped(
        ((task.edits, task.gradients, task.all_gradients, task.without), (number, task))
        for number, task in tasks.items()
    )
    chunks = [group[i : i + most] for group in by_variant.values() for i in range(0, len(group), most)]
    programs = list(dict.fromkeys(chunk[0][1].edits for chunk in chunks))
    if len(programs) > MOST_TRAINERS:
        chunks.sort(key=lambda chunk: programs.index(chunk[0][1].edits))
    return chunks


def _is_death(error: BaseException) -> bool:
    """Whether a worker process is gone; each backend has its own words for it."""
    return not {cls.__name__ for cls in type(error).__mro__}.isdisjoint(_DEATHS)


# -- backends --------------------------------------------------------------------------------------------------------


def cluster(workers: Workers) -> AbstractContextManager[Submit]:
    """Raises ProgramError on the way in if there is none."""
    if workers.backend not in BACKENDS:
        raise ProgramError(f"there is no backend `{workers.backend}`", f"one of {', '.join(BACKENDS)}")
    return {"local": _local, "dask": _dask, "ray": _ray}[workers.backend](workers)


@contextmanager
def _local(workers: Workers) -> Iterator[Submit]:
    if not is_installed("joblib"):
        raise ProgramError("joblib, which starts the workers, is not installed", how_to_install("joblib"))
    from joblib.externals.loky import get_reusable_executor

    if not os.access(".", os.X_OK):
        raise ProgramError("the current directory cannot be entered", "change to another one")
    executor: Any = None

    def submit(function: Callable[..., T], argument: Any) -> Future[T]:
        nonlocal executor
        # The same processes as the last time, or new ones if one of them has died.
        executor = get_reusable_executor(
            max_workers=workers.count, timeout=_IDLE_S, initializer=_begin_local_worker,
            initargs=(str(own.path), os.getpid()),
        )  # fmt: skip
        return executor.submit(function, argument)  # type: ignore[no-any-return]

    with private_folder() as own, _no_modules_of_this_folder(), warnings.catch_warnings():
        # loky replaces a worker that has become large; the person need not know.
        warnings.filterwarnings("ignore", "A worker stopped while some jobs", UserWarning)
        try:
            yield submit
        finally:
            with suppress(Exception):  # this one: to ask for it again would wait for what is running
                executor.shutdown(wait=False, kill_workers=True)


@contextmanager
def _no_modules_of_this_folder() -> Iterator[None]:
    """Python would put it on the path of a worker: a `warnings.py` in it would be taken for Python's."""
    before = os.environ.get(_SAFE_PATH)
    os.environ[_SAFE_PATH] = "1"
    try:
        yield
    finally:
        os.environ.pop(_SAFE_PATH) if before is None else os.environ.__setitem__(_SAFE_PATH, before)


@contextmanager
def _dask(workers: Workers) -> Iterator[Submit]:
    try:
        from distributed import Client, LocalCluster
    except ImportError:
        raise _missing("dask") from None
    if workers.address is not None:
        try:
            client = Client(workers.address, timeout=30)
        except (OSError, ValueError) as error:
            raise ProgramError(f"there is no Dask scheduler at `{workers.address}`: {error}") from None
        with client:
            yield client.get_executor(pure=False).submit
        return
    with (
        LocalCluster(n_workers=workers.count, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        yield client.get_executor(pure=False).submit


@contextmanager
def _ray(workers: Workers) -> Iterator[Submit]:
    try:
        import ray
    except ImportError:
        raise _missing("ray") from None
    count = None if workers.address else workers.count
    ray.init(address=workers.address, num_cpus=count, log_to_driver=False)
    try:
        yield lambda function, argument: ray.remote(function).remote(argument).future()
    finally:
        ray.shutdown()


def _missing(name: str) -> ProgramError:
    return ProgramError(f"the backend `{name}` is not installed", f"pip install 'gradcheck[{name}]'")
