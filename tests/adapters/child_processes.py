"""Children of the tests: their environment, their address, and several of them side by side."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path


def devices(count):
    return {"XLA_FLAGS": f"--xla_force_host_platform_device_count={count}"}


def environment(**more):
    """Of a child that imports the package which is tested here."""
    path = os.pathsep.join(entry for entry in sys.path if entry)
    return {
        **os.environ,
        "PYTHONPATH": path,
        "TF_CPP_MIN_LOG_LEVEL": "3",
        **more,
    }


def free_address():
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return f"localhost:{free.getsockname()[1]}"


def side_by_side(commands, environments, folder, seconds):
    """Run all at the same time; the exit status of each (negative: killed) and what it printed."""
    running = []
    for number, (command, environ) in enumerate(zip(commands, environments, strict=True)):
        # Into a file: a child that waits for its pipe to be read would block the others.
        with open(folder / f"output{number}", "wb") as output:
            running.append(
                subprocess.Popen(command, env=environ, stdout=output, stderr=subprocess.STDOUT)
            )
    end = time.monotonic() + seconds
    try:
        for child in running:
            child.wait(max(0.0, end - time.monotonic()))
    except subprocess.TimeoutExpired:
        pass
    finally:
        for child in running:
            child.kill()
            child.wait()
    outputs = [(folder / f"output{n}").read_text("utf-8", "replace") for n in range(len(running))]
    return [(child.returncode, output) for child, output in zip(running, outputs, strict=True)]


def torchrun(processes, script, *arguments):
    """Run a script on so many ranks, as its user does, but for the shutdown of Python."""
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        str(processes),
        str(Path(__file__).with_name("without_shutdown.py")),
        str(script),
    ]
    return subprocess.run(
        [*command, *map(str, arguments)],
        env=environment(FASTINIT_NUM_THREADS="1", PYTHONWARNINGS="ignore"),
        capture_output=True,
        text=True,
        timeout=300,
    )
