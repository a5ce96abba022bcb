"""mup_scale gives the standard deviations of the package mup."""

import math

import pytest

from fastinit import recipes as r


def mup_std(shape, base, kind):
    """The std that the package mup would use at `shape`, written after the source of
    mup.init.
    """
    (out, into), (base_out, base_into) = shape, base
    wide = (out != base_out) + (into != base_into)
    m_in, m_out = into / base_into, out / base_out
    if kind == "normal":
        return 0.02 * (m_in**-0.5 if wide == 2 else 1)
    if kind == "xavier":
        std = math.sqrt(2 / (base_out + base_into))
        return std / math.sqrt(m_in) if wide == 2 else std
    if kind == "he_fan_in":
        return math.sqrt(2 / base_into) if wide == 1 and into != base_into else math.sqrt(2 / into)
    if wide == 1 and out != base_out:
        return math.sqrt(2 / base_out)
    return math.sqrt(2 / out) * (math.sqrt(m_out / m_in) if wide == 2 else 1)


@pytest.mark.parametrize("kind", ["normal", "xavier", "he_fan_in", "he_fan_out"])
@pytest.mark.parametrize(
    ("shape", "base"),
    [
        ((1024, 1024), (256, 256)),
        ((4096, 1024), (1024, 256)),
        ((512, 784), (64, 784)),
        ((10, 512), (10, 64)),
        ((300, 200), (300, 200)),
        ((96, 640), (48, 64)),
    ],
)
def test_mup_gives_the_stds_of_the_package_mup(shape, base, kind):
    out, into = shape
    plain = {
        "normal": 0.02,
        "xavier": math.sqrt(2 / (out + into)),
        "he_fan_in": math.sqrt(2 / into),
        "he_fan_out": math.sqrt(2 / out),
    }
    got = plain[kind] * r.mup_scale(shape, base, base=kind)
    assert got == pytest.approx(mup_std(shape, base, kind), rel=1e-14)
    turned = r.mup_scale(shape[::-1], base[::-1], base=kind, layout="io")
    assert turned == r.mup_scale(shape, base, base=kind)


def test_mup_leaves_vectors_unscaled_and_scales_kernels():
    assert r.mup_scale((1024,), (256,)) == 1.0
    assert r.mup_scale((512, 256, 3, 3), (128, 64, 3, 3)) == 0.5
    with pytest.raises(ValueError, match="axis 2"):
        r.mup_scale((512, 256, 5, 3), (128, 64, 3, 3))
