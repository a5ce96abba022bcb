"""load() resolves any description of a model: a preset, a spec, a model's config or a checkpoint.

spec.py resolves specs, config.py the configs that transformers knows, and header.py checkpoints.
"""

from __future__ import annotations

from .._core import engine
from ..typing import Dtype
from . import config, header
from .source import AnySpec, read
from .spec import Spec, override, resolve


@engine.guarded
def load(spec: AnySpec, dtype: Dtype | None = None, *, recipe: AnySpec | None = None) -> Spec:
    """Read and resolve a spec.

    Parameters
    ----------
    spec : str, path or mapping
        A preset's name ("gpt2"), a path that ends in .toml or .json, or a mapping of that form.  Or
        a Hugging Face model's folder or config.json, of any architecture that transformers builds:
        its weights are initialized as its own code does.  Or a checkpoint (a .safetensors file, an
        index of such files, or a folder with them and no config.json), whose names and shapes are
        taken.
    dtype : Dtype, optional
        In place of the spec's top-level dtype; a tensor or a rule that names its own keeps it.
    recipe : str, path or mapping, optional
        A spec with the keys constants and rules only: what its rules match is drawn as they say.
        A checkpoint of another writer needs one, which matches all its tensors.

    Returns
    -------
    Spec
        The entries in the spec's order.

    Raises
    ------
    SpecError
        A mistake, with the file, the line and, for a name, the nearest one that is known.

    Examples
    --------
    >>> from fastinit import checkpoint
    >>> entry = checkpoint.load("gpt2").entries[0]
    >>> entry.name, entry.shape, entry.initializer, entry.arguments
    ('transformer.wte.weight', (50257, 768), 'normal', {'std': 0.02})
    """
    if config.is_config(spec):
        resolved = config.load_config(spec, dtype)  # type: ignore[arg-type]
    elif header.is_checkpoint(spec):
        resolved = header.load_header(spec, dtype)  # type: ignore[arg-type]
    else:
        resolved = resolve(read(spec), dtype)
    if recipe is not None:
        resolved = override(resolved, read(recipe, "recipe"))
    header.check_said(resolved, recipe is not None)
    return resolved
