"""Python that is started in a clone imports the clone's package, which has no compiled engine.  It
says so, because the installed package would be 100 times faster.
"""

import shutil
from pathlib import Path

import pytest
from children import python

import fastinit

CODE = "import fastinit as fi; print(fi.info()['engine'])"


@pytest.fixture
def clone(tmp_path):
    """The package without its compiled engine, and the engine's source beside it."""
    ignored = shutil.ignore_patterns("*.so", "*.pyd", "__pycache__")
    shutil.copytree(Path(fastinit.__file__).parent, tmp_path / "fastinit", ignore=ignored)
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "_native.pyx").touch()
    return tmp_path


def test_importing_a_source_tree_that_is_not_compiled_warns(clone):
    run = python(CODE, PYTHONPATH=str(clone))
    assert run.stdout == "reference\n"
    assert run.stderr.count("RuntimeWarning") == 1
    for part in (str(clone), "100 times slower", "-P", "pip install -e ."):
        assert part in run.stderr


def test_a_reference_engine_that_was_requested_does_not_warn(clone):
    run = python(CODE, PYTHONPATH=str(clone), FASTINIT_ENGINE="reference")
    assert (run.stdout, run.stderr) == ("reference\n", "")


def test_an_installed_package_without_compiled_engine_does_not_warn(clone):
    shutil.rmtree(clone / "src")
    run = python(CODE, PYTHONPATH=str(clone))
    assert (run.stdout, run.stderr) == ("reference\n", "")


@pytest.mark.native
def test_the_installed_package_does_not_warn():
    run = python(CODE)
    assert (run.stdout, run.stderr) == ("native\n", "")
