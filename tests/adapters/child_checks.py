"""Checks that run in a process of their own: a framework reads its devices and its backend once,
when it is imported.

A script of checks has functions named check_…, each of which returns or raises, and ends with
main(globals()).  Its test file asks for outcomes(script, NAME=value, …): every check's traceback,
"" where it passed.  Warnings are errors here too.
"""

import functools
import json
import os
import re
import socket
import subprocess
import sys
import time
import traceback
import warnings
from pathlib import Path


def names(script):
    return re.findall(r"^def (check_\w+)", Path(script).read_text("utf-8"), re.MULTILINE)


def environment(**more):
    """Of a child that imports the package which is tested here, with few threads beside ours."""
    path = os.pathsep.join(entry for entry in sys.path if entry)
    return {
        **os.environ,
        "PYTHONPATH": path,
        "OMP_NUM_THREADS": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        **more,
    }


@functools.cache
def outcomes(script, *arguments, **variables):
    done = subprocess.run(
        [sys.executable, str(script), *arguments],
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
    return json.loads(done.stdout.splitlines()[-1])


def together(script, count, **variables):
    """Run `count` processes of a script, each given a free address, `count` and its number; what
    each of them printed.
    """
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    running = [
        subprocess.Popen(
            [sys.executable, str(script), address, str(count), str(number)],
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(**variables),
        )
        for number in range(count)
    ]
    try:
        printed = []
        for process in running:
            out, err = process.communicate(timeout=120)
            assert process.returncode == 0, out + err[-5000:]
            printed.append(out)
        return printed
    finally:
        for process in running:
            process.kill()
            process.wait()


def main(namespace, ignored=()):
    """Run every check; `ignored` are warnings of others, as (message, category), that are none of
    ours.
    """
    chosen = sys.argv[1:] or [name for name in namespace if name.startswith("check_")]
    results = {}
    for name in chosen:
        began = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for message, category in ignored:
                warnings.filterwarnings("ignore", message, category)
            try:
                namespace[name]()
                results[name] = ""
            except BaseException:
                results[name] = traceback.format_exc()
        print(f"{time.perf_counter() - began:6.2f} s  {name}", file=sys.stderr)
    print(json.dumps(results))
