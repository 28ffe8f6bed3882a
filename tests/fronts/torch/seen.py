"""What a program can see of the process that it runs in: each function says one thing, in the middle of a training step.

The program that is made of them is run bare and recorded; what it prints is compared line by line.
"""


# ruff: noqa
# mypy: ignore-errors


def values():
    return hidden.sum().item(), out.dtype, loss.shape, float(d_first.norm())


def random_torch():
    return torch.randn(3).tolist(), torch.initial_seed()


def random_numpy():
    return np.random.rand(3).tolist()


def random_python():
    import random

    return random.random()


def generator_state():
    return torch.get_rng_state().sum().item()


def class_of_a_tensor():
    return type(hidden), hidden.__class__.__mro__, isinstance(first, torch.nn.Parameter)


def attributes_of_a_tensor():
    return (
        sorted(vars(hidden)),
        hidden.grad,
        hidden.grad_fn,
        hidden.requires_grad,
        hidden._version,
        hidden.is_leaf,
    )


def versions_of_parameters():
    return first._version, second._version, inputs._version


def hooks_of_a_tensor():
    return hidden._backward_hooks, getattr(hidden, "_post_accumulate_grad_hooks", None)


def autograd_graph():
    x = torch.ones(3, requires_grad=True)
    y = (x * 2).exp()
    return y.grad_fn.name(), [str(n[0].name()) for n in y.grad_fn.next_functions]


def saved_tensors():
    x = torch.ones(3, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: (seen.append(1), t)[1], lambda t: t):
        seen = []
        (x * x).exp()
    return len(seen)


def a_function_mode_of_its_own():
    from torch.overrides import TorchFunctionMode

    class Mode(TorchFunctionMode):
        def __torch_function__(self, function, types, args=(), kwargs=None):
            seen.append(function.__name__)
            return function(*args, **(kwargs or {}))

    seen = []
    with Mode():
        a = hidden @ second
        b = a + 1
        del a
        b.sum().item()
    return seen


def a_dispatch_mode_of_its_own():
    from torch.utils._python_dispatch import TorchDispatchMode

    class Mode(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            seen.append(str(function))
            return function(*args, **(kwargs or {}))

    seen = []
    with Mode():
        a = hidden @ second
        a += 1
        b = a.T[0]
        b.sum().item()
    return seen


def a_profiler():
    with torch.profiler.profile() as profile:
        a = hidden @ second
        a.add_(1)
    return sorted((event.key, event.count) for event in profile.key_averages())


def a_subclass_of_its_own():
    class Own(torch.Tensor):
        @classmethod
        def __torch_function__(cls, function, types, args=(), kwargs=None):
            seen.append(function.__name__)
            return super().__torch_function__(function, types, args, kwargs or {})

    seen = []
    a = torch.ones(2, 2).as_subclass(Own)
    b = (a @ a).sum()
    return seen, type(b).__name__


def modes_that_are_on():
    return torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.is_autocast_enabled()


def settings_of_torch():
    return (
        torch.get_default_dtype(), torch.get_num_threads(), torch.are_deterministic_algorithms_enabled(),
        torch.get_float32_matmul_precision(), torch._C._get_deterministic_fill_uninitialized_memory()
        if hasattr(torch._C, "_get_deterministic_fill_uninitialized_memory") else None,
        str(torch.tensor(1 / 3)), torch.autograd.is_multithreading_enabled()
        if hasattr(torch.autograd, "is_multithreading_enabled") else None,
    )  # fmt: skip


def names_of_the_program():
    return sorted(globals())


def names_of_a_function():
    a, b = 1, 2
    return sorted(locals())


def names_of_the_module():
    import __main__

    return (
        __main__.__dict__ is globals(),
        __name__,
        __main__.__file__ == __file__,
        __doc__,
        __spec__,
        __package__,
    )


def type_of_the_names():
    return type(globals()), type(__builtins__)


def where_the_file_is():
    import inspect, os

    return (
        os.path.basename(__file__),
        inspect.getsource(where_the_file_is)[:30],
        os.path.basename(os.getcwd()),
    )


def arguments():
    import os, sys

    return [os.path.basename(sys.argv[0]), *sys.argv[1:]]


def path_of_imports():
    import os, sys

    return [os.path.basename(p) for p in sys.path]


def modules_that_are_loaded():
    import sys

    return sorted(m for m in sys.modules if "gradcheck" in m and not m.startswith("torch."))


def environment():
    import os

    return sorted(set(os.environ) - {"PYTHONPATH"})


def signals():
    import signal

    return [
        signal.getsignal(getattr(signal, n))
        for n in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGQUIT")
        if hasattr(signal, n)
    ]


def alarm():
    import signal

    return signal.getsignal(signal.SIGALRM)


def tracing():
    import sys

    return sys.gettrace(), sys.getprofile()


def tracing_of_its_own():
    import sys

    seen = []
    sys.settrace(lambda frame, event, arg: seen.append((frame.f_code.co_name, event)))

    def inner():
        return hidden.sum()

    inner()
    sys.settrace(None)
    return [pair for pair in seen if pair[0] == "inner"]


def profiling_of_its_own():
    import sys

    seen = []
    sys.setprofile(lambda frame, event, arg: seen.append((frame.f_code.co_name, event)))
    torch.ones(2).sum()
    len("")
    sys.setprofile(None)
    return seen


def recursion_limit():
    import sys

    return sys.getrecursionlimit()


def depth_of_the_stack():
    import inspect

    return [frame.function for frame in inspect.stack()]


def deepest_call():
    def deeper(n):
        try:
            return deeper(n + 1)
        except RecursionError:
            return n

    return deeper(0)


def frames_above():
    import sys

    frame, names = sys._getframe(), []
    while frame:
        names.append((frame.f_code.co_name, frame.f_lineno - frame.f_code.co_firstlineno > -1))
        frame = frame.f_back
    return names


def a_traceback():
    import traceback

    try:
        torch.ones(2) @ torch.ones(3, 3)
    except RuntimeError:
        return [
            (f.name, f.line) for f in traceback.extract_tb(__import__("sys").exc_info()[2])
        ], traceback.format_exc()[-80:]


def warnings_of_torch():
    import warnings

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.nn.functional.softmax(torch.ones(2))
    return [(str(w.message)[:50], w.category.__name__, w.lineno > 0) for w in caught]


def filters_of_warnings():
    import warnings

    return len(warnings.filters), warnings.showwarning.__module__


def weak_references():
    import weakref

    a = hidden * 2
    reference = weakref.ref(a)
    gone = []
    weakref.finalize(a, gone.append, 1)
    del a
    return reference() is None, gone


def lives_of_objects():
    import sys

    a = hidden * 2
    return sys.getrefcount(a), sys.getrefcount(hidden)


def life_after_a_function():
    import weakref

    def inner():
        a = hidden * 3
        return weakref.ref(a)

    return inner()() is None


def destructors():
    class Told:
        def __del__(self):
            seen.append("gone")

    seen = []

    def inner():
        told = Told()
        held = hidden + 1
        held.told = told

    inner()
    return seen


def memory_that_is_shared():
    a = torch.zeros(3)
    b = a[1:]
    b += 1
    return a.tolist(), a.data_ptr() == b.data_ptr() - 4, a.untyped_storage()._use_count()


def identity():
    a = hidden
    return (
        a is hidden,
        hidden.T.T is hidden,
        hidden.detach() is hidden,
        hidden.contiguous() is hidden,
        hidden.float() is hidden,
    )


def in_place_returns():
    a = torch.zeros(3)
    return a.add_(1) is a, a.copy_(torch.ones(3)) is a, a.__iadd__(1) is a


def garbage():
    import gc

    return gc.isenabled(), gc.get_threshold(), gc.callbacks, gc.get_freeze_count(), gc.get_debug()


def threads():
    import threading

    return [t.name for t in threading.enumerate()], threading.current_thread() is threading.main_thread()


def processes():
    import multiprocessing

    return (
        multiprocessing.active_children(),
        multiprocessing.get_start_method(),
        multiprocessing.current_process().name,
    )


def children_that_are_waited_for():
    import os

    try:
        return os.waitpid(-1, os.WNOHANG)
    except ChildProcessError as error:
        return str(error)


def standard_streams():
    import sys

    return [
        (s.name, s.mode, s.encoding, type(s).__name__, s.fileno()) for s in (sys.stdout, sys.stderr)
    ], sys.stdout is sys.__stdout__


def hooks_of_python():
    import builtins, sys

    return (
        sys.excepthook is sys.__excepthook__, sys.displayhook is sys.__displayhook__, sys.unraisablehook is sys.__unraisablehook__,
        sys.breakpointhook is sys.__breakpointhook__, builtins.__import__.__name__, builtins.print.__name__, type(builtins.open).__name__,
    )  # fmt: skip


def names_of_builtins():
    import builtins

    return sorted(n for n in vars(builtins) if n not in ("__debug__", "_"))


def functions_of_torch():
    return (
        torch.tanh.__module__,
        repr(torch.matmul)[:30],
        torch.Tensor.__add__.__qualname__,
        repr(torch.Tensor.backward)[:30],
    )


def open_files():
    import os

    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else None


def rights():
    import os

    mask = os.umask(0o22)
    os.umask(mask)
    return mask, os.nice(0)


def limits():
    import resource

    return [
        resource.getrlimit(getattr(resource, n))
        for n in ("RLIMIT_AS", "RLIMIT_CORE", "RLIMIT_CPU", "RLIMIT_NOFILE", "RLIMIT_STACK")
    ]


def generators():
    taken = []

    def numbers():
        for n in range(5):
            taken.append(n)
            yield n

    for n in numbers():
        if n == 1:
            break
    return taken


def loops():
    turns = []
    n = 3
    while n:
        n -= 1
        turns.append(n)
    else:
        turns.append("else")
    return turns, [i for i in range(3)], {i: i for i in "ab"}


def code_of_a_function():
    return (
        loops.__code__.co_varnames,
        loops.__code__.co_firstlineno > 0,
        len(code_of_a_function.__code__.co_code),
    )


def files():
    import os

    with open("made.txt", "w") as file:
        file.write("abc")
    return open("made.txt").read(), sorted(os.listdir(".")), os.path.getsize("made.txt")


def copies():
    import copy, io, pickle

    a = copy.deepcopy(hidden)
    b = pickle.loads(pickle.dumps(hidden))
    file = io.BytesIO()
    torch.save(hidden, file)
    return (
        torch.equal(a, hidden),
        torch.equal(b, hidden),
        type(a).__name__,
        len(pickle.dumps(hidden)),
        len(file.getvalue()),
    )


def numpy_arrays():
    a = hidden.numpy()
    return (
        type(a),
        a.flags.writeable,
        a.flags.owndata,
        type(a.base),
        np.add.__name__,
        np.geterr(),
        np.get_printoptions()["precision"],
    )


def context_variables():
    import contextvars

    return len(contextvars.copy_context())


def locale_and_time():
    import locale, time

    return locale.getlocale(), time.tzname


def flags_of_python():
    import sys

    return (
        sys.flags.optimize,
        sys.flags.dev_mode,
        sys.flags.utf8_mode,
        sys.dont_write_bytecode,
        sys.getswitchinterval(),
    )


# What cannot be hidden from a program that looks for it, and why; docs/limitations.md says so.
SEEN = {
    "modules_that_are_loaded": "ours",
    "environment": "`MPLBACKEND`, so that no window opens",
    "alarm": "the time limit",
    "tracing": "names are followed by it",
    "profiling_of_its_own": "every call of torch goes through ours",
    "depth_of_the_stack": "the program is called by us",
    "deepest_call": "the same",
    "frames_above": "the same",
    "a_traceback": "a call of torch that raises shows the one it went through",
    "filters_of_warnings": "warnings of torch are shown at the program's line",
    "hooks_of_python": "what it writes is held back",
    "flags_of_python": "no bytecode is written beside the program's modules",
    "code_of_a_function": "in such a program, operators and calls go through ours",
    "names_of_builtins": "loops report their turns by names that begin with `__gradcheck`",
}

STEP = """\
import numpy as np, torch
torch.manual_seed(0); np.random.seed(0); __import__("random").seed(0)
inputs = torch.randn(32, 10); wanted = torch.randn(32, 1)
first = torch.randn(10, 20) * 0.3; second = torch.randn(20, 1) * 0.3
for epoch in range(1):
    hidden = torch.tanh(inputs @ first)
    out = hidden @ second
    loss = ((out - wanted) ** 2).mean()
    d_out = 2 * (out - wanted) / len(wanted)
    d_second = hidden.T @ d_out
    d_hidden = d_out @ second.T
    d_first = inputs.T @ (d_hidden * (1 - hidden ** 2))
    for look in looks:
        try:
            print(f"{look.__name__}: {look()}")
        except BaseException as error:
            print(f"{look.__name__}: raised {error!r}")
    first -= 0.1 * d_first
    second -= 0.1 * d_second
"""

NOT_AT_THE_END = {
    "destructors at the end": "Python is not taken down: the report is made from what it holds",
    "a generator that is not finished": "the same",
}

# How a program ends, after the step: what it prints, its exit status and its files are compared.
ENDS = {
    "nothing": "print('end')",
    "exit status": "import sys; print('end'); sys.exit(3)",
    "exit with a message": "import sys; sys.exit('over')",
    "exit in finally": "import sys\ntry: sys.exit(4)\nfinally: print('finally')",
    "exit handlers": "import atexit; atexit.register(print, 'late'); atexit.register(lambda: open('late.txt', 'w').write('late'))",
    "an exception": "print('before')\nraise KeyError('missing')",
    "an exception in a thread": "import threading; t = threading.Thread(target=lambda: 1 / 0); t.start(); t.join()",
    "a thread that ends later": "import threading, time; threading.Thread(target=lambda: (time.sleep(0.3), print('late'))).start()",
    "a file that is left open": "left = open('left.txt', 'w'); left.write('abc')",
    "destructors at the end": "class Told:\n    def __del__(self): print('gone')\ntold = Told()",
    "a generator that is not finished": "def numbers():\n    try: yield 1\n    finally: print('closed')\nheld = numbers(); next(held)",
    "output without a newline": "import sys; sys.stdout.write('no newline'); sys.stderr.write('nor here')",
    "a fork": "import os, sys\nsys.stdout.flush()\npid = os.fork()\nif not pid: print('child'); sys.stdout.flush(); os._exit(0)\nprint(os.waitpid(pid, 0)[1])",
    "files": "torch.save(first, 'first.pt'); np.save('second.npy', second.numpy()); import os; os.makedirs('out/deep'); open('out/deep/x.txt', 'w').close()",
    "a warning": "import warnings; warnings.warn('odd')",
    "a draw that the loop takes": "numbers = iter(range(9))\nfor n in numbers:\n    if n == 3: break\nprint(next(numbers))",
    "draws": "print(torch.randn(2), np.random.rand(), first.sum(), second.sum())",
}
