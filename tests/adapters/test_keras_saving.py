"""fastinit.keras: configs, clones, keras.initializers.get and saved models."""

import copy
import json
import math
import os
import subprocess
import sys
import tempfile

import keras
import numpy as np
import pytest
from keras_cases import CASES, core, differ, model_of_layers, numbers, same

import fastinit.keras as init

PROCESSES = ("keras_on_jax", "keras_on_torch", "keras_on_numpy")
# Keras' variables, which NumPy finds old-fashioned.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)


def test_configs_equal_keras_and_round_trip():
    for name, (arguments, shape, _, _) in CASES.items():
        ours, theirs = (
            getattr(init, name)(**arguments),
            getattr(keras.initializers, name)(**arguments),
        )
        # Whose gain Keras forgets.
        assert ours.get_config() == theirs.get_config() or name == "Identity"
        serialized = keras.initializers.serialize(ours)
        assert serialized["registered_name"] == f"fastinit>{name}"
        for again in (
            type(ours).from_config(ours.get_config()),
            keras.initializers.deserialize(serialized),
            keras.initializers.deserialize(json.loads(json.dumps(serialized))),
            ours.clone(),
            copy.deepcopy(ours),
        ):
            assert type(again) is type(ours) and again.get_config() == ours.get_config()
            same(again(shape), core(name))
    axes = init.HeNormal(3, (0,), (1, 2))
    assert axes.clone().get_config() == {"seed": 3, "input_axes": (0,), "output_axes": (1, 2)}
    advancing = init.HeNormal(seed=keras.random.SeedGenerator(3))
    again = keras.initializers.deserialize(keras.initializers.serialize(advancing))
    same(again((2, 5, 7)), core("HeNormal"))
    same(again((2, 5, 7)), core("HeNormal", 3 + 2**32))
    assert np.array_equal(numbers(init.Constant(np.ones((2, 3))).clone()((2, 3))), np.ones((2, 3)))


def test_keras_get_finds_objects_classes_configs_and_registered_names():
    for name in CASES:
        ours = getattr(init, name)
        instance = ours()
        assert keras.initializers.get(instance) is instance
        assert type(keras.initializers.get(ours)) is ours
        assert type(keras.initializers.get(keras.initializers.serialize(instance))) is ours
        if name == "Constant":  # by name alone it lacks its value, Keras' own too
            continue
        assert type(keras.initializers.get(f"fastinit>{name}")) is ours
        # Keras' own names stay Keras'.
        assert type(keras.initializers.get(name)) is getattr(keras.initializers, name)
    with pytest.raises(ValueError):
        keras.initializers.get("fastinit>HeNormall")


def test_models_are_saved_and_loaded():
    model = model_of_layers()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.keras")
        model.save(path)
        loaded = keras.models.load_model(path)
        code = (
            "import sys, fastinit.keras, keras; m = keras.models.load_model(sys.argv[1]); "
            "print(type(m.layers[0].kernel_initializer).__module__, "
            "float(keras.ops.sum(m.layers[2].kernel)))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, path], capture_output=True, text=True, env=os.environ
        )
        assert done.returncode == 0, done.stderr[-2000:]
    for old, new in zip(model.weights, loaded.weights, strict=True):
        assert not differ(old.value, new.value)
    assert type(loaded.layers[2].kernel_initializer) is init.LecunNormal
    where, total = done.stdout.split()
    assert where == "fastinit.keras" and math.isclose(
        float(total), numbers(model.layers[2].kernel.value).sum(), rel_tol=1e-5
    )
    clone = keras.models.clone_model(model)
    assert not differ(clone.layers[2].kernel.value, model.layers[2].kernel.value)
