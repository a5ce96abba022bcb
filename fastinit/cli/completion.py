"""fastinit --print-completion SHELL: a script that completes the command line, made by shtab.

shtab (extra `completion`) is imported here and nowhere else, and the script asks no Python at all.
What an argument takes is known by its METAVAR in the help.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from typing import Any

from .._core import DISTRIBUTION
from .output import Failed

SHELLS = ("bash", "zsh", "tcsh")
_FILES = ("CONFIG", "FILE", "MODEL", "OTHER", "PATH", "SOURCE", "SPEC")
_MODELS = ("MODEL", "NAME", "OTHER", "SOURCE", "SPEC")  # a preset too
_INITIALIZERS = ("INITIALIZER", "NAMES")

# A preset or a file.  By "_file" in the name shtab knows that bash is to treat words as files.
_BOTH = "_fastinit_model_or_file"
_PREAMBLE = {
    "bash": f"{_BOTH}() {{ compgen -W 'PRESETS' -- $1; compgen -f -- $1; }}",
    "zsh": f"{_BOTH}() {{ _alternative 'presets:preset:(PRESETS)' 'files:file:_files'; }}",
    "tcsh": "",
}


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """The script for the commands of a parser, which is of no use for parsing afterwards."""
    try:
        import shtab
    except ImportError as error:
        raise Failed(
            f"completion needs shtab ({error}); install it with pip install "
            f"'{DISTRIBUTION}[completion]'"
        ) from error
    from .. import _table
    from ..checkpoint import presets

    initializers = (*_table.INITIALIZERS, *_table.ALIASES)
    words = dict.fromkeys(_MODELS, presets()) | dict.fromkeys(_INITIALIZERS, initializers)
    for action in _actions(parser):
        metavar, is_option = str(action.metavar), bool(action.option_strings)
        if metavar in words and metavar in _FILES:
            _complete(action, {**shtab.FILE, "bash": _BOTH, "zsh": _BOTH})
        elif metavar in _FILES:
            _complete(action, shtab.FILE)
        elif metavar in words and not (is_option and metavar == "NAME"):  # --name is a tensor's
            action.choices = words[metavar]
    preamble = _PREAMBLE[shell].replace("PRESETS", " ".join(presets()))
    return str(shtab.complete(parser, shell, preamble=preamble))


def _complete(action: argparse.Action, how: Mapping[str, Any]) -> None:
    action.complete = how  # type: ignore[attr-defined]  # where shtab looks


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """All actions of a parser and its commands; those that the help hides are shown to shtab."""
    for action in parser._actions:
        if action.help == argparse.SUPPRESS:
            action.help = ""
        if isinstance(action.choices, dict):
            for one in action.choices.values():
                yield from _actions(one)
        else:
            yield action
