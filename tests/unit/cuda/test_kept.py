"""The file of machine code that is kept on disk: what is read again, and what is not trusted.

NVRTC is not called here; that it compiles is tested in test_compiled.py.
"""

import os

import pytest

from fastinit._cuda import program


@pytest.fixture(autouse=True)
def some_version(monkeypatch):
    monkeypatch.setattr(program, "version", lambda: (13, 0))


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-1],
        lambda data: b"",
        lambda data: data + b"x" * 9,
        lambda data: data[:99] + bytes([data[99] ^ 1]) + data[100:],
    ],
)
def test_a_damaged_file_is_compiled_anew(tmp_path, monkeypatch, damage):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(program, "build", lambda architecture, part: bytes([part]) * 100)
    built = program.machine_code("sm_90")
    (file,) = (tmp_path / "fastinit").iterdir()
    file.write_bytes(damage(file.read_bytes()))
    assert program.machine_code("sm_90") == built == program._unpack(file.read_bytes())


def test_a_folder_that_cannot_be_written_costs_only_the_compilation(tmp_path, monkeypatch):
    (tmp_path / "fastinit").write_text("a file, not a folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(program, "build", lambda architecture, part: bytes([part]))
    assert program.machine_code("sm_90") == [bytes([part]) for part in range(program.PARTS)]


@pytest.mark.parametrize("home", [True, False])
def test_a_relative_folder_and_a_user_without_a_home_keep_nothing(tmp_path, monkeypatch, home):
    def no_home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", "here")
    monkeypatch.setattr(program.Path, "home", (lambda: tmp_path / "home") if home else no_home)
    monkeypatch.setattr(program, "build", lambda architecture, part: bytes([part]))
    assert program.machine_code("sm_90") == [bytes([part]) for part in range(program.PARTS)]
    assert [path.name for path in tmp_path.iterdir()] == (["home"] if home else [])


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="no owners and modes of POSIX")
@pytest.mark.parametrize("whose", ["another user's", "everybody's"])
def test_a_file_that_another_user_may_have_written_is_not_loaded(tmp_path, monkeypatch, whose):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(program, "build", lambda architecture, part: b"evil")
    program.machine_code("sm_90")
    (file,) = (tmp_path / "fastinit").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    monkeypatch.setattr(program, "build", lambda architecture, part: b"good")
    assert program.machine_code("sm_90") == [b"evil"] * program.PARTS
    if whose == "everybody's":
        file.chmod(0o622)
    else:
        owner = os.stat(file).st_uid + 1
        status = os.stat_result((0o100600, 0, 0, 1, owner, owner, 9, 0, 0, 0))
        monkeypatch.setattr(program.os, "fstat", lambda handle: status)
    assert program.machine_code("sm_90") == [b"good"] * program.PARTS
