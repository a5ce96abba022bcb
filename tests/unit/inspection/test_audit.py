"""Every planted fault is found with its evidence, and a sound checkpoint has no finding."""

import doctest
import importlib
import json
import re

import numpy as np
import pytest
from inspection_models import MODEL, drawn, header, write

import fastinit as fi
from fastinit import checkpoint, inspection

Q = "layers.0.q.weight"
NORMAL = {"initializer": "normal", "std": 0.02}
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
        (one_page, "31 of 32 pages of 4 KiB are copies of others"),
        (infinite, "1 of 32768 values are not finite"),
    ):
        row = only_fault(inspection.audit(model({name: array}), laws), name, "never filled")
        assert words in row.detail
    # Without laws what no network holds is found too.
    for array in (garbage.view(np.float32), one_page, infinite):
        found = inspection.audit(model({name: array}))
        assert verdicts(found)[name] == "never filled" and not found


def test_a_part_of_a_stack_of_experts_is_found(model, laws):
    name = "layers.0.experts.gate_up"
    sound = drawn()[name]
    zero, copied, page, row, garbage = (sound.copy() for _ in range(5))
    zero[2] = 0.0
    copied[3] = copied[1]
    page.reshape(-1)[5 * 1024 : 6 * 1024] = page.reshape(-1)[20 * 1024 : 21 * 1024]
    row[1, 7] = np.nan
    garbage[:2].view(np.uint32)[...] &= 0x000FFFFF
    for array, words in (
        (zero, "8192 of 32768 values are zero"),
        (copied, "8 of 32 pages of 4 KiB are copies of others"),
        (page, "1 of 32 pages of 4 KiB are copies of others"),
        (row, "128 of 32768 values are not finite"),
        (garbage, "16384 of 32768 values are subnormal"),
    ):
        row = only_fault(inspection.audit(model({name: array}), laws), name, "never filled")
        assert words in row.detail
    many = fi.normal((64, 64, 128), std=0.02, seed=0)
    law = inspection.laws({"tensors": {"w": {"shape": list(many.shape), **NORMAL}}})
    assert inspection.audit(write(laws.parent / "64.safetensors", {"w": many}), law)
    many[40] = 0.0
    assert not inspection.audit(write(laws.parent / "64.safetensors", {"w": many}), law)


def test_other_norms_and_biases_are_held_to_their_constants(tmp_path):
    for due, there in ((1.0, 0.0), (1.0, 0.999), (0.0, 1.0), (0.0, 1e-3)):
        spec = {"tensors": {"n": {"shape": [64], "initializer": "constant", "value": due}}}
        path = write(tmp_path / "n.safetensors", {"n": np.full(64, there, np.float32)})
        assert verdicts(inspection.audit(path, spec)) == {"n": "off its law"}
        write(path, {"n": np.full(64, due, np.float32)})
        assert inspection.audit(path, spec)


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


def test_a_normal_that_was_clipped_or_drawn_again_within_bounds_is_off_its_law(model, laws):
    name = "layers.0.experts.gate_up"
    array = drawn()[name]
    same_std = fi.truncated_normal(array.shape, std=0.02 / 0.8796, seed=1)
    for wrong in (np.clip(array, -0.06, 0.06), same_std):
        row = only_fault(inspection.audit(model({name: wrong}), laws), name, "off its law")
        assert row.test == "values in the tails" and row.p < 1e-6


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
    few = drawn()[Q].copy()
    few[3, 5:9] = 0.01
    found = inspection.audit(model({Q: few}, metadata=True))
    assert "1 tensor is its draw but for some values" in found.findings[0]
    assert "4 of 4096 values compared differ" in rows(found)[Q].detail
    assert not [text for text in found.findings if "drawn again" in text]
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


def test_a_tensor_converted_to_another_dtype_and_back_is_initial_and_says_so(tmp_path):
    own = {"w": {"shape": [300, 100], **NORMAL}, "b": {"shape": [70], **NORMAL}}
    path = tmp_path / "m.safetensors"
    w = fi.normal((300, 100), std=0.02, seed=5, name="w", dtype="bfloat16").astype(np.float32)
    b = fi.normal(70, std=0.02, seed=5, name="b", dtype="float64").astype(np.float32)
    write(path, {"w": w, "b": b})
    found = inspection.audit(path, {"tensors": own}, seed=5)
    assert found and set(verdicts(found).values()) == {"initial"}
    assert rows(found)["w"].detail == "equals its bfloat16 draw, converted to float32"
    assert rows(found)["b"].detail == "equals its float64 draw, converted to float32"
    w[299, 99] += 0.25
    write(path, {"w": w, "b": b})
    assert verdicts(inspection.audit(path, {"tensors": own}, seed=5))["w"] == "off its law"


def test_ruined_patterns_and_what_a_models_code_computes_are_off_their_law(tmp_path):
    def positions(target, seed, stream, threads):
        target.view[...] = np.arange(64, dtype=np.float32).view(np.uint32)

    def noise(target, seed, stream, threads):
        target.view[...] = fi.uniform(64, low=1.0, high=2.0, seed=seed).view(np.uint32)

    spec = checkpoint.load({"tensors": {"eye": {"shape": [64, 64], "initializer": "eye"}}})
    f32 = spec.entries[0].dtype
    spec = spec._replace(
        entries=(
            *spec.entries,
            checkpoint.Entry("positions", (64,), f32, "computed", {}, positions),
            checkpoint.Entry("noise", (64,), f32, "computed", {}, noise),
        )
    )
    sound = {
        "eye": np.eye(64, dtype=np.float32),
        "positions": np.arange(64, dtype=np.float32),
        "noise": fi.uniform(64, low=1.0, high=2.0, seed=3),
    }
    path = write(tmp_path / "m.safetensors", sound)
    assert set(verdicts(inspection.audit(path, spec, seed=3)).values()) == {"initial"}
    without = inspection.audit(path, spec)  # only what no seed changes can be compared
    assert verdicts(without) == {"eye": "on its law", "positions": "on its law", "noise": "unknown"}
    ruined = {name: array.copy() for name, array in sound.items()}
    ruined["eye"][3, 5] = 0.5
    ruined["positions"][7:] = 0.0
    found = inspection.audit(write(path, ruined), spec)
    assert verdicts(found) == {"eye": "off its law", "positions": "off its law", "noise": "unknown"}
    assert rows(found)["positions"].detail == (
        "57 of 64 values are not those of its draw, first at [7]: 0, expected 7"
    )
    assert "first at [3, 5]: 0.5, expected 0" in rows(found)["eye"].detail and not found
    # Of what a seed changes nothing is said, where the seed is that of no other tensor.
    assert verdicts(inspection.audit(path, spec, seed=4))["noise"] == "unknown"


def test_what_a_models_code_computed_is_known_by_its_digest(tmp_path):
    def noise(target, seed, stream, threads):
        target.view[...] = fi.uniform(64, low=1.0, high=2.0, seed=seed).view(np.uint32)

    spec = checkpoint.load({"tensors": {"w": {"shape": [64, 64], **NORMAL}}})
    entry = checkpoint.Entry("noise", (64,), spec.entries[0].dtype, "computed", {}, noise)
    path = tmp_path / "m.safetensors"
    checkpoint.materialize(spec._replace(entries=(*spec.entries, entry)), path, seed=3)
    assert set(verdicts(inspection.audit(path)).values()) == {"initial"}
    content = bytearray(path.read_bytes())
    (one,) = [one for one in checkpoint.files(path)[0].layout.tensors if one.name == "noise"]
    content[one.begin : one.begin + 4] = np.float32(1.25).tobytes()
    path.write_bytes(content)
    found = inspection.audit(path)
    assert verdicts(found) == {"w": "initial", "noise": "off its law"} and not found
    assert "changed since" in rows(found)["noise"].detail


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


def test_layers_whose_hints_differ_are_one_row_of_the_table(model, laws):
    arrays = drawn()
    for layer in range(2):
        arrays[f"layers.{layer}.qq.weight"] = arrays.pop(f"layers.{layer}.q.weight")
    path = model()
    write(path, arrays)
    text = repr(inspection.audit(path, laws))
    assert re.search(r"^layers\.\{0,1\}\.q\.weight +2 +64×64 +missing +in no file$", text, re.M)
    assert re.search(r"^layers\.\{0,1\}\.qq\.weight +2 +64×64 +unknown +not in ", text, re.M)


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


def test_a_draw_of_which_a_dtype_has_one_value_is_on_its_law(tmp_path):
    cut = {"initializer": "truncated_normal", "std": 0.001, "low": 0.96, "high": 1.04, "mean": 1.0}
    few = {"initializer": "normal", "std": 0.0005}  # 95 % of it are 0 in float8_e4m3fn
    shapes = {f"few{n}": {"shape": [30], **few} for n in range(20)}
    spec = {
        "dtype": "float8_e4m3fn",
        "tensors": {"one": {"shape": [64, 48], **cut, "bounds": "absolute"}, **shapes},
    }
    laws, path = inspection.laws(spec), tmp_path / "m.safetensors"
    checkpoint.materialize(spec, path, seed=0)
    found = inspection.audit(path, laws)
    assert found, found.findings
    assert "all values are 1" in rows(found)["one"].detail
    stats = {row.name: row for row in inspection.inspect_file(path)}
    assert sum(stats[name].min == stats[name].max for name in shapes) > 2
    spec["tensors"]["one"]["mean"] = 1.02
    ones = np.ones((64, 48), np.float32)
    wide = {"tensors": {"one": spec["tensors"]["one"]}}
    assert verdicts(inspection.audit(write(path, {"one": ones}), wide))["one"] == "never filled"


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
