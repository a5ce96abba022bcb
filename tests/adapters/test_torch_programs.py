"""Random programs of initialization code have the same values on real memory and from meta."""

import pytest
from initialization_programs import compare, count

from fastinit.torch import _prove


@pytest.mark.parametrize("first", range(0, 300, 50))
def test_programs_have_the_values_of_plain_runs_or_are_refused(first):
    ends = count(range(first, first + 50))
    assert set(ends) <= {"equal", "refused", "the build fails"} and sum(ends.values()) == 100
    assert ends["equal"] >= 90  # most of them are to be followed


@pytest.mark.parametrize("wrong", ["scales", "places", "copies"])
def test_wrong_proofs_are_found(monkeypatch, wrong):
    if wrong == "scales":
        monkeypatch.setattr(_prove, "_affine", lambda name, own, factor, shift: (name, own))
    elif wrong == "places":
        right = _prove.view_of
        monkeypatch.setattr(
            _prove, "view_of", lambda part, base, *more: right(part._replace(offset=0), base, *more)
        )
    else:
        monkeypatch.setattr(_prove, "_copy", lambda known, into, source: None)
    with pytest.raises(AssertionError):
        for seed in range(100):
            compare(seed, "construction")
