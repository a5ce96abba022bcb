"""Checkpoint inspection: measures every tensor in one streaming pass and compares it with the law
of its initial values.

`import fastinit` does not import this package.  statistics.py computes the numbers of one tensor.
stored.py finds the tensors in files.  laws.py says how initial values are distributed.  audit.py
checks a checkpoint against them.  inspect.py lists every tensor of a file.  drift.py measures how
far training moved each tensor.
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
