"""The façade: every initializer is a plain documented function; this file only collects them.

Elementwise: basic.py.  Scaled by fans: variance_scaling.py.  Identities: identity.py.  The
orthogonal family: orthogonal.py.  Sparse: sparse.py.  A new initializer needs a public function, a
rule, its line in ../_table.py and its name in fastinit/__init__.py; a test compares all of them.
"""

from .basic import constant, normal, ones, truncated_normal, uniform, zeros
from .identity import dirac, eye
from .orthogonal import convolutional_orthogonal, delta_orthogonal, orthogonal
from .sparse import sparse
from .variance_scaling import (
    fan_in_uniform,
    he_normal,
    he_uniform,
    lecun_normal,
    lecun_uniform,
    variance_scaling,
    xavier_normal,
    xavier_uniform,
)

__all__ = [
    "constant",
    "convolutional_orthogonal",
    "delta_orthogonal",
    "dirac",
    "eye",
    "fan_in_uniform",
    "he_normal",
    "he_uniform",
    "lecun_normal",
    "lecun_uniform",
    "normal",
    "ones",
    "orthogonal",
    "sparse",
    "truncated_normal",
    "uniform",
    "variance_scaling",
    "xavier_normal",
    "xavier_uniform",
    "zeros",
]
