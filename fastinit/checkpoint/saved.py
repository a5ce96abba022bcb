"""The names and shapes under which transformers saves a model's tensors, where they are not those
of its code: a stack of experts is saved one by one, a layer by its name of old.

It asks transformers' own conversions, with tensors on the meta device, and reads no file.  Used by
config.py.
"""

from __future__ import annotations

from typing import Any

from ..typing import Sizes

Saved = dict[str, tuple[str, Sizes]]  # by the saved name: the model's name and the saved shape


def saved_names(model: Any) -> Saved:
    """What save_pretrained renames or cuts; empty before transformers 5, which converts nothing."""
    try:
        from transformers.conversion_mapping import get_model_conversion_mapping
        from transformers.core_model_loading import (
            WeightConverter,
            WeightRenaming,
            rename_source_key,
            revert_weight_conversion,
        )
    except ImportError:
        return {}
    own = model.state_dict()
    try:
        mapping = get_model_conversion_mapping(model)
        renamings = [one for one in mapping if isinstance(one, WeightRenaming)]
        converters = [one for one in mapping if isinstance(one, WeightConverter)]
        found = {}
        for name, tensor in revert_weight_conversion(model, dict(own)).items():
            source, _ = rename_source_key(name, renamings, converters)
            if name not in own and source in own:
                found[name] = source, tuple(tensor.shape)
        return found
    except Exception:
        # A conversion that needs values: the model's own names are then all that is known.
        return {}
