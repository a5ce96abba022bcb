"""No initializer of fastinit.jax sets NumPy's or Python's global random state, not for a moment."""

from global_state import untouched
from jax_cases import CASES, KEY

PROCESSES = ("jax_32_bits",)


def test_no_initializer_sets_or_uses_global_random_state():
    with untouched():
        for initializer, shape, *_ in CASES.values():
            initializer(KEY, shape)
