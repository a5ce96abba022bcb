"""A new file appears whole or not at all, whatever stops its writer."""

import errno
import os
import signal
import stat
import subprocess
import tempfile

import numpy as np
import pytest
from children import ENVIRONMENT, PYTHON

from fastinit._core import new_file
from fastinit._core.new_file import NewFile


@pytest.fixture(params=["unnamed", "named"])
def way(request, monkeypatch):
    """Both ways to hold a file back: without a name (Linux), and under a hidden one."""
    if request.param == "unnamed" and not hasattr(os, "O_TMPFILE"):
        pytest.skip("no O_TMPFILE on this system")
    if request.param == "named":
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    return request.param


def test_a_file_appears_at_commit(tmp_path, way):
    path = tmp_path / "x"
    with NewFile(path, 6) as file:
        file.write(3, b"def")
        assert not path.exists()
        assert len(list(tmp_path.iterdir())) == (way == "named")
        file.write(0, np.frombuffer(b"abc", np.uint8))
        file.commit()
    assert path.read_bytes() == b"abcdef"
    assert list(tmp_path.iterdir()) == [path]
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~_umask()


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path, way, force, error):
    path = tmp_path / "x"
    if force:
        path.write_bytes(b"old")
    with pytest.raises(error), NewFile(path, 6, force) as file:
        file.write(0, b"abc")
        raise error
    assert [entry.read_bytes() for entry in tmp_path.iterdir()] == ([b"old"] if force else [])


def test_without_commit_nothing_appears(tmp_path, way):
    with NewFile(tmp_path / "x", 3) as file:
        file.write(0, b"abc")
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_is_replaced_only_by_force_and_keeps_its_permissions(tmp_path, way):
    path = tmp_path / "x"
    path.write_bytes(b"old")
    path.chmod(0o640)
    with pytest.raises(FileExistsError, match="--force"):
        NewFile(path, 3)
    with NewFile(path, 3, force=True) as file:
        file.write(0, b"new")
        assert path.read_bytes() == b"old"
        file.commit()
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_appears_meanwhile_is_never_overwritten(tmp_path, way):
    path = tmp_path / "x"
    with pytest.raises(FileExistsError, match="appeared while"), NewFile(path, 3) as file:
        file.write(0, b"abc")
        path.write_bytes(b"theirs")
        file.commit()
    assert path.read_bytes() == b"theirs"
    assert list(tmp_path.iterdir()) == [path]


def test_without_hard_links_the_name_is_taken_first(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "O_TMPFILE", raising=False)

    def refuse(*_, **__):
        raise OSError(errno.EPERM, "no hard links here")

    monkeypatch.setattr(os, "link", refuse)
    path = tmp_path / "x"
    with NewFile(path, 3) as file:
        file.write(0, b"abc")
        file.commit()
    assert path.read_bytes() == b"abc"
    with pytest.raises(FileExistsError), NewFile(tmp_path / "y", 3) as file:
        (tmp_path / "y").write_bytes(b"theirs")
        file.commit()
    assert sorted(entry.read_bytes() for entry in tmp_path.iterdir()) == [b"abc", b"theirs"]


def test_without_pwrite_and_fallocate_the_file_is_the_same(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "pwrite", raising=False)
    monkeypatch.delattr(os, "posix_fallocate", raising=False)
    with NewFile(tmp_path / "x", 6) as file:
        file.write(3, b"def")
        file.write(0, b"abc")
        file.commit()
    assert (tmp_path / "x").read_bytes() == b"abcdef"


def test_a_file_is_written_where_space_cannot_be_reserved(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EOPNOTSUPP, "cannot")

    monkeypatch.setattr(os, "posix_fallocate", refuse, raising=False)
    with NewFile(tmp_path / "x", 6) as file:
        file.write(0, b"abc")
        file.commit()
    assert (tmp_path / "x").read_bytes() == b"abc\0\0\0"


@pytest.mark.skipif(not hasattr(os, "pwrite"), reason="pwrite is patched")
def test_short_writes_are_continued(tmp_path, monkeypatch):
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda file, data, offset: real(file, data[:2], offset))
    with NewFile(tmp_path / "x", 7) as file:
        file.write(0, b"abcdefg")
        file.commit()
    assert (tmp_path / "x").read_bytes() == b"abcdefg"


@pytest.mark.skipif(not hasattr(os, "O_DIRECT"), reason="no writes past the cache")
@pytest.mark.parametrize("refused", [False, True])
def test_writes_past_the_cache_give_the_same_bytes(tmp_path, monkeypatch, refused):
    size = (1 << 20) + 77
    content = np.random.default_rng(0).integers(0, 256, size, np.uint8)
    page = new_file.PAGE
    memory = np.empty(size + 2 * page, np.uint8)
    start = -memory.ctypes.data % page
    direct, real = 0, os.pwrite

    def pwrite(file, data, offset):
        nonlocal direct
        if file == new._direct:
            direct += len(data)
            if refused:  # as a file system does that allows the flag and not the write
                raise OSError(errno.EINVAL, "refused")
        return real(file, data, offset)

    monkeypatch.setattr(os, "pwrite", pwrite)
    for shift in (0, 5):  # memory that has the file's place in a page, and memory that has not
        with NewFile(tmp_path / "x", size, force=True) as new:
            can = new.waits
            for begin, end in ((0, 200_001), (200_001, 900_000), (900_000, size)):
                place = start + begin % page + shift
                part = memory[place : place + end - begin]
                part[:] = content[begin:end]
                new.write(begin, part)
            new.commit()
        assert (tmp_path / "x").read_bytes() == content.tobytes()
    assert (direct > 900_000) == can


@pytest.mark.parametrize("step", ["posix_fallocate", "pwrite", "fsync", "link"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
def test_a_system_error_names_the_users_path_and_leaves_nothing(
    tmp_path, way, monkeypatch, step, number
):
    def fail(*_, **__):
        raise OSError(number, "injected", "some temporary name")

    if step == "link" and way == "named":
        step = "replace"  # with force, what publishes a named file
    (tmp_path / "x").write_bytes(b"old")
    monkeypatch.setattr(os, step, fail)
    with pytest.raises(OSError) as caught, NewFile(tmp_path / "x", 3, force=True) as file:
        file.write(0, b"abc")
        file.commit()
    assert caught.value.errno == number
    assert caught.value.filename == str(tmp_path / "x")
    assert [entry.read_bytes() for entry in tmp_path.iterdir()] == [b"old"]


def test_a_symbolic_link_is_followed(tmp_path, way):
    real, link = tmp_path / "real", tmp_path / "link"
    real.mkdir()
    link.symlink_to(real / "x")  # to nothing yet
    for content, force in ((b"one", False), (b"two", True)):
        with NewFile(link, 3, force) as file:
            file.write(0, content)
            file.commit()
        assert link.is_symlink()
        assert (real / "x").read_bytes() == content


@pytest.mark.parametrize("force", [False, True])
def test_targets_that_are_not_regular_files_are_refused(tmp_path, force):
    (tmp_path / "file").write_bytes(b"")
    os.mkfifo(tmp_path / "pipe")
    for path, kind in (
        (tmp_path, IsADirectoryError),
        (tmp_path / "no" / "x", FileNotFoundError),
        (tmp_path / "file" / "x", NotADirectoryError),
        (tmp_path / "pipe", OSError),
        ("/dev/null", OSError),
        ("", OSError),
        (tmp_path / ("x" * 300), OSError),
    ):
        with pytest.raises(kind):
            NewFile(path, 3, force).__enter__()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file", "pipe"]


# ------------------------------------------------------------------------------- what a kill leaves

WRITER = """
import os, signal, sys
from fastinit._core.new_file import NewFile
way, path, moment = sys.argv[1:]
if way == "named":
    del os.O_TMPFILE
def stop(*_, **__):
    if moment == "wait":
        print("ready", flush=True)
        sys.stdin.read()
        sys.exit()
    os.kill(os.getpid(), signal.SIGKILL)
if moment == "write":
    NewFile.write = stop
else:
    os.replace = stop
with NewFile(path, 3, force=True) as file:
    file.write(0, b"new")
    file.commit()
"""


def writer(way, path, moment, **pipes):
    command = [*PYTHON, "-c", WRITER, way, str(path), moment]
    return subprocess.Popen(command, env=ENVIRONMENT, text=True, **pipes)


linux_only = pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="no O_TMPFILE here")


@linux_only
@pytest.mark.parametrize(
    ("how", "moment"), [("unnamed", "replace"), ("named", "write"), ("named", "replace")]
)
def test_what_a_killed_writer_leaves_is_removed_by_the_next_writer(tmp_path, how, moment):
    path = tmp_path / "x"
    path.write_bytes(b"old")
    others = [".x.0123.tmp", ".xy.0123456789abcdef.tmp", "x.0123456789abcdef.tmp"]
    for name in others:
        (tmp_path / name).write_bytes(b"not ours")
    assert writer(how, path, moment).wait(60) == -signal.SIGKILL
    left = {entry.name for entry in tmp_path.iterdir()} - {"x", *others}
    assert len(left) == 1  # or this test would test nothing
    assert path.read_bytes() == b"old"
    with NewFile(path, 3, force=True) as file:
        assert not {entry.name for entry in tmp_path.iterdir()} & left
        file.write(0, b"new")
        file.commit()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == sorted(["x", *others])


@linux_only
@pytest.mark.parametrize("how", ["unnamed", "named"])
def test_the_temporary_of_a_living_writer_is_left_in_place(tmp_path, how):
    path = tmp_path / "x"
    process = writer(how, path, "wait", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout.readline() == "ready\n"
    before = list(tmp_path.iterdir())
    assert len(before) == 1
    with NewFile(path, 3) as file:
        file.write(0, b"abc")
        file.commit()
    assert sorted(tmp_path.iterdir()) == sorted([*before, path])
    process.communicate("", timeout=60)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("refusal", [errno.EPERM, errno.EXDEV, errno.EACCES, errno.ENOENT])
@pytest.mark.parametrize("force", [False, True])
def test_a_file_is_named_from_the_start_where_it_could_not_be_named_later(
    tmp_path, monkeypatch, refusal, force
):
    real = os.link

    def link(source, *rest, **options):
        if str(source).startswith("/proc/"):
            raise OSError(refusal, "injected")
        return real(source, *rest, **options)

    monkeypatch.setattr(os, "link", link)
    path = tmp_path / "x"
    with NewFile(path, 3, force) as file:
        assert len(list(tmp_path.iterdir())) == 1  # the named way
        file.write(0, b"abc")
        file.commit()
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == b"abc"


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("name", ["漢" * 80, "x" * 255, "é" * 127, b"\xff" * 200])
def test_a_name_may_be_as_long_as_the_file_system_allows(tmp_path, way, name, force):
    path = os.path.join(os.fsencode(tmp_path), os.fsencode(name))
    for content in (b"one", b"two") if force else (b"one",):
        with NewFile(path, 3, force) as file:
            file.write(0, content)
            file.commit()
    assert os.listdir(tmp_path) == [os.fsdecode(name)]
    with open(path, "rb") as file:
        assert file.read() == content


@pytest.mark.skipif(os.name != "posix", reason="folders are synced on POSIX")
@pytest.mark.parametrize("force", [False, True])
def test_a_folder_that_cannot_be_synced_is_reported_as_such(tmp_path, way, monkeypatch, force):
    real = os.fsync

    def fsync(file):
        if stat.S_ISDIR(os.fstat(file).st_mode):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(file)

    monkeypatch.setattr(os, "fsync", fsync)
    path = tmp_path / "x"
    expected = pytest.raises(OSError, match="is written and in place.*power")
    with expected as caught, NewFile(path, 3, force) as file:
        file.write(0, b"abc")
        file.commit()
    assert (caught.value.errno, caught.value.filename) == (errno.EIO, str(path))
    assert path.read_bytes() == b"abc"
    assert list(tmp_path.iterdir()) == [path]


def test_room_in_memory_is_asked_for_and_not_reserved(tmp_path, monkeypatch):
    """To reserve the pages of a tmpfs takes as long as to write them."""

    def reserve(*_):
        raise AssertionError("reserved")

    monkeypatch.setattr(new_file, "_is_memory", lambda _: True)
    monkeypatch.setattr(os, "posix_fallocate", reserve, raising=False)
    with NewFile(tmp_path / "x", 100) as new:
        new.write(0, bytes(100))
        new.commit()
    assert (tmp_path / "x").read_bytes() == bytes(100)
    monkeypatch.setattr(new_file, "free", lambda _: 99)
    with pytest.raises(OSError, match="No space left.*: 100 bytes are needed, 99 are free"):
        NewFile(tmp_path / "y", 100).__enter__()
    assert os.listdir(tmp_path) == ["x"]


@pytest.mark.skipif(not os.path.ismount("/dev/shm"), reason="no /dev/shm")
def test_a_file_of_a_tmpfs_lies_in_memory_and_one_of_proc_does_not():
    with tempfile.TemporaryFile(dir="/dev/shm") as file:
        assert new_file._is_memory(file.fileno())
    with open("/proc/self/stat", "rb") as file:
        assert not new_file._is_memory(file.fileno())


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="no /proc here")
@pytest.mark.parametrize("force", [False, True])
def test_an_interrupt_at_any_opening_or_closing_leaves_no_file_open(
    tmp_path, way, monkeypatch, force
):
    """The number of an open file was lost between the system's call and the line that keeps it."""
    path = tmp_path / "x"
    calls, stop = [], [0]

    def interrupted(real):
        def call(*arguments, **named):
            result = real(*arguments, **named)
            calls.append(real)
            if len(calls) == stop[0]:
                signal.raise_signal(signal.SIGINT)
            return result

        return call

    monkeypatch.setattr(os, "open", interrupted(os.open))
    monkeypatch.setattr(os, "close", interrupted(os.close))
    before = len(os.listdir("/proc/self/fd"))
    while len(calls) >= stop[0]:  # until a whole run has no call that far
        stop[0] += 1
        calls.clear()
        path.unlink(missing_ok=True)
        try:
            with NewFile(path, 3, force) as file:
                file.write(0, b"abc")
                file.commit()
        except KeyboardInterrupt:
            assert len(calls) >= stop[0]
        assert len(os.listdir("/proc/self/fd")) == before, stop
        assert {one.name for one in tmp_path.iterdir()} <= {"x"}
        assert not path.exists() or path.read_bytes() == b"abc"
    assert path.read_bytes() == b"abc" and stop[0] > 4
