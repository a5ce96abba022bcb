"""Regenerate fastinit/checkpoint/presets/*.toml, each from its first lines.

    python -P docs/presets.py [NAME ...] [--check]
        --check: only say which files would change

Two parts of a preset are written by hand: the comment at the top, and the table [config] with the
published hyperparameters.  The rest is the output of `fastinit spec` for that config, so a new
preset is a file with these two parts and `dtype`.  Presets with a table [constants] (GPT-2) are
written entirely by hand.  ResNet-50 comes from torchvision and has no config.
"""

from __future__ import annotations

import json
import pathlib
import re
import sys
import tempfile
import tomllib

from fastinit import checkpoint
from fastinit.checkpoint import config

PRESETS = pathlib.Path(__file__).resolve().parents[1] / "fastinit" / "checkpoint" / "presets"


def main(arguments: list[str]) -> int:
    names = [one for one in arguments if one != "--check"]
    changed = []
    for path in sorted(PRESETS.glob("*.toml")):
        text = path.read_text("utf-8")
        if "[constants]" in text or (names and path.stem not in names):
            continue
        new = remade(text)
        if new != text:
            changed.append(path.stem)
            if "--check" not in arguments:
                path.write_text(new, "utf-8")
    print("changed:", ", ".join(changed) or "nothing")
    return int("--check" in arguments and bool(changed))


def remade(text: str) -> str:
    """A preset with everything except its comment and its config regenerated."""
    comment = re.match(r"(#.*\n)*", text).group()
    content = tomllib.loads(text)
    if "config" in content:
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "config.json"
            path.write_text(json.dumps({**content["config"], "torch_dtype": content["dtype"]}))
            spec = checkpoint.load(path)
    else:
        spec = resnet50()
    return f"{comment}\n{checkpoint.describe(spec)}"


def resnet50() -> checkpoint.Spec:
    import torch
    import torchvision

    import fastinit.torch as fit
    from fastinit.torch._describe import describe

    with fit.construction() as recipe, torch.device("meta"):
        model = torchvision.models.resnet50()
    described, uncovered = describe(model, recipe)
    assert not uncovered, uncovered
    entries = tuple(config.entry_of(one) for one in described)
    return checkpoint.Spec("resnet-50", entries, {"format": "pt"})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
