"""What an initialization does to a network, in numbers and in figures.

compare(): the signal and the gradient through a deep stack before training, with theory's lines:
compare.py.  They need NumPy only; figures need matplotlib (the extra `plot`): figures.py.
"""

from .compare import Comparison, Curve, compare

__all__ = ["Comparison", "Curve", "compare"]
