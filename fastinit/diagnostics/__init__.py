"""What an initialization does to a network, in numbers and in figures.

compare(): the signal and the gradient through a deep stack before training, with theory's lines:
compare.py.  The report of fastinit.torch.coordinate_check: coordinates.py.  They need NumPy only;
figures need matplotlib (the extra `plot`): figures.py.
"""

from .compare import Comparison, Curve, compare
from .coordinates import Coordinate, CoordinateCheck, Slope

__all__ = ["Comparison", "Coordinate", "CoordinateCheck", "Curve", "Slope", "compare"]
