"""What files say of themselves: names and shapes of any checkpoint, for a recipe to draw."""

import json

import numpy as np
import pytest
import safetensors.numpy

import fastinit as fi
from fastinit import checkpoint, inspection
from fastinit.checkpoint import SpecError
from fastinit.cli import main

TENSORS = {
    "h.0.w": np.zeros((6, 4), np.float32),
    "h.1.w": np.ones((6, 4), np.float32),
    "h.1.b": np.ones(6, np.float16),
    "position": np.arange(3),
}
RECIPE = {
    "rules": [
        {"match": "*.w", "initializer": "he_normal"},
        {"match": ["*.b", "position"], "initializer": "zeros"},
    ]
}
ZEROS = {"match": "*", "initializer": "zeros"}
INDEX = "model.safetensors.index.json"


@pytest.fixture
def theirs(tmp_path):
    """A checkpoint of another writer: two files, their index, a config."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    weight_map = {}
    for number, names in enumerate((["h.0.w"], ["h.1.w", "h.1.b", "position"])):
        part = {name: TENSORS[name] for name in names}
        safetensors.numpy.save_file(part, folder / f"part{number}.safetensors", {"format": "pt"})
        weight_map |= dict.fromkeys(names, f"part{number}.safetensors")
    (folder / INDEX).write_text(json.dumps({"weight_map": weight_map}))
    return folder


def shapes(spec):
    return {entry.name: (entry.shape, entry.dtype.name) for entry in spec.entries}


def test_names_and_shapes_of_another_writers_files_with_a_recipe_are_a_spec(tmp_path, theirs):
    expected = {name: (array.shape, array.dtype.name) for name, array in TENSORS.items()}
    for source in (theirs, theirs / INDEX):
        spec = checkpoint.load(source, recipe=RECIPE)
        assert shapes(spec) == expected
    path = tmp_path / "new.safetensors"
    checkpoint.materialize(spec, path, seed=4)
    made = safetensors.numpy.load_file(path)
    assert np.array_equal(made["h.1.w"], fi.he_normal((6, 4), seed=4, name="h.1.w"))
    assert not made["position"].any() and made["position"].dtype == np.int64
    assert checkpoint.verify(path)
    part = checkpoint.load(theirs / "part0.safetensors", recipe={"rules": RECIPE["rules"][:1]})
    assert list(shapes(part)) == ["h.0.w"]


def test_another_dtype_is_that_of_the_floating_tensors(theirs):
    found = shapes(checkpoint.load(theirs, "bfloat16", recipe=RECIPE))
    assert {name: dtype for name, (_, dtype) in found.items()} == {
        "h.0.w": "bfloat16",
        "h.1.w": "bfloat16",
        "h.1.b": "bfloat16",
        "position": "int64",
    }


def test_the_config_beside_the_files_is_copied(tmp_path, theirs):
    # Not a config that transformers knows: from the index the weights' names are taken, whatever
    # config.json says.
    (theirs / "config.json").write_text('{"model_type": "none", "dtype": "float32"}')
    (theirs / "generation_config.json").write_text('{"do_sample": true}')
    spec = checkpoint.load(theirs / INDEX, "bfloat16", recipe=RECIPE)
    checkpoint.materialize(spec, f"{tmp_path}/new/", seed=0)
    content = json.loads((tmp_path / "new" / "config.json").read_text())
    assert content == {"model_type": "none", "dtype": "bfloat16"}
    assert (tmp_path / "new" / "generation_config.json").read_text() == '{"do_sample": true}'


def test_names_and_shapes_without_a_rule_for_each_are_refused(theirs):
    with pytest.raises(SpecError, match="not how its tensors are drawn; give a recipe"):
        checkpoint.load(theirs)
    with pytest.raises(SpecError, match="no rule of the recipe matches 2 tensors, such as 'pos"):
        checkpoint.load(theirs, recipe={"rules": RECIPE["rules"][:1]})
    with pytest.raises(SpecError, match="matches no tensor"):
        checkpoint.load(theirs, recipe={"rules": [{"match": "x", "initializer": "zeros"}]})


def test_our_own_files_need_no_recipe_and_may_have_one(tmp_path, theirs):
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    checkpoint.materialize(checkpoint.load(theirs, recipe=RECIPE), first, seed=4)
    checkpoint.materialize(first, second, seed=4)
    assert first.read_bytes() == second.read_bytes()
    changed = checkpoint.load(first, recipe={"rules": [{"match": "h.0.w", "initializer": "ones"}]})
    assert [one.initializer for one in changed.entries].count("ones") == 1
    with pytest.raises(ValueError, match="a checkpoint of fastinit has its own"):
        checkpoint.load(first, "float16")
    assert checkpoint.is_ours(first) and not checkpoint.is_ours(theirs)
    assert not checkpoint.is_ours("gpt2") and not checkpoint.is_ours({})


def test_commands_take_another_writers_files(tmp_path, theirs, capsys):
    recipe = tmp_path / "recipe.json"
    recipe.write_text(json.dumps(RECIPE))
    options = [str(theirs), "--recipe", str(recipe)]
    new = str(tmp_path / "new")
    assert main(["materialize", *options, "-o", new, "--seed", "0", "--shard-size", "100"]) == 0
    assert main(["spec", *options]) == 0
    (tmp_path / "spec.toml").write_text(
        capsys.readouterr().out.partition("dtype")[2].join(["dtype", ""])
    )
    assert main(["verify", new]) == 0
    assert main(["verify", new, "--spec", str(theirs), "--recipe", str(recipe)]) == 0
    assert main(["spec", str(theirs)]) == 2
    assert "give a recipe" in capsys.readouterr().err


@pytest.mark.parametrize("content", ["[]", '"x"', "{", 100_000 * "["], ids=range(4))
def test_a_config_beside_the_file_that_is_no_object_is_refused_by_name(content, tmp_path, capsys):
    safetensors.numpy.save_file(TENSORS, tmp_path / "x.safetensors")
    (tmp_path / "config.json").write_text(content)
    recipe = tmp_path / "recipe.json"
    recipe.write_text(json.dumps(RECIPE))
    command = ["materialize", str(tmp_path / "x.safetensors"), "--recipe", str(recipe)]
    status = main([*command, "-o", str(tmp_path / "out/"), "--dtype", "bfloat16", "--seed", "1"])
    assert status == 2
    assert "config.json: is not" in capsys.readouterr().err


def test_a_spec_of_far_more_tensors_than_the_file_has_is_refused_before_it_is_read(tmp_path):
    def write(count):
        spec = {"tensors": {f"t{n}": [1] for n in range(count)}, "rules": [ZEROS]}
        metadata = {
            "fastinit.seed": "0",
            "fastinit.stream_version": "1",
            "fastinit.spec": json.dumps(spec),
        }
        path = tmp_path / "x.safetensors"
        safetensors.numpy.save_file({"t0": np.zeros(1, np.float32)}, path, metadata)
        return path

    assert len(checkpoint.verify(write(900)).missing) == 899  # someone took them out
    path = write(200_000)
    for read in (checkpoint.verify, inspection.audit, inspection.laws, inspection.drift):
        with pytest.raises(ValueError, match="describes far more than the 1 tensors"):
            read(path)
