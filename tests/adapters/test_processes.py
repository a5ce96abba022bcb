"""The promise of conftest.py: what happens to a test in its child happens to it here, by name."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from child_processes import environment

TESTS = """
PROCESSES = ("jax_1_device", "jax_two_ranks")
import os, warnings, pytest
SECOND = os.environ["ADAPTER_RANK"].endswith("2 1")

def test_that_passes(): assert "xla_force_host" in os.environ["XLA_FLAGS"]
def test_that_fails(): assert 1 + 1 == 3
def test_that_fails_in_the_second_rank(): assert not SECOND
def test_that_is_skipped(): pytest.skip("no such device")
@pytest.mark.parametrize("n", [1, 2])
def test_of_which_one_case_fails(n): assert n == 1
@pytest.fixture
def broken(): yield; raise OSError("the folder is gone")
def test_whose_teardown_fails(broken): pass
def test_that_takes_the_process_with_it(): os._exit(3)
def test_that_is_never_reached(): pass
"""


def outcomes(folder, *arguments):
    command = [sys.executable, "-P", "-m", "pytest", "-rA", "-p", "no:cacheprovider", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment())
    found = re.findall(r"^(PASSED|FAILED|ERROR) \S*?::(\w+)::(\w+)", done.stdout, re.MULTILINE)
    return {(process, name): outcome for outcome, process, name in found}, done.stdout


def test_outcomes_in_a_child_are_reported_here(tmp_path):
    for name in ("conftest.py", "child_processes.py"):
        shutil.copy(Path(__file__).with_name(name), tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --import-mode=importlib\n")
    (tmp_path / "test_small.py").write_text(TESTS)
    found, printed = outcomes(tmp_path)
    for process in ("jax_1_device", "jax_two_ranks"):
        passed = {
            name for (where, name), how in found.items() if (where, how) == (process, "PASSED")
        }
        alone = {"test_that_fails_in_the_second_rank"} if process == "jax_1_device" else set()
        assert passed == {"test_that_passes"} | alone
        failed = {
            name for (where, name), how in found.items() if (where, how) == (process, "FAILED")
        }
        assert failed == {
            "test_that_fails",
            "test_of_which_one_case_fails",
            "test_whose_teardown_fails",
            "test_that_takes_the_process_with_it",
            "test_that_is_never_reached",
            *({"test_that_fails_in_the_second_rank"} - alone),
        }
    assert "2 skipped" in printed and "assert (1 + 1) == 3" in printed
    assert "the folder is gone" in printed and "did not end in jax_1_device" in printed
    found, _ = outcomes(tmp_path, "-k", "jax_1_device and that_passes")
    assert found == {("jax_1_device", "test_that_passes"): "PASSED"}
