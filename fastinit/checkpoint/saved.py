"""The names and shapes under which transformers saves a model's tensors, if they differ from those
in its code.  For example, stacked experts are saved one by one, or a layer under an older name.

This module runs transformers' own conversions on tensors on the meta device.  It reads no file.
config.py uses it.
"""

from __future__ import annotations

from typing import Any

from ..typing import Sizes

Saved = dict[str, tuple[str, Sizes]]  # by the saved name: the model's name and the saved shape


def saved_names(model: Any) -> Saved:
    """The tensors that save_pretrained renames or splits.

    Empty before transformers 5, because earlier versions convert nothing.
    """
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
        # A conversion that needs values fails.  Then only the model's own names are known.
        return {}
