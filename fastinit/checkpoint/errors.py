"""SpecError: a mistake in a spec, with the file and the line where they are known."""

from __future__ import annotations


class SpecError(ValueError):
    """A mistake in a spec; `file` and `line` say where, None where that is not known."""

    def __init__(self, message: str, file: str | None = None, line: int | None = None):
        self.file, self.line = file, line
        place = "" if file is None else f"{file}: " if line is None else f"{file}:{line}: "
        super().__init__(place + message)
