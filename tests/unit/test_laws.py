"""Laws are what initializers draw, and groups of names are folded and taken apart again."""

import doctest
import math

import numpy as np
import pytest

import fastinit as fi
from fastinit import _laws
from fastinit._core.math import truncated_std

SHAPE = (96, 120)
CASES = {
    "constant": {"value": 0.1},
    "ones": {},
    "uniform": {"low": -0.3, "high": 0.1},
    "normal": {"mean": 0.5, "std": 0.02},
    "truncated_normal": {"mean": 0.1, "std": 0.3, "low": -0.2, "high": 0.9, "bounds": "absolute"},
    "he_normal": {"mode": "fan_out"},
    "xavier_uniform": {"gain": 2.0},
    "variance_scaling": {"distribution": "truncated_normal", "layout": "io"},
    "fan_in_uniform": {},
    "orthogonal": {"gain": 1.5},
    "sparse": {"sparsity": 0.9, "std": 0.5},
}


@pytest.mark.parametrize("name", CASES)
def test_a_law_has_the_mean_std_bounds_and_zeros_of_what_is_drawn(name):
    law = _laws.law("w", SHAPE, name, CASES[name])
    drawn = getattr(fi, name)(SHAPE, **CASES[name], seed=1, dtype="float64")
    assert abs(drawn.mean() - law.mean) <= 5 * law.std / math.sqrt(drawn.size)
    # 5 sigma of the std of a normal's std, of which every other law here has less, but sparse
    slack = 5 * (3 if name == "sparse" else 1) / math.sqrt(2 * drawn.size)
    assert abs(drawn.std() - law.std) <= slack * law.std + 1e-12
    for bound, end in ((law.low, drawn.min()), (law.high, drawn.max())):
        assert bound is None or abs(end - bound) <= 0.01 * (law.high - law.low)
    if law.zeros is not None:
        assert np.mean(drawn == 0) == pytest.approx(law.zeros, abs=1e-12)


def test_a_law_has_fans_only_where_they_matter():
    found = _laws.law("w", (8, 4), "he_normal", {})
    assert (found.fan_in, found.fan_out) == (4, 8)
    law = _laws.law("w", (8, 4), "normal", {"std": 0.1})
    assert law.fan_in is None and law.fan_out is None


def test_every_initializer_has_a_law_or_its_own_name():
    shapes = {"delta_orthogonal": (4, 4, 3), "convolutional_orthogonal": (4, 4, 3)}
    shapes |= {"dirac": (4, 4, 3), "bilinear": (2, 2, 3, 3), "icnr": (8, 2, 3, 3)}
    own = {"icnr": {"upscale": 2}, "chrono_bias": {"t_max": 9}, "sparse": {"sparsity": 0.5}}
    own |= {"lstm_bias": {}, "siren": {}, "wang_init": {"layers": 3}}
    seen = set()
    for name, function in fi._table.INITIALIZERS.items():
        required = {
            key
            for key, value in fi._table.own_parameters(function).items()
            if value is fi._table.REQUIRED
        }
        if name == "pretrained" or required - own.get(name, {}).keys():
            continue
        shape = shapes.get(name, (8,) if name.endswith("_bias") else (8, 4))
        try:
            law = _laws.law("w", shape, name, own.get(name, {}))
        except (ValueError, TypeError) as error:  # a shape that is not for it
            raise AssertionError(f"{name}: {error}") from None
        assert law.law in (name, "constant", "uniform", "normal", "truncated_normal")
        seen.add(name)
    assert len(seen) > 25


@pytest.mark.parametrize("ends", [(-2.0, 2.0), (-1.0, 3.0), (4.0, 5.0), (-math.inf, 0.5), (-9, -6)])
def test_moments_of_a_truncated_normal_are_the_exact_ones(ends):
    _, std, kurtosis = _laws.truncated_moments(*ends)
    assert std == pytest.approx(truncated_std(*ends), rel=1e-9)
    assert kurtosis > 1.0


def test_bounds_a_hundred_sigma_away_are_noted():
    own = {"std": 0.02, "low": -2.0, "high": 2.0, "bounds": "absolute"}
    law = _laws.law("w", (4,), "truncated_normal", own)
    assert "100 sigma away" in law.note and "nothing is truncated" in law.note
    assert law.std == pytest.approx(0.02)
    assert not _laws.law("w", (4,), "truncated_normal", {"std": 0.02}).note


def law(name, std=0.02):
    return _laws.law(name, (4, 4), "normal", {"std": std})


def test_folding_keeps_every_name_once_and_every_law():
    laws = [law(f"h.{i}.mlp.{j}.w", 0.02 if i != 3 else 0.5) for i in range(12) for j in range(8)]
    laws += [law("h.007.w"), law("a{b}.w"), law("h.1.w"), law("1.0"), law("h.0.w1")]
    groups = _laws.fold(laws)
    apart = {name: group for group in groups for name in _laws.names(group.name)}
    assert len(apart) == sum(group.tensors for group in groups) == len(laws)
    for one in laws:
        assert apart[one.name]._replace(name=one.name, tensors=1) == one
    names = [group.name for group in groups]
    assert "h.{0..2,4..11}.mlp.{0..7}.w" in names and "h.3.mlp.{0..7}.w" in names
    assert "a{{b}}.w" in names and "h.007.w" in names


def test_folding_does_not_depend_on_the_order():
    laws = [law(f"h.{i}.w", i % 3 + 1.0) for i in range(20)]
    assert _laws.fold(laws) == _laws.fold(laws[::-1])


@pytest.mark.parametrize("pattern", ["a{", "a{}", "a{x}", "a{1..}", "a}b"])
def test_patterns_with_stray_braces_are_refused(pattern):
    with pytest.raises(ValueError, match="a literal brace twice"):
        list(_laws.names(pattern))


def test_patterns_of_too_many_names_are_refused():
    for pattern in ("{0..9999}.{0..9999}", "{0..99999999999}"):
        with pytest.raises(ValueError, match="1000000"):
            list(_laws.names(pattern))


def test_names_are_sorted_by_the_value_of_their_numbers():
    assert sorted(["h.10", "h.9", "a.2", "h"], key=_laws.natural) == ["a.2", "h", "h.9", "h.10"]


def test_the_examples_print_what_they_say():
    assert doctest.testmod(_laws).failed == 0


def test_saved_names_are_kept_as_patterns_and_found_again():
    one = _laws.law("h.3.experts.up", (2, 4, 4), "he_normal", {})
    saved = {f"old.3.expert.{n}.{half}": (2, 4) for n in range(2) for half in ("a", "b")}
    kept = _laws.with_saved(one, saved)
    assert kept.saved == (("old.{}.expert.{0,1}.a", (2, 4)), ("old.{}.expert.{0,1}.b", (2, 4)))
    assert _laws.saved_as(kept) == saved
    other = _laws.with_saved(
        one._replace(name="h.4.experts.up"),
        {name.replace(".3.", ".4."): shape for name, shape in saved.items()},
    )
    (group,) = _laws.fold([kept, other])
    assert group.name == "h.{3,4}.experts.up" and group.saved == kept.saved
    plain = _laws.with_saved(one, {"other.7.w": (2, 4, 4)})
    assert plain.saved == (("other.7.w", (2, 4, 4)),) and _laws.saved_as(plain) == {
        "other.7.w": (2, 4, 4)
    }


def test_laws_print_as_a_table():
    laws = [_laws.law(f"h.{n}.w", (4, 4), "normal", {"std": 0.5}) for n in range(3)]
    assert repr(_laws.fold([*laws, _laws.unknown("x", (2,), "no code says")])).splitlines() == [
        "tensor      tensors  shape   law",
        "h.{0..2}.w        3  (4, 4)  normal, mean 0, std 0.5",
        "x                 1  (2,)    no code says",
        "4 tensors, 2 laws",
    ]
