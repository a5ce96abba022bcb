"""fastinit.typing against the code: every literal is what the code accepts; nothing is loaded."""

import subprocess
import sys
from typing import get_args

import numpy as np
import pytest

import fastinit as fi
import fastinit.typing as types
from fastinit._core.dtypes import DTYPES


def test_the_dtype_names_are_those_that_the_library_fills():
    assert set(get_args(types.DtypeName)) == set(DTYPES)


@pytest.mark.parametrize("mode", get_args(types.Mode))
@pytest.mark.parametrize("distribution", get_args(types.Distribution))
def test_every_mode_and_distribution_draws(mode, distribution):
    drawn = fi.variance_scaling((2, 3), seed=0, mode=mode, distribution=distribution)
    assert np.isfinite(drawn).all()


@pytest.mark.parametrize(
    ("alias", "argument", "function", "shape"),
    [
        ("Mode", "mode", "variance_scaling", (2, 3)),
        ("Distribution", "distribution", "variance_scaling", (2, 3)),
        ("Layout", "layout", "dirac", (2, 2, 3)),
        ("Bounds", "bounds", "truncated_normal", 3),
    ],
)
def test_a_literal_names_all_that_the_message_of_a_wrong_one_names(
    alias, argument, function, shape
):
    with pytest.raises(ValueError) as error:
        getattr(fi, function)(shape, **{argument: "bogus"})
    message = str(error.value)
    for known in get_args(getattr(types, alias)):
        assert repr(known) in message or known in message
        getattr(fi, function)(shape, **{argument: known})


def test_every_exported_name_is_there():
    assert sorted(types.__all__) == types.__all__
    assert all(hasattr(types, name) for name in types.__all__)


def test_the_types_load_nothing_that_numpy_has_not_loaded():
    code = (
        "import __future__, numpy, pkgutil, runpy, sys; before = set(sys.modules); "
        f"runpy.run_path({types.__file__!r}); print(*set(sys.modules) - before)"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert loaded.stdout.split() == []
