"""Whole models: write safetensors files from a spec of tensors and rules, and compare files with
the spec.

`import fastinit` does not import this package.  spec.py describes the spec's language.
materialize.py and verify.py do the main jobs.  presets/*.toml are the specs in the package.
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
