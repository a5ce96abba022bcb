"""What is in a checkpoint, and what should be: every tensor measured in one streaming pass, and the
laws of its initial values.

Not imported by `import fastinit`.  The numbers of one tensor: statistics.py.  The files: stored.py.
How initial values are distributed: laws.py.  Whether a checkpoint is what it should be: audit.py.
Every tensor of a file: inspect.py.  How far training moved it: drift.py.
"""

from .._laws import Law
from .audit import Audit, audit
from .drift import Drifted, drift
from .inspect import Inspected, declared_laws, inspect_file
from .laws import compare_laws, difference, laws, laws_by_name, laws_json, laws_toml
from .statistics import Histogram, Spread, Statistics
from .stored import Stored, tensors
from .verdicts import Row

__all__ = [
    "Audit",
    "Drifted",
    "Histogram",
    "Inspected",
    "Law",
    "Row",
    "Spread",
    "Statistics",
    "Stored",
    "audit",
    "compare_laws",
    "declared_laws",
    "difference",
    "drift",
    "inspect_file",
    "laws",
    "laws_by_name",
    "laws_json",
    "laws_toml",
    "tensors",
]
