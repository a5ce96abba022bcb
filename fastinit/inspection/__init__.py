"""What is in a checkpoint, and what should be: every tensor measured in one streaming pass.

Not imported by `import fastinit`.  The numbers of one tensor: statistics.py.  The files: stored.py.
"""

from .statistics import Histogram, Spread, Statistics
from .stored import Stored, tensors

__all__ = ["Histogram", "Spread", "Statistics", "Stored", "tensors"]
