"""A child forked while another thread imports or compiles: it can import and compile too."""

import os

import pytest
from children import python

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")

# The child is killed after 20 s, so that a hang is a failure.  `tqdm` stands for any package that
# is imported on demand: it takes a while, and needs logging's lock at its end.
FORK = """
    import os, signal, sys, tempfile, threading, time, warnings
    warnings.simplefilter("ignore")
    folder = tempfile.mkdtemp()
    sys.path.insert(0, folder)
    def module(name, text):
        with open(os.path.join(folder, name + ".py"), "w") as file:
            file.write(text)
    def child(task):
        began, pid = time.monotonic(), os.fork()
        if not pid:
            signal.alarm(20)
            task()
            os._exit(0)
        fork = time.monotonic() - began
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), fork < 30
    def begun(name):
        while name not in sys.modules:
            time.sleep(0.0005)
    module("tqdm", "import time; time.sleep(0.2); import logging; logging.getLogger('x')")
"""


@pytest.mark.parametrize(
    "imports",
    ["import fastinit", "import logging, fastinit", "import fastinit, logging"],
    ids=["logging meanwhile", "logging first", "logging later"],
)
def test_a_fork_waits_for_what_another_thread_imports(imports):
    """logging holds its lock during a fork, from its place in the order of imports on."""
    run = python(
        FORK
        + f"""
    {imports}
    importer = threading.Thread(target=__import__, args=("tqdm",))
    importer.start()
    begun("tqdm")
    print(child(lambda: __import__("tqdm")))
    importer.join()
    import logging
    print(logging._lock.acquire(blocking=False))
"""
    )
    assert run.stdout.split("\n") == ["(0, True)", "True", ""]
    assert run.stderr == ""  # no lock is released that was not acquired


def test_a_fork_does_not_wait_for_imports_of_other_packages_or_for_its_own_import():
    """A program may run to its end inside an import, and another thread may wait for the import
    that forks.
    """
    run = python(
        FORK
        + """
    import fastinit
    module("other", "import time; time.sleep(3)")
    threading.Thread(target=__import__, args=("other",), daemon=True).start()
    begun("other")
    began = time.monotonic()
    print(child(lambda: None), time.monotonic() - began < 2)
    module("tqdm", "import forking")
    module("forking", '''if True:
        import __main__, threading
        importer = threading.Thread(target=__import__, args=("tqdm",))
        importer.start()
        __main__.begun("tqdm")
        print(__main__.child(lambda: None))
    ''')
    import forking
    forking.importer.join()
"""
    )
    assert run.stdout.split("\n") == ["(0, True) True", "(0, True)", ""]


def test_a_child_gets_a_kept_lock_free():
    run = python(
        FORK
        + """
    from fastinit._core import forks
    lock, taken = threading.RLock(), threading.Event()
    forks.keep_free(lock)
    def hold():
        with lock:
            taken.set()
            time.sleep(0.2)
    threading.Thread(target=hold).start()
    taken.wait()
    print(child(lambda: lock.acquire(blocking=False) or os._exit(1)), lock.acquire(blocking=False))
"""
    )
    assert run.stdout.split("\n") == ["(0, True) True", ""]


@pytest.mark.numba
def test_children_forked_while_a_thread_uses_numba_for_the_first_time_fill_like_their_parent():
    """In the import of numba, in that of our functions, and while they are loaded."""
    # Compiled here if they are not in numba's cache: that takes a minute on a machine with other
    # work, and each child might do it again.
    python("import fastinit as fi; fi.orthogonal((300, 300), seed=3)")
    run = python(
        FORK
        + """
    import zlib
    import fastinit as fi
    def fill():
        return zlib.crc32(fi.orthogonal((300, 300), seed=3)) % 200
    filling = threading.Thread(target=fill)
    filling.start()
    begun("numba")
    pids = []
    while len(pids) < 3:
        pid = os.fork()
        if not pid:
            signal.alarm(60)
            os._exit(fill())
        pids.append(pid)
        time.sleep(0.02)
    filling.join()
    print({os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids} == {fill()})
"""
    )
    assert run.stdout.strip() == "True"
