"""The emulated GPU, built once for all tests of this folder."""

import emulated
import pytest


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items):
    for item in items:
        if {"library", "contracted"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.xdist_group("emulated_gpu"))  # one worker builds it
            if emulated.COMPILER is None:
                item.add_marker(pytest.mark.skip(reason="no C compiler for the emulated GPU"))


@pytest.fixture(scope="session")
def library(tmp_path_factory):
    return emulated.build(tmp_path_factory.mktemp("kernels"))


@pytest.fixture(scope="session")
def contracted(tmp_path_factory):
    """The kernels built so that products and sums may be fused: the mutant of all equalities."""
    options = ["-ffp-contract=fast"]
    if emulated.FUSES:
        options.append("-mfma")
    return emulated.build(tmp_path_factory.mktemp("contracted"), *options)


@pytest.fixture
def driver(monkeypatch, library):
    """A GPU with no kernel loaded yet."""
    return emulated.install(monkeypatch, library)
