"""What an initialization does to a network, in numbers and in figures.

compare(): the signal and the gradient through a deep stack before training, with theory's lines:
compare.py.  train(): the first steps of a small network: training.py.  The report of
fastinit.torch.coordinate_check: coordinates.py.  They need NumPy only; figures need matplotlib (the
extra `plot`): figures.py.
"""

from .compare import Comparison, Curve, compare
from .coordinates import Coordinate, CoordinateCheck, Slope
from .training import train

__all__ = ["Comparison", "Coordinate", "CoordinateCheck", "Curve", "Slope", "compare", "train"]
