"""Signals, kill -9 and forks while a file is written: the old file or the new, and nothing else."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from children import ENVIRONMENT, PYTHON
from specs import LARGE, contents

from fastinit import checkpoint

# The whole program, slowed down so that it can be stopped at a known place: after the tenth span.
SLOW = """
import os, sys, time
from fastinit._core.new_file import NewFile
from fastinit.checkpoint import draw
draw.SPAN = 1 << 12
if sys.argv[1] == "named" and hasattr(os, "O_TMPFILE"):
    del os.O_TMPFILE
write, count = NewFile.write, 0
def slow(self, offset, data):
    global count
    write(self, offset, data)
    count += 1
    if count == 10:
        print("drawing", flush=True)
    if 10 <= count < 100:
        time.sleep(0.01)
NewFile.write = slow
from fastinit.cli import main
sys.exit(main(sys.argv[2:]))
"""


@pytest.fixture
def large_spec(tmp_path):
    path = tmp_path / "spec.json"
    path.write_text(json.dumps(LARGE))
    return path


def started(way, spec, target, *options):
    command = [
        *PYTHON,
        "-c",
        SLOW,
        way,
        "materialize",
        str(spec),
        "-o",
        str(target),
        "--seed",
        "0",
        *options,
    ]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT
    )
    assert process.stdout.readline() == "drawing\n"
    return process


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("way", ["unnamed", "named"])
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_ends_the_job_at_once_and_leaves_nothing(tmp_path, large_spec, way, name):
    (tmp_path / "out").mkdir()
    target = tmp_path / "out" / "x.safetensors"
    options = ["--force", "--threads", "2"]
    if name != "SIGINT":
        target.write_bytes(b"old")
    process = started(way, large_spec, target, *options)
    sent = time.monotonic()
    process.send_signal(getattr(signal, name))
    _, told = process.communicate(timeout=20)
    assert time.monotonic() - sent < 2
    assert process.returncode == 128 + getattr(signal, name)
    assert ("interrupted" if name == "SIGINT" else name) in told
    assert told.count("\n") == 1
    assert contents(tmp_path / "out") == ({} if name == "SIGINT" else {target.name: b"old"})


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="POSIX signals")
def test_nohup_is_respected(tmp_path, large_spec):
    command = [
        *PYTHON,
        "-m",
        "fastinit",
        "materialize",
        str(large_spec),
        "-o",
        str(tmp_path / "x.safetensors"),
    ]
    program = (
        "import signal, os, sys; signal.signal(signal.SIGHUP, signal.SIG_IGN); "
        "os.execv(sys.argv[1], sys.argv[1:])"
    )
    process = subprocess.Popen(
        [*PYTHON, "-c", program, *command], stdout=subprocess.DEVNULL, env=ENVIRONMENT
    )
    time.sleep(0.3)
    process.send_signal(signal.SIGHUP)
    assert process.wait(20) == 0
    assert (tmp_path / "x.safetensors").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("way", ["unnamed", "named"])
def test_kill_leaves_the_old_file_or_the_new(tmp_path, large_spec, way):
    checkpoint.materialize(large_spec, tmp_path / "whole", seed=0)
    new = (tmp_path / "whole").read_bytes()
    folder = tmp_path / "out"
    folder.mkdir()
    target = folder / "x.safetensors"
    seen = set()
    for seconds in (0.0, 0.05, 0.2, 0.5, None):
        target.write_bytes(b"old")
        process = started(way, large_spec, target, "--force")
        if seconds is None:
            process.wait(60)
        else:
            time.sleep(seconds)
        process.kill()
        process.communicate()
        assert target.read_bytes() in (b"old", new)
        seen.add(target.read_bytes())
        if way == "unnamed" and hasattr(os, "O_TMPFILE"):
            assert list(folder.iterdir()) == [target]  # not even a temporary
    assert seen == {b"old", new}


def test_a_forked_child_materializes_too(tmp_path):
    if not hasattr(os, "fork"):
        pytest.skip("no fork")
    program = (
        "import os, sys, warnings; warnings.simplefilter('ignore'); "
        "from fastinit import checkpoint; "
        "spec = sys.argv[1]; checkpoint.materialize(spec, sys.argv[2] + 'a', seed=0, threads=2); "
        "child = os.fork()\n"
        "if child == 0: checkpoint.materialize(spec, sys.argv[2] + 'b', seed=0, threads=2); "
        "os._exit(0)\nsys.exit(os.waitpid(child, 0)[1])"
    )
    (tmp_path / "spec.json").write_text(json.dumps(LARGE))
    command = [*PYTHON, "-c", program, str(tmp_path / "spec.json"), str(tmp_path / "x")]
    subprocess.run(command, check=True, timeout=60, env=ENVIRONMENT)
    assert (tmp_path / "xa").read_bytes() == (tmp_path / "xb").read_bytes()
