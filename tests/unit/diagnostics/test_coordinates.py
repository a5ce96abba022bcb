"""The report of a coordinate check: slopes, intervals and verdicts, from plain numbers."""

import json
import math

import pytest
from scipy import stats

from fastinit._core import tables
from fastinit.diagnostics.coordinates import Coordinate, CoordinateCheck, fit, judge

WIDTHS = (64, 128, 256, 512)


def check(*coordinates, expected=None, tolerance=0.2):
    slopes = judge(WIDTHS, coordinates, expected or {}, tolerance)
    steps = max(one.step for one in coordinates)
    return CoordinateCheck(WIDTHS, steps, 0, tolerance, coordinates, slopes)


def power(slope, module="a", step=0, output=False, noise=(0, 0, 0, 0)):
    sizes = [3 * w**slope * math.exp(n) for w, n in zip(WIDTHS, noise, strict=True)]
    return Coordinate(module, step, tuple(sizes), output)


@pytest.mark.parametrize("count", [3, 4, 5, 12, 13, 40])
def test_the_slope_and_its_interval_are_those_of_least_squares(count):
    widths = [2**k + 3 * k for k in range(5, 5 + count)]
    sizes = [w**0.3 * math.exp(0.1 * math.sin(w)) for w in widths]
    line = stats.linregress([math.log(w) for w in widths], [math.log(s) for s in sizes])
    reach = line.stderr * stats.t.ppf(0.975, count - 2)
    slope, low, high = fit(widths, sizes)
    assert slope == pytest.approx(line.slope, rel=1e-9)
    assert (high - slope, slope - low) == pytest.approx((reach, reach), rel=4e-3)


def test_sizes_that_are_all_zero_keep_their_size_and_others_have_no_slope():
    assert fit(WIDTHS, (0.0,) * 4) == (0.0, 0.0, 0.0)
    for bad in (0.0, math.inf, math.nan):
        assert all(map(math.isnan, fit(WIDTHS, (1.0, bad, 1.0, 1.0))))
        assert check(Coordinate("a", 0, (1.0, bad, 1.0, 1.0), False)).slopes[0].verdict == "fail"


@pytest.mark.parametrize(
    ("slope", "output", "noise", "verdict"),
    [
        (0.1, False, (0, 0, 0, 0), "pass"),
        (0.5, False, (0, 0, 0, 0), "fail"),
        (-0.5, False, (0, 0, 0, 0), "fail"),
        (-0.5, True, (0, 0, 0, 0), "pass"),  # muP's readout at the start
        (-1.0, True, (0, 0, 0, 0), "fail"),
        (0.5, True, (0, 0, 0, 0), "fail"),
        (0.4, False, (1, -1, -1, 1), "unclear"),
    ],
)
def test_a_verdict_needs_both_the_slope_and_its_interval(slope, output, noise, verdict):
    found = check(power(slope, output=output, noise=noise))
    assert found.slopes[0].verdict == verdict
    assert found.passed is bool(found) is (verdict == "pass")


def test_the_expected_slope_can_be_given_by_pattern():
    expected = {"head*": -1, "*": (0.3, 0.6)}
    found = check(power(-1, "head.up"), power(0.5, "a"), power(0, "b"), expected=expected)
    assert [slope.verdict for slope in found.slopes] == ["pass", "pass", "fail"]


def test_the_table_shows_the_worst_step_of_each_module():
    found = check(
        power(0, "", 0), power(0, "a", 0), power(0.1, "", 1), power(0.9, "a", 1), power(0, "", 2),
        power(0.5, "a", 2),
    )  # fmt: skip
    lines = [line.split() for line in str(found).splitlines()]
    assert ["(model)", "+0.00", "+0.10", "±", "0.00", "1", "0", "pass"] in lines
    assert ["a", "+0.00", "+0.90", "±", "0.00", "1", "0", "fail"] in lines
    assert "1 of 2 modules change with the width" in str(found)
    assert "<td>fail</td>" in found._repr_html_()
    unclear = check(power(0.4, noise=(1, -1, -1, 1)))
    assert "1 of 1 modules are unclear; give more widths" in str(unclear)
    assert "passed: all 1 modules keep their size" in str(check(power(0)))


def test_a_long_table_keeps_what_failed_and_fits_80_columns():
    many = [power(0, f"model.layers.{n}.self_attention.projection.weight") for n in range(60)]
    text = str(check(*many, power(2, "last")))
    assert text.count("pass") == 19 and "last" in text and "… and 41 more" in text
    assert max(map(len, text.splitlines())) <= 80


def test_the_numbers_are_plain_data():
    found = check(power(0), power(0.7, step=1))
    assert found.rows()[5] == {
        "module": "a", "step": 1, "width": 128, "size": found.coordinates[1].sizes[1]
    }  # fmt: skip
    data = json.loads(tables.as_json(found.as_dict()))
    assert data["passed"] is False and data["slopes"][1]["verdict"] == "fail"
    assert data["coordinates"][0]["sizes"] == list(found.coordinates[0].sizes)
