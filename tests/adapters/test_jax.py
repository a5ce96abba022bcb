"""fastinit.jax on one device, with 64 bits off and on; what is checked stands in jax_checks.py.
Meshes: test_jax_sharding.py.
"""

import subprocess
import sys
from pathlib import Path

import child_checks
import pytest

pytestmark = pytest.mark.frameworks
SCRIPT = Path(__file__).with_name("jax_checks.py")
TRACED = [
    "check_jit_draws_what_an_eager_call_draws",
    "check_subnormals_survive_xlas_threads",
    "check_vmap_draws_what_each_key_draws",
    "check_many_callbacks_in_one_program_do_not_hang",
    "check_flax_linen_draws_the_same_eagerly_in_jit_and_in_a_scan",
]


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("check", child_checks.names(SCRIPT))
def test_with_jax(check, bits):
    failure = child_checks.outcomes(SCRIPT, JAX_ENABLE_X64=str(bits // 64))[check]
    assert not failure, failure


@pytest.mark.parametrize("check", TRACED)
def test_with_the_reference_engine(check):
    """XLA's threads flush subnormals, and only the native engine can undo that."""
    failure = child_checks.outcomes(SCRIPT, *TRACED, FASTINIT_ENGINE="reference")[check]
    assert not failure, failure


def test_without_jax_the_adapter_says_what_to_install():
    code = "import sys; sys.modules['jax'] = None; import fastinit.jax"
    done = subprocess.run(
        [sys.executable, "-c", code], env=child_checks.environment(), capture_output=True, text=True
    )
    assert (
        done.returncode
        and "fastinit.jax needs JAX" in done.stderr
        and "pip install 'fastinit-weights[jax]'" in done.stderr
    )
