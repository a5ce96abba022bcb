"""icnr: equal sub-kernels before a pixel shuffle, against convolutions and shuffles by hand."""

import numpy as np
import pytest

import fastinit as fi


def shuffled(y, r):
    """torch.nn.PixelShuffle of one image, written with loops: (channels · r², h, w)."""
    channels, height, width = len(y) // (r * r), *y.shape[1:]
    image = np.empty((channels, height * r, width * r), y.dtype)
    for c in range(channels):
        for i in range(r):
            for j in range(r):
                image[c, i::r, j::r] = y[c * r * r + i * r + j]
    return image


def depth_to_space(y, r):
    """TensorFlow's depth_to_space of one image, written with loops: (h, w, r² · channels)."""
    height, width, channels = *y.shape[:2], y.shape[2] // (r * r)
    image = np.empty((height * r, width * r, channels), y.dtype)
    for i in range(r):
        for j in range(r):
            image[i::r, j::r] = y[:, :, (i * r + j) * channels : (i * r + j + 1) * channels]
    return image


def valid_convolution(x, w):
    """Of one image (in, h, w) with (out, in, 3, 3)."""
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(1, 2))
    return np.einsum("cijkl,ockl->oij", windows, w)


@pytest.mark.parametrize("r", [1, 2, 3])
def test_icnr_before_a_pixel_shuffle_up_samples_by_the_nearest_neighbour(r):
    w = fi.icnr((4 * r * r, 3, 3, 3), upscale=r, seed=0, name="up", dtype="float64")
    one = fi.variance_scaling((4, 3, 3, 3), scale=2.0, seed=0, name="up", dtype="float64")
    x = fi.normal((3, 7, 6), seed=1, dtype="float64")
    expected = valid_convolution(x, one).repeat(r, axis=1).repeat(r, axis=2)
    np.testing.assert_allclose(shuffled(valid_convolution(x, w), r), expected, atol=1e-12)

    w = fi.icnr((3, 3, 3, 4 * r * r), upscale=r, seed=0, name="up", dtype="float64", layout="io")
    one = fi.variance_scaling(
        (3, 3, 3, 4), scale=2.0, seed=0, name="up", dtype="float64", layout="io"
    )
    y = valid_convolution(x, w.transpose(3, 2, 0, 1)).transpose(1, 2, 0)
    plain = valid_convolution(x, one.transpose(3, 2, 0, 1)).transpose(1, 2, 0)
    np.testing.assert_allclose(
        depth_to_space(y, r), plain.repeat(r, axis=0).repeat(r, axis=1), atol=1e-12
    )


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float8_e5m2"])
@pytest.mark.parametrize("distribution", ["normal", "uniform", "truncated_normal"])
@pytest.mark.parametrize(
    ("layout", "shape", "upscale"),
    [("oi", (36, 5, 3), 3), ("oi", (36, 2, 3, 2), 3), ("oi", (16, 2, 1, 2, 3), 2)]
    + [("io", (3, 5, 36), 2), ("io", (3, 2, 2, 36), 3), ("io", (1, 2, 3, 2, 16), 2)],
)
def test_icnr_has_the_bits_of_one_sub_kernel_in_every_region(
    layout, shape, upscale, distribution, dtype
):
    own = {"distribution": distribution, "layout": layout, "mode": "fan_avg", "scale": 1.5}
    common = {"seed": 7, "name": "w", "dtype": dtype}
    pixels = upscale ** (len(shape) - 2)
    if layout == "oi":
        base = fi.variance_scaling((shape[0] // pixels, *shape[1:]), **own, **common)
        expected = base.repeat(pixels, axis=0)
    else:
        base = fi.variance_scaling((*shape[:-1], shape[-1] // pixels), **own, **common)
        expected = np.tile(base, pixels)
    whole = fi.icnr(shape, upscale=upscale, **own, **common)
    assert whole.tobytes() == np.ascontiguousarray(expected).tobytes()
    rng = np.random.default_rng(0)
    for _ in range(8):
        ends = [sorted(rng.integers(0, size + 1, 2)) for size in shape]
        region = tuple(slice(int(start), int(stop)) for start, stop in ends)
        part = fi.icnr(shape, upscale=upscale, region=region, **own, **common)
        assert part.tobytes() == np.ascontiguousarray(expected[region]).tobytes(), region


@pytest.mark.parametrize(
    ("shape", "own", "error", "message"),
    [
        ((6, 3, 3, 3), {"upscale": 2}, ValueError, "4 sub-pixels"),
        ((8, 3), {"upscale": 2}, ValueError, "3 to 5 axes"),
        ((8, 3, 3, 3), {"upscale": 0}, ValueError, "upscale"),
        ((8, 3, 3, 3), {"upscale": 2.0}, TypeError, "upscale"),
        ((8, 3, 3, 3), {"upscale": 2, "mode": "fan"}, ValueError, "mode"),
        ((8, 3, 3, 3), {"upscale": 2, "scale": -1.0}, ValueError, "scale"),
        ((8, 3, 3, 3), {"upscale": 2, "layout": "OIHW"}, ValueError, "layout"),
    ],
)
def test_icnr_refuses_what_no_pixel_shuffle_takes(shape, own, error, message):
    with pytest.raises(error, match=message):
        fi.icnr(shape, **own)
