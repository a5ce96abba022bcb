"""SpecError: a mistake in a spec, with the file and the line where they are known.

Raised by source.py and spec.py.
"""

from __future__ import annotations


class SpecError(ValueError):
    """A mistake in a spec.

    Attributes
    ----------
    file : str or None
        Where it is; None where that is not known.
    line : int or None
        The line, from 1.
    """

    def __init__(self, message: str, file: str | None = None, line: int | None = None):
        self.file, self.line = file, line
        place = "" if file is None else f"{file}: " if line is None else f"{file}:{line}: "
        super().__init__(place + message)
