"""fastinit.jax: names, shapes, dtypes and values of every initializer, and what is refused."""

import inspect
import math
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax_cases import CASES, DTYPES, KEY, X64, bits, core, never

import fastinit as fi
import fastinit.jax as init
from fastinit.jax import _arrays

PROCESSES = ("jax_32_bits", "jax_64_bits")


def test_every_name_of_jax_exists_here_with_its_parameters_and_defaults():
    theirs = jax.nn.initializers
    names = [name for name in dir(theirs) if name[0] != "_" and name != "Initializer"]
    assert len(names) >= 19
    for initializer in (init.he_normal(), init.constant(1.0), init.zeros):
        assert isinstance(initializer, theirs.Initializer)
        assert isinstance(initializer, init.Initializer)
    for name in names:
        ours = getattr(init, name)
        assert name in init.__all__ and ours.__doc__
        mine, its = (
            inspect.signature(ours).parameters,
            inspect.signature(getattr(theirs, name)).parameters,
        )
        assert [(p.name, p.default, p.kind) for p in mine.values()] == [
            (p.name, p.default, p.kind) for p in its.values()
        ]
        assert getattr(theirs, name) is not getattr(
            theirs, name.replace("xavier", "glorot").replace("kaiming", "he")
        ) or (ours is getattr(init, name.replace("xavier", "glorot").replace("kaiming", "he")))
    initializer = inspect.signature(init.he_normal()).parameters
    assert list(initializer) == list(inspect.signature(theirs.he_normal()).parameters)
    assert all(initializer[name].default is None for name in ("dtype", "out_sharding"))


def test_every_initializer_is_a_core_function_in_every_dtype():
    for dtype in DTYPES:
        for name, (initializer, shape, _, _) in CASES.items():
            assert bits(initializer(KEY, shape, dtype)) == bits(core(name, dtype)), (name, dtype)
            assert bits(initializer(KEY, shape, jnp.dtype(dtype))) == bits(core(name, dtype)), (
                name,
                dtype,
            )


def test_shapes_and_dtypes_of_jaxs_own_test():
    shapes = [(), (2,), (2, 3), (2, 3, 4), (2, 3, 4, 5), (2, 0, 4)]
    for dtype in DTYPES:
        for shape in shapes:
            names = ["uniform", "normal", "truncated_normal", "constant", "ones", "zeros"]
            if len(shape) > 1:
                names += [
                    "he_normal",
                    "glorot_uniform",
                    "lecun_normal",
                    "variance_scaling",
                    "orthogonal",
                ]
            if 3 <= len(shape) <= 5:
                names += ["delta_orthogonal"]
            for name in names:
                drawn = CASES[name][0](KEY, shape, dtype)
                assert (
                    isinstance(drawn, jax.Array)
                    and drawn.shape == shape
                    and drawn.dtype == jnp.dtype(dtype)
                )


def test_vectors_have_no_fans_unless_the_axes_are_named():
    for shape in ((), (4,)):
        with pytest.raises(ValueError, match="axes|axis|two"):
            init.he_normal()(KEY, shape)
    for axes in (
        {"in_axis": 0, "out_axis": ()},
        {"in_axis": [], "out_axis": [0]},
        {"in_axis": (), "out_axis": (), "batch_axis": 0},
    ):
        drawn = init.variance_scaling(1.0, "fan_in", "normal", **axes)(KEY, (4,))
        theirs = jax.nn.initializers.variance_scaling(1.0, "fan_in", "normal", **axes)(KEY, (4,))
        assert drawn.shape == theirs.shape == (4,)
    wide = init.variance_scaling(1.0, "fan_in", "normal", in_axis=0, out_axis=())(
        KEY, (2**18,), "float32"
    )
    assert abs(float(wide.std()) * 2**9 - 1) < 0.01
    assert (
        init.variance_scaling(1.0, "fan_in", "normal", in_axis=(), out_axis=())(KEY, ()).shape == ()
    )


def test_orthogonal_is_orthogonal_along_any_axis_and_of_any_size():
    for rows in range(4):
        for columns in range(4):
            w = np.asarray(init.orthogonal()(KEY, (rows, columns), "float32"), np.float64)
            gram = w.T @ w if rows >= columns else w @ w.T
            assert (
                w.shape == (rows, columns)
                and np.abs(gram - np.eye(len(gram))).max(initial=0.0) < 1e-5
            )
    for axis in (-1, -2, -3, 0, 1, 2):
        w = np.asarray(init.orthogonal(3.0, axis)(KEY, (2, 5, 3), "float32"), np.float64)
        assert w.shape == (2, 5, 3)
        matrix = np.moveaxis(w, axis, -1).reshape(-1, w.shape[axis])
        small = matrix.T @ matrix if matrix.shape[0] >= matrix.shape[1] else matrix @ matrix.T
        assert np.abs(small - 9 * np.eye(len(small))).max() < 1e-5
        assert bits(
            jax.jit(lambda key, axis=axis: init.orthogonal(3.0, axis)(key, (2, 5, 3), "float32"))(
                KEY
            )
        ) == bits(init.orthogonal(3.0, axis)(KEY, (2, 5, 3), "float32"))
    for shape, axis, message in (
        ((4,), -1, "at least a 2D shape"),
        ((), -1, "at least a 2D shape"),
        ((2, 3), 2, r"column_axis 2 is outside the 2 axes"),
    ):
        with pytest.raises(ValueError, match=message):
            init.orthogonal(1.0, axis)(KEY, shape)
    with pytest.raises(TypeError, match="column_axis must be an integer, not NoneType"):
        init.orthogonal(1.0, None)


def test_delta_orthogonal_is_zero_except_at_the_centre():
    for kernel in ((3,), (4,), (3, 2), (1, 2, 5)):
        for axis in (-2, -1, 0, 1):
            w = np.asarray(
                init.delta_orthogonal(2.0, axis)(KEY, (*kernel, 3, 5), "float32"), np.float64
            )
            centre = tuple((size - 1) // 2 for size in kernel)
            assert np.abs(w[centre] @ w[centre].T - 4 * np.eye(3)).max() < 1e-5
            w[centre] = 0
            assert not w.any()
    for shape in ((3, 5), (1, 1, 1, 1, 3, 5), (3, 5, 3)):
        with pytest.raises(ValueError, match="3D, 4D or 5D|`fan_in` must be less"):
            init.delta_orthogonal()(KEY, shape)
    for axis in (-3, 2):
        with pytest.raises(ValueError, match=f"column_axis is {axis}; give -1 or -2"):
            init.delta_orthogonal(1.0, axis)
    for dtype in ("float32", "complex64"):
        assert init.delta_orthogonal()(KEY, (0, 3, 5), dtype).shape == (0, 3, 5)


def test_narrow_dtypes_have_thousands_of_distinct_values_and_mean_zero():
    count = 2**18
    least = {"bfloat16": (2500, 2000), "float16": (15000, 10000)}
    for dtype, (most, some) in least.items():
        for build, enough in (
            (init.normal(1.0), most),
            (init.truncated_normal(1.0), some),
            (init.lecun_normal(), some),
        ):
            drawn = np.asarray(build(KEY, (count // 512, 512), dtype))
            assert len(np.unique(drawn.view(np.uint16))) > enough, (
                dtype,
                len(np.unique(drawn.view(np.uint16))),
            )
            wide = drawn.astype(np.float64)
            assert abs(wide.mean() / wide.std()) < 5 / math.sqrt(count)
    theirs = np.asarray(jax.nn.initializers.normal(1.0)(KEY, (count,), "bfloat16"))
    assert len(np.unique(theirs.view(np.uint16))) < 300  # JAX's own, for comparison


def test_dtypes_default_and_win_as_in_jax():
    default = "float64" if X64 else "float32"
    assert init.normal()(KEY, (3,)).dtype == default
    assert init.normal(dtype="bfloat16")(KEY, (3,)).dtype == jnp.bfloat16
    assert init.normal(dtype="bfloat16")(KEY, (3,), jnp.float16).dtype == jnp.float16
    assert init.he_normal(dtype=jnp.float16)(KEY, (3, 3)).dtype == jnp.float16
    assert init.zeros(KEY, (3,)).dtype == default
    # A float32 parameter must not widen the result.
    for scale in (
        np.float32(0.5),
        jnp.float32(0.5),
        0.5,
    ):
        assert init.normal(scale)(KEY, (3,), "bfloat16").dtype == jnp.bfloat16


def test_scales_of_zero_and_shapes_without_elements():
    assert not np.asarray(
        init.variance_scaling(0.0, "fan_in", "truncated_normal")(KEY, (3, 4))
    ).any()
    assert not np.asarray(init.normal(0.0)(KEY, (3, 4))).any()
    for shape in ((0, 3), (3, 0), (0,)):
        assert init.normal()(KEY, shape).shape == shape
    assert init.he_normal()(KEY, (3, 0)).shape == (3, 0)


def test_bad_input_is_refused_before_anything_is_traced_or_drawn():
    wrong = [
        (init.uniform(), (3,), "complex64", TypeError, "uniform has no complex form"),
        (init.truncated_normal(), (3, 3), jnp.complex64, TypeError, "has no complex form"),
        (init.normal(), (3,), "int32", TypeError, "floating dtype, not int32"),
        (init.normal(), (3,), "float31", ValueError, "unknown dtype 'float31'"),
        (init.normal(), (3,), "float8_e4m3b11fnuz", ValueError, "float8_e4m3b11fnuz"),
        (init.normal(), (3,), object, TypeError, "object"),
        (init.normal(), (-3,), None, ValueError, "negative"),
        (init.normal(), "33", None, TypeError, "shape must be"),
        (init.normal(), (3, 2.5), None, TypeError, "every size of shape must be an integer"),
        (init.normal(math.nan), (3,), None, ValueError, "std is nan"),
        (init.normal(-1.0), (3,), None, ValueError, "std is -1.0"),
        (init.normal(1e5), (3,), "float16", ValueError, "not finite in float16"),
        (
            init.variance_scaling(1.0, "fan", "normal"),
            (3, 3),
            None,
            ValueError,
            "mode is 'fan'; .*give one of 'fan_in'",
        ),
        (
            init.variance_scaling(1.0, "fan_in", "gauss"),
            (3, 3),
            None,
            ValueError,
            "distribution is 'gauss'",
        ),
        (
            init.variance_scaling(-1.0, "fan_in", "normal"),
            (3, 3),
            None,
            ValueError,
            "scale is -1.0",
        ),
        (
            init.variance_scaling(1.0, "fan_in", "normal", in_axis=5),
            (3, 3),
            None,
            ValueError,
            "in_axis 5 is outside",
        ),
        (
            init.truncated_normal(1.0, None, 2.0, 1.0),
            (3,),
            None,
            ValueError,
            "low 2.0 is not below high 1.0",
        ),
        (init.constant(1e9), (3,), "float16", ValueError, "not finite in float16"),
        (init.constant("a"), (3,), "float32", TypeError, "value must be a real number"),
        (init.normal(), None, None, TypeError, "shape is None; give the sizes"),
    ]
    with mock.patch.object(_arrays, "_apply", never):
        for initializer, shape, dtype, error, message in wrong:
            for call in (
                initializer,
                lambda *args, f=initializer: jax.eval_shape(lambda key: f(key, *args[1:]), args[0]),
            ):
                with pytest.raises(error, match=message):
                    call(KEY, shape, dtype)


def test_arrays_of_jax_are_refused_as_out():
    for array in (jnp.zeros(3, jnp.float32), jnp.zeros(3, jnp.bfloat16), KEY):
        with pytest.raises(
            TypeError,
            match="out is a JAX array, and those never change; use fastinit.jax, or make a new",
        ):
            fi.normal(out=array, seed=0)
    with pytest.raises(TypeError, match="JAX array"):
        fi.fill({"w": (jnp.zeros(3), "normal")}, seed=0)
