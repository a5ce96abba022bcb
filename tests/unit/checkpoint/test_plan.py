"""Plans: which tensor is in which file, what each file says of itself, the index."""

import json

import pytest

from fastinit import checkpoint
from fastinit._core import safetensors

SPEC = {
    "tensors": {
        "a": [100],
        "b": [100],
        "big": [1000],
        "c": [10],
        "d": {"shape": [10], "dtype": "bfloat16"},
    },
    "rules": [{"match": "*", "initializer": "normal"}],
}


def names(plan):
    return [[tensor.name for tensor in file.layout.tensors] for file in plan.files]


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (None, [["a", "b", "big", "c", "d"]]),
        (1 << 40, [["a", "b", "big", "c", "d"]]),
        (800, [["a", "b"], ["big"], ["c", "d"]]),
        (799, [["a"], ["b"], ["big"], ["c", "d"]]),
        (1, [["a"], ["b"], ["big"], ["c"], ["d"]]),
        (4000, [["a", "b"], ["big"], ["c", "d"]]),
        (4800, [["a", "b", "big"], ["c", "d"]]),
    ],
)
def test_a_file_has_as_many_tensors_as_fit_and_at_least_one(size, expected):
    plan = checkpoint.plan(SPEC, 0, shard_size=size)
    assert names(plan) == expected
    assert plan.size == sum(file.layout.size for file in plan.files)
    assert plan.values == 1220
    if len(expected) == 1:
        assert [file.name for file in plan.files] == ["model.safetensors"]
        assert plan.others == {}
        return
    count = len(expected)
    assert [file.name for file in plan.files] == [
        f"model-{number:05d}-of-{count:05d}.safetensors" for number in range(1, count + 1)
    ]
    index = json.loads(plan.others["model.safetensors.index.json"])
    assert index["metadata"] == {"total_size": 4 * 1210 + 2 * 10}
    assert index["weight_map"] == {
        tensor.name: file.name for file in plan.files for tensor in file.layout.tensors
    }


def test_one_file_is_the_same_by_any_shard_size_that_holds_it():
    assert checkpoint.plan(SPEC, 0).files == checkpoint.plan(SPEC, 0, shard_size=10_000).files


def test_the_digest_says_all_that_decides_the_files():
    def digest(spec=SPEC, seed=0, **options):
        return checkpoint.plan(spec, seed, **options).digest

    changed = {**SPEC, "rules": [{"match": "*", "initializer": "normal", "std": 0.5}]}
    config = {**SPEC, "config": {"model_type": "x"}}
    digests = [
        digest(),
        digest(seed=1),
        digest(dtype="float16"),
        digest(changed),
        digest(shard_size=800),
        digest(shard_size=1),
    ]
    assert len(set(digests)) == len(digests)
    assert digest(shard_size=1 << 40) == digest() == digest(config)


def test_each_file_says_its_seed_its_plan_and_its_own_part_of_the_spec():
    plan = checkpoint.plan(SPEC, 7, shard_size=800)
    for file in plan.files:
        metadata = safetensors.metadata_of(file.layout)
        assert metadata["fastinit.seed"] == "7"
        assert metadata["fastinit.stream_version"] == "1"
        assert metadata["fastinit.digest"] == plan.digest
        assert metadata["format"] == "pt"
        own = json.loads(metadata["fastinit.spec"])["tensors"]
        assert sorted(own) == sorted(tensor.name for tensor in file.layout.tensors)


def test_the_order_of_tensors_decides_nothing():
    turned = {**SPEC, "tensors": dict(reversed(SPEC["tensors"].items()))}
    for size in (None, 800):
        plan, other = (checkpoint.plan(one, 0, shard_size=size) for one in (SPEC, turned))
        assert (plan.files, plan.digest) == (other.files, other.digest)


def test_shards_follow_the_numbers_in_names_by_value():
    tensors = {f"h.{layer}.{part}": [4] for layer in (10, 9, 1, 0, 100) for part in ("w", "b")}
    spec = {**SPEC, "tensors": {**tensors, "7": [4], "h": [4], "h.009.w": [4]}}
    plan = checkpoint.plan(spec, 0, shard_size=1)
    layers = [f"h.{layer}.{part}" for layer in (0, 1, 9, 10, 100) for part in ("b", "w")]
    layers.insert(layers.index("h.9.w"), "h.009.w")
    assert names(plan) == [[name] for name in ["7", "h", *layers]]


@pytest.mark.parametrize("size", [0, -1, 1.5, "5GB", True])
def test_a_shard_size_is_a_number_of_bytes(size):
    with pytest.raises(ValueError, match="shard_size is"):
        checkpoint.plan(SPEC, 0, shard_size=size)
