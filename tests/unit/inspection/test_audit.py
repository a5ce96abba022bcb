"""Every planted fault is found with its evidence, and a sound checkpoint has no finding."""

import doctest
import importlib
import json

import numpy as np
import pytest
from inspection_models import MODEL, drawn, header, write

import fastinit as fi
from fastinit import checkpoint, inspection

Q = "layers.0.q.weight"
K = "layers.1.k.weight"


@pytest.fixture
def model(tmp_path):
    """Writes the small transformer with some tensors changed; metadata as fastinit writes them."""

    def make(changed=None, seed=0, name="model.safetensors", metadata=False):
        said = None
        if metadata:
            said = {
                "fastinit.seed": str(seed),
                "fastinit.stream_version": "1",
                "fastinit.spec": checkpoint.load(MODEL).canonical(),
            }
        return write(tmp_path / name, {**drawn(seed), **(changed or {})}, said)

    return make


@pytest.fixture
def laws(tmp_path):
    path = tmp_path / "laws.toml"
    path.write_text(inspection.laws_toml(inspection.laws(MODEL)))
    return path


def verdicts(found):
    return {row.name: row.verdict for row in found.rows}


def only_fault(found, name, verdict):
    """The row of the one tensor with a fault; all others are sound."""
    faults = {row.name for row in found.rows if row.verdict not in ("initial", "on its law")}
    assert faults == {name}
    assert not found and found.findings
    (row,) = [row for row in found.rows if row.name == name]
    assert row.verdict == verdict
    return row


def test_a_sound_checkpoint_has_no_finding_by_draw_or_by_law(model, laws):
    by_draw = inspection.audit(model(metadata=True))
    assert by_draw and by_draw.seed == 0 and set(verdicts(by_draw).values()) == {"initial"}
    by_law = inspection.audit(model(), laws)
    assert by_law and by_law.seed is None and set(verdicts(by_law).values()) == {"on its law"}
    by_seed = inspection.audit(model(), MODEL, seed=0)
    assert by_seed and set(verdicts(by_seed).values()) == {"initial"}
    alone = inspection.audit(model())
    assert alone and set(verdicts(alone).values()) == {"unknown"}


@pytest.mark.parametrize(
    "dtype", ["float64", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2"]
)
def test_a_sound_checkpoint_of_any_dtype_is_on_its_laws_and_its_draws(tmp_path, laws, dtype):
    path = tmp_path / "model.safetensors"
    checkpoint.materialize(MODEL, path, seed=3, dtype=dtype)
    assert inspection.audit(path, laws)
    assert set(verdicts(inspection.audit(path, laws)).values()) == {"on its law"}
    # The spec says float32, the file holds another dtype.
    assert set(verdicts(inspection.audit(path, MODEL)).values()) == {"initial"}


# ------------------------------------------------------------------------------- the planted faults


def test_fused_experts_left_uninitialized_are_never_filled(model, laws):
    name = "layers.1.experts.gate_up"
    garbage = np.random.default_rng(0).integers(0, 1 << 20, (4, 64, 128)).astype(np.uint32)
    two = drawn()[name].copy()
    two[2:] = 0.0
    one_page = np.tile(drawn()[name].reshape(-1)[:1024], 32).reshape(4, 64, 128)
    infinite = drawn()[name].copy()
    infinite[3, 5, 7] = np.inf
    for array, words in (
        (np.zeros((4, 64, 128), np.float32), "all 32768 values are 0, where a draw is due"),
        (garbage.view(np.float32), "subnormal"),
        (two, "16384 of 32768 values are zero"),
        (one_page, "pages of 4 KiB are equal"),
        (infinite, "1 of 32768 values are not finite"),
    ):
        row = only_fault(inspection.audit(model({name: array}), laws), name, "never filled")
        assert words in row.detail
    # Without laws what no network holds is found too.
    for array in (garbage.view(np.float32), one_page, infinite):
        found = inspection.audit(model({name: array}))
        assert verdicts(found)[name] == "never filled" and not found


def test_norms_of_one_plus_w_at_one_are_off_their_law(model, laws):
    name = "layers.0.norm.weight"
    found = inspection.audit(model({name: np.ones(64, np.float32)}), laws)
    row = only_fault(found, name, "off its law")
    assert (row.expected, row.found) == (0.0, 1.0)
    assert "all 64 values are 1, expected 0 everywhere" in row.detail


def test_a_truncation_at_a_hundred_sigma_is_off_its_law_and_noted_in_the_laws(model, laws):
    name = "layers.0.gate.weight"
    own = {"std": 0.02, "low": -2.0, "high": 2.0, "bounds": "absolute"}
    array = fi.truncated_normal((64, 64), **own, seed=1)
    row = only_fault(inspection.audit(model({name: array}), laws), name, "off its law")
    assert row.p < 1e-6
    wrong = {**MODEL, "tensors": {"w": {"shape": [8], "initializer": "truncated_normal", **own}}}
    del wrong["rules"], wrong["repeat"]
    assert "nothing is truncated" in inspection.laws(wrong)[0].note


def test_depth_scaling_on_a_matrix_that_does_not_write_to_the_residual_is_off_its_law(model, laws):
    name = "layers.1.up.weight"
    array = fi.normal((128, 64), std=0.01, seed=0, name=name)
    row = only_fault(inspection.audit(model({name: array}), laws), name, "off its law")
    assert row.test == "std" and row.expected == 0.02 and abs(row.found - 0.01) < 1e-3
    assert row.statistic < -20 and row.p < 1e-100


def test_two_equal_projections_are_twins(model, laws):
    for array, words in (
        (drawn()[Q], "equals layers.0.q.weight bit for bit"),
        (drawn()[Q] * np.float32(1.01), "equals layers.0.q.weight times 1.01"),
        (drawn()[Q] * np.float32(-1), "equals layers.0.q.weight times -1"),
    ):
        row = only_fault(inspection.audit(model({K: array}), laws), K, "twin")
        assert row.detail == words and row.twin == Q
        found = inspection.audit(model({K: array}))
        assert verdicts(found)[K] == "twin" and not found


def test_the_copy_is_named_and_not_the_tensor_that_is_its_own_draw(model):
    # Q has K's values here, and K, the later one, is sound.
    row = only_fault(inspection.audit(model({Q: drawn()[K]}, metadata=True)), Q, "twin")
    assert row.twin == K


def test_a_head_a_hundred_times_too_large_is_off_its_law(model, laws):
    array = drawn()["head.weight"] * np.float32(100)
    found = inspection.audit(model({"head.weight": array}), laws)
    row = only_fault(found, "head.weight", "off its law")
    assert row.test == "std" and 4.5 < row.found < 5.5 and row.expected == 0.05


def test_a_reload_that_drew_again_is_found_by_metadata_and_by_an_older_file(model):
    again = {Q: drawn(seed=9)[Q], K: drawn(seed=9)[K]}
    found = inspection.audit(model(again, metadata=True))
    assert "2 tensors have their laws but not their draws" in found.findings[0]
    assert verdicts(found)[Q] == "on its law" and "not its draw of seed 0" in rows(found)[Q].detail
    # A trained model, of which two matrices were drawn again.
    trained = {name: array * np.float32(1.5) + array**2 for name, array in drawn().items()}
    older = write_changed(model, trained, "older.safetensors")
    fresh = {
        name: fi.normal(trained[name].shape, std=trained[name].std(), seed=1) for name in again
    }
    newer = write_changed(model, {**trained, **fresh}, "newer.safetensors")
    found = inspection.audit(newer, older)
    assert {row.name for row in found.rows if row.verdict != "initial"} == set(again)
    assert all(abs(rows(found)[name].correlation) < 0.1 for name in again)
    assert "unrelated values: drawn again" in " ".join(found.findings)
    assert inspection.audit(newer, newer)


def rows(found):
    return {row.name: row for row in found.rows}


def write_changed(model, changed, name):
    return model(changed, name=name)


def test_a_tensor_that_never_moved_among_trained_ones_is_named(model, laws):
    trained = {name: array * np.float32(1.5) for name, array in drawn().items() if name != Q}
    found = inspection.audit(model(trained), laws)
    assert "1 tensor is on its law" in found.findings[0] and Q in found.findings[0]


# -------------------------------------------------------------------------- what it is held against


def test_declared_ties_are_sound_and_broken_ones_are_not(tmp_path):
    embed = fi.normal((96, 64), std=0.02, seed=0)
    tied = inspection.Law("head.weight", 1, (96, 64), "tied", rule="tied to embed.weight")
    known = inspection.laws(
        {"tensors": {"embed.weight": {"shape": [96, 64], "initializer": "normal", "std": 0.02}}}
    )
    path = tmp_path / "tied.safetensors"
    write(path, {"embed.weight": embed, "head.weight": embed})
    found = inspection.audit(path, [*known, tied])
    assert found and "equals embed.weight bit for bit" in rows(found)["head.weight"].detail
    write(path, {"embed.weight": embed, "head.weight": embed + 1})
    row = only_fault(inspection.audit(path, [*known, tied]), "head.weight", "off its law")
    assert "should equal embed.weight" in row.detail
    # Without laws the config beside the file declares it.
    write(path, {"embed.weight": embed, "head.weight": embed})
    assert not inspection.audit(path)
    (tmp_path / "config.json").write_text('{"tie_word_embeddings": true}')
    assert inspection.audit(path)


def test_a_seed_that_fits_nothing_is_reported_with_the_metadatas_seed(model):
    found = inspection.audit(model(metadata=True), seed=7)
    assert found.findings[0].startswith("seed 7 fits none of the ")
    assert "metadata say 0" in found.findings[0]
    found = inspection.audit(model(), MODEL, seed=7)
    assert "do not say theirs" in found.findings[0]


def test_constants_over_a_law_are_left_out_and_checked(tmp_path):
    spec = {
        "tensors": {
            "pad": {
                "shape": [90, 80],
                "initializer": "normal",
                "std": 0.5,
                "blocks": [
                    {"start": [40, 0], "size": [1, 80], "value": 0},
                    {"start": [0, 3], "size": [90, 1], "value": 2},
                ],
            }
        }
    }
    path = tmp_path / "pad.safetensors"
    checkpoint.materialize(spec, path, seed=0)
    laws = inspection.laws(spec)
    assert inspection.audit(path, laws)
    array = fi.normal((90, 80), std=0.5, seed=0)
    array[:, 3], array[40] = 2.0, 0.0
    array[40, 3] = 2.0
    write(path, {"pad": array})
    assert inspection.audit(path, laws)
    array[40, 7] = 0.25
    write(path, {"pad": array})
    row = only_fault(inspection.audit(path, laws), "pad", "off its law")
    assert row.detail == "at [40, 7] is 0.25, where a constant is due"


def test_sparse_and_orthogonal_matrices_are_tested_by_what_they_keep(tmp_path):
    spec = {
        "tensors": {
            "sparse": {"shape": [80, 60], "initializer": "sparse", "sparsity": 0.9, "std": 0.3},
            "wide": {"shape": [40, 60], "initializer": "orthogonal", "gain": 2.0},
            "tall": {"shape": [60, 40], "initializer": "orthogonal"},
        }
    }
    laws = inspection.laws(spec)
    path = tmp_path / "m.safetensors"
    checkpoint.materialize(spec, path, seed=0)
    assert set(verdicts(inspection.audit(path, laws)).values()) == {"on its law"}
    sound = {
        one.name: one.read(0, 60 * 80 if one.name == "sparse" else 2400)
        for one in inspection.tensors(path)
    }
    arrays = {
        name: bits.view(np.float32).reshape(spec["tensors"][name]["shape"])
        for name, bits in sound.items()
    }
    for name, array, test in (
        ("sparse", np.where(np.arange(4800).reshape(80, 60) % 2, arrays["sparse"], 1e-3), "zeros"),
        ("sparse", arrays["sparse"] * 2, "std"),
        ("wide", fi.normal((40, 60), std=2 / 60**0.5, seed=1), "norms"),
        ("tall", arrays["tall"] * 1.001, "norms"),
    ):
        changed = write(tmp_path / "c.safetensors", {**arrays, name: array.astype(np.float32)})
        assert only_fault(inspection.audit(changed, laws), name, "off its law").test == test


# ---------------------------------------------------------------------------------------- bad input


def test_names_that_do_not_match_are_listed_with_the_nearest(model, laws):
    arrays = drawn()
    arrays["layers.0.qq.weight"] = arrays.pop(Q)
    path = model()
    write(path, arrays)
    found = inspection.audit(path, laws)
    assert verdicts(found)[Q] == "missing" and verdicts(found)["layers.0.qq.weight"] == "unknown"
    assert "did you mean 'layers.0.qq.weight'?" in rows(found)[Q].detail
    assert f"did you mean {Q!r}?" in rows(found)["layers.0.qq.weight"].detail
    assert len(found.findings) == 2


def test_a_different_shape_is_reported_with_both_shapes(model, laws):
    found = inspection.audit(model({Q: np.ones((8, 8), np.float32)}), laws)
    assert "has shape (8, 8)" in rows(found)[Q].detail and "(64, 64)" in rows(found)[Q].detail
    assert not found


def test_a_spec_of_another_model_is_refused_with_the_nearest_names(model):
    other = {"tensors": {"block.0.q.weight": {"shape": [8], "initializer": "ones"}}}
    with pytest.raises(ValueError, match="have no name in common") as caught:
        inspection.audit(model(), other)
    assert "'embed.weight'" in str(caught.value) and "'block.0.q.weight'" in str(caught.value)


def test_tensors_of_unknown_dtypes_are_listed_and_not_fatal(tmp_path, laws):
    path = tmp_path / "x.safetensors"
    values = fi.normal(64, seed=0)
    parts = [("a", "F4", [64], 0, 32), ("layers.0.norm.weight", "F32", [64], 32, 288)]
    path.write_bytes(header(parts) + b"\0" * 32 + np.zeros_like(values).tobytes())
    found = inspection.audit(path)
    assert rows(found)["a"].verdict == "unknown" and "F4" in rows(found)["a"].detail


def test_a_truncated_file_and_a_pickle_are_refused(model, tmp_path):
    path = model()
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="model.safetensors"):
        inspection.audit(path)
    pickle = tmp_path / "model.bin"
    pickle.write_bytes(b"\x80\x04.")
    with pytest.raises(ValueError, match="pickle"):
        inspection.audit(pickle)


def test_files_of_different_seeds_are_one_checkpoint_only_by_a_given_seed(tmp_path):
    folder = tmp_path / "parts"
    folder.mkdir()
    for number in range(2):
        spec = {"tensors": {f"w{number}": {"shape": [300], "initializer": "normal"}}}
        checkpoint.materialize(spec, folder / f"{number}.safetensors", seed=number)
    with pytest.raises(ValueError, match="seeds 0, 1"):
        inspection.audit(folder)
    found = inspection.audit(folder, seed=1)
    assert verdicts(found) == {"w0": "on its law", "w1": "initial"} and not found


def test_npz_files_are_compared_with_laws(tmp_path):
    path = tmp_path / "w.npz"
    np.savez(path, w=fi.normal((64, 64), std=0.02, seed=0), empty=np.zeros((0, 3), np.float32))
    spec = {
        "tensors": {
            "w": {"shape": [64, 64], "initializer": "normal", "std": 0.02},
            "empty": {"shape": [0, 3], "initializer": "zeros"},
        }
    }
    found = inspection.audit(path, spec)
    assert found and verdicts(found) == {"w": "on its law", "empty": "unknown"}
    spec["tensors"]["w"]["std"] = 0.03
    assert verdicts(inspection.audit(path, spec))["w"] == "off its law"


def test_the_json_holds_no_number_that_json_lacks(model, laws):
    found = inspection.audit(model({Q: np.full((64, 64), np.nan, np.float32)}), laws)
    content = json.loads(found.json(), parse_constant=lambda name: pytest.fail(name))
    assert content["rows"][1].keys() == set(inspection.Row._fields)
    assert content["findings"] == list(found.findings)


def test_the_verdicts_do_not_depend_on_the_number_of_threads(model, laws):
    path = model({Q: drawn(seed=4)[Q] * np.float32(1.1)})
    assert inspection.audit(path, laws, threads=1) == inspection.audit(path, laws, threads=3)


def test_progress_counts_every_byte_that_is_looked_at(model):
    sizes = []
    inspection.audit(model(metadata=True), progress=sizes.append)
    assert sum(sizes) == sum(array.nbytes for array in drawn().values())


def test_the_examples_print_what_they_say():
    module = importlib.import_module("fastinit.inspection.audit")
    assert doctest.testmod(module).failed == 0


def test_sound_checkpoints_of_many_seeds_and_dtypes_give_no_alarm(tmp_path):
    # A few of the thousand that benchmarks/false_alarms.py draws.
    kinds = [
        {"initializer": "normal", "std": 1.0, "mean": 0.1},
        {"initializer": "uniform", "low": -0.1, "high": 0.3},
        {"initializer": "truncated_normal", "std": 0.02},
        {"initializer": "sparse", "sparsity": 0.8},
    ]
    shapes = {f"t{{layer}}.{n}": {"shape": [8 * n + 1, 12], **one} for n, one in enumerate(kinds)}
    spec = {"repeat": {"layer": 12}, "tensors": shapes}
    laws, path = inspection.laws(spec), tmp_path / "model.safetensors"
    for seed in range(24):
        dtype = ("float32", "bfloat16", "float16", "float8_e4m3fn")[seed % 4]
        checkpoint.materialize(spec, path, seed=seed, dtype=dtype, force=True)
        found = inspection.audit(path, laws)
        assert found, found.findings
        assert min(row.p for row in found.rows) > 1e-3


def test_a_value_of_a_sparse_matrix_that_rounds_to_zero_is_no_fault(tmp_path):
    own = {"shape": [56, 12], "initializer": "sparse", "sparsity": 0.8}
    laws = inspection.laws({"tensors": {"w": own}})
    array = fi.sparse((56, 12), sparsity=0.8, seed=0, dtype="float16")
    kept = np.argwhere(array)
    array[tuple(kept[0])] = 0.0  # as one of some thousand float16 matrices has it
    assert inspection.audit(write(tmp_path / "one.safetensors", {"w": array}), laws)
    array[tuple(kept[1:20].T)] = 0.0
    assert not inspection.audit(write(tmp_path / "many.safetensors", {"w": array}), laws)


@pytest.mark.parametrize(
    ("dtype", "mean", "std"),
    [("bfloat16", 1.0, 0.001), ("float8_e5m2", 3.0, 0.1), ("float8_e4m3fn", 0.0, 0.0005)],
)
def test_a_draw_that_its_dtype_rounds_coarsely_is_on_its_law(dtype, mean, std, tmp_path):
    # The rounded values have another kurtosis than a normal: up to 8 of 25 seeds alarmed.
    drawn = {"shape": [64, 48], "initializer": "normal", "mean": mean, "std": std, "dtype": dtype}
    spec = {"tensors": {"w": drawn}}
    for seed in range(25):
        checkpoint.materialize(spec, tmp_path / "m.safetensors", seed=seed, force=True)
        (row,) = inspection.audit(tmp_path / "m.safetensors", spec, seed=1000).rows
        assert row.verdict == "on its law", (seed, row)
    wider = {"tensors": {"w": {**drawn, "std": 8 * std}}}
    checkpoint.materialize(wider, tmp_path / "m.safetensors", seed=0, force=True)
    (row,) = inspection.audit(tmp_path / "m.safetensors", spec, seed=1000).rows
    assert row.verdict == "off its law"


def test_a_normal_of_std_0_is_a_constant(tmp_path):
    spec = {"tensors": {"w": {"shape": [64, 48], "initializer": "normal", "std": 0.0}}}
    checkpoint.materialize(spec, tmp_path / "m.safetensors", seed=1)
    laws = tmp_path / "l.toml"
    laws.write_text(inspection.laws_toml(inspection.laws(tmp_path / "m.safetensors")))
    (row,) = inspection.audit(tmp_path / "m.safetensors", laws).rows
    assert row.verdict == "on its law"


def test_integers_where_a_draw_of_floats_is_due_are_off_the_law(tmp_path):
    spec = {"tensors": {"w": {"shape": [64, 48], "initializer": "normal", "std": 0.02}}}
    write(tmp_path / "m.safetensors", {"w": np.arange(64 * 48, dtype=np.int8).reshape(64, 48)})
    (row,) = inspection.audit(tmp_path / "m.safetensors", spec, seed=0).rows
    assert (row.verdict, row.detail) == ("off its law", "int8, where a draw of floats is due")
