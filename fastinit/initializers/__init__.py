"""The façade: every initializer is a plain documented function, here only gathered.

Values drawn alone: elementwise.py.  Scaled by fans: scaled.py, xavier_he_lecun.py.  Identities:
patterns.py.  The orthogonal family and sparse stand beside their rules, in ../_orthogonal and
../_sparse.py.  A new initializer needs a public function, a rule, its lines in _catalog.py and its
name in fastinit/__init__.py; a test compares all of them.
"""

from .._orthogonal import convolutional_orthogonal, delta_orthogonal, orthogonal
from .._sparse import sparse
from .elementwise import constant, normal, ones, truncated_normal, uniform, zeros
from .patterns import dirac, eye
from .scaled import fan_in_uniform, variance_scaling
from .xavier_he_lecun import (
    he_normal,
    he_uniform,
    lecun_normal,
    lecun_uniform,
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
