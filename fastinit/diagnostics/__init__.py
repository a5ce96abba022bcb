"""Diagnostics: what an initialization does to a network, in numbers and in figures.

compare.py: compare() measures signal and gradient through a deep stack before training, and adds
the predictions of theory.  training.py: train() runs the first steps of a small network.
coordinates.py: the report of fastinit.torch.coordinate_check.  These modules need only NumPy.
figures.py draws the figures and needs matplotlib (the extra `plot`).
"""

from .compare import Comparison, Curve, compare
from .coordinates import Coordinate, CoordinateCheck, Slope
from .training import train

__all__ = ["Comparison", "Coordinate", "CoordinateCheck", "Curve", "Slope", "compare", "train"]
