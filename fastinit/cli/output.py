"""What several commands use: how a figure is written, the error of what could not be done.

What they print: ../_core/tables.py.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any


class Failed(Exception):
    """Something could not be done, and the message says what: exit status 1."""


def save_figure(path: str, figure: Any, report: Mapping[str, Any]) -> str:
    """Write a figure, and its numbers beside it as .json, whose path is returned."""
    from .._core import new_file
    from .._core.tables import as_json
    from ..diagnostics import figures

    figures.save(figure, path)
    beside = os.path.splitext(path)[0] + ".json"
    new_file.write_file(beside, as_json(report).encode())
    return beside
