"""What the adapters share: the ways to name an initializer, and the error for a missing
framework.
"""

import functools
import os
import subprocess
import sys

import pytest

import fastinit as fi
from fastinit import _adapters


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("he_normal", ("he_normal", {})),
        ("kaiming_normal", ("he_normal", {})),
        (fi.normal, ("normal", {})),
        (0, ("constant", {"value": 0})),
        (-0.5, ("constant", {"value": -0.5})),
        (("normal", {"std": 2.0}), ("normal", {"std": 2.0})),
        ([fi.normal, {"std": 2.0}], ("normal", {"std": 2.0})),
        ({"initializer": "normal", "std": 2.0}, ("normal", {"std": 2.0})),
        (functools.partial(fi.normal, std=2.0), ("normal", {"std": 2.0})),
    ],
)
def test_an_initializer_may_be_given_in_several_ways(given, meant):
    assert _adapters.setting(given, "here") == meant


@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        ("norml", ValueError, "here: unknown initializer 'norml'; did you mean 'normal'"),
        (("normal", {"sd": 1}), TypeError, "here: normal has no argument 'sd'; did you mean 'std'"),
        (("normal", 1), TypeError, "here is .* a pair must be"),
        (("normal",), TypeError, "here is .* a pair must be"),
        ({"std": 1}, ValueError, "must have the key 'initializer'"),
        (functools.partial(fi.normal, (3,)), TypeError, "positional"),
        (print, TypeError, "here: .* not an initializer"),
        (True, TypeError, "here: True is not an initializer"),
        (None, TypeError, "here: None is not an initializer"),
    ],
)
def test_what_is_not_an_initializer_is_refused(given, error, text):
    with pytest.raises(error, match=text):
        _adapters.setting(given, "here")


@pytest.mark.parametrize(
    ("framework", "called"), [("torch", "PyTorch"), ("jax", "JAX"), ("keras", "Keras")]
)
def test_a_missing_framework_says_which_extra_to_install(framework, called):
    code = (
        f"import sys; sys.modules[{framework!r}] = None; import fastinit; import "
        f"fastinit.{framework}"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert f"ImportError: fastinit.{framework} needs {called}, " in done.stderr
    assert f"pip install 'fastinit-weights[{framework}]'" in done.stderr


@pytest.mark.frameworks
@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_the_error_for_a_missing_keras_backend_names_it_and_says_how_to_choose_another(
    backend, tmp_path
):
    code = f"import sys; sys.modules[{backend!r}] = None; import fastinit.keras"
    environ = {**os.environ, "KERAS_BACKEND": backend, "KERAS_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True)
    assert done.returncode == 1
    assert f"Keras is installed, but its backend {backend} cannot be imported (" in done.stderr
    assert "set the environment variable KERAS_BACKEND to one that is installed" in done.stderr
    assert "pip install" not in done.stderr


@pytest.mark.frameworks
def test_torch_is_imported_only_by_its_adapter_and_its_distributed_package_not_even_then():
    import torch  # noqa: F401

    code = (
        "import sys, fastinit; assert 'torch' not in sys.modules; import fastinit.torch; "
        "assert 'torch.distributed.tensor' not in sys.modules and 'transformers' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
