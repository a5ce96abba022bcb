"""The main job: it writes the same file every time, with the façade's values, and after any fault
the old file or the new one is there.
"""

import doctest
import errno
import json
import os
import resource
import subprocess
import sys

import numpy as np
import pytest
import safetensors
import safetensors.numpy
from children import ENVIRONMENT, PYTHON
from specs import LARGE, contents

import fastinit as fi
from fastinit import _table, checkpoint
from fastinit._core import dtypes
from fastinit._core import engine as _engine
from fastinit._core import safetensors as _safetensors
from fastinit._core.new_file import NewFile
from fastinit.checkpoint import draw

REFERENCE = _engine.name() == "reference"

# Every draw, several dtypes, tensors that are drawn whole, odd sizes, no values, one value.
MODEL = {
    "constants": {"layers": 2, "width": 24},
    "repeat": {"layer": "layers"},
    "tensors": {
        "embedding": [501, "width"],
        "h.{layer}.norm": ["width"],
        "h.{layer}.norm.bias": ["width"],
        "h.{layer}.up": {"shape": ["4 * width", "width"], "dtype": "bfloat16"},
        "h.{layer}.down": {"shape": ["width", "4 * width"], "dtype": "float8_e4m3fn"},
        "h.{layer}.conv": {"shape": [8, 4, 3, 3], "dtype": "float16"},
        "h.{layer}.identity": {
            "shape": ["width", "width"],
            "initializer": "eye",
            "dtype": "bfloat16",
        },
        "h.{layer}.double": {
            "shape": [777],
            "dtype": "float64",
            "initializer": "uniform",
            "low": -1,
            "high": 3,
        },
        "cut": {"shape": [300], "initializer": "truncated_normal", "std": 0.5},
        "half": {
            "shape": [300],
            "initializer": "truncated_normal",
            "low": 0,
            "high": "inf",
            "dtype": "bfloat16",
        },
        "sparse": {"shape": [40, 30], "initializer": "sparse", "sparsity": 0.9, "dtype": "float16"},
        "scalar": [],
        "nothing": {"shape": [0, 5], "initializer": "zeros"},
        "positions": {"shape": [7], "dtype": "int64", "initializer": "constant", "value": -3},
        "mask": {"shape": [3, 3], "dtype": "bool", "initializer": "ones"},
    },
    "rules": [
        {"match": "*.norm", "initializer": "ones"},
        {"match": "*.bias", "initializer": "zeros"},
        {"match": ["*.up", "embedding"], "initializer": "normal", "std": "0.02 / sqrt(2 * layers)"},
        {"match": "*.down", "initializer": "xavier_uniform", "gain": 0.5},
        {"match": "*.conv", "initializer": "he_normal", "mode": "fan_out"},
        {"match": "*", "initializer": "normal"},
    ],
}


@pytest.fixture
def short_spans(monkeypatch):
    """Spans so short that a small model has hundreds of them; they cut tensors anywhere and may
    hold several.
    """
    monkeypatch.setattr(draw, "SPAN", 256)


def read(path):
    """name → array of bare bits, by the safetensors library's own reader."""
    with open(path, "rb") as file:
        content = file.read()
    return {
        name: (
            item["dtype"],
            np.frombuffer(item["data"], dtypes.DTYPES[_NAMES[item["dtype"]]].unsigned),
        )
        for name, item in safetensors.deserialize(content)
    }


_NAMES = {dtype.safetensors: dtype.name for dtype in dtypes.DTYPES.values()}


def facade(entry, seed):
    """The same tensor by the public function, as bare bits."""
    function = _table.lookup(entry.initializer)
    array = function(
        entry.shape, seed=seed, name=entry.name, dtype=entry.dtype.name, **entry.arguments
    )
    return array.reshape(-1).view(entry.dtype.unsigned)


# ------------------------------------------------------------------------------------- same content


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("span", [64, 256, 4096, 1 << 22])
def test_every_tensor_equals_the_facades(tmp_path, monkeypatch, threads, span):
    monkeypatch.setattr(draw, "SPAN", span)
    path = tmp_path / "model.safetensors"
    report = checkpoint.materialize(MODEL, path, seed=7, threads=threads)
    found = read(path)
    spec = checkpoint.load(MODEL)
    assert set(found) == {entry.name for entry in spec.entries}
    for entry in spec.entries:
        code, bits = found[entry.name]
        assert code == entry.dtype.safetensors
        np.testing.assert_array_equal(bits, facade(entry, 7), err_msg=entry.name)
    assert report.size == path.stat().st_size
    assert report.tensors == len(found)
    assert report.values == sum(bits.size for _, bits in found.values())
    assert (report.path, report.seed) == (str(path), 7)


def test_the_file_is_the_same_twice_on_any_number_of_threads_and_by_any_span(tmp_path, monkeypatch):
    contents = set()
    for number, (threads, span) in enumerate(
        [(1, 1 << 22), (1, 1 << 22), (3, 1 << 22), (1, 64), (3, 128), (7, 1 << 10)]
    ):
        monkeypatch.setattr(draw, "SPAN", span)
        checkpoint.materialize(MODEL, tmp_path / str(number), seed=1, threads=threads)
        contents.add((tmp_path / str(number)).read_bytes())
    assert len(contents) == 1


@pytest.mark.native
def test_both_engines_write_the_same_file(tmp_path):
    contents = {materialized_elsewhere(tmp_path, engine) for engine in ("native", "reference")}
    assert len(contents) == 1


def materialized_elsewhere(folder, engine):
    spec, path = folder / "spec.json", folder / f"{engine}.safetensors"
    spec.write_text(json.dumps(MODEL))
    run_cli("materialize", spec, "-o", path, "--seed", "3", FASTINIT_ENGINE=engine)
    return path.read_bytes()


def test_the_spec_in_the_metadata_makes_the_same_file(tmp_path):
    path = tmp_path / "model.safetensors"
    checkpoint.materialize(MODEL, path, seed=(1 << 64) - 1)
    with safetensors.safe_open(path, "np") as file:
        metadata = file.metadata()
    assert set(metadata) == {"format", "fastinit.stream_version", "fastinit.seed", "fastinit.spec"}
    assert metadata["format"] == "pt"
    assert metadata["fastinit.stream_version"] == "1"
    (tmp_path / "again.json").write_text(metadata["fastinit.spec"])
    checkpoint.materialize(
        tmp_path / "again.json", tmp_path / "again", seed=int(metadata["fastinit.seed"])
    )
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


def test_the_librarys_writer_lays_the_file_out_alike(tmp_path):
    spec = {name: MODEL[name] for name in ("constants", "repeat", "rules")}
    spec["tensors"] = {
        name: value
        for name, value in MODEL["tensors"].items()
        if name in ("embedding", "h.{layer}.norm")
    }
    spec["rules"] = [{"match": "*", "initializer": "normal"}]
    checkpoint.materialize(spec, tmp_path / "x", seed=0)
    tensors = safetensors.numpy.load_file(tmp_path / "x")
    theirs = safetensors.numpy.save(tensors)
    ours = (tmp_path / "x").read_bytes()
    body = sum(array.nbytes for array in tensors.values())
    assert ours[-body:] == theirs[-body:]
    header, _ = _safetensors.read_header(tmp_path / "x")
    (tmp_path / "y").write_bytes(theirs)
    other, _ = _safetensors.read_header(tmp_path / "y")
    assert [tensor[:3] for tensor in header.tensors] == [tensor[:3] for tensor in other.tensors]


def test_a_plan_is_drawn_as_planned(tmp_path):
    plan = checkpoint.plan(checkpoint.load(LARGE), seed=5)
    checkpoint.materialize(plan, tmp_path / "x")
    checkpoint.materialize(LARGE, tmp_path / "y", seed=5)
    assert (tmp_path / "x").read_bytes() == (tmp_path / "y").read_bytes()
    with pytest.raises(TypeError, match="belong to plan"):
        checkpoint.materialize(plan, tmp_path / "z", seed=5)
    with pytest.raises(TypeError, match="belongs to load"):
        checkpoint.plan(plan.spec, seed=5, dtype="float16")


def test_examples_print_what_they_say():
    modules = ("materialize", "plan", "verify", "load", "describe")
    found = [doctest.testmod(sys.modules["fastinit.checkpoint." + one]) for one in modules]
    assert all(one.attempted for one in found)
    assert not any(one.failed for one in found)


def test_a_seed_is_drawn_if_none_is_given(tmp_path):
    first, second = (checkpoint.materialize(LARGE, tmp_path / name).seed for name in "ab")
    assert first != second
    assert checkpoint.materialize(LARGE, tmp_path / "c", seed=first).seed == first
    assert (tmp_path / "a").read_bytes() == (tmp_path / "c").read_bytes()


def test_progress_counts_every_byte(tmp_path, short_spans):
    told = []
    report = checkpoint.materialize(MODEL, tmp_path / "x", seed=0, threads=3, progress=told.append)
    assert sum(told) == report.size
    assert len(told) > 100


def test_memory_stays_at_a_few_spans(tmp_path):
    """64 MiB are written; two buffers a thread are held, one of them on its way to the disk."""
    import tracemalloc

    spec = {"tensors": {"a": [1 << 12, 1 << 12]}, "rules": [{"match": "*", "initializer": "zeros"}]}
    checkpoint.materialize(LARGE, tmp_path / "warm", seed=0, threads=2)
    tracemalloc.start()
    try:
        checkpoint.materialize(spec, tmp_path / "x", seed=0, threads=2)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * draw.SPAN + (6 << 20 if REFERENCE else 1 << 20)


def test_many_threads_share_the_room_for_buffers(tmp_path, monkeypatch):
    monkeypatch.setattr(draw, "BUFFERS", 1 << 12)
    checkpoint.materialize(MODEL, tmp_path / "x", seed=1, threads=9)
    checkpoint.materialize(MODEL, tmp_path / "y", seed=1, threads=1)
    assert (tmp_path / "x").read_bytes() == (tmp_path / "y").read_bytes()


@pytest.mark.frameworks
def test_tensors_drawn_whole_may_lie_between_others(tmp_path, short_spans):
    names = ["a", "b", "c", "d", "e", "f"]
    kinds = ["eye", "normal", "eye", "eye", "normal", "eye"]
    spec = {
        "tensors": {
            name: {"shape": [9, 5], "initializer": kind}
            for name, kind in zip(names, kinds, strict=True)
        }
    }
    checkpoint.materialize(spec, tmp_path / "x", seed=2, threads=2)
    found = read(tmp_path / "x")
    for entry in checkpoint.load(spec).entries:
        np.testing.assert_array_equal(found[entry.name][1], facade(entry, 2))


BLOCKS = [
    ([9, 7], [{"start": [2, 0], "size": [1, 7], "value": 0}]),  # a padding row
    ([9, 7], [{"start": [0, 3], "size": [9, 2], "value": 1.5}]),  # columns
    ([4, 5, 6], [{"start": [1, 2, 3], "size": [2, 3, 1], "value": -0.0}]),
    ([33], [{"start": [0], "size": [33], "value": 2}, {"start": [5], "size": [9], "value": 3}]),
    ([], [{"start": [], "size": [], "value": 7}]),
    ([3, 3], [{"start": [1, 1], "size": [0, 2], "value": 7}]),
]


@pytest.mark.parametrize("span", [8, 64, 1 << 22])
@pytest.mark.parametrize(("shape", "blocks"), BLOCKS)
def test_blocks_of_constants_replace_the_draw_whatever_the_span(
    tmp_path, monkeypatch, shape, blocks, span
):
    monkeypatch.setattr(draw, "SPAN", span)
    spec = {"tensors": {"a": [3], "w": {"shape": shape, "initializer": "normal", "blocks": blocks}}}
    spec["rules"] = [{"match": "a", "initializer": "normal"}]
    path = tmp_path / "x.safetensors"
    checkpoint.materialize(spec, path, seed=4, threads=2)
    expected = fi.normal(tuple(shape), seed=4, name="w")
    for block in blocks:
        box = zip(block["start"], block["size"], strict=True)
        expected[tuple(slice(first, first + size) for first, size in box)] = block["value"]
    np.testing.assert_array_equal(read(path)["w"][1], expected.reshape(-1).view(np.uint32))
    assert checkpoint.verify(path)  # the metadata say the blocks too


@pytest.mark.parametrize(
    ("initializer", "blocks", "words"),
    [
        ("normal", 3, "must be a list of tables"),
        ("normal", [{"start": [0, 0]}], "must be a list of tables"),
        ("normal", [{"start": [0], "size": [1], "value": 0}], "is not within shape"),
        ("normal", [{"start": [0, 0], "size": [5, 1], "value": 0}], "is not within shape"),
        ("normal", [{"start": [-1, 0], "size": [1, 1], "value": 0}], "at least 0"),
        ("normal", [{"start": 0, "size": 1, "value": 0}], "is not within shape"),
        ("orthogonal", [{"start": [0, 0], "size": [1, 1], "value": 0}], "draws each value alone"),
        (
            "normal",
            [{"start": [0, 0], "size": [1, 1], "value": "inf"}],
            "'w', blocks: value is inf",
        ),
    ],
)
def test_blocks_that_are_not_within_the_tensor_are_mistakes(initializer, blocks, words):
    tensor = {"shape": [4, 4], "initializer": initializer, "blocks": blocks}
    with pytest.raises(checkpoint.SpecError, match=words):
        checkpoint.load({"tensors": {"w": tensor}})


# -------------------------------------------------------------------------------------------- GPT-2


def gpt2_names(width, layers):
    import torch
    import transformers

    config = transformers.GPT2Config(n_embd=width, n_layer=layers, n_head=width // 64)
    with torch.device("meta"):
        model = transformers.GPT2LMHeadModel(config)
    assert model.lm_head.weight is model.transformer.wte.weight
    names = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    del names["lm_head.weight"]  # tied
    return names, config


@pytest.mark.frameworks
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(("preset", "width", "layers"), [("gpt2", 768, 12), ("gpt2-xl", 1600, 48)])
def test_presets_have_the_names_and_shapes_of_transformers(preset, width, layers):
    names, config = gpt2_names(width, layers)
    entries = checkpoint.load(preset).entries
    assert {entry.name: entry.shape for entry in entries} == names
    assert config.initializer_range == 0.02
    for entry in entries:
        if entry.name.endswith(".bias"):
            assert entry.initializer == "zeros"
        elif ".ln_" in entry.name:
            assert entry.initializer == "ones"
        else:
            residual = entry.name.endswith("c_proj.weight")
            assert entry.initializer == "normal"
            assert entry.arguments == {"std": 0.02 / np.sqrt(2 * layers) if residual else 0.02}


@pytest.mark.filterwarnings("default")
@pytest.mark.frameworks
def test_transformers_loads_a_preset_without_a_missing_or_unexpected_key(tmp_path):
    import torch
    import transformers

    spec = (
        checkpoint.preset("gpt2")
        .replace("width = 768", "width = 64")
        .replace("layers = 12", "layers = 2")
    )
    (tmp_path / "small.toml").write_text(spec)
    config = transformers.GPT2Config(n_embd=64, n_layer=2, n_head=2)
    config.save_pretrained(tmp_path)
    checkpoint.materialize(tmp_path / "small.toml", tmp_path / "model.safetensors", seed=0)
    model, told = transformers.GPT2LMHeadModel.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(told[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert model.lm_head.weight is model.transformer.wte.weight
    for name, tensor in model.state_dict().items():
        if name == "transformer.h.1.mlp.c_proj.weight":
            expected = fi.normal((256, 64), std=0.02 / 2, seed=0, name=name)
            assert torch.equal(tensor, torch.from_numpy(expected))


# ------------------------------------------------------------------------------------------- faults


def run_cli(*arguments, check=True, **environment):
    command = [*PYTHON, "-m", "fastinit", *map(str, arguments)]
    done = subprocess.run(
        command, capture_output=True, text=True, env=ENVIRONMENT | environment, check=False
    )
    if check:
        assert done.returncode == 0, done.stderr
    return done


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("bad", ["spec", "seed", "dtype", "threads", "rule"])
def test_an_error_before_drawing_leaves_everything_as_it_was(tmp_path, bad, force):
    path = tmp_path / "x"
    if force:
        path.write_bytes(b"old")
    options = {
        "seed": {"seed": -1},
        "dtype": {"dtype": "complex64"},
        "threads": {"threads": 0},
    }.get(bad, {})
    spec = {
        "spec": {"tensors": {"a": [-1]}},
        "rule": {"tensors": {"a": {"shape": [3], "initializer": "he_normal"}}},
    }
    with pytest.raises((ValueError, TypeError)):
        checkpoint.materialize(spec.get(bad, LARGE), path, force=force, **options)
    assert contents(tmp_path) == ({"x": b"old"} if force else {})


@pytest.mark.parametrize("threads", [1, 3])
def test_an_error_while_drawing_stops_all_threads_and_leaves_the_old_file(
    tmp_path, short_spans, monkeypatch, threads
):
    (tmp_path / "x").write_bytes(b"old")
    spans = []

    def fail(offset, data, write=NewFile.write):
        spans.append(offset)
        if len(spans) == 20:
            raise OSError(errno.EIO, "injected")

    monkeypatch.setattr(NewFile, "write", lambda self, offset, data: fail(offset, data))
    with pytest.raises(OSError, match="injected"):
        checkpoint.materialize(LARGE, tmp_path / "x", seed=0, threads=threads, force=True)
    assert contents(tmp_path) == {"x": b"old"}
    assert len(spans) < 20 + 2 * threads


def test_an_existing_file_is_refused_before_anything_is_drawn(tmp_path, monkeypatch):
    monkeypatch.setattr(_engine, "run", lambda *_, **__: pytest.fail("something was drawn"))
    (tmp_path / "x").write_bytes(b"old")
    with pytest.raises(FileExistsError, match="--force"):
        checkpoint.materialize(LARGE, tmp_path / "x", seed=0)
    assert contents(tmp_path) == {"x": b"old"}


@pytest.fixture
def small_disk(tmp_path):
    """A file system in memory with 1 MiB of room."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], capture_output=True
    ).returncode:
        pytest.skip("cannot mount here")
    yield disk
    subprocess.run(["umount", disk], check=True)


@pytest.mark.parametrize("reserve", [True, False])
@pytest.mark.parametrize("unnamed", [True, False])
def test_a_full_disk_is_one_clear_error(small_disk, monkeypatch, reserve, unnamed):
    if not unnamed:
        monkeypatch.delattr(os, "O_TMPFILE")
    if not reserve:  # as on file systems that cannot: the disk fills up in the middle
        monkeypatch.delattr(os, "posix_fallocate")
    (small_disk / "x").write_bytes(b"old")
    with pytest.raises(OSError, match="No space left on device: 286") as caught:
        checkpoint.materialize(LARGE, small_disk / "x", seed=0, threads=2, force=True)
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename == str(small_disk / "x")
    assert contents(small_disk) == {"x": b"old"}
    assert os.statvfs(small_disk).f_bavail > 200  # the room is free again


def test_a_read_only_file_system_is_one_clear_error(small_disk):
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    done = run_cli("materialize", "gpt2", "-o", small_disk / "x.safetensors", check=False)
    assert done.returncode == 1
    assert (
        done.stderr == f"fastinit: error: {small_disk / 'x.safetensors'}: Read-only file system\n"
    )


def test_a_file_that_may_not_be_so_large_is_one_clear_error(tmp_path):
    spec = tmp_path / "spec.json"
    spec.write_text(json.dumps(LARGE))
    program = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20)); "
        "from fastinit.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [
        *PYTHON,
        "-c",
        program,
        "materialize",
        str(spec),
        "-o",
        str(tmp_path / "x.safetensors"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=ENVIRONMENT)
    assert done.returncode == 1
    assert "x.safetensors: File too large: 286" in done.stderr
    assert done.stderr.count("\n") == 1
    assert set(contents(tmp_path)) == {"spec.json"}


def test_without_memory_the_error_is_clear(tmp_path):
    if sys.platform != "linux":
        pytest.skip("RLIMIT_AS binds on Linux")
    spec = tmp_path / "spec.json"
    spec.write_text(
        json.dumps(  # one that is held whole
            {
                "tensors": {
                    "a": {"shape": [8192, 8192, 3, 3], "initializer": "convolutional_orthogonal"}
                }
            }
        )
    )
    program = (
        "import resource, sys; from fastinit.cli import main; "
        "resource.setrlimit(resource.RLIMIT_AS, (1 << 31, 1 << 31)); sys.exit(main(sys.argv[1:]))"
    )
    command = [*PYTHON, "-c", program, "materialize", str(spec), "-o", str(tmp_path / "x")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=ENVIRONMENT)
    assert done.returncode == 1, done.stderr
    assert "memory" in done.stderr.lower()
    assert done.stderr.count("\n") == 1
    assert set(contents(tmp_path)) == {"spec.json"}


def test_limits_are_restored():
    """The tests above set limits in children only."""
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
