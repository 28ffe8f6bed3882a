"""Programs that do odd things: to their own process, to what is recorded, and with what torch can hold."""

from __future__ import annotations

from collections.abc import Iterator

from tests.hostile.inputs import SCRIPT, Hostile

# Before or after a training step: nothing of it may be ours to see.
PROCESS = r"""raise SystemExit
raise SystemExit('x')
raise SystemExit(object())
raise KeyboardInterrupt
raise GeneratorExit
raise StopIteration
raise BaseException
raise MemoryError
raise RecursionError
raise ExceptionGroup('x', [ValueError(1)])
class E(Exception):\n    def __str__(self): raise self\nraise E
class E(Exception):\n    def __str__(self): return 5\nraise E
class E(BaseException):\n    __module__ = None\nraise E
raise type('\x1b[31m', (Exception,), {})('\x1b[0m')
raise ValueError('x' * 10**7)
import os; os._exit(0)
import os; os._exit(300)
import os; os.abort()
import os, signal; os.kill(os.getpid(), signal.SIGKILL)
import os, signal; os.kill(os.getpid(), signal.SIGTERM)
import os, signal; os.kill(os.getpid(), signal.SIGSEGV)
import os, signal; os.kill(0, signal.SIGTERM)
import os, signal; os.kill(os.getpid(), signal.SIGSTOP) if 0 else None
import os; os.closerange(0, 4096)
import os; os.chdir('/')
import os; os.mkdir('d'); os.chdir('d'); os.rmdir('../d')
import os; os.environ.clear()
import os; os.setsid() if os.fork() == 0 else None
import os; os.fork()
import os, time\nif not os.fork(): time.sleep(60)
import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])
import sys; sys.stdout = sys.stderr = sys.stdin = None
import sys; sys.stdout.close(); sys.stderr.close()
import sys; sys.path.clear()
import sys; sys.modules.clear()
import sys; sys.modules['json'] = None
import sys; sys.setrecursionlimit(60)
import sys; sys.settrace(lambda *a: 1 / 0)
import sys; sys.setprofile(lambda *a: None)
import sys; sys.excepthook = sys.displayhook = None
import sys; sys.argv = None
import sys; sys.meta_path.clear()
import sys; del sys.modules['__main__']
import sys; sys.stdout.write('\x1b[2J\x07' * 1000)
import sys; sys.exit(3)
import builtins; builtins.open = builtins.print = builtins.len = None
import builtins; builtins.__import__ = None
del __builtins__
__name__ = __file__ = __doc__ = None
globals().clear()
import gc; gc.disable(); gc.set_threshold(1)
import gc; [o for o in gc.get_objects()]
import atexit; atexit.register(lambda: 1 / 0)
import atexit, os; atexit.register(os._exit, 9)
import signal; signal.signal(signal.SIGALRM, signal.SIG_IGN)
import signal; signal.alarm(1); import time; time.sleep(1.2)
import threading; threading.Thread(target=lambda: 1 / 0).start()
import threading, time; threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
import warnings; warnings.simplefilter('error'); warnings.warn('x')
import logging; logging.basicConfig(level=0); logging.error('x' * 10**6)
import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (8, 8))
import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
import tempfile, shutil; shutil.rmtree(tempfile.gettempdir(), ignore_errors=True)
import glob, os; [os.remove(f) for f in glob.glob('*')]
import p
from p import *
import this_is_not_there
input()
breakpoint()
def f(): f()\nf()
while True: pass
while True: print('x' * 10000)
x = [0] * 10**11
x = 'a' * 10**6; print(x)
exec('1 +')
eval('__import__("os").getcwd()')
async def f(): await f()\nimport asyncio; asyncio.run(f())
@property\ndef f(): pass
class M(type):\n    def __getattribute__(s, n): raise ValueError\nclass C(metaclass=M): pass
lambda: (yield)
x: int; del x
match 5:\n    case _: pass
print(f'{1!r:>{10}}')
type('X' * 10**5, (), {})()
"""
# In the place of `{X}`: what the step computes with.
TENSORS = """\
torch.zeros(0, 3)
torch.full((8, 3), float('nan'))
torch.full((8, 3), float('inf'))
torch.full((8, 3), 1e38)
torch.full((8, 3), 1e-45)
torch.randn(8, 3, dtype=torch.complex64)
torch.randn(8, 3, dtype=torch.float64)
torch.randn(8, 3).half()
torch.randn(8, 3).bfloat16()
torch.randint(0, 9, (8, 3))
torch.ones(8, 3, dtype=torch.bool)
torch.randn(8, 3).to_sparse()
torch.randn(8, 3).to_sparse_csr()
torch.randn(8, 3, device='meta')
torch.randn(3, 8).T
torch.randn(1, 3).expand(8, 3)
torch.randn(8, 3).as_strided((8, 3), (0, 0))
torch.randn(8, 3, names=('a', 'b'))
torch.nested.nested_tensor([torch.randn(2), torch.randn(3)])
torch.quantize_per_tensor(torch.randn(8, 3), 0.1, 0, torch.qint8)
torch.randn(8, 3).requires_grad_()
torch.nn.Parameter(torch.randn(8, 3))
torch.tensor(1.0)
torch.randn(8, 3).numpy()
torch.randn(2000, 3)
[[1.0, 2.0, 3.0]] * 8
None
type('T', (torch.Tensor,), {})(torch.randn(8, 3))
torch.randn(8, 3).share_memory_()
torch.randn(8, 3).untyped_storage()
"""
LOSSES = """\
((out - Y) ** 2)
((out - Y) ** 2).mean().item()
((out - Y) ** 2).mean() * 0
((out - Y) ** 2).mean() / 0
(out > Y).any()
((out - Y) ** 2).mean().detach().clone().data
float('nan')
torch.tensor(5)
((out - Y) ** 2).mean(dtype=torch.float64)
out.argmax()
((out - Y) ** 2).mean()[None]
str(((out - Y) ** 2).mean())
torch.jit.script(torch.nn.Linear(1, 1))(out).mean()
"""
_SLOW = ("while True", "10**11", "sleep(60)")


def _lines(text: str) -> list[str]:
    return [line.replace(r"\n", "\n") for line in text.splitlines()]


def odd_programs() -> Iterator[Hostile]:
    for code in _lines(PROCESS):
        words = ("--timeout", "3")
        yield Hostile("process", {"p.py": f"{code}\n".encode()}, words=words)
        if not any(slow in code for slow in _SLOW):
            yield Hostile("process, after a step", {"p.py": f"{SCRIPT}\n{code}\n".encode()}, words=words)
    inside = SCRIPT.replace("    dh =", "    {0}\n    dh =")
    for code in _lines(PROCESS):
        if "\n" not in code and not any(slow in code for slow in _SLOW):
            yield Hostile(
                "process, in a step", {"p.py": inside.replace("{0}", code).encode()}, words=("--timeout", "3")
            )


def odd_tensors() -> Iterator[Hostile]:
    for x in TENSORS.splitlines():
        yield Hostile("tensors", {"p.py": SCRIPT.replace("X, Y = torch.randn(8, 3)", f"X, Y = {x}").encode()})
        yield Hostile("tensors", {"p.py": SCRIPT.replace("    dh =", f"    dextra = {x}\n    dh =").encode()})
    for loss in LOSSES.splitlines():
        yield Hostile("losses", {"p.py": SCRIPT.replace("((out - Y) ** 2).mean()", loss).encode()})
