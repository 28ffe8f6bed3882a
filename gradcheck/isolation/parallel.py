"""Does the tasks of an experiment side by side: on local processes, or on a Dask or Ray cluster, through joblib."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

from gradcheck.isolation.tasks import Outcome, Task, perform
from gradcheck.program.errors import ProgramError

BACKENDS = ("local", "dask", "ray")


@dataclass(frozen=True, slots=True)
class Workers:
    """`jobs` counts processes, all cores if it is None; `address` is of a running cluster, else one is started
    here."""

    jobs: int | None = None
    backend: str = "local"
    address: str | None = None

    @property
    def count(self) -> int:
        return self.jobs or max(1, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def perform_all(tasks: Mapping[int, Task], workers: Workers) -> Iterator[tuple[int, Outcome]]:
    """Each task's number and outcome, as they are done. Tasks that belong to the same edited program stay together,
    for a worker records it once. Raises ProgramError if the backend is not there."""
    order = sorted(tasks, key=lambda number: _program_of(tasks[number]))
    if workers.backend == "local" and workers.count == 1:
        for number in order:
            yield number, perform(tasks[number])
        return
    from joblib import Parallel, delayed, parallel_config

    chunks = _chunks(order, tasks, workers.count)
    with _backend(workers) as config, parallel_config(**config):
        parallel = Parallel(n_jobs=workers.count, return_as="generator_unordered", batch_size=1, pre_dispatch="2*n_jobs")
        for done in parallel(delayed(_perform_chunk)([(n, tasks[n]) for n in chunk], _threads()) for chunk in chunks):
            yield from done


def _perform_chunk(chunk: Sequence[tuple[int, Task]], threads: int) -> list[tuple[int, Outcome]]:
    import torch

    torch.set_num_threads(threads)
    return [(number, perform(task)) for number, task in chunk]


def _threads() -> int:
    """Of torch in each worker: the processes share the cores already."""
    return 1


def _chunks(order: Sequence[int], tasks: Mapping[int, Task], workers: int) -> list[list[int]]:
    """The tasks of one edited program, in pieces small enough that no worker is left idle at the end."""
    by_program: dict[str, list[int]] = {}
    for number in order:
        by_program.setdefault(_program_of(tasks[number]), []).append(number)
    size = max(1, min(4, len(order) // (4 * workers) or 1))
    return [
        group[first : first + size] for group in by_program.values() for first in range(0, len(group), size)
    ]


def _program_of(task: Task) -> str:
    return repr(task.edits)


@contextmanager
def _backend(workers: Workers) -> Iterator[dict[str, Any]]:
    if workers.backend == "local":
        yield {"backend": "loky", "inner_max_num_threads": 1}
    elif workers.backend == "dask":
        with _dask_client(workers):
            yield {"backend": "dask"}
    elif workers.backend == "ray":
        with _ray_cluster(workers):
            yield {"backend": "ray"}
    else:
        raise ProgramError(f"there is no backend `{workers.backend}`", f"one of {', '.join(BACKENDS)}")


def _dask_client(workers: Workers) -> AbstractContextManager[Any]:
    try:
        from distributed import Client, LocalCluster
    except ImportError:
        raise _missing("dask") from None
    if workers.address is not None:
        client: AbstractContextManager[Any] = Client(workers.address)
        return client
    return _local_dask(lambda: LocalCluster(n_workers=workers.count, threads_per_worker=1, dashboard_address=None), Client)


@contextmanager
def _local_dask(cluster: Callable[[], Any], client: Callable[[Any], Any]) -> Iterator[Any]:
    with cluster() as started, client(started) as connected:
        yield connected


def _ray_cluster(workers: Workers) -> AbstractContextManager[Any]:
    try:
        import ray
        from ray.util.joblib import register_ray
    except ImportError:
        raise _missing("ray") from None
    ray.init(address=workers.address, num_cpus=None if workers.address else workers.count, log_to_driver=False)
    register_ray()
    return nullcontext()


def _missing(name: str) -> ProgramError:
    return ProgramError(f"the backend `{name}` is not installed", f"pip install 'gradcheck[{name}]'")
