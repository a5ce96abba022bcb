"""fastinit.torch.init on complex tensors: torch's meaning, from the real draws of one stream."""

import math

import numpy as np
import pytest
import torch

import fastinit as fi
import fastinit.torch as fit
from fastinit import _complex

DTYPES = {torch.complex64: "float32", torch.complex128: "float64"}
every_dtype = pytest.mark.parametrize("dtype", DTYPES)
BUILDS = {
    "normal_": (lambda module, z: module.normal_(z, 0.0, 0.5), 0.25),
    "normal_ with a mean": (lambda module, z: module.normal_(z, 1.5, 0.5), 0.25 + 2 * 1.5**2),
    "uniform_": (lambda module, z: module.uniform_(z, -0.5, 1.0), 2 * 0.25),
    "kaiming_normal_": (lambda module, z: module.kaiming_normal_(z), 2 / 500),
    "kaiming_uniform_": (lambda module, z: module.kaiming_uniform_(z), 2 * 2 / 500),
    "xavier_normal_": (lambda module, z: module.xavier_normal_(z, 2.0), 4 * 2 / 800),
    "xavier_uniform_": (lambda module, z: module.xavier_uniform_(z), 2 * 2 / 800),
}


def seeded():
    """A generator, and the seed that a call takes from it."""
    taken = torch.empty((), dtype=torch.int64).random_(generator=torch.Generator().manual_seed(8))
    return torch.Generator().manual_seed(8), int(taken)


@every_dtype
@pytest.mark.parametrize("name", BUILDS)
def test_the_mean_square_is_torchs(name, dtype):
    build, square = BUILDS[name]
    torch.manual_seed(0)
    ours = build(fit, torch.empty(300, 500, dtype=dtype))
    theirs = build(torch.nn.init, torch.empty(300, 500, dtype=dtype))
    for drawn in (ours, theirs):
        assert abs(float(drawn.abs().square().mean()) / square - 1) < 0.015
    assert abs(complex(ours.mean() - theirs.mean())) < 0.02 * math.sqrt(square)
    parts = torch.view_as_real(ours) - torch.view_as_real(ours).mean((0, 1))
    variances = parts.square().mean((0, 1))
    assert abs(float(variances[0] / variances[1]) - 1) < 0.03
    assert abs(float(parts.prod(-1).mean() / variances.mean())) < 0.02


@every_dtype
def test_normals_without_mean_have_the_bits_of_jaxs_rule(dtype):
    parts = _complex.parts_of(str(dtype).removeprefix("torch."))
    for build, name, arguments in (
        (fit.normal_, "normal", {"mean": 0.0, "std": 1.0}),
        (fit.kaiming_normal_, "variance_scaling", {"scale": 2.0, "layout": "oi"}),
        (fit.xavier_normal_, "variance_scaling", {"mode": "fan_avg", "layout": "oi"}),
    ):
        generator, seed = seeded()
        drawn = build(torch.empty(6, 7, 3, dtype=dtype), generator=generator).numpy()
        law = _complex.law(name, arguments, drawn.shape, parts)
        expected = _complex.values(law, drawn.shape, parts, None, seed, None)
        assert drawn.tobytes() == expected.tobytes(), name


@every_dtype
def test_the_parts_are_neighbours_of_the_real_draw_with_torchs_mean_and_bounds(dtype):
    real = DTYPES[dtype]
    generator, seed = seeded()
    drawn = fit.uniform_(torch.empty(5, 7, dtype=dtype), -1.0, 3.0, generator).numpy()
    expected = fi.uniform((5, 7, 2), low=-1.0, high=3.0, seed=seed, dtype=real)
    assert drawn.tobytes() == expected.tobytes()
    generator, seed = seeded()
    drawn = fit.normal_(torch.empty(5, 7, dtype=dtype), 2.0, 1.0, generator).numpy()
    expected = fi.normal((5, 7, 2), mean=2.0, std=math.sqrt(0.5), seed=seed, dtype=real)
    np.testing.assert_array_equal(drawn, expected.view(drawn.dtype)[..., 0])
    generator, seed = seeded()
    drawn = fit.kaiming_uniform_(torch.empty(5, 7, dtype=dtype), generator=generator).numpy()
    expected = fi.uniform((5, 7, 2), low=-1.0, high=1.0, seed=seed, dtype=real)
    bound = math.sqrt(2 * 3 / 7)
    np.testing.assert_allclose(
        drawn, bound * expected.view(drawn.dtype)[..., 0], rtol=1e-5, atol=1e-6
    )


@every_dtype
def test_strided_conjugate_and_leaf_tensors_get_the_values_of_contiguous_ones(dtype):
    whole = fit.normal_(torch.empty(6, 4, dtype=dtype), generator=seeded()[0])
    turned = torch.empty(4, 6, dtype=dtype).t()
    wide = torch.zeros(12, 12, dtype=dtype)
    conjugate = torch.zeros(6, 4, dtype=dtype).conj()
    leaf = torch.nn.Parameter(torch.zeros(6, 4, dtype=dtype))
    for tensor in (turned, wide[::2, 4::2], conjugate, leaf):
        before = tensor._version
        assert fit.normal_(tensor, generator=seeded()[0]) is tensor
        assert torch.equal(tensor.detach(), whole) and tensor._version > before
    assert conjugate.is_conj() and leaf.is_leaf and leaf.requires_grad
    assert not wide[1::2].any() and not wide[:, :4].any()
    scalar = fit.normal_(torch.empty((), dtype=dtype), generator=seeded()[0])
    assert scalar == whole[0, 0]
    assert fit.normal_(torch.empty(0, 3, dtype=dtype)).shape == (0, 3)


def test_a_refused_complex_call_draws_no_seed_and_writes_nothing():
    tensor, state = torch.zeros(3, dtype=torch.complex64), torch.get_rng_state()
    for arguments in ((0.0, -1.0), (0.0, math.inf), (math.inf, 1.0), (0.0, 1e38)):
        with pytest.raises((RuntimeError, ValueError)):
            fit.normal_(tensor, *arguments)
    with pytest.raises(RuntimeError, match="single memory location"):
        fit.normal_(torch.empty(1, dtype=torch.complex64).expand(4))
    assert not tensor.any() and tensor._version == 0
    assert torch.equal(torch.get_rng_state(), state)
