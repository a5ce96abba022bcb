"""orthogonal: the known answers, orthogonality, every kind of region and destination, and bad
arguments.
"""

import ast
import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest
from orthogonal_cases import DTYPES, bits, boxes, force, gram_error, replace_draws, same

import fastinit as fi
from fastinit._core.dtypes import resolve
from fastinit._orthogonal import forms
from fastinit.initializers.orthogonal import orthogonal_rule

CASES = json.loads((Path(__file__).parents[2] / "vectors" / "stream-v1-cases.json").read_text())
KNOWN = {key: answer for key, answer in CASES.items() if key.startswith("orth")}


@pytest.fixture(params=["numpy", pytest.param("numba", marks=pytest.mark.numba)])
def form(request, monkeypatch):
    force(monkeypatch, request.param)
    return request.param


# ------------------------------------------------------------------------------------ known answers


def test_the_known_answers(form, monkeypatch):
    wrong = []
    for key, answer in KNOWN.items():
        *family, layout, gain, dtype = key.split("/")
        shape = {"orth_batch": (2, 6, 6), "orth_zero": (3, 3)}.get(family[0]) or ast.literal_eval(
            family[1]
        )
        batch = (0,) if family[0] == "orth_batch" else ()
        # The last reflector of a 3 by 3 matrix has only one draw, at index 2 * 3 + 2.
        replace_draws(monkeypatch, 8 if family[0] == "orth_zero" else None)
        w = fi.orthogonal(
            shape, layout=layout, gain=float(gain), dtype=dtype, batch_axis=batch, seed=0
        )
        little = bits(w.astype(w.dtype.newbyteorder("<"), copy=False))
        if hashlib.sha256(little.tobytes()).hexdigest() != answer:
            wrong.append(key)
    assert len(KNOWN) == 96 and not wrong


def test_a_reflector_of_zero_norm_is_skipped_and_its_sign_is_plus(form, monkeypatch):
    replace_draws(monkeypatch, zero=8)
    w = fi.orthogonal((3, 3), seed=0)
    assert np.isfinite(w).all() and gram_error(w) < 1e-6
    replace_draws(monkeypatch, zero=0)
    assert fi.orthogonal((1, 1), seed=0).item() == 1.0


# ------------------------------------------------------------------------------------ orthogonality

SHAPES = [
    (1, 1),
    (1, 7),
    (7, 1),
    (5, 5),
    (63, 64),
    (64, 63),
    (65, 65),
    (20, 300),
    (300, 20),
    (130, 257),
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_rows_or_columns_are_orthonormal_times_gain(form, shape):
    for gain in (1.0, -2.5):
        assert gram_error(fi.orthogonal(shape, gain=gain, seed=1), gain) < 1e-6
    assert gram_error(fi.orthogonal(shape, seed=1, dtype="float64")) < 2e-15


@pytest.mark.parametrize("n", [1024, 4096])
@pytest.mark.numba
def test_max_error_of_the_gram_matrix_stays_below_1e_6_up_to_4096(monkeypatch, n):
    force(monkeypatch, "numba")
    assert gram_error(fi.orthogonal((n, n), seed=5)) <= 1e-6


@pytest.mark.parametrize("dtype", DTYPES[2:])
def test_narrow_dtypes_hold_the_float32_values_rounded_once(form, dtype):
    wide = fi.orthogonal((40, 70), gain=1.41, seed=3)
    narrow = fi.orthogonal((40, 70), gain=1.41, seed=3, dtype=dtype)
    assert same(narrow, wide.astype(resolve(dtype).numpy()))


def test_gain_multiplies_in_the_working_type_and_minus_zero_never_appears(form):
    one = fi.orthogonal((33, 44), seed=9)
    for gain in (0.3, -0.3, 0.0, -0.0, 1e-39):
        w = fi.orthogonal((33, 44), gain=gain, seed=9)
        assert same(w, one * np.float32(gain) + np.float32(0))
        assert not np.signbit(w[w == 0]).any()


@pytest.mark.parametrize("shape", [(2000, 300), (300, 2000)], ids=str)
@pytest.mark.numba
def test_max_error_of_the_gram_matrix_of_long_matrices(monkeypatch, shape):
    force(monkeypatch, "numba")
    assert gram_error(fi.orthogonal(shape, seed=5)) <= 1e-6
    assert gram_error(fi.orthogonal(shape, seed=5, dtype="float64")) <= 1e-14


def test_float64_has_its_own_draw():
    assert not np.allclose(
        fi.orthogonal((8, 8), seed=0), fi.orthogonal((8, 8), seed=0, dtype="float64"), atol=1e-3
    )


# ------------------------------------------------------------------- regions, batches, destinations


@pytest.mark.parametrize("layout", ["oi", "io"])
@pytest.mark.parametrize(
    ("shape", "batch"),
    [
        ((70, 140), ()),
        ((140, 70), ()),
        ((90, 90), ()),
        ((12, 5, 3, 3), ()),
        ((3, 4, 5, 130), ()),
        ((3, 66, 20), (0,)),
        ((20, 3, 66, 2), (1, 3)),
        ((5, 4, 6), (-1,)),
    ],
    ids=str,
)
def test_a_region_has_the_bits_it_has_in_the_whole(form, layout, shape, batch):
    whole = fi.orthogonal(shape, layout=layout, batch_axis=batch, seed=4, name="w")
    for region in boxes(shape, 12, len(shape)):
        part = fi.orthogonal(
            shape, layout=layout, batch_axis=batch, seed=4, name="w", region=region
        )
        assert same(part, np.ascontiguousarray(whole[region])), region


@pytest.mark.parametrize("dtype", DTYPES)
def test_destinations_of_any_strides_hold_the_same_bits(form, dtype):
    kind = resolve(dtype).numpy()
    whole = fi.orthogonal((50, 90), seed=2, dtype=dtype)
    for out in (
        np.empty((50, 90), kind, order="F"),
        np.empty((100, 180), kind)[::2, ::2],
        np.empty((50, 90), kind)[::-1, ::-1],
        np.empty((90, 50), kind).T,
        np.empty((50, 1, 90), kind)[:, 0],
    ):
        assert fi.orthogonal(out=out, seed=2) is out
        assert same(np.ascontiguousarray(out), whole)
    conv = fi.orthogonal((6, 5, 3, 3), seed=2, dtype=dtype)
    strange = np.empty((3, 6, 3, 5), kind).transpose(1, 3, 0, 2)
    assert same(np.ascontiguousarray(fi.orthogonal(out=strange, seed=2)), conv)


def test_memory_beside_a_strided_destination_is_not_touched(form):
    frame = np.full((102, 202), 7.0, np.float32)
    fi.orthogonal(out=frame[1:-1:2, 1:-1:2], seed=0)
    inside = np.zeros(frame.shape, bool)
    inside[1:-1:2, 1:-1:2] = True
    assert (frame[~inside] == 7).all() and (frame[inside] != 7).all()


def test_layouts_and_batches_are_the_matrices_that_the_contract_numbers(form):
    conv = fi.orthogonal((12, 5, 3, 3), seed=6)
    assert same(conv.reshape(12, 45), fi.orthogonal((12, 45), seed=6))
    assert same(
        fi.orthogonal((3, 4, 5), layout="io", seed=6).reshape(12, 5), fi.orthogonal((12, 5), seed=6)
    )
    heads = fi.orthogonal((4, 8, 32), batch_axis=0, seed=6)
    assert same(heads[0], fi.orthogonal((8, 32), seed=6))
    assert same(
        fi.orthogonal((8, 4, 32), batch_axis=1, seed=6), np.ascontiguousarray(heads.swapaxes(0, 1))
    )
    errors = [gram_error(head) for head in heads]
    products = [np.abs(heads[i].ravel() @ heads[j].ravel()) for i in range(4) for j in range(i)]
    assert max(errors) < 1e-6 and max(products) < 6 * np.sqrt(8 * 8 / 32)


# shape, layout, batch_axis, groups; the shape with its out axis split, and its batch axes
GROUPED = [
    ((12, 20), "oi", (), 4, (4, 3, 20), (0,)),
    ((280, 30), "oi", (), 4, (4, 70, 30), (0,)),
    ((18, 5, 3, 3), "oi", (), 3, (3, 6, 5, 3, 3), (0,)),
    ((7, 12), "io", (), 3, (7, 3, 4), (1,)),
    ((3, 2, 5, 12), "io", (), 2, (3, 2, 5, 2, 6), (3,)),
    ((2, 12, 5), "oi", (0,), 3, (2, 3, 4, 5), (0, 1)),
    ((12, 2, 5), "oi", (-2,), 3, (3, 4, 2, 5), (0, 2)),
    ((5, 2, 12), "io", (1,), 3, (5, 2, 3, 4), (1, 2)),
    ((0, 5), "oi", (), 3, (3, 0, 5), (0,)),
]
grouped = pytest.mark.parametrize(("shape", "layout", "batch", "groups", "split", "axes"), GROUPED)


@grouped
def test_groups_are_batches_of_the_out_axis(form, shape, layout, batch, groups, split, axes):
    whole = fi.orthogonal(shape, layout=layout, batch_axis=batch, groups=groups, gain=0.7, seed=4)
    batched = fi.orthogonal(split, layout=layout, batch_axis=axes, gain=0.7, seed=4)
    assert same(whole, batched.reshape(shape))


@grouped
def test_a_region_of_groups_has_the_bits_it_has_in_the_whole(
    form, shape, layout, batch, groups, split, axes
):
    own = {"layout": layout, "batch_axis": batch, "groups": groups, "seed": 4, "name": "w"}
    whole = fi.orthogonal(shape, **own)
    for region in boxes(shape, 12, len(shape)):
        part = fi.orthogonal(shape, region=region, **own)
        assert same(part, np.ascontiguousarray(whole[region])), region


def test_groups_go_to_destinations_of_any_strides(form):
    whole = fi.orthogonal((12, 20), groups=3, seed=2)
    for out in (
        np.empty((12, 20), np.float32, order="F"),
        np.empty((24, 40), np.float32)[::2, ::2],
        np.empty((12, 20), np.float32)[::-1, ::-1],
        np.empty((12, 1, 20), np.float32)[:, 0],
    ):
        assert same(np.ascontiguousarray(fi.orthogonal(out=out, groups=3, seed=2)), whole)
    part = np.empty((14, 20), np.float32)[::-2]
    fi.orthogonal((12, 20), groups=3, seed=2, region=np.s_[3:10, :], out=part)
    assert same(np.ascontiguousarray(part), whole[3:10])


def test_the_gates_of_an_lstm_are_orthogonal_and_differ(form):
    gates = fi.orthogonal((4 * 16, 16), groups=4, seed=1, name="weight_hh").reshape(4, 16, 16)
    assert max(gram_error(gate) for gate in gates) < 1e-6
    assert all(abs(np.vdot(gates[i], gates[j])) < 8 for i in range(4) for j in range(i))


@pytest.mark.parametrize(
    ("groups", "error"), [(5, ValueError), (0, ValueError), (2.0, TypeError), (True, TypeError)]
)
def test_groups_that_do_not_divide_the_outputs_are_refused(groups, error):
    with pytest.raises(error, match="groups"):
        fi.orthogonal((12, 20), groups=groups)
    with pytest.raises(error, match="groups"):
        fi.orthogonal((20, 12), groups=groups, layout="io")


def test_a_tall_matrix_is_the_transpose_of_a_wide_one(form):
    assert same(
        fi.orthogonal((70, 30), seed=8), np.ascontiguousarray(fi.orthogonal((30, 70), seed=8).T)
    )


def test_the_first_rows_of_a_square_matrix_are_the_wide_one(form):
    """Later reflectors do not change a column, so the shorter side may grow and the bits stay the
    same.
    """
    assert same(fi.orthogonal((100, 100), seed=8)[:70], fi.orthogonal((70, 100), seed=8))


def test_zero_sizes_draw_nothing_and_are_checked(form):
    for shape in ((0, 5), (5, 0), (0, 0), (3, 0, 2)):
        assert fi.orthogonal(shape, seed=0).shape == shape
    assert fi.orthogonal((4, 6), seed=0, region=(slice(2, 2), slice(0, 6))).shape == (0, 6)
    with pytest.raises(ValueError, match="two axes"):
        fi.orthogonal((0,), seed=0)


# ------------------------------------------------------------------------------------ bad arguments


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"shape": ()}, ValueError, "at least two axes"),
        ({"shape": (5,)}, ValueError, "give a vector an axis of size 1"),
        ({"shape": (5, 6, 7), "batch_axis": (0, 1)}, ValueError, "beside batch_axis (0, 1)"),
        ({"shape": (5, 6), "batch_axis": 2}, ValueError, "outside shape (5, 6)"),
        ({"shape": (5, 6, 7), "batch_axis": (0, -3)}, ValueError, "twice"),
        ({"shape": (5, 6, 7), "batch_axis": True}, TypeError, "integer"),
        ({"shape": (5, 6), "layout": "OI"}, ValueError, "'oi' (out, in, *kernel)"),
        ({"shape": (5, 6), "layout": None}, ValueError, "layout is None"),
        ({"shape": (5, 6), "gain": float("nan")}, ValueError, "must be finite"),
        ({"shape": (5, 6), "gain": float("inf")}, ValueError, "must be finite"),
        ({"shape": (5, 6), "gain": 1e39}, ValueError, "not finite in float32"),
        ({"shape": (5, 6), "gain": 3.4028234663852886e38}, ValueError, "not finite in float32"),
        (
            {"shape": (5, 6), "gain": 500.0, "dtype": "float8_e4m3fn"},
            ValueError,
            "not finite in float8_e4m3fn",
        ),
        (
            {"shape": (5, 6), "gain": 70000.0, "dtype": "float16"},
            ValueError,
            "not finite in float16",
        ),
        ({"shape": (5, 6), "gain": "relu"}, TypeError, "gain must be a real number"),
        ({"shape": (5, 6), "gain": True}, TypeError, "gain must be a real number"),
        ({"shape": (5, 6), "dtype": "int8"}, TypeError, "floating dtype"),
        ({"shape": (5, 6), "threads": 0}, ValueError, "threads"),
        ({"shape": (5, 6), "seed": -1}, ValueError, "seed"),
    ],
)
def test_bad_arguments_say_what_was_given_and_what_is_allowed(arguments, error, says):
    with pytest.raises(error, match=re.escape(says)):
        fi.orthogonal(**{"seed": 0, **arguments})


def test_a_refused_call_does_not_touch_the_destination():
    out = np.full((5, 6), 3.0, np.float32)
    with pytest.raises(ValueError, match="gain"):
        fi.orthogonal(out=out, gain=1e39, seed=0)
    assert (out == 3).all()


def test_without_numba_a_fill_of_minutes_is_refused_and_one_of_seconds_is_not(monkeypatch):
    def no_numba(name, package):
        raise ModuleNotFoundError("No module named 'numba'", name="numba")

    monkeypatch.setattr(forms.importlib, "import_module", no_numba)
    monkeypatch.setattr(forms, "_missing", None)
    monkeypatch.setattr(forms, "_compiled", None)
    monkeypatch.delenv("FASTINIT_ENGINE", raising=False)
    out = np.full((8192, 8192), 3.0, np.float32)
    with pytest.raises(
        ImportError, match=r"8192.* would take about \d+ minutes without numba.*pip install numba"
    ):
        fi.orthogonal(out=out, seed=0)
    assert (out == 3).all()
    assert gram_error(fi.orthogonal((200, 300), seed=0)) < 1e-6
    monkeypatch.setenv("FASTINIT_ENGINE", "reference")  # asked for: no refusal, however long
    assert forms.compiled(1e15, False, "w") is None


def test_rules_are_pure_and_their_writes_fill_regions_only():
    write = orthogonal_rule((4, 6), resolve("float32"), gain=2.0)
    assert callable(write)
    whole = fi.orthogonal((4, 6), gain=2.0, seed=1)
    for _ in range(2):
        out = np.zeros((2, 6), np.float32)
        target = fi._core.fill.target((4, 6), None, out, (slice(1, 3), ...))
        write(target, 1, 0, None)
        assert same(out, np.ascontiguousarray(whole[1:3]))
