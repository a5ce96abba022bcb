"""Whole models: a spec of tensors and rules becomes a safetensors file.

Not imported by `import fastinit`.  The spec's language: spec.py.  The job: materialize.py.  Specs
that come with the package: presets/*.toml.
"""

from .errors import SpecError
from .materialize import Plan, Report, materialize, plan
from .source import preset, presets
from .spec import Entry, Spec, load

__all__ = [
    "Entry",
    "Plan",
    "Report",
    "Spec",
    "SpecError",
    "load",
    "materialize",
    "plan",
    "preset",
    "presets",
]
