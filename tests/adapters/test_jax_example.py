"""benchmarks/sharded_jax.py, the README's example: the same weights in one process and in two."""

import re
import sys
from pathlib import Path

import pytest
from child_processes import devices, environment, free_address, side_by_side

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "sharded_jax.py"


@pytest.mark.frameworks
def test_the_example_gives_the_same_weights_in_one_process_and_in_two(tmp_path):
    environ, two = environment(**devices(4)), environment(**devices(2))
    ended = side_by_side([[sys.executable, SCRIPT]], [environ], tmp_path, 120)
    address = free_address()
    ranks = [[sys.executable, SCRIPT, address, "2", str(number)] for number in range(2)]
    ended += side_by_side(ranks, [two, two], tmp_path, 120)
    assert [status for status, _ in ended] == [0, 0, 0], ended
    drawn, digests = zip(
        *[
            re.search(r"drew (\d+) values; all weights: (\w{16})", output).groups()
            for _, output in ended
        ],
        strict=True,
    )
    assert [int(values) for values in drawn] == [3 * 128 * 128, 3 * 128 * 64, 3 * 128 * 64]
    assert len(set(digests)) == 1
