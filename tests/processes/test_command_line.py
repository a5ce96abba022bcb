"""The command in a process of its own: streams, terminals, full outputs, what it loads."""

import fcntl
import json
import os
import pty
import struct
import subprocess
import termios

import pytest
from children import ENVIRONMENT, PYTHON
from specs import SPEC

from fastinit import checkpoint
from fastinit._core import safetensors


@pytest.fixture
def spec(tmp_path):
    path = tmp_path / "model.toml"
    path.write_text(SPEC)
    return str(path)


def run(*arguments, **environment):
    command = [*PYTHON, "-m", "fastinit", *arguments]
    return subprocess.run(command, capture_output=True, check=False, env=ENVIRONMENT | environment)


def test_python_m_fastinit_is_the_command():
    done = run("presets")
    assert (done.returncode, done.stderr) == (0, b"")
    names = [line.split()[0].decode() for line in done.stdout.splitlines()[1:]]
    assert names == list(checkpoint.presets())
    assert run("presets", "no").returncode == 2


def test_a_name_that_the_output_cannot_show_is_escaped(tmp_path):
    path = tmp_path / "spec.json"
    path.write_text(
        json.dumps(
            {"tensors": {"gewöhnlich": [1]}, "rules": [{"match": "*", "initializer": "ones"}]}
        )
    )
    done = run("materialize", str(path), "--dry-run", PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert b"gew\\xf6hnlich" in done.stdout


def test_a_reader_that_goes_away_is_not_an_error():
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [*PYTHON, "-m", "fastinit", "presets", "gpt2"],
        stdout=write,
        stderr=subprocess.PIPE,
        check=False,
        env=ENVIRONMENT,
    )
    os.close(write)
    assert done.stderr == b""


def test_a_bar_is_shown_on_a_terminal_only(tmp_path, spec):
    assert run("materialize", spec, "-o", str(tmp_path / "x")).stderr == b""
    master, slave = pty.openpty()
    # On no columns no bar is drawn.
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))
    command = [
        *PYTHON,
        "-m",
        "fastinit",
        "materialize",
        spec,
        "-o",
        str(tmp_path / "y.safetensors"),
    ]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=slave, check=False, env=ENVIRONMENT
    )
    os.write(slave, b"end")  # so that there is something to read, bar or not
    shown = os.read(master, 10_000)
    os.close(slave)
    os.close(master)
    assert done.returncode == 0
    assert b"%|" in shown
    assert b"tensors" in done.stdout
    path = tmp_path / "y.safetensors"
    assert safetensors.read_header(path)[0].size == path.stat().st_size


def test_the_command_loads_nothing_heavy(tmp_path, spec):
    program = (
        "import sys; from fastinit.cli import main; assert main(sys.argv[1:]) == 0; heavy = "
        "{'numba', 'ml_dtypes', 'tqdm', 'torch', 'jax', 'hashlib', 'safetensors', "
        "'concurrent.futures'}; print(sorted(heavy & set(sys.modules)))"
    )
    command = [*PYTHON, "-c", program, "materialize", spec, "-o", str(tmp_path / "x")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=ENVIRONMENT)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("arguments", [["--version"], []])
def test_the_version_and_the_help_load_no_command_s_library(arguments):
    program = (
        "import atexit, sys; from fastinit.cli import main; atexit.register(lambda: print(sorted("
        "name for name in sys.modules if name in ('tomllib', 'json', 'numba', 'tqdm') "
        "or name.startswith('fastinit.checkpoint')))); sys.exit(main(sys.argv[1:]))"
    )
    command = [*PYTHON, "-c", program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=ENVIRONMENT)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.skipif(os.name != "posix", reason="a POSIX shell")
@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
def test_closed_standard_streams_change_nothing(tmp_path, spec, closed):
    path = tmp_path / "x.safetensors"
    line = f'"$@" {closed}'
    command = ["sh", "-c", line, "sh", *PYTHON, "-m", "fastinit", "materialize", spec, "-o", path]
    done = subprocess.run(command, capture_output=True, check=False, env=ENVIRONMENT)
    assert (done.returncode, done.stderr) == (0, b"")
    assert bool(done.stdout) == (closed in ("2>&-", "<&-"))
    assert safetensors.read_header(path)[0].size == path.stat().st_size
    assert run("verify", str(path)).returncode == 0
    failed = subprocess.run(command, capture_output=True, check=False, env=ENVIRONMENT)
    assert failed.returncode == 1  # it exists
    assert b"Traceback" not in failed.stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
@pytest.mark.parametrize(
    "arguments",
    [["presets"], ["info"], ["explain", "zeros", "3"], ["presets", "gpt2"], [], ["--version"]],
)
def test_a_full_output_device_is_one_clear_error(arguments):
    # Without a buffer, argparse itself ignores that it cannot write the version.
    environment = {key: one for key, one in ENVIRONMENT.items() if key != "PYTHONUNBUFFERED"}
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*PYTHON, "-m", "fastinit", *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
            env=environment,
        )
    assert done.returncode == 1
    assert done.stderr.startswith(b"fastinit: error: ") and done.stderr.count(b"\n") == 1
    assert b"standard output: No space left" in done.stderr


def test_a_folder_that_cannot_be_synced_leaves_the_file_and_says_so(tmp_path, spec):
    program = (
        "import os, stat, sys\nreal = os.fsync\n"
        "def fsync(file):\n"
        "    if stat.S_ISDIR(os.fstat(file).st_mode): raise OSError(5, 'Input/output error')\n"
        "    real(file)\n"
        "os.fsync = fsync\n"
        "from fastinit.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    path = tmp_path / "x.safetensors"
    command = [*PYTHON, "-c", program, "materialize", spec, "-o", str(path), "--seed", "0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=ENVIRONMENT)
    assert done.returncode == 1
    assert f"{path}: the file is written and in place" in done.stderr
    assert done.stderr.count("\n") == 1
    assert run("verify", str(path)).returncode == 0
