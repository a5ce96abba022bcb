"""Checkpoints from elsewhere are not trusted: what an index may name, what a header may say, and
what is never opened.
"""

import json
import os
import pickle

import numpy as np
import pytest

from fastinit import checkpoint
from fastinit.checkpoint import index

SPEC = {
    "tensors": {"a": [4, 4], "b": [8]},
    "rules": [{"match": "*", "initializer": "normal"}],
}
ONE, TWO = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "model"
    path.mkdir()
    checkpoint.materialize(SPEC, path, seed=0, shard_size=64)
    return path


def rewrite(folder, weight_map=None, text=None):
    path = folder / index.INDEX
    if text is None:
        text = json.dumps({"metadata": {}, "weight_map": weight_map}).encode()
    path.write_bytes(text)


def refused(path, *words):
    with pytest.raises(ValueError) as caught:
        checkpoint.verify(path)
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert len(message.replace(str(path), "")) < 600
    return message


def test_a_folder_is_its_files_in_order(folder):
    found = index.files(folder)
    assert [os.path.basename(one.path) for one in found] == [ONE, TWO]
    assert checkpoint.verify(folder)


@pytest.mark.parametrize(
    "name",
    [
        "../x.safetensors",
        "/etc/passwd",
        "/tmp/x.safetensors",
        "sub/x.safetensors",
        "..",
        "",
        ".",
        "./" + ONE,
        "a\\b.safetensors",
        "C:x.safetensors",
        "x\0.safetensors",
        ".hidden.safetensors",
        "model.bin",
        "config.json",
        "x" * 1_000_000 + ".safetensors/",
    ],
)
def test_an_index_names_plain_files_of_its_folder_only(folder, name):
    rewrite(folder, {"a": name, "b": TWO})
    refused(folder, "only the plain name")


@pytest.mark.parametrize("what", ["link", "folder", "pipe"])
def test_what_is_not_a_regular_file_is_not_opened(folder, what):
    path = folder / ONE
    elsewhere = folder.parent / "elsewhere.safetensors"
    path.rename(elsewhere)
    if what == "link":
        path.symlink_to(elsewhere)
        refused(folder, ONE, "is a link to", str(elsewhere), "out of its folder")
        return
    if what == "folder":
        path.mkdir()
    else:
        os.mkfifo(path)  # reading it would wait for ever
    refused(folder, ONE, "not a regular file")


def test_an_index_that_is_a_link_out_of_its_folder_is_followed_only_if_it_is_the_path_given(folder):
    path = folder / index.INDEX
    path.rename(folder.parent / index.INDEX)
    path.symlink_to(folder.parent / index.INDEX)
    refused(folder, "out of its folder")
    assert checkpoint.verify(path)


def test_the_links_of_hugging_faces_cache_are_followed(folder):
    """snapshots/COMMIT holds links into ../../blobs, which are named by their digests."""
    cache = folder.parent / "hub" / "models--some--model"
    snapshot, blobs = cache / "snapshots" / "0123abcd", cache / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    for number, path in enumerate(sorted(folder.iterdir())):
        path.rename(blobs / f"{number:064x}")
        (snapshot / path.name).symlink_to(f"../../blobs/{number:064x}")
    assert checkpoint.verify(snapshot)
    assert checkpoint.verify(snapshot / index.INDEX)
    entry = folder.parent / "current"
    entry.symlink_to(snapshot)  # the folder that the user gives may be a link
    assert checkpoint.verify(entry)
    # A part of a model in a folder of its own, as diffusers has them.
    part = snapshot / "unet"
    part.mkdir()
    for path in list(snapshot.iterdir()):
        if path != part:
            (part / path.name).symlink_to("../" + os.readlink(path))
    assert checkpoint.verify(part)
    # Not from one repository into another, nor through blobs that are elsewhere.
    other = folder.parent / "hub" / "models--another--model"
    (other / "snapshots" / "4567").mkdir(parents=True)
    for path in blobs.iterdir():
        link = next(one for one in snapshot.iterdir() if one.resolve() == path)
        (other / "snapshots" / "4567" / link.name).symlink_to(path)
    refused(other / "snapshots" / "4567", "out of its folder")
    (other / "blobs").symlink_to(folder.parent)
    refused(other / "snapshots" / "4567", "out of its folder")


@pytest.mark.parametrize("target", ["sub/x.safetensors", "x"])
def test_a_link_within_the_folder_is_followed_and_one_that_leads_nowhere_is_named(folder, target):
    (folder / "sub").mkdir()
    (folder / ONE).rename(folder / target)
    (folder / ONE).symlink_to(target)
    assert checkpoint.verify(folder)
    (folder / target).unlink()
    with pytest.raises(FileNotFoundError, match=target):
        checkpoint.verify(folder)
    (folder / ONE).unlink()
    (folder / ONE).symlink_to(ONE)  # in a circle
    with pytest.raises(OSError, match=ONE):
        checkpoint.verify(folder)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b"7",
        b"\xff",
        b'{"weight_map": []}',
        b'{"weight_map": {}}',
        b'{"weight_map": {"a": 1}}',
        b'{"weight_map": {"a": null}}',
        b'{"weight_map": {"a": "x.safetensors", "a": "y.safetensors"}}',
        b'{"weight_map": {}, "weight_map": {"a": "x"}}',
        b"[" * 1_000_000,
        b'{"weight_map": ' * 100_000,
        b'{"weight_map": {"a": ' + b"9" * 5000 + b"}}",
    ],
)
def test_a_file_that_is_not_an_index_is_refused_by_name(folder, text):
    rewrite(folder, text=text)
    refused(folder, index.INDEX)


def test_an_index_larger_than_a_header_may_be_is_not_read(folder):
    with open(folder / index.INDEX, "r+b") as file:
        file.truncate(200_000_000)
    refused(folder, "200000000 bytes")


@pytest.mark.parametrize(
    ("weight_map", "words"),
    [
        ({"a": ONE, "b": ONE}, ("'b' is only in the index",)),
        ({"a": ONE}, ()),
        ({"a": TWO, "b": ONE}, ("disagree",)),
        ({"a": ONE, "b": TWO, "c": TWO}, ("'c' is only in the index",)),
    ],
)
def test_the_index_and_the_files_must_agree(folder, weight_map, words):
    rewrite(folder, weight_map)
    if words:
        refused(folder, *words)
    else:  # a file that no index names is not looked at, and its tensor is not in the checkpoint
        assert [one.name for one in checkpoint.verify(folder).tensors] == ["a"]
        assert checkpoint.verify(folder, SPEC).missing == ("b",)
        assert not checkpoint.verify(folder, SPEC)


def test_a_file_that_is_missing_is_named(folder):
    (folder / TWO).unlink()
    with pytest.raises(FileNotFoundError, match=TWO):
        checkpoint.verify(folder)


def test_shards_without_an_index_are_not_complete(folder):
    (folder / index.INDEX).unlink()
    refused(folder, "not complete", "--resume")


class Trap:
    def __reduce__(self):
        return os._exit, (3,)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "x.pt", "x.PTH", "x.ckpt", "x.pkl"])
def test_a_pickle_is_refused_by_its_name(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(pickle.dumps(Trap()))
    refused(path, "pickle")
    refused(tmp_path, "pickle")


def test_a_folder_without_weights_is_reported(tmp_path):
    with pytest.raises(FileNotFoundError, match="neither"):
        checkpoint.verify(tmp_path)


def change_metadata(path, **changes):
    """The same file with other metadata."""
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    for key, value in changes.items():
        if value is None:
            del header["__metadata__"][f"fastinit.{key}"]
        else:
            header["__metadata__"][f"fastinit.{key}"] = value
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + length :])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"seed": None}, "does not say how it was drawn"),
        ({"spec": None}, "does not say its spec"),
        ({"seed": "-1"}, "says the seed '-1'"),
        ({"seed": "9" * 5000}, "says the seed"),
        ({"seed": "１"}, "says the seed"),
        ({"stream_version": "2"}, "stream version '2', and this is version 1"),
        ({"spec": "["}, "fastinit.spec"),
        ({"spec": "[" * 100_000}, "nested too deeply"),
        ({"spec": "{}"}, "no tensors"),
        (
            {"spec": '{"tensors": {"a": {"shape": [1], "initializer": "computed", "digest": 7}}}'},
            "digest is 7",
        ),
        (
            {"spec": '{"tensors": {"a": {"shape": [1], "initializer": "ones"}}, "tied": {"b": 1}}'},
            "'b' is tied to 1",
        ),
        ({"spec": '{"tensors": {"a": [1], "a": [2]}}'}, "appears twice"),
        ({"spec": '{"tensors": {"a": {"shape": [1], "initializer": "exec"}}}'}, "unknown init"),
        (
            {"spec": '{"repeat": {"i": 9999999999}, "tensors": {"a{i}": [1]}}'},
            "more than 1000000 tensors",
        ),
        (
            {
                "spec": '{"tensors": {"a": {"shape": [4, 4], "initializer": "pretrained", '
                '"path": "passwd"}}}'
            },
            "came from another file",
        ),
    ],
)
def test_metadata_are_not_trusted(tmp_path, changes, words):
    path = tmp_path / "x.safetensors"
    checkpoint.materialize(SPEC, path, seed=0)
    change_metadata(path, **changes)
    refused(path, words, "x.safetensors")


def test_a_tensor_of_another_shape_differs_and_takes_no_memory(tmp_path):
    path = tmp_path / "x.safetensors"
    checkpoint.materialize(SPEC, path, seed=0)
    huge = {"shape": [1 << 20, 1 << 20], "initializer": "orthogonal"}
    spec = {"tensors": {"a": huge, "b": {"shape": [8], "initializer": "normal"}}}
    change_metadata(path, spec=json.dumps(spec))
    found = checkpoint.verify(path)
    assert not found
    assert {one.name: bool(one) for one in found.tensors} == {"a": False, "b": True}
    assert "the file has float32 (4, 4), the spec float32 (1048576, 1048576)" in str(
        next(one for one in found.tensors if one.name == "a")
    )


def test_files_of_two_checkpoints_are_not_one(folder):
    other = folder.parent / "other"
    other.mkdir()
    checkpoint.materialize(SPEC, other, seed=1, shard_size=64)
    (folder / TWO).write_bytes((other / TWO).read_bytes())
    refused(folder, "seeds 0, 1")


@pytest.mark.parametrize("seed", range(200))
def test_a_damaged_file_is_refused_or_compared_and_never_a_crash(tmp_path, seed):
    path = tmp_path / "x.safetensors"
    checkpoint.materialize(SPEC, path, seed=0)
    content = bytearray(path.read_bytes())
    random = np.random.default_rng(seed)
    for _ in range(random.integers(1, 4)):
        at = int(random.integers(0, len(content)))
        way = random.integers(0, 3)
        if way == 0:
            content[at] ^= 1 << int(random.integers(0, 8))
        elif way == 1:
            del content[at : at + int(random.integers(1, 20))]
        else:
            content[at:at] = random.bytes(int(random.integers(1, 20)))
        if not content:
            content = bytearray(b"\0")
    changed = bytes(content) != path.read_bytes()
    path.write_bytes(content)
    try:
        found = checkpoint.verify(path)
    except ValueError:
        return
    # What is left undamaged is what decides the values, such as a letter of the key "format".
    assert not changed or not found or found.size == 96
