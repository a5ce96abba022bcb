"""A small spec in a file."""

import pytest
from specs import SPEC


@pytest.fixture
def spec(tmp_path):
    path = tmp_path / "model.toml"
    path.write_text(SPEC)
    return str(path)
