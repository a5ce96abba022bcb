"""Tests of this folder run in a folder of their own.

In the clone, the README's first command has left a folder gpt2, which a command takes for the
preset of that name.
"""

import pytest


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
