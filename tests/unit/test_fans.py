"""Fans of every kind of layer, compared with numbers worked out by hand and with torch's own
function.
"""

import math

import pytest

import fastinit as fi

# what the weight belongs to, its shape, arguments of fans, fan_in, fan_out
TABLE = [
    ("torch Linear(20, 30)", (30, 20), {}, 20, 30),
    ("torch Conv1d(16, 32, 5)", (32, 16, 5), {}, 80, 160),
    ("torch Conv2d(16, 32, 3)", (32, 16, 3, 3), {}, 144, 288),
    ("torch Conv3d(4, 8, (1, 2, 3))", (8, 4, 1, 2, 3), {}, 24, 48),
    ("torch Conv2d, spelled", (32, 16, 3, 3), {"layout": "OIHW"}, 144, 288),
    ("torch Embedding(1000, 64): rows are outputs to torch", (1000, 64), {}, 64, 1000),
    (
        "Embedding(1000, 64), one row at a time",
        (1000, 64),
        {"in_axis": (), "out_axis": 1, "batch_axis": 0},
        1,
        64,
    ),
    ("torch Conv2d(16, 32, 3, groups=4), torch's number", (32, 4, 3, 3), {}, 36, 288),
    ("torch Conv2d(16, 32, 3, groups=4), per group", (32, 4, 3, 3), {"groups": 4}, 36, 72),
    ("torch depthwise Conv2d(32, 64, 3, groups=32)", (64, 1, 3, 3), {"groups": 32}, 9, 18),
    ("torch ConvTranspose1d(16, 32, 5)", (16, 32, 5), {"layout": "IOW"}, 80, 160),
    ("torch ConvTranspose2d(16, 32, 3)", (16, 32, 3, 3), {"layout": "IOHW"}, 144, 288),
    (
        "torch ConvTranspose2d(16, 32, 3, groups=4), torch's number",
        (16, 8, 3, 3),
        {"layout": "IOHW"},
        144,
        72,
    ),
    (
        "torch ConvTranspose2d(16, 32, 3, groups=4), per group",
        (16, 8, 3, 3),
        {"layout": "IOHW", "groups": 4},
        36,
        72,
    ),
    ("torch ConvTranspose3d(4, 8, 3)", (4, 8, 3, 3, 3), {"layout": "IODHW"}, 108, 216),
    ("Keras Dense(20 -> 30)", (20, 30), {"layout": "io"}, 20, 30),
    ("Keras Conv1D(16 -> 32, 5)", (5, 16, 32), {"layout": "io"}, 80, 160),
    ("Keras Conv2D(16 -> 32, 3)", (3, 3, 16, 32), {"layout": "io"}, 144, 288),
    ("Keras Conv2D, spelled", (3, 3, 16, 32), {"layout": "HWIO"}, 144, 288),
    ("Keras Conv3D(4 -> 8, (1, 2, 3))", (1, 2, 3, 4, 8), {"layout": "DHWIO"}, 24, 48),
    (
        "Keras Conv2D(16 -> 32, 3, groups=4), per group",
        (3, 3, 4, 32),
        {"layout": "io", "groups": 4},
        36,
        72,
    ),
    ("Keras Conv2DTranspose(16 -> 32, 3)", (3, 3, 32, 16), {"layout": "HWOI"}, 144, 288),
    (
        "Keras DepthwiseConv2D(32, multiplier 2)",
        (3, 3, 32, 2),
        {"in_axis": (), "out_axis": 3, "batch_axis": 2},
        9,
        18,
    ),
    ("MLX Conv2d(16 -> 32, 3), channels last", (32, 3, 3, 16), {"layout": "OHWI"}, 144, 288),
    (
        "EinsumDense / DenseGeneral (dim, heads, head_dim)",
        (512, 8, 64),
        {"layout": "IOO"},
        512,
        512,
    ),
    ("the same by axes", (512, 8, 64), {"in_axis": 0, "out_axis": (1, 2)}, 512, 512),
    (
        "attention output (heads, head_dim, dim)",
        (8, 64, 512),
        {"in_axis": (0, 1), "out_axis": -1},
        512,
        512,
    ),
    ("the heads as a batch", (512, 8, 64), {"in_axis": 0, "out_axis": 2, "batch_axis": 1}, 512, 64),
    ("fused q, k, v as torch's MultiheadAttention", (1536, 512), {"groups": 3}, 512, 512),
    ("fused q, k, v, torch's number", (1536, 512), {}, 512, 1536),
    ("fused q, k, v in JAX's layout", (512, 1536), {"layout": "io", "groups": 3}, 512, 512),
    ("fused gate and up", (22016, 4096), {"groups": 2}, 4096, 11008),
    ("experts (E, out, in)", (8, 30, 20), {"batch_axis": 0}, 20, 30),
    ("experts (E, out, in), spelled", (8, 30, 20), {"layout": "BOI"}, 20, 30),
    ("experts (E, in, out)", (8, 20, 30), {"layout": "io", "batch_axis": 0}, 20, 30),
    ("experts last (in, out, E)", (20, 30, 8), {"layout": "io", "batch_axis": -1}, 20, 30),
    ("experts with fused gate and up", (8, 60, 20), {"batch_axis": [0], "groups": 2}, 20, 30),
    ("a bias with its axes given", (30,), {"in_axis": (), "out_axis": 0}, 1, 30),
    ("a scalar with its axes given", (), {"in_axis": (), "out_axis": ()}, 1, 1),
    ("a locally connected kernel (places, k·in, out)", (100, 27, 8), {"layout": "BIO"}, 27, 8),
    (
        "beyond 2^53: fans are integers",
        (2**30, 2**29 + 1),
        {"in_axis": (0, 1), "out_axis": ()},
        2**59 + 2**30,
        1,
    ),
    ("a zero-size shape", (0, 3), {}, 3, 0),
]


@pytest.mark.parametrize(
    "shape, arguments, fan_in, fan_out", [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_fans_of_every_layer_are_those_worked_out_by_hand(shape, arguments, fan_in, fan_out):
    found = fi.fans(shape, **arguments)
    assert found == (fan_in, fan_out)
    assert (found.fan_in, found.fan_out) == (fan_in, fan_out)
    assert type(found.fan_in) is int and type(found.fan_out) is int


@pytest.mark.frameworks
def test_fans_without_groups_are_those_of_torch():
    import torch

    for shape in [(30, 20), (32, 4, 3), (32, 16, 3, 3), (8, 4, 1, 2, 3), (16, 8, 3, 3)]:
        theirs = torch.nn.init._calculate_fan_in_and_fan_out(torch.empty(shape))
        assert fi.fans(shape) == theirs


def test_explicit_axes_win_over_layout():
    assert fi.fans((3, 5, 7), layout="io", in_axis=0, out_axis=1) == (21, 35)


def test_shapes_and_axes_of_numpy_integers_and_lists_are_accepted():
    import numpy as np

    assert fi.fans(np.array([30, 20])) == fi.fans([np.int64(30), 20]) == (20, 30)
    assert fi.fans((4, 30, 20), batch_axis=np.int32(0), groups=np.int8(2)) == (20, 15)


@pytest.mark.parametrize("shape", [(), (10,), 10])
@pytest.mark.parametrize("layout", ["oi", "io"])
def test_a_shape_without_fans_is_an_error_that_names_it_and_both_remedies(shape, layout):
    with pytest.raises(ValueError) as caught:
        fi.fans(shape, layout=layout)
    message = str(caught.value)
    assert str((10,) if shape == 10 else shape) in message
    assert (
        "in_axis" in message
        and "out_axis" in message
        and "normal" in message
        and "zeros" in message
    )


def test_batch_axes_do_not_make_up_for_missing_ones():
    with pytest.raises(ValueError, match=r"beside batch_axis \(0,\)"):
        fi.fans((4, 10), batch_axis=0)


BAD = [
    ((4, 4), {"layout": "nchw"}, ValueError, "unknown layout"),
    ((4, 4), {"layout": ""}, ValueError, "unknown layout"),
    ((4, 4), {"layout": None}, TypeError, "layout must be a str"),
    ((4, 4), {"layout": "OIHW"}, ValueError, "spells 4 axes"),
    ((4, 4), {"layout": "OO"}, ValueError, "no in axis"),
    ((4, 4), {"layout": "IH"}, ValueError, "no out axis"),
    ((4, 4, 4), {"layout": "OIH", "batch_axis": 1}, ValueError, "two roles"),
    ((4, 4), {"in_axis": 0}, ValueError, "out_axis is missing"),
    ((4, 4), {"out_axis": 0}, ValueError, "in_axis is missing"),
    ((4, 4), {"in_axis": 0, "out_axis": 2}, ValueError, "outside"),
    ((4, 4), {"in_axis": 0, "out_axis": -3}, ValueError, "outside"),
    ((4, 4), {"in_axis": 0, "out_axis": 0}, ValueError, "two roles"),
    ((4, 4), {"in_axis": 0, "out_axis": -2}, ValueError, "two roles"),
    ((4, 4), {"in_axis": "0", "out_axis": 1}, TypeError, "in_axis must be an integer"),
    ((4, 4), {"in_axis": 0.0, "out_axis": 1}, TypeError, "in_axis must be an integer"),
    ((4, 4), {"in_axis": True, "out_axis": 0}, TypeError, "in_axis must be an integer"),
    ((4, 4, 4), {"batch_axis": (0, 0)}, ValueError, "two roles"),
    ((4, 4), {"batch_axis": 2}, ValueError, "outside"),
    ((4, 4), {"groups": 3}, ValueError, "does not divide the 4 outputs"),
    ((6, 4, 3), {"layout": "IOW", "groups": 4}, ValueError, "does not divide the 6 inputs"),
    ((4, 4), {"groups": 0}, ValueError, "groups is 0; it must be at least 1"),
    ((4, 4), {"groups": -1}, ValueError, "groups is -1; it must be at least 1"),
    ((4, 4), {"groups": 2.0}, TypeError, "groups must"),
    ((4, -4), {}, ValueError, "negative"),
    ((4, 4.0), {}, TypeError, "shape"),
    ("44", {}, TypeError, "shape"),
]


@pytest.mark.parametrize("shape, arguments, error, message", BAD)
def test_wrong_layouts_axes_and_groups_are_clear_errors(shape, arguments, error, message):
    with pytest.raises(error, match=message):
        fi.fans(shape, **arguments)


def test_fans_is_symmetric_in_the_two_layouts():
    for kernel in [(), (3,), (3, 5), (2, 3, 5)]:
        assert fi.fans((30, 20, *kernel)) == fi.fans((*kernel, 20, 30), layout="io")
        assert fi.fans((30, 20, *kernel)) == (20 * math.prod(kernel), 30 * math.prod(kernel))
