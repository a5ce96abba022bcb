"""Code that several commands use: writing a figure, and the error for a task that failed.

../_core/tables.py formats the tables that they print.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any


class Failed(Exception):
    """A task failed.  The message says what went wrong, and the exit status is 1."""


def save_figure(path: str, figure: Any, report: Mapping[str, Any]) -> str:
    """Write a figure, and its numbers beside it as .json.  Returns the path of the .json file."""
    from .._core import new_file
    from .._core.tables import as_json
    from ..diagnostics import figures

    figures.save(figure, path)
    beside = os.path.splitext(path)[0] + ".json"
    new_file.write_file(beside, as_json(report).encode())
    return beside
