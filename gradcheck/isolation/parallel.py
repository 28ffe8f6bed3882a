"""Does the tasks of an experiment side by side: on local processes, or on a Dask or Ray cluster, through joblib.

The parent process runs none of them itself: it imports no torch, and the person's program is free to end the process
it runs in. A worker that dies does not affect the results of others.
"""

from __future__ import annotations

import os
import signal
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from gradcheck.isolation.tasks import MOST_TRAINERS, Outcome, Survey, Task, perform, survey
from gradcheck.program.errors import ProgramError

BACKENDS = ("local", "dask", "ray")
_DEATHS_BEFORE_CAUTION = 2  # of workers; then the tasks that are left are done one by one
_CHUNKS_OF_A_WORKER = 4
_WORKER_DIED = "the process that trained it was killed, or memory ran out"
T = TypeVar("T")


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


class WorkerPool:
    """The workers of one experiment. To be used as a context: what it started ends with it."""

    def __init__(self, workers: Workers) -> None:
        self.workers = workers
        self._cluster: AbstractContextManager[dict[str, Any]] | None = None
        self._config: dict[str, Any] = {}

    def __enter__(self) -> WorkerPool:
        self._cluster = _backend(self.workers)
        self._config = self._cluster.__enter__()
        return self

    @property
    def _single(self) -> bool:
        return self.workers.backend == "local" and self.workers.count == 1

    def __exit__(self, *exception: Any) -> None:
        if self._cluster is not None:
            self._cluster.__exit__(*exception)

    def survey(self, task: Task) -> Survey:
        """Raises ProgramError if the worker dies of it."""
        try:
            # Every worker has to import torch and to record the program: they do it side by side.
            return self._alone(_survey_apart, task, self.workers.count)
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
                for number, outcome in self._side_by_side(left):
                    del left[number]
                    yield number, outcome
            except Exception as error:
                if not _is_death(error):
                    raise
                deaths += 1
                if deaths >= _DEATHS_BEFORE_CAUTION:
                    break
        for number, task in left.items():
            yield number, self._with_care(task)

    def _with_care(self, task: Task) -> Outcome:
        """A task that its workers may have died of."""
        try:
            ((_, outcome),) = self._alone(_perform_chunk, [(0, task)])
        except Exception as error:
            if not _is_death(error):
                raise
            return Outcome(error=_WORKER_DIED)
        return outcome

    def _side_by_side(self, tasks: Mapping[int, Task]) -> Iterator[tuple[int, Outcome]]:
        chunks = _chunks(tasks, self.workers.count)
        if self._single:
            for chunk in chunks:
                yield from self._alone(_perform_chunk, chunk)
            return
        from joblib import Parallel, delayed, parallel_config

        with parallel_config(**self._config):
            parallel = Parallel(
                n_jobs=self.workers.count, return_as="generator_unordered", batch_size=1,
                pre_dispatch="2*n_jobs",
            )  # fmt: skip
            done = parallel(delayed(_perform_chunk)(chunk) for chunk in chunks)
        try:
            for outcomes in done:
                yield from outcomes
        finally:
            with suppress(Exception), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that not all results were taken
                done.close()

    def _alone(self, function: Callable[[Any], T], argument: Any, copies: int = 1) -> T:
        """One call in one worker process, or the same in several. joblib itself would make a single one in this
        process."""
        if self._single:
            from joblib.externals.loky import get_reusable_executor

            executor = get_reusable_executor(max_workers=1, timeout=_IDLE_S, initializer=_begin_worker)
            result: T = executor.submit(function, argument).result()
            return result
        from joblib import Parallel, delayed, parallel_config

        with parallel_config(**self._config):
            results = Parallel(n_jobs=max(2, self.workers.count))([delayed(function)(argument)] * copies)
        first: T = results[0]
        return first


_IDLE_S = 300


def _begin_worker() -> None:
    """Ctrl-C reaches every process of a terminal; only the parent decides what ends."""
    with suppress(ValueError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _perform_chunk(chunk: Sequence[tuple[int, Task]]) -> list[tuple[int, Outcome]]:
    if threading.current_thread() is threading.main_thread():
        _begin_worker()
    return [(number, perform(task)) for number, task in chunk]


def _survey_apart(task: Task) -> Survey:
    return survey(task)


def _chunks(tasks: Mapping[int, Task], workers: int) -> list[list[tuple[int, Task]]]:
    """The seeds of one variant together, for a worker compiles it once, but not so many that a worker is left idle at
    the end. The variants keep their order, because the most informative come first; where there are more edited
    programs than a worker keeps, those of one program are next to each other."""
    most = max(1, len(tasks) // (_CHUNKS_OF_A_WORKER * workers))
    by_variant: dict[object, list[tuple[int, Task]]] = {}
    for number, task in tasks.items():
        variant = task.edits, task.gradients, task.all_gradients, task.without
        by_variant.setdefault(variant, []).append((number, task))
    chunks = [group[i : i + most] for group in by_variant.values() for i in range(0, len(group), most)]
    programs = list(dict.fromkeys(chunk[0][1].edits for chunk in chunks))
    if len(programs) > MOST_TRAINERS:
        chunks.sort(key=lambda chunk: programs.index(chunk[0][1].edits))
    return chunks


def _is_death(error: BaseException) -> bool:
    """Whether a worker process is gone; each backend has its own words for it."""
    names = {cls.__name__ for cls in type(error).__mro__}
    return bool(
        names
        & {
            "BrokenProcessPool",
            "TerminatedWorkerError",
            "KilledWorker",
            "WorkerCrashedError",
            "CommClosedError",
        }
    )


# -- backends --------------------------------------------------------------------------------------------------------


@contextmanager
def _backend(workers: Workers) -> Iterator[dict[str, Any]]:
    if workers.backend == "local":
        with _local_workers():
            yield {"backend": "loky", "inner_max_num_threads": 1}
    elif workers.backend == "dask":
        with _dask_client(workers):
            yield {"backend": "dask"}
    elif workers.backend == "ray":
        with _ray_cluster(workers):
            yield {"backend": "ray"}
    else:
        raise ProgramError(f"there is no backend `{workers.backend}`", f"one of {', '.join(BACKENDS)}")


@contextmanager
def _local_workers() -> Iterator[None]:
    with warnings.catch_warnings():
        # loky replaces a worker that has become large; the person need not know.
        warnings.filterwarnings("ignore", "A worker stopped while some jobs", UserWarning)
        try:
            yield
        finally:
            from joblib.externals.loky import get_reusable_executor

            with suppress(Exception):
                get_reusable_executor(max_workers=1, reuse=True).shutdown(wait=False, kill_workers=True)


@contextmanager
def _dask_client(workers: Workers) -> Iterator[Any]:
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
            yield client
        return
    with (
        LocalCluster(n_workers=workers.count, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        yield client


@contextmanager
def _ray_cluster(workers: Workers) -> Iterator[None]:
    try:
        import ray
        from ray.util.joblib import register_ray
    except ImportError:
        raise _missing("ray") from None
    count = None if workers.address else workers.count
    ray.init(address=workers.address, num_cpus=count, log_to_driver=False)
    try:
        register_ray()
        yield
    finally:
        ray.shutdown()


def _missing(name: str) -> ProgramError:
    return ProgramError(f"the backend `{name}` is not installed", f"pip install 'gradcheck[{name}]'")
