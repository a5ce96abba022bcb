"""The global random state of NumPy, Python and torch: a block in which it must not be set, and
after which it must be unchanged.
"""

import contextlib
import random
import sys
from unittest import mock

import numpy as np


class Touched(BaseException):
    """No code under test may catch it."""


def _refuse(*arguments, **named):
    raise Touched("global random state is set")


def states():
    torch = sys.modules.get("torch")
    found = [repr(random.getstate()), repr(np.random.get_state())]
    return [*found, torch.get_rng_state().tolist()] if torch else found


@contextlib.contextmanager
def untouched():
    """Whatever sets or seeds a global generator raises, even where it would put it back."""
    names = [(random, "seed"), (random, "setstate"), (np.random, "seed"), (np.random, "set_state")]
    torch = sys.modules.get("torch")
    if torch:
        for name in ("seed", "manual_seed", "set_rng_state", "fork_rng", "default_generator"):
            names += [(torch.random, name)]
            names += [(torch, name)] if hasattr(torch, name) else []
        names += [(torch.cuda, "manual_seed"), (torch.cuda, "manual_seed_all")]
        names += [(torch.cuda, "set_rng_state"), (torch.cuda, "set_rng_state_all")]
    before = states()
    with contextlib.ExitStack() as stack:
        for owner, name in names:
            stack.enter_context(mock.patch.object(owner, name, _refuse))
        yield
    assert states() == before
