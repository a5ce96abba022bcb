"""Each test of this folder runs in an empty folder.

In a clone, the README's first command may have left a folder gpt2, which a command would then take
instead of the preset of that name.
"""

import pytest


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
