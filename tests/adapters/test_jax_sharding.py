"""Sharded arrays on 1, 2 and 8 host devices (jax_sharding_checks.py) and in two real processes
(jax_process.py).
"""

import re
import subprocess
import sys
from pathlib import Path

import child_checks
import pytest

pytestmark = pytest.mark.frameworks
SCRIPT = Path(__file__).with_name("jax_sharding_checks.py")
PROCESS = Path(__file__).with_name("jax_process.py")


def flags(devices):
    return f"--xla_force_host_platform_device_count={devices}"


@pytest.mark.parametrize("devices", [1, 2, 8])
@pytest.mark.parametrize("check", child_checks.names(SCRIPT))
def test_on_host_devices(check, devices):
    failure = child_checks.outcomes(SCRIPT, XLA_FLAGS=flags(devices))[check]
    assert not failure, failure


def test_two_processes_draw_only_their_shards_of_the_same_values():
    for printed in child_checks.together(PROCESS, 2, XLA_FLAGS=flags(2)):
        assert "every shard is right" in printed


def test_the_example_gives_the_same_weights_in_one_process_and_in_two():
    script = PROCESS.parents[2] / "benchmarks" / "sharded_jax.py"
    environment = child_checks.environment(XLA_FLAGS=flags(4))
    alone = subprocess.run(
        [sys.executable, script], env=environment, capture_output=True, text=True, timeout=120
    )
    assert alone.returncode == 0, alone.stderr[-5000:]
    lines = [alone.stdout, *child_checks.together(script, 2, XLA_FLAGS=flags(2))]
    drawn, digests = zip(
        *[re.search(r"drew (\d+) values; all weights: (\w{16})", line).groups() for line in lines],
        strict=True,
    )
    assert [int(values) for values in drawn] == [3 * 128 * 128, 3 * 128 * 64, 3 * 128 * 64]
    assert len(set(digests)) == 1
