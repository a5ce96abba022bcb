"""signals.Gate: handlers run at once, what they raise waits, and everything is put back."""

import signal
import threading

import pytest
from children import python

from fastinit._core import engine, signals


@pytest.fixture
def handlers():
    """Handlers of two signals that count, and raise when asked to."""
    seen = {"calls": 0, "raise": False}

    def handler(number, frame):
        seen["calls"] += 1
        if seen["raise"]:
            raise TimeoutError(number)

    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGALRM)}
    yield seen, handler
    for number, one in before.items():
        signal.signal(number, one)


def test_an_error_of_a_handler_is_kept_and_cancels_the_work(handlers):
    seen, handler = handlers
    errors, cancelled = [], []
    gate = signals.Gate(errors, lambda: cancelled.append(True))
    gate.close()
    signal.raise_signal(signal.SIGINT)
    assert seen["calls"] == 1 and not errors and not cancelled  # it only counts
    seen["raise"] = True
    signal.raise_signal(signal.SIGINT)
    signal.raise_signal(signal.SIGALRM)
    assert seen["calls"] == 3 and len(cancelled) == 2
    assert [type(error) for error in errors] == [TimeoutError] * 2
    gate.open()
    assert signal.getsignal(signal.SIGINT) is signal.getsignal(signal.SIGALRM) is handler
    with pytest.raises(TimeoutError):
        signal.raise_signal(signal.SIGINT)
    assert len(errors) == 2


def test_a_handler_that_was_replaced_meanwhile_stays(handlers):
    gate = signals.Gate([], lambda: None)
    gate.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gate.open()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_a_gate_that_an_interrupt_left_open_is_harmless_and_closed_by_the_next(handlers):
    seen, handler = handlers
    left = signals.Gate([], lambda: None)
    left.close()
    left.closed = False  # as where an error comes in the first line of open()
    seen["raise"] = True
    with pytest.raises(TimeoutError):
        signal.raise_signal(signal.SIGINT)
    gate = signals.Gate([], lambda: None)
    gate.close()
    gate.open()
    assert signal.getsignal(signal.SIGINT) is handler and not left.errors


def test_other_threads_leave_the_handlers_alone(handlers):
    def run():
        gate = signals.Gate([], lambda: None)
        gate.close()
        found.append(signal.getsignal(signal.SIGINT))
        gate.open()

    found = []
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert found == [handlers[1]]


def test_a_fill_by_several_threads_raises_the_first_error_of_a_handler_afterwards(handlers):
    seen, handler = handlers
    seen["raise"] = True
    running, both = [], threading.Barrier(2)

    def work(item):
        running.append(item)
        if item < 2:
            both.wait(20)
        if threading.current_thread() is threading.main_thread():
            signal.raise_signal(signal.SIGALRM)
        running.remove(item)

    with pytest.raises(TimeoutError, match=str(int(signal.SIGALRM))):
        engine.map_tasks(work, range(1000), threads=2)
    assert not running and signal.getsignal(signal.SIGALRM) is handler


def test_no_worker_keeps_running_however_dense_the_interrupts_are():
    run = python("""
        import _thread, signal, threading, time
        from fastinit._core import engine
        running, on, inside = [], False, False
        def work(item):
            running.append(item)
            end = time.perf_counter() + 0.0005
            while time.perf_counter() < end: pass
            running.remove(item)
        def storm():
            while True:
                if on: _thread.interrupt_main()
                time.sleep(0.00005)
        def handler(*_):
            if inside: raise KeyboardInterrupt
        signal.signal(signal.SIGINT, handler)
        threading.Thread(target=storm, daemon=True).start()
        interrupted = late = 0
        for _ in range(50):
            on = inside = True
            try:
                engine.map_tasks(work, range(12), threads=4)
                inside = False
            except KeyboardInterrupt:
                inside = False
                interrupted += 1
            on = False
            late += bool(running)
        print(interrupted, late)
    """)
    interrupted, late = map(int, run.stdout.split())
    assert interrupted > 5 and late == 0


def test_an_undisturbed_action_is_done_before_a_handler_s_error_is_raised(handlers):
    seen, handler = handlers
    seen["raise"] = True
    done = []

    def action():
        signal.raise_signal(signal.SIGINT)
        done.append(True)

    with pytest.raises(TimeoutError):
        signals.undisturbed(action)
    assert done == [True] and signal.getsignal(signal.SIGINT) is handler
    with pytest.raises(ZeroDivisionError):
        signals.undisturbed(lambda: 1 / 0)
    assert signal.getsignal(signal.SIGINT) is handler


@pytest.mark.numba
@pytest.mark.parametrize("call", ["sparse((3000, 600), sparsity=0.5, ", "orthogonal((600, 600), "])
def test_an_interrupt_while_numba_is_imported_leaves_the_next_call_whole(call):
    run = python(f"""
        import signal, sys
        import fastinit as fi

        class Interrupting:
            names = ["numba.core.types.misc"]

            def find_spec(self, name, path=None, target=None):
                if name in self.names:
                    self.names.clear()
                    signal.raise_signal(signal.SIGINT)

        sys.meta_path.insert(0, Interrupting())
        for _ in range(2):
            try:
                print(fi.{call} seed=1).shape)
            except KeyboardInterrupt:
                print("interrupted")
    """)
    assert run.stdout.split()[0] == "interrupted" and run.stdout.count("(") == 1
