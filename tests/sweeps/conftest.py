"""Tests here import the modules beside them, which --import-mode=importlib does not find."""

import os
import sys

sys.path.insert(0, os.path.dirname(__file__))
