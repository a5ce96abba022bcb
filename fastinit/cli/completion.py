"""fastinit --print-completion SHELL: print a script that completes the command line.

shtab generates the script.  Only this module imports shtab (extra `completion`).  The script does
not run Python.  The METAVAR of an argument in the help determines what the script completes.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from typing import Any

from .._core import DISTRIBUTION
from .output import Failed

SHELLS = ("bash", "zsh", "tcsh")
_FILES = ("CONFIG", "FILE", "MODEL", "OTHER", "PATH", "SOURCE", "SPEC")
_MODELS = ("MODEL", "NAME", "OTHER", "SOURCE", "SPEC")  # METAVARs that also accept a preset
_INITIALIZERS = ("INITIALIZER", "NAMES")

# Completes a preset or a file.  "_file" makes shtab treat the words as files in bash.
_BOTH = "_fastinit_model_or_file"
_PREAMBLE = {
    "bash": f"{_BOTH}() {{ compgen -W 'PRESETS' -- $1; compgen -f -- $1; }}",
    "zsh": f"{_BOTH}() {{ _alternative 'presets:preset:(PRESETS)' 'files:file:_files'; }}",
    "tcsh": "",
}


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """Make the script for a parser's commands.  The parser cannot parse afterwards."""
    try:
        import shtab
    except ImportError as error:
        raise Failed(
            f"completion needs shtab ({error}); install it with pip install "
            f"'{DISTRIBUTION}[completion]'"
        ) from error
    from .. import _table
    from ..checkpoint import presets
    from ..diagnostics.activations import ACTIVATIONS

    initializers = (*_table.INITIALIZERS, *_table.ALIASES)
    words = dict.fromkeys(_MODELS, presets()) | dict.fromkeys(_INITIALIZERS, initializers)
    words["ACTIVATIONS"] = tuple(ACTIVATIONS)
    for action in _actions(parser):
        metavar, is_option = str(action.metavar), bool(action.option_strings)
        if metavar in words and metavar in _FILES:
            _complete(action, {**shtab.FILE, "bash": _BOTH, "zsh": _BOTH})
        elif metavar in _FILES:
            _complete(action, shtab.FILE)
        elif metavar in words and not (is_option and metavar == "NAME"):  # --name: a tensor's name
            action.choices = words[metavar]
    preamble = _PREAMBLE[shell].replace("PRESETS", " ".join(presets()))
    return str(shtab.complete(parser, shell, preamble=preamble))


def _complete(action: argparse.Action, how: Mapping[str, Any]) -> None:
    action.complete = how  # type: ignore[attr-defined]  # the attribute that shtab reads


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """All actions of a parser and its commands.  Actions hidden in the help are shown to shtab."""
    for action in parser._actions:
        if action.help == argparse.SUPPRESS:
            action.help = ""
        if isinstance(action.choices, dict):
            for one in action.choices.values():
                yield from _actions(one)
        else:
            yield action
