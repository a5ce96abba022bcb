"""No initializer of fastinit.keras sets NumPy's or Python's global random state, not for a moment;
only seed=None takes a number from Python's, as in Keras.
"""

from global_state import untouched
from keras_cases import CASES, RANDOM

import fastinit.keras as init

PROCESSES = ("keras_on_jax",)


def test_no_initializer_with_a_seed_sets_or_uses_global_random_state():
    with untouched():
        for name, (arguments, shape, *_) in CASES.items():
            own = {"seed": 3} if name in RANDOM else {}
            getattr(init, name)(**{**arguments, **own})(shape)
