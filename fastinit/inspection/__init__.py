"""What is in a checkpoint, and what should be: every tensor measured in one streaming pass, and the
laws of its initial values.

Not imported by `import fastinit`.  The numbers of one tensor: statistics.py.  The files: stored.py.
How initial values are distributed: laws.py.
"""

from .._laws import Law
from .laws import compare_laws, difference, laws, laws_by_name, laws_json, laws_toml
from .statistics import Histogram, Spread, Statistics
from .stored import Stored, tensors

__all__ = [
    "Histogram",
    "Law",
    "Spread",
    "Statistics",
    "Stored",
    "compare_laws",
    "difference",
    "laws",
    "laws_by_name",
    "laws_json",
    "laws_toml",
    "tensors",
]
