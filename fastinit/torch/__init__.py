"""fastinit for PyTorch: torch.nn.init's functions, whole models, sharded tensors.

>>> import torch, fastinit as fi, fastinit.torch as fit
>>> empty = torch.empty(512, 512)
>>> weight = fit.trunc_normal_(empty, std=0.02)  # a drop-in for torch.nn.init: init.py
>>> with fit.accelerate():                   # every draw of a construction: accelerate.py
...     model = torch.nn.TransformerEncoderLayer(64, 4, batch_first=True)
>>> with torch.device("meta"):               # weights keyed by name: materialize.py
...     model = torch.nn.Linear(64, 64)
>>> report = fit.materialize_(model, {"weight": "orthogonal"}, seed=7)
>>> bool((model.weight.detach().numpy() == fi.orthogonal((64, 64), seed=7, name="weight")).all())
True

Names have the same meaning as in torch: kaiming_normal_ is not truncated, and the bounds of
trunc_normal_ are values.  For DTensors and FSDP2, see dtensor.py.  For scaling by a batch (lsuv_
and others), see data_dependent.py.
"""

from __future__ import annotations

from .. import _adapters

try:
    import torch as _torch  # noqa: F401
except ImportError as _error:
    raise _adapters.missing("PyTorch", "torch", _error) from _error

from .accelerate import accelerate
from .construct import construction
from .coordinate_check import coordinate_check
from .data_dependent import (
    lsuv_,
    match_moments_,
    normalize_between_layers_,
    normalize_within_layers_,
    weight_norm_init_,
)
from .init import *  # noqa: F403
from .init import __all__ as _init_names
from .laws import laws
from .materialize import materialize_, verify_

__all__ = [
    *_init_names,
    "accelerate",
    "construction",
    "coordinate_check",
    "laws",
    "lsuv_",
    "match_moments_",
    "materialize_",
    "normalize_between_layers_",
    "normalize_within_layers_",
    "verify_",
    "weight_norm_init_",
]
