"""Whole models: a spec of tensors and rules becomes safetensors files, and files are compared with
it.

Not imported by `import fastinit`.  The spec's language: spec.py.  The jobs: materialize.py,
verify.py.  Specs that come with the package: presets/*.toml.
"""

from .blocks import Patched
from .describe import describe, rules
from .dummy import dummy
from .errors import SpecError
from .header import is_ours, spec_of
from .index import files
from .load import load
from .materialize import Report, is_folder, materialize
from .plan import SHARD_SIZE, File, Plan, plan
from .source import preset, presets
from .spec import Entry, Spec
from .verify import Checked, Verified, verify
from .write import seed_of

__all__ = [
    "SHARD_SIZE",
    "Checked",
    "Entry",
    "File",
    "Patched",
    "Plan",
    "Report",
    "Spec",
    "SpecError",
    "Verified",
    "describe",
    "dummy",
    "files",
    "is_folder",
    "is_ours",
    "load",
    "materialize",
    "plan",
    "preset",
    "presets",
    "rules",
    "seed_of",
    "spec_of",
    "verify",
]
