"""The helpers of the tests measure what they say."""

import sys
from pathlib import Path

import pytest
from children import PEAK, python

TESTS = Path(__file__).parents[1]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_childs_growth_is_its_own_however_large_its_parent_is():
    measure = "import children; print(children.growth('a = bytes(range(256)) * (200 << 12)')[0])"
    environment = {"PYTHONPATH": str(TESTS / "helpers")}
    large = f"import sys\nheld = bytes(range(256)) * (600 << 12)\n{measure}"
    for parent in (measure, large):
        grown = float(python(parent, **environment).stdout)
        assert 190 < grown < 260


def test_no_test_reads_the_peak_that_a_child_inherits():
    """ru_maxrss of a child starts at its parent's; children.growth measures its own."""
    here = Path(__file__).resolve()
    helper = TESTS / "helpers" / "children.py"
    readers = [
        path.relative_to(TESTS)
        for path in TESTS.rglob("*.py")
        if "ru_maxrss" in path.read_text("utf-8") and path.resolve() not in (here, helper)
    ]
    assert not readers
    assert "ru_maxrss" not in PEAK
