"""fastinit.keras on the backends of Keras, JAX with four devices; what is checked stands in
keras_checks.py.
"""

import re
import subprocess
import sys
from pathlib import Path

import child_checks
import pytest

pytestmark = pytest.mark.frameworks
SCRIPT = Path(__file__).with_name("keras_checks.py")
EVERYWHERE = child_checks.names(SCRIPT)
OF_ONE_BACKEND = dict(
    re.findall(
        r'^if BACKEND == "(\w+)":\n((?:    .*\n|\n)+)', SCRIPT.read_text("utf-8"), re.MULTILINE
    )
)
CASES = [
    (backend, check)
    for backend in ("jax", "torch", "numpy")
    for check in EVERYWHERE + re.findall(r"def (check_\w+)", OF_ONE_BACKEND.get(backend, ""))
]


@pytest.mark.parametrize(("backend", "check"), CASES)
def test_on_a_backend(backend, check, tmp_path_factory):
    home = str(tmp_path_factory.getbasetemp())  # where Keras writes its configuration
    flags = "--xla_force_host_platform_device_count=4"
    failure = child_checks.outcomes(
        SCRIPT, KERAS_BACKEND=backend, KERAS_HOME=home, XLA_FLAGS=flags
    )[check]
    assert not failure, failure


def test_two_processes_agree_on_fresh_seeds_and_draw_only_their_shards(tmp_path):
    flags = "--xla_force_host_platform_device_count=2"
    script = SCRIPT.with_name("keras_process.py")
    first, second = child_checks.together(
        script, 2, KERAS_BACKEND="jax", KERAS_HOME=str(tmp_path), XLA_FLAGS=flags
    )
    assert (
        first.split()[-1] == second.split()[-1]
        and "every shard is right" in first
        and "every shard is right" in second
    )


def test_without_keras_the_adapter_says_what_to_install():
    code = "import sys; sys.modules['keras'] = None; import fastinit.keras"
    done = subprocess.run(
        [sys.executable, "-c", code], env=child_checks.environment(), capture_output=True, text=True
    )
    assert done.returncode and "fastinit.keras needs Keras" in done.stderr
    assert "pip install 'fastinit-weights[keras]'" in done.stderr
