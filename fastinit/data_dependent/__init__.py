"""Initialization by data: a batch runs through the network, and the weights are scaled until every
layer's output has the wanted statistics.

A network is a sequence of Layer, made of arrays and callables, without any framework (network.py).
The methods: methods.py.  Everything is computed on copies, and the layers' own arrays are written
only when all of it has succeeded.  Outside the stream contract, because the products are NumPy's.
"""

from .methods import (
    lsuv,
    match_moments,
    normalize_between_layers,
    normalize_within_layers,
    weight_norm_init,
)
from .network import Layer, LayerReport, NetworkReport, dense

__all__ = [
    "Layer",
    "LayerReport",
    "NetworkReport",
    "dense",
    "lsuv",
    "match_moments",
    "normalize_between_layers",
    "normalize_within_layers",
    "weight_norm_init",
]
