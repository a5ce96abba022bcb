"""What test_jax.py runs in a process with JAX, with 64 bits off and on: keys, meaning, dtypes,
transformations, Flax.

JAX_ENABLE_X64=1 python tests/adapters/jax_checks.py [check_…]
"""

import copy
import doctest
import inspect
import math
import pickle
import warnings
from unittest import mock

import child_checks
import flax.linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import fastinit as fi
import fastinit.jax as init

X64 = jax.config.jax_enable_x64
DTYPES = ["float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2"] + ["float64"] * X64
KEY = jax.random.wrap_key_data(np.array([0x01234567, 0x89ABCDEF], np.uint32), impl="threefry2x32")
SEED = 0x0123456789ABCDEF
TRUNCATED = {"distribution": "truncated_normal"}

# Every initializer: what builds it, a shape, and the core function with the arguments that it
# stands for.
CASES = {
    "uniform": (init.uniform(0.5), (5, 7), fi.uniform, {"low": 0.0, "high": 0.5}),
    "normal": (init.normal(0.5), (5, 7), fi.normal, {"std": 0.5}),
    "truncated_normal": (
        init.truncated_normal(0.5, lower=-1.0, upper=3.0),
        (5, 7),
        fi.truncated_normal,
        {"std": 0.5, "low": -1.0, "high": 3.0},
    ),
    "variance_scaling": (
        init.variance_scaling(3.0, "fan_geo_avg", "normal"),
        (3, 5, 7),
        fi.variance_scaling,
        {"scale": 3.0, "mode": "fan_geo_avg", "layout": "io"},
    ),
    "axes": (
        init.variance_scaling(3.0, "fan_out", "uniform", in_axis=0, out_axis=[1], batch_axis=(2,)),
        (3, 5, 7),
        fi.variance_scaling,
        {
            "scale": 3.0,
            "mode": "fan_out",
            "distribution": "uniform",
            "in_axis": 0,
            "out_axis": 1,
            "batch_axis": 2,
        },
    ),
    "glorot_uniform": (init.glorot_uniform(), (3, 5, 7), fi.xavier_uniform, {"layout": "io"}),
    "glorot_normal": (
        init.glorot_normal(),
        (3, 5, 7),
        fi.variance_scaling,
        {"mode": "fan_avg", "layout": "io", **TRUNCATED},
    ),
    "he_uniform": (init.he_uniform(), (3, 5, 7), fi.he_uniform, {"layout": "io"}),
    "he_normal": (
        init.he_normal(),
        (3, 5, 7),
        fi.variance_scaling,
        {"scale": 2.0, "layout": "io", **TRUNCATED},
    ),
    "lecun_uniform": (init.lecun_uniform(), (3, 5, 7), fi.lecun_uniform, {"layout": "io"}),
    "lecun_normal": (
        init.lecun_normal(),
        (3, 5, 7),
        fi.variance_scaling,
        {"layout": "io", **TRUNCATED},
    ),
    "orthogonal": (init.orthogonal(2.0), (3, 5, 7), fi.orthogonal, {"gain": 2.0, "layout": "io"}),
    "delta_orthogonal": (
        init.delta_orthogonal(2.0),
        (3, 5, 7),
        fi.delta_orthogonal,
        {"gain": 2.0, "layout": "io"},
    ),
    "sparse": (init.sparse(0.3), (10, 7), fi.sparse, {"sparsity": 0.3}),
    "constant": (init.constant(0.3), (5, 7), fi.constant, {"value": 0.3}),
    "zeros": (init.zeros, (5, 7), fi.zeros, {}),
    "ones": (init.ones, (5, 7), fi.ones, {}),
}


def bits(array):
    array = np.asarray(array)
    return array.dtype.name, array.shape, np.ascontiguousarray(array).tobytes()


def core(name, dtype="float32", seed=SEED, stream=None):
    _, shape, function, arguments = CASES[name]
    return function(shape, seed=seed, name=stream, dtype=dtype, **arguments)


def never(*_, **__):
    raise AssertionError("values were drawn")


# --------------------------------------------------------------------------------------------- keys


def check_keys_give_these_seeds_and_streams():
    two, four = np.array([1, 2], np.uint32), np.array([1, 2, 3, 4], np.uint32)
    golden = [
        (jax.random.key(5), (5, 0)),
        (jax.random.PRNGKey(5), (5, 0)),
        (jax.random.key(2**32 - 1, impl="threefry2x32"), (2**32 - 1, 0)),
        (jax.random.wrap_key_data(two, impl="threefry2x32"), (2**32 + 2, 0)),
        (two, (2**32 + 2, 0)),
        (jnp.asarray(two), (2**32 + 2, 0)),
        (KEY, (SEED, 0)),
        (jax.random.key(5, impl="rbg"), (5, 5)),
        (jax.random.PRNGKey(5, impl="unsafe_rbg"), (5, 5)),
        (jax.random.wrap_key_data(four, impl="rbg"), (2**32 + 2, 3 * 2**32 + 4)),
        (jax.random.wrap_key_data(four, impl="unsafe_rbg"), (2**32 + 2, 3 * 2**32 + 4)),
        (four, (2**32 + 2, 3 * 2**32 + 4)),
    ]
    for key, expected in golden:
        assert init.key_to_stream(key) == expected, (key, expected)


def check_these_bits_are_promised_for_a_threefry_and_an_rbg_key():
    rbg = jax.random.wrap_key_data(np.array([1, 2, 3, 4], np.uint32), impl="rbg")
    golden = [
        (KEY, (0x89ABCDEF, 0x01234567), (0, 0), [0x3F385022, 0x3F2DCA14, 0x3F77CE29, 0x3F2C3078]),
        (rbg, (2, 1), (4, 3), [0x3F35CB3B, 0x3EC52AAA, 0x3DCD8000, 0x3F424549]),
    ]
    for key, seed, stream, expected in golden:
        drawn = np.asarray(init.uniform(1.0)(key, (2, 2), jnp.float32)).ravel()
        words = [fi.philox4x32((block, 0, *stream), seed)[0] for block in range(4)]
        assert drawn.view(np.uint32).tolist() == expected
        assert drawn.tolist() == [(word >> 8) * 2**-24 for word in words]


def check_typed_raw_and_rbg_keys_draw_what_the_core_draws_with_their_seed_and_stream():
    rbg = jax.random.key(77, impl="rbg")
    for key in (
        KEY,
        jax.random.key_data(KEY),
        np.asarray(jax.random.key_data(KEY)),
        rbg,
        jax.random.key_data(rbg),
    ):
        seed, stream = init.key_to_stream(key)
        for traced in (False, True):
            draw = (
                jax.jit(lambda key: init.he_normal()(key, (3, 5, 7)))
                if traced
                else init.he_normal().func
            )
            drawn = draw(key) if traced else init.he_normal()(key, (3, 5, 7))
            assert bits(drawn) == bits(core("he_normal", drawn.dtype.name, seed, stream))


def check_what_is_no_key_is_refused_with_what_to_give():
    wrong = [
        (5, TypeError, r"key is int 5; give a key: jax.random.key\(seed\)"),
        (None, TypeError, "key is NoneType"),
        ([1, 2], TypeError, "key is list"),
        (jnp.zeros(2), TypeError, r"dtype float(32|64) and shape \(2,\)"),
        (np.zeros(2, np.int32), TypeError, "dtype int32"),
        (np.zeros(3, np.uint32), TypeError, r"two words \(threefry\) or four \(rbg\)"),
        (np.uint32(5), TypeError, r"shape \(\)"),
        (
            jax.random.split(KEY, 3),
            ValueError,
            r"an array of keys, of shape \(3,\); give one key, or use jax.vmap",
        ),
        (
            jax.random.key_data(jax.random.split(KEY, 3)),
            ValueError,
            r"an array of keys, of shape \(3,\)",
        ),
    ]
    for key, error, message in wrong:
        with pytest.raises(error, match=message):
            init.normal()(key, (3,))
        with pytest.raises(error, match=message):
            init.key_to_stream(key)


def check_constants_ignore_the_key_as_in_jax():
    for key in (None, KEY, "anything"):
        assert bits(init.zeros(key, (3,), "float32")) == bits(np.zeros(3, np.float32))
        assert bits(init.ones(key, (3,), "bfloat16")) == bits(jnp.ones(3, jnp.bfloat16))
        assert bits(init.constant(7)(key, (3,), "int8")) == bits(np.full(3, 7, np.int8))
    assert bits(jax.jit(lambda: init.constant(0.1)(None, (3,), "float16"))()) == bits(
        np.full(3, 0.1, np.float16)
    )
    assert "callback" not in str(jax.make_jaxpr(lambda key: init.ones(key, (3,)))(KEY))


# ------------------------------------------------------------------------------------------ meaning


def check_every_name_of_jax_is_here_with_its_parameters_and_defaults():
    theirs = jax.nn.initializers
    names = [name for name in dir(theirs) if name[0] != "_" and name != "Initializer"]
    assert len(names) >= 19
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


def check_every_initializer_is_a_core_function_in_every_dtype():
    for dtype in DTYPES:
        for name, (initializer, shape, _, _) in CASES.items():
            assert bits(initializer(KEY, shape, dtype)) == bits(core(name, dtype)), (name, dtype)
            assert bits(initializer(KEY, shape, jnp.dtype(dtype))) == bits(core(name, dtype)), (
                name,
                dtype,
            )


GRID = np.linspace(0.005, 0.995, 45)


def alike(ours, theirs):
    """Moments, quantiles and bounds of two samples of 2^20 values."""
    ours, theirs = np.asarray(ours).ravel(), np.asarray(theirs).ravel()
    spread = theirs.std()
    bounded = np.abs(theirs).max() < 3 * spread  # uniform, or cut at two sigma
    ends = [abs(ours.min() - theirs.min()), abs(ours.max() - theirs.max())] if bounded else [0.0]
    return (
        abs(ours.std() / spread - 1) < 0.004
        and np.abs(np.quantile(ours, GRID) - np.quantile(theirs, GRID)).max() < 0.02 * spread
        and max(ends) < 0.01 * spread
    )


def check_distributions_are_jaxs():
    if X64:
        return
    theirs, shape = jax.nn.initializers, (4, 256, 1024)
    builds = [
        ("uniform", (0.5,)),
        ("normal", (0.5,)),
        ("truncated_normal", (0.5,)),
        ("truncated_normal", (0.5, None, -0.5, 1.0)),
    ]
    builds += [
        (f"{who}_{law}", ()) for who in ("glorot", "he", "lecun") for law in ("uniform", "normal")
    ]
    builds += [
        ("variance_scaling", (2.5, "fan_in", law))
        for law in ("truncated_normal", "normal", "uniform")
    ]
    builds += [
        ("variance_scaling", (2.5, mode, "uniform", 0, (2, 1)))
        for mode in ("fan_out", "fan_avg", "fan_geo_avg")
    ]
    for name, arguments in builds:
        its = getattr(theirs, name)(*arguments)(KEY, shape, np.float32)
        assert alike(getattr(init, name)(*arguments)(KEY, shape, np.float32), its), (
            name,
            arguments,
        )
    # What must not pass: the untruncated normal, one that is not corrected, torch's layout, 1 % too
    # much.
    he = theirs.he_normal()(KEY, shape, np.float32)
    assert alike(init.he_normal()(KEY, shape, np.float32), he)
    assert not alike(fi.he_normal(shape, layout="io", seed=1), he)
    assert not alike(fi.truncated_normal(shape, std=(2 / 1024) ** 0.5, seed=1), he)
    assert not alike(
        fi.variance_scaling(shape, scale=2.0, distribution="truncated_normal", seed=1), he
    )
    assert not alike(init.he_normal()(KEY, shape, np.float32) * 1.01, he)


def check_shapes_and_dtypes_of_jaxs_own_test():
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


def check_vectors_have_no_fans_unless_the_axes_are_named():
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


def check_orthogonal_is_orthogonal_along_any_axis_and_of_any_size():
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
        ((4,), -1, "two|2"),
        ((), -1, "outside"),
        ((2, 3), 2, r"column_axis 2 is outside the 2 axes"),
    ):
        with pytest.raises(ValueError, match=message):
            init.orthogonal(1.0, axis)(KEY, shape)


def check_delta_orthogonal_is_zero_but_at_the_centre():
    for kernel in ((3,), (4,), (3, 2), (1, 2, 5)):
        for axis in (-1, -2):
            w = np.asarray(
                init.delta_orthogonal(2.0, axis)(KEY, (*kernel, 3, 5), "float32"), np.float64
            )
            centre = tuple((size - 1) // 2 for size in kernel)
            assert np.abs(w[centre] @ w[centre].T - 4 * np.eye(3)).max() < 1e-5
            w[centre] = 0
            assert not w.any()
    for shape in ((3, 5), (1, 1, 1, 1, 3, 5), (3, 5, 3)):
        with pytest.raises(ValueError, match="delta_orthogonal|inputs|outputs|axes"):
            init.delta_orthogonal()(KEY, shape)
    with pytest.raises(ValueError, match="column_axis is 0"):
        init.delta_orthogonal(1.0, 0)


def check_narrow_dtypes_have_thousands_of_distinct_values_and_mean_zero():
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
    assert len(np.unique(theirs.view(np.uint16))) < 300  # what this is compared with


def check_dtypes_default_and_win_as_in_jax():
    default = "float64" if X64 else "float32"
    assert init.normal()(KEY, (3,)).dtype == default
    assert init.normal(dtype="bfloat16")(KEY, (3,)).dtype == jnp.bfloat16
    assert init.normal(dtype="bfloat16")(KEY, (3,), jnp.float16).dtype == jnp.float16
    assert init.he_normal(dtype=jnp.float16)(KEY, (3, 3)).dtype == jnp.float16
    assert init.zeros(KEY, (3,)).dtype == default
    for scale in (
        np.float32(0.5),
        jnp.float32(0.5),
        0.5,
    ):  # a float32 parameter must not widen the result
        assert init.normal(scale)(KEY, (3,), "bfloat16").dtype == jnp.bfloat16


def check_float64_without_64_bits_is_float32_with_jaxs_own_warning():
    if X64:
        return
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        theirs = jax.nn.initializers.normal()(KEY, (3,), "float64")
        number = len(said)
        ours = init.normal()(KEY, (3,), "float64")
    assert ours.dtype == theirs.dtype == "float32"
    assert len(said) > number and str(said[number].message)[:33] == str(said[0].message)[:33]


def check_scales_of_zero_and_shapes_without_elements():
    assert not np.asarray(
        init.variance_scaling(0.0, "fan_in", "truncated_normal")(KEY, (3, 4))
    ).any()
    assert not np.asarray(init.normal(0.0)(KEY, (3, 4))).any()
    for shape in ((0, 3), (3, 0), (0,)):
        assert init.normal()(KEY, shape).shape == shape
    assert init.he_normal()(KEY, (3, 0)).shape == (3, 0)


# ---------------------------------------------------------------------------------- transformations


def check_jit_draws_what_an_eager_call_draws():
    for dtype in DTYPES:
        draw = jax.jit(
            lambda key, dtype=dtype: {
                name: case[0](key, case[1], dtype) for name, case in CASES.items()
            }
        )
        for name, drawn in draw(KEY).items():
            assert bits(drawn) == bits(core(name, dtype)), (name, dtype)


def check_tracing_draws_nothing_whatever_the_key_is():
    raw = jax.random.key_data(KEY)
    draws = [
        lambda: init.he_normal()(raw, (3, 4), "float32"),
        lambda: init.he_normal()(KEY, (3, 4), "float32"),
        lambda: init.he_normal()(np.asarray(raw), (3, 4), "float32"),
    ]
    for draw in draws:
        with mock.patch.object(init, "_apply", never):
            shaped = jax.eval_shape(draw)
            jaxpr = jax.make_jaxpr(draw)()
        assert shaped.shape == (3, 4) and shaped.dtype == jnp.float32
        assert not any(np.size(constant) > 4 for constant in jaxpr.consts)
        assert bits(jax.jit(draw)()) == bits(draw())


def check_vmap_draws_what_each_key_draws():
    keys = jax.random.split(KEY, 6).reshape(2, 3)
    for name in ("he_normal", "orthogonal", "zeros"):
        initializer, shape, _, _ = CASES[name]

        def draw(key, initializer=initializer, shape=shape):
            return initializer(key, shape, "bfloat16")

        expected = [[draw(key) for key in row] for row in keys]
        for many in (
            jax.vmap(jax.vmap(draw)),
            jax.jit(jax.vmap(jax.vmap(draw))),
            jax.vmap(lambda row: jax.lax.map(draw, row)),
        ):
            drawn = many(keys)
            assert all(
                bits(drawn[i, j]) == bits(expected[i][j]) for i in range(2) for j in range(3)
            )
    raw = jax.random.key_data(keys)[0]
    assert bits(jax.vmap(lambda key: init.normal()(key, (4,)))(raw)[1]) == bits(
        init.normal()(keys[0, 1], (4,))
    )


def check_scan_remat_and_grad_go_through():
    def loss(x, key):
        w = jax.checkpoint(lambda key: init.lecun_normal()(key, (3, 4), "float32"))(key)
        return (x @ w).sum()

    x = jnp.ones((2, 3), jnp.float32)
    expected = np.asarray(init.lecun_normal()(KEY, (3, 4), "float32")).sum(1)
    for gradient in (jax.grad(loss), jax.jit(jax.grad(loss))):
        assert np.allclose(gradient(x, KEY)[0], expected, atol=1e-5)
    _, stacked = jax.lax.scan(
        lambda c, key: (c, init.normal()(key, (4,))), 0, jax.random.split(KEY, 3)
    )
    assert bits(stacked[2]) == bits(init.normal()(jax.random.split(KEY, 3)[2], (4,)))


def check_subnormals_survive_xlas_threads():
    drawn = jax.jit(lambda key: init.normal(1.2e-38)(key, (1000,), "float32"))(KEY)
    expected = fi.normal((1000,), std=1.2e-38, seed=SEED)
    assert (np.abs(expected[expected != 0]) < np.finfo(np.float32).tiny).sum() > 300
    assert bits(drawn) == bits(expected)


def check_many_callbacks_in_one_program_do_not_hang():
    keys = jax.random.split(KEY, 40)
    draw = jax.jit(lambda keys: [init.normal()(key, (300, 1000), "float32") for key in keys])
    assert bits(draw(keys)[39]) == bits(init.normal()(keys[39], (300, 1000), "float32"))


def check_pmap_and_shard_map_are_refused_by_name():
    mesh = jax.make_mesh((1,), ("x",), axis_types=(jax.sharding.AxisType.Auto,))
    spec = jax.sharding.PartitionSpec("x")
    keys = jax.random.split(KEY, 1)
    inside = [
        lambda: jax.pmap(lambda key: init.normal()(key, (3,)))(keys),
        lambda: jax.shard_map(
            lambda key: init.normal()(key[0], (3,)), mesh=mesh, in_specs=spec, out_specs=spec
        )(keys),
        lambda: jax.jit(
            jax.shard_map(lambda: init.normal()(KEY, (3,)), mesh=mesh, in_specs=(), out_specs=spec)
        )(),
    ]
    for draw in inside:
        with pytest.raises(
            NotImplementedError, match="pmap or shard_map.*initialize outside, with out_sharding="
        ):
            draw()


def check_initializers_can_be_copied_pickled_and_hashed():
    for name, (initializer, shape, _, _) in CASES.items():
        again = pickle.loads(pickle.dumps(copy.deepcopy(initializer)))
        assert bits(again(KEY, shape, "float32")) == bits(core(name))
        hash(initializer)


# --------------------------------------------------------------------------------------------- Flax


def check_flax_linen_draws_the_same_eagerly_in_jit_and_in_a_scan():
    class Model(flax.linen.Module):
        @flax.linen.compact
        def __call__(self, x):
            x = flax.linen.Conv(6, (3,), kernel_init=init.he_normal(), bias_init=init.zeros)(x)
            x = flax.linen.Dense(4, kernel_init=init.orthogonal(), param_dtype="bfloat16")(x)
            return flax.linen.DenseGeneral((2, 3), kernel_init=init.glorot_uniform())(x)

    model, x = Model(), jnp.ones((2, 8, 5), jnp.float32)
    eager = model.init(KEY, x)
    jitted = jax.jit(model.init)(KEY, x)
    with mock.patch.object(init, "_apply", never):
        shapes = jax.eval_shape(model.init, KEY, x)
    assert jax.tree.map(bits, eager) == jax.tree.map(bits, jitted)
    assert jax.tree.map(lambda a: (a.shape, a.dtype), eager) == jax.tree.map(
        lambda a: (a.shape, a.dtype), shapes
    )
    kernel = np.asarray(eager["params"]["Conv_0"]["kernel"])
    assert kernel.shape == (3, 5, 6) and 0.5 < kernel.std() / math.sqrt(2 / 15) < 1.5
    assert eager["params"]["Dense_0"]["kernel"].dtype == jnp.bfloat16

    class Block(flax.linen.Module):
        @flax.linen.compact
        def __call__(self, x, _):
            return flax.linen.Dense(5, kernel_init=init.lecun_normal())(x), None

    stack = flax.linen.scan(
        Block, variable_axes={"params": 0}, split_rngs={"params": True}, length=3
    )()
    weights = np.asarray(stack.init(KEY, x, None)["params"]["Dense_0"]["kernel"])
    assert weights.shape == (3, 5, 5) and not np.array_equal(weights[0], weights[1])


def check_flax_nnx_draws_the_same_eagerly_in_jit_and_by_vmap():
    class Model(nnx.Module):
        def __init__(self, rngs):
            self.first = nnx.Linear(5, 7, kernel_init=init.he_normal(), rngs=rngs)
            self.second = nnx.LinearGeneral(7, (2, 3), kernel_init=init.orthogonal(), rngs=rngs)
            self.third = nnx.Embed(
                11, 4, embedding_init=init.normal(0.02), param_dtype=jnp.bfloat16, rngs=rngs
            )

    def weights(model):
        return jax.tree.map(bits, nnx.to_pure_dict(nnx.state(model)))

    eager = Model(nnx.Rngs(3))
    assert weights(nnx.jit(Model)(nnx.Rngs(3))) == weights(eager)
    with mock.patch.object(init, "_apply", never):
        shapes = nnx.eval_shape(lambda: Model(nnx.Rngs(3)))
    assert shapes.first.kernel.shape == (5, 7)
    key = nnx.Rngs(3).params()
    assert bits(eager.first.kernel[...]) == bits(init.he_normal()(key, (5, 7), "float32"))

    @nnx.split_rngs(splits=4)
    @nnx.vmap
    def stack(rngs):
        return nnx.Linear(5, 7, kernel_init=init.he_normal(), rngs=rngs)

    many = stack(nnx.Rngs(3))
    assert many.kernel.shape == (4, 5, 7) and not np.array_equal(many.kernel[0], many.kernel[1])


# ---------------------------------------------------------------------------------------- bad input


def check_bad_input_is_refused_before_anything_is_traced_or_drawn():
    wrong = [
        (init.normal(), (3,), "complex64", TypeError, "complex64.*complex dtypes have no draw"),
        (init.he_normal(), (3, 3), jnp.complex64, TypeError, "complex dtypes have no draw"),
        (init.normal(), (3,), "int32", TypeError, "floating dtype, not int32"),
        (init.normal(), (3,), "float31", ValueError, "unknown dtype 'float31'"),
        (init.normal(), (3,), "float8_e4m3b11fnuz", ValueError, "float8_e4m3b11fnuz"),
        (init.normal(), (3,), object, TypeError, "object"),
        (init.normal(), (-3,), None, ValueError, "negative"),
        (init.normal(), "33", None, TypeError, "shape must be"),
        (init.normal(), (3, 2.5), None, TypeError, "give integers"),
        (init.normal(math.nan), (3,), None, ValueError, "std is nan"),
        (init.normal(-1.0), (3,), None, ValueError, "std is -1.0"),
        (init.normal(1e5), (3,), "float16", ValueError, "not finite in float16"),
        (
            init.variance_scaling(1.0, "fan", "normal"),
            (3, 3),
            None,
            ValueError,
            "mode is 'fan'; give one of fan_in",
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
        (init.constant(0.5), (3,), "int32", ValueError, "no exact value in int32"),
    ]
    with mock.patch.object(init, "_apply", never):
        for initializer, shape, dtype, error, message in wrong:
            for call in (
                initializer,
                lambda *args, f=initializer: jax.eval_shape(lambda key: f(key, *args[1:]), args[0]),
            ):
                with pytest.raises(error, match=message):
                    call(KEY, shape, dtype)


def check_arrays_of_jax_are_refused_as_out():
    for array in (jnp.zeros(3, jnp.float32), jnp.zeros(3, jnp.bfloat16), KEY):
        with pytest.raises(
            TypeError,
            match="out is a JAX array, and those never change; use fastinit.jax, or make a new",
        ):
            fi.normal(out=array, seed=0)
    with pytest.raises(TypeError, match="JAX array"):
        fi.fill({"w": (jnp.zeros(3), "normal")}, seed=0)


def check_the_examples_of_the_docstrings_print_what_they_say():
    if X64:  # they print the default dtype
        return
    found = doctest.testmod(init)
    assert found.attempted >= 6 and not found.failed


if __name__ == "__main__":
    child_checks.main(globals())
