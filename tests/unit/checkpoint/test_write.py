"""Folders: only whole files, and the index last, whatever stops the writer; resuming with what is
there; and ranks that do not communicate.
"""

import contextlib
import errno
import importlib
import json
import os
import subprocess
import sys
import threading

import pytest

import fastinit as fi
from fastinit import checkpoint
from fastinit._core import safetensors
from fastinit._core.new_file import NewFile
from fastinit.checkpoint import write as checkpoint_write

SPEC = {
    "config": {"model_type": "none"},
    "tensors": {
        "a": [40, 10],
        "b": [400],
        "square": {"shape": [20, 20], "initializer": "orthogonal"},
        "d": {"shape": [99], "dtype": "bfloat16"},
    },
    "rules": [{"match": "*", "initializer": "normal"}],
}
SHARD = 1600
INDEX = "model.safetensors.index.json"


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def write(folder, spec=SPEC, seed=0, **options):
    options = {"shard_size": SHARD, "threads": 1, **options}
    return checkpoint.materialize(spec, f"{folder}{os.sep}", seed=seed, **options)


@pytest.fixture
def whole(tmp_path):
    """What a folder has when nothing goes wrong."""
    with contextlib.suppress(ImportError):
        # Imported while a call of the system is replaced, numba would fail in ways of its own.
        importlib.import_module("fastinit._orthogonal.compiled")
    write(tmp_path / "whole")
    return contents(tmp_path / "whole")


def test_a_folder_has_shards_their_index_and_the_config(tmp_path, whole):
    plan = checkpoint.plan(SPEC, 0, shard_size=SHARD)
    assert set(whole) == {file.name for file in plan.files} | {INDEX, "config.json"}
    assert len(plan.files) == 4
    assert json.loads(whole["config.json"]) == {"model_type": "none", "torch_dtype": "float32"}
    assert checkpoint.verify(tmp_path / "whole")


@pytest.mark.frameworks
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("shard_size", [None, 200_000])
def test_from_pretrained_loads_the_folder_as_it_is_written(tmp_path, shard_size):
    import torch
    import transformers

    text = checkpoint.preset("gpt2").replace("width = 768", "width = 128")
    spec = tmp_path / "small.toml"
    spec.write_text(text.replace("layers = 12", "layers = 2").replace("50257", "300"))
    folder = tmp_path / "model"
    report = checkpoint.materialize(
        spec, f"{folder}{os.sep}", seed=3, dtype="bfloat16", shard_size=shard_size
    )
    assert (INDEX in report.written) == (shard_size is not None)
    for auto in (transformers.AutoModelForCausalLM, transformers.GPT2LMHeadModel):
        model, told = auto.from_pretrained(folder, output_loading_info=True)
        for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
            assert not told[kind]
        assert model.config.n_embd == 128 and model.config.n_head == 2
        assert model.dtype == torch.bfloat16
        name = "transformer.h.1.attn.c_attn.weight"
        ours = fi.normal((128, 384), std=0.02, seed=3, name=name)
        assert torch.equal(model.state_dict()[name], torch.from_numpy(ours).to(torch.bfloat16))


def test_one_file_in_a_folder_is_the_file_alone(tmp_path):
    write(tmp_path / "x", shard_size=None)
    checkpoint.materialize(SPEC, tmp_path / "y.safetensors", seed=0)
    assert set(contents(tmp_path / "x")) == {"model.safetensors", "config.json"}
    there = contents(tmp_path / "x")["model.safetensors"]
    assert there == (tmp_path / "y.safetensors").read_bytes()


# ---------------------------------------------------------------------------- what is there already


def test_existing_files_are_refused_kept_or_replaced(tmp_path, whole):
    folder = tmp_path / "whole"
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    with pytest.raises(FileExistsError, match="--resume.*--force"):
        write(folder)
    report = write(folder, resume=True)
    assert report.written == ()
    assert set(report.kept) == set(whole)
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    report = write(folder, force=True)
    assert len(report.written) == 5  # the config is as it was
    assert contents(folder) == whole


@pytest.mark.parametrize("left", range(6))
def test_resume_writes_what_is_missing_and_ends_with_the_same_bytes(tmp_path, whole, left):
    folder = tmp_path / "x"
    folder.mkdir()
    order = [*sorted(name for name in whole if name not in (INDEX, "config.json"))]
    order += ["config.json", INDEX]
    for name in order[:left]:
        (folder / name).write_bytes(whole[name])
    told = []
    report = write(folder, resume=True, progress=told.append)
    assert set(report.kept) == set(order[:left])
    assert set(report.written) == set(order[left:])
    assert contents(folder) == whole
    assert sum(told) == report.size
    assert write(folder, seed=None, resume=True).seed == 0


def test_resume_takes_the_seed_of_what_is_there(tmp_path):
    first = write(tmp_path / "x", seed=None)
    (tmp_path / "x" / INDEX).unlink()
    (tmp_path / "x" / "model-00002-of-00004.safetensors").unlink()
    again = write(tmp_path / "x", seed=None, resume=True)
    assert again.seed == first.seed
    assert len(again.written) == 2
    assert checkpoint.verify(tmp_path / "x")
    path = tmp_path / "one.safetensors"
    seed = checkpoint.materialize(SPEC, path).seed
    report = checkpoint.materialize(SPEC, path, resume=True)
    assert (report.seed, report.kept, report.written) == (seed, ("one.safetensors",), ())
    path.unlink()
    assert checkpoint.materialize(SPEC, path, resume=True).written == ("one.safetensors",)


OTHER = {**SPEC, "rules": [{"match": "*", "initializer": "normal", "std": 0.5}]}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"seed": 1}, ("made with seed '0', and this call has 1",)),
        ({"dtype": "float64"}, ("float32 (40, 10)", "float64 (40, 10)")),
        ({"spec": OTHER}, ("another plan (digest ", "and this call's is ")),
    ],
)
@pytest.mark.parametrize("shard_size", [SHARD, None])
def test_resume_with_another_job_is_refused_and_names_both(tmp_path, options, words, shard_size):
    folder = tmp_path / "x"
    write(folder, shard_size=shard_size)
    before = contents(folder)
    if shard_size is None and "spec" in options:
        words = ("another plan",)
    if "dtype" in options:
        (folder / "config.json").unlink()  # which says the dtype too, and is refused first
        del before["config.json"]
    with pytest.raises(FileExistsError) as caught:
        write(folder, **{"resume": True, "shard_size": shard_size, **options})
    assert all(word in str(caught.value) for word in words), caught.value
    assert contents(folder) == before
    if "dtype" not in options:
        write(folder, **{"resume": True, "force": True, "shard_size": shard_size, **options})
        spec, seed = options.get("spec", SPEC), options.get("seed", 0)
        assert checkpoint.verify(folder, spec, seed=seed)


def test_resume_with_another_stream_version_is_refused_and_names_both(tmp_path, whole):
    folder = tmp_path / "whole"
    name = "model-00001-of-00004.safetensors"
    old = whole[name].replace(b'stream_version":"1"', b'stream_version":"9"')
    assert old != whole[name]
    (folder / name).write_bytes(old)
    with pytest.raises(FileExistsError, match="made with stream version '9', and this call has 1"):
        write(folder, resume=True)


@pytest.mark.parametrize("shard_size", [SHARD, None])
def test_resume_finds_a_flipped_bit_and_replaces_only_by_force(tmp_path, shard_size):
    folder = tmp_path / "x"
    write(folder, shard_size=shard_size)
    good = contents(folder)
    name = sorted(name for name in good if name.endswith(".safetensors"))[0]
    bad = bytearray(good[name])
    bad[-5] ^= 4
    (folder / name).write_bytes(bad)
    with pytest.raises(FileExistsError, match=f"holds other bytes.*differ, first at.*{name}"):
        write(folder, resume=True, shard_size=shard_size)
    assert (folder / name).read_bytes() == bad
    report = write(folder, resume=True, force=True, shard_size=shard_size)
    assert name in report.written
    assert contents(folder) == good


@pytest.mark.parametrize(
    "name",
    [
        "model.safetensors",
        "model-00001-of-00009.safetensors",
        "pytorch_model.bin",
        "x.pt",
        "pytorch_model.bin.index.json",
    ],
)
@pytest.mark.parametrize("force", [False, True])
def test_a_folder_with_other_weights_is_refused(tmp_path, name, force):
    folder = tmp_path / "x"
    folder.mkdir()
    (folder / name).write_bytes(b"theirs")
    for resume in (False, True):
        with pytest.raises(FileExistsError, match="is not of this checkpoint"):
            write(folder, force=force, resume=resume)
    assert contents(folder) == {name: b"theirs"}


def test_other_files_are_left_in_place_and_another_config_only_by_force(tmp_path, whole):
    folder = tmp_path / "x"
    folder.mkdir()
    others = {"README.md": b"read", "tokenizer.json": b"{}", ".hidden": b"", "vocab.txt": b"a"}
    for name, content in others.items():
        (folder / name).write_bytes(content)
    (folder / "config.json").write_bytes(b"{}")
    with pytest.raises(FileExistsError, match="exists with other content"):
        write(folder)
    assert contents(folder) == others | {"config.json": b"{}"}
    write(folder, force=True)
    assert contents(folder) == others | whole


def test_an_old_index_is_gone_before_its_files_are_replaced(tmp_path, whole, monkeypatch):
    folder = tmp_path / "whole"
    seen = []
    real = NewFile.commit

    def commit(self):
        seen.append((folder / INDEX).exists())
        real(self)

    monkeypatch.setattr(NewFile, "commit", commit)
    drawn = []
    real_draw = checkpoint_write.draw_file

    def draw_file(*arguments, **options):
        drawn.append((folder / INDEX).exists())
        real_draw(*arguments, **options)

    monkeypatch.setattr(checkpoint_write, "draw_file", draw_file)
    write(folder, seed=1, force=True)
    assert drawn == [True] * 4  # while the new files are drawn the old checkpoint is whole
    assert seen == [False] * 5
    assert checkpoint.verify(folder, seed=1)
    # One file in place of shards is refused: the shards would be left beside it.
    with pytest.raises(FileExistsError, match="is not of this checkpoint"):
        write(folder, force=True, shard_size=None)


def test_so_many_files_that_they_cannot_be_open_at_once_are_refused_before_drawing(
    tmp_path, whole, monkeypatch
):
    resource = pytest.importorskip("resource")
    monkeypatch.setattr(resource, "getrlimit", lambda _: (53, 53))
    folder = tmp_path / "whole"
    with pytest.raises(OSError, match="4 files are to be replaced together.* may have 53 open"):
        write(folder, seed=1, force=True)
    assert contents(folder) == whole
    monkeypatch.setattr(resource, "getrlimit", lambda _: (54, 54))
    write(folder, seed=1, force=True)
    assert checkpoint.verify(folder, seed=1)


def test_a_target_that_is_no_folder_or_lies_in_none_is_refused(tmp_path):
    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(NotADirectoryError):
        write(tmp_path / "file")
    with pytest.raises(FileNotFoundError, match="no such folder"):
        write(tmp_path / "absent" / "x")
    with pytest.raises(ValueError, match="several files"):
        checkpoint.materialize(SPEC, tmp_path / "x.safetensors", shard_size=5)
    plan = checkpoint.plan(SPEC, 0, shard_size=SHARD)
    with pytest.raises(ValueError, match="the plan has 4 files"):
        checkpoint.materialize(plan, tmp_path / "x.safetensors")
    assert contents(tmp_path) == {"file": b"old"}


def test_without_room_nothing_is_written(tmp_path, monkeypatch):
    import shutil

    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 5, 5000))
    with pytest.raises(OSError, match=r"No space left on device: \d{4,} bytes are needed, 5000"):
        write(tmp_path / "x")
    assert contents(tmp_path) == {}  # nor the folder


# ------------------------------------------------------------------------------------------- faults

STEPS = [
    *("open", "link", "unlink", "replace", "pwrite", "fsync", "posix_fallocate", "preadv"),
    *("close", "mkdir", "listdir", "lstat", "fstat", "stat", "statvfs"),
]


@pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="the steps are Linux'")
@pytest.mark.parametrize("way", ["unnamed", "named"])
@pytest.mark.parametrize("force", [False, True])
def test_an_error_at_any_call_leaves_whole_files_and_resume_ends_with_the_same_bytes(
    tmp_path, whole, monkeypatch, way, force
):
    if way == "named":
        monkeypatch.delattr(os, "O_TMPFILE")
    old = {}
    if force:
        write(tmp_path / "old", seed=1)
        old = contents(tmp_path / "old")
    failures = 0
    for step in STEPS:
        real = getattr(os, step)
        for number in range(1, 200):
            folder = tmp_path / f"{step}{number}"
            folder.mkdir()
            for name, content in old.items():
                (folder / name).write_bytes(content)
            count = 0

            def fail(*args, **options):
                nonlocal count
                count += 1
                if count == number:  # noqa: B023
                    raise OSError(errno.EIO, "injected")
                return real(*args, **options)  # noqa: B023

            monkeypatch.setattr(os, step, fail)
            try:
                write(folder, force=force)
            except OSError as error:
                assert "injected" in str(error) or error.errno == errno.EIO  # noqa: PT017
                failures += 1
            finally:
                monkeypatch.setattr(os, step, real)
            for name, content in contents(folder).items():
                if step != "unlink":  # a name that cannot be unlinked stays, for the next run
                    assert content in (whole.get(name), old.get(name)), (step, number, name)
            if (folder / INDEX).exists() and step != "unlink":
                assert contents(folder) in (whole, old), (step, number)
            write(folder, resume=True, force=force)
            assert contents(folder) == whole, (step, number)
            if count < number:
                break
        else:
            pytest.fail(f"{step} is called without end")
    assert failures > 30


# One process forks a writer for each moment: the call of the system at which it is killed.
KILLED = """
import itertools, os, signal, sys
from fastinit import checkpoint
way, force, base = sys.argv[1], sys.argv[2] == "force", sys.argv[3]
spec = os.path.join(base, "spec.json")
if way == "named":
    del os.O_TMPFILE

def child(job):
    pid = os.fork()
    if not pid:
        try:
            job()
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    return os.waitpid(pid, 0)[1]

def contents(folder):
    return {name: open(os.path.join(folder, name), "rb").read() for name in os.listdir(folder)}

def write(folder, seed=0, **options):
    checkpoint.materialize(spec, folder + os.sep, seed=seed, shard_size=3200, threads=1, **options)

def prepare(folder):
    os.mkdir(folder)
    if force:
        write(folder, 1)

whole, old = os.path.join(base, "new"), os.path.join(base, "old")
child(lambda: prepare(old))
child(lambda: write(whole))
new, before = contents(whole), contents(old)
killed = temporaries = 0
for number in itertools.count(1):
    folder = os.path.join(base, str(number))
    child(lambda: prepare(folder))

    def job():
        count = 0
        def counted(real):
            def call(*args, **options):
                nonlocal count
                count += 1
                if count == number:
                    os.kill(os.getpid(), signal.SIGKILL)
                return real(*args, **options)
            return call
        for step in ("open", "link", "unlink", "replace", "pwrite", "fsync", "close"):
            setattr(os, step, counted(getattr(os, step)))
        write(folder, force=force)

    status = child(job)
    there = contents(folder)
    for name, content in there.items():
        if name.endswith(".tmp"):
            temporaries += 1
        else:
            assert content in (new.get(name), before.get(name)), (number, name)
    if "model.safetensors.index.json" in there:  # old or new, and never half
        assert {name: there[name] for name in new} in (new, before), number
    assert child(lambda: write(folder, resume=True, force=force)) == 0, number
    assert contents(folder) == new, (number, sorted(contents(folder)))
    if status == 0:
        break
    assert os.WIFSIGNALED(status), status
    killed += 1
print(killed, temporaries)
"""


@pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="the steps are Linux'")
@pytest.mark.parametrize("way", ["unnamed", "named"])
@pytest.mark.parametrize("force", ["new", "force"])
def test_a_kill_at_any_call_leaves_whole_files_and_resume_ends_with_the_same_bytes(
    tmp_path, way, force
):
    (tmp_path / "spec.json").write_text(json.dumps(SPEC))
    environment = {**os.environ, "PYTHONPATH": os.path.dirname(os.path.dirname(fi.__file__))}
    command = [sys.executable, "-P", "-c", KILLED, way, force, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    killed, temporaries = map(int, done.stdout.split())
    assert killed > 25
    assert temporaries > 1  # or nothing would show that they are cleared


# -------------------------------------------------------------------------------------------- ranks


def test_two_ranks_that_finish_at_once_both_write_the_same_index(tmp_path, whole, monkeypatch):
    folder = tmp_path / "x"
    folder.mkdir()
    drawn, finding = threading.Barrier(2, timeout=60), threading.Barrier(2, timeout=60)
    first = threading.local()
    is_there, content_of = checkpoint_write._is_there, checkpoint_write._content

    def wait_until_all_are_drawn(*arguments):
        if not hasattr(first, "seen"):
            first.seen = drawn.wait()
        return is_there(*arguments)

    def wait_until_both_write(path):
        found = content_of(path)
        if path.endswith(INDEX):
            finding.wait()
        return found

    monkeypatch.setattr(checkpoint_write, "_is_there", wait_until_all_are_drawn)
    monkeypatch.setattr(checkpoint_write, "_content", wait_until_both_write)
    reports = []

    def run(rank):
        reports.append(write(folder, rank=rank, world_size=2))

    ranks = [threading.Thread(target=run, args=(rank,)) for rank in range(2)]
    for rank in ranks:
        rank.start()
    for rank in ranks:
        rank.join()
    assert [INDEX in report.written and not report.missing for report in reports] == [True, True]
    assert contents(folder) == whole


@pytest.mark.parametrize("world", [1, 2, 3, 4, 7])
def test_ranks_make_the_same_folder_in_any_order(tmp_path, whole, world):
    for number, order in enumerate(([*range(world)], [*range(world)][::-1])):
        folder = tmp_path / str(number)
        reports = [write(folder, rank=rank, world_size=world) for rank in order]
        assert contents(folder) == whole
        written = [name for report in reports for name in report.written]
        assert sorted(written) == sorted(whole)  # each file by one rank
        assert not reports[-1].missing
        for report in reports[:-1]:  # before the last file is there, nobody writes the index
            assert INDEX not in report.written or not report.missing
        assert checkpoint.verify(folder)


def test_processes_that_run_at_once_make_the_same_folder(tmp_path, whole):
    (tmp_path / "spec.json").write_text(json.dumps(SPEC))
    environment = {**os.environ, "PYTHONPATH": os.path.dirname(os.path.dirname(fi.__file__))}
    common = ["materialize", str(tmp_path / "spec.json"), "-o", str(tmp_path / "x"), "--seed", "0"]
    common += ["--shard-size", str(SHARD), "--threads", "1"]
    launchers = [["RANK", "WORLD_SIZE"], ["OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"]]
    for rank_name, size_name in launchers:
        processes = [
            subprocess.Popen(
                [sys.executable, "-P", "-m", "fastinit", *common],
                env={**environment, rank_name: str(rank), size_name: "3"},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for rank in range(3)
        ]
        for rank, process in enumerate(processes):
            out, err = process.communicate(timeout=60)
            assert (process.returncode, err) == (0, "")
            assert f"rank {rank} of 3: wrote " in out
        assert contents(tmp_path / "x") == whole
        for path in (tmp_path / "x").iterdir():
            path.unlink()


def test_ranks_that_disagree_are_named(tmp_path):
    folder = tmp_path / "x"
    write(folder, rank=0, world_size=2)
    before = contents(folder)
    for options, words in (
        ({"seed": 1}, "made with seed '0', and this call has 1"),
        ({"spec": OTHER}, "another plan"),
        ({"shard_size": 4000}, "is not of this checkpoint"),
    ):
        with pytest.raises(FileExistsError, match=words):
            write(folder, **{"rank": 1, "world_size": 2, **options})
        assert contents(folder) == before
    # Ranks that overlap: the file is there, and was not written by this one.
    with pytest.raises(FileExistsError, match="--resume"):
        write(folder, rank=0, world_size=3)
    assert contents(folder) == before
    with pytest.raises(ValueError, match="2 ranks and no seed"):
        write(folder, seed=None, rank=1, world_size=2)


@pytest.mark.parametrize(
    ("rank", "world", "error"),
    [(-1, 2, ValueError), (2, 2, ValueError), (0, 0, ValueError), ("0", 2, TypeError)],
)
def test_a_rank_is_below_the_world_size(tmp_path, rank, world, error):
    with pytest.raises(error, match="rank"):
        write(tmp_path / "x", rank=rank, world_size=world)
    assert contents(tmp_path) == {}


def test_a_rank_without_files_writes_nothing_or_the_index(tmp_path, whole):
    folder = tmp_path / "x"
    report = write(folder, rank=5, world_size=6)
    assert report.written == () and len(report.missing) == 4
    for rank in range(4):
        write(folder, rank=rank, world_size=6)
    assert contents(folder) == whole
    (folder / INDEX).unlink()
    assert write(folder, rank=5, world_size=6).written == (INDEX,)
    assert contents(folder) == whole


def test_the_space_of_the_files_is_known(tmp_path):
    plan = checkpoint.plan(SPEC, 0, shard_size=SHARD)
    write(tmp_path / "x")
    for file in plan.files:
        path = tmp_path / "x" / file.name
        assert path.stat().st_size == file.size
        assert safetensors.read_header(path)[0] == file.layout
