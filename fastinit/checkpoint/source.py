"""Where a spec comes from: a preset, a TOML or JSON file, a mapping.  Parses it, and finds the line
of a mistake.

Neither parser keeps line numbers, so the line is found by searching the text for the names that
lead to the mistake. Knows nothing of what a spec means: that is spec.py's.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

from .errors import SpecError

AnySpec = str | os.PathLike[str] | Mapping[str, Any]


_PRESETS = os.path.join(os.path.dirname(__file__), "presets")


def nearest(name: str, known: Iterable[str]) -> str:
    """'; did you mean …?' for the known name that is most like `name`, or nothing."""
    from difflib import get_close_matches  # only on the way to an error

    found = get_close_matches(name, list(known), 1, 0.5)
    return f"; did you mean {found[0]!r}?" if found else ""


class Source:
    """A parsed spec with the text it came from."""

    def __init__(self, label: str, text: str, content: dict[str, Any]):
        self.label, self.text, self.content = label, text, content

    def error(self, message: str, *path: Any) -> SpecError:
        """A SpecError at the place that `path` leads to: names of keys, and the number of a
        rule.
        """
        return SpecError(message, self.label, self._line(path))

    def _line(self, path: tuple[Any, ...]) -> int | None:
        position = found_at = -1
        for step in path:
            at = self._find_rule(step) if isinstance(step, int) else self._find(step, position + 1)
            if at >= 0:
                position = found_at = at
        if found_at < 0:
            return None
        return self.text.count("\n", 0, found_at) + 1

    def _find(self, name: str, start: int) -> int:
        word = re.escape(name)
        for pattern in (
            # As a string or a key: quoted, a table's header, at the start of a line, inside braces.
            # Or as any word.
            rf"""["']{word}["']|^[ \t]*\[+[ \t]*{word}[ \t]*\]|^[ \t]*{word}[ \t]*[=.]"""
            rf"""|[{{,][ \t]*{word}[ \t]*=""",
            rf"(?<![\w.-]){word}(?![\w.-])",
        ):
            found = re.compile(pattern, re.MULTILINE).search(self.text, start)
            if found:
                return found.start() + len(found.group()) - len(found.group().lstrip("{, \t"))
        return -1

    def _find_rule(self, index: int) -> int:
        headers = [
            found.start()
            for found in re.finditer(r"^[ \t]*\[\[[ \t]*rules[ \t]*\]\]", self.text, re.MULTILINE)
        ]
        if index < len(headers):
            return headers[index]
        # JSON, or TOML's list of inline tables: the rule is found by its patterns' place, the
        # index-th "match".
        matches = [
            found.start() for found in re.finditer(r"""["']?\bmatch\b["']?\s*[:=]""", self.text)
        ]
        return matches[index] if index < len(matches) else self._find("rules", 0)


# ------------------------------------------------------------------------------------------ presets


def presets() -> tuple[str, ...]:
    """The names of the specs that come with the package."""
    return tuple(
        sorted(
            name.removesuffix(".toml") for name in os.listdir(_PRESETS) if name.endswith(".toml")
        )
    )


def preset(name: str) -> str:
    """The text of a preset: a spec to read, to copy and to change."""
    if name not in presets():
        raise SpecError(
            "unknown preset "
            f"{name!r}{nearest(name, presets()) or '; there are ' + ', '.join(presets())} (a spec "
            "of your own is a path that ends in .toml or .json)"
        )
    with open(os.path.join(_PRESETS, name + ".toml"), encoding="utf-8") as file:
        return file.read()


# ------------------------------------------------------------------------------------------ reading


def read(spec: AnySpec) -> Source:
    """Parse a preset's name, a path that ends in .toml or .json, or a mapping."""
    if isinstance(spec, Mapping):
        return Source("<mapping>", "", dict(spec))
    label = os.fsdecode(spec)
    kind = os.path.splitext(label)[1].lower()
    if (
        isinstance(spec, str)
        and kind not in (".toml", ".json")
        and os.path.basename(label) == label
    ):
        return Source(label, preset(label), _toml(preset(label), label))
    if kind not in (".toml", ".json"):
        raise SpecError("a spec's file name must end in .toml or .json", label)
    with open(spec, "rb") as file:
        raw = file.read()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SpecError(
            f"is no UTF-8 text ({error.reason})", label, raw.count(b"\n", 0, error.start) + 1
        ) from None
    content = _toml(text, label) if kind == ".toml" else _json(text, label)
    if not isinstance(content, dict):
        raise SpecError("a spec must be a table (a JSON object)", label, 1)
    return Source(label, text, content)


def _toml(text: str, label: str) -> dict[str, Any]:
    import tomllib  # 4 ms, and a JSON spec does without

    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        message = str(error)
        line = re.search(r"at line (\d+)", message)
        at_end = "end of document" in message
        raise SpecError(
            f"no TOML: {message}",
            label,
            int(line.group(1)) if line else text.count("\n") + 1 if at_end else None,
        ) from None


def _json(text: str, label: str) -> Any:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        table = dict(pairs)
        if len(table) != len(pairs):
            twice = next(
                key for number, (key, _) in enumerate(pairs) if key in dict(pairs[:number])
            )
            first = Source(label, text, {})._find(twice, 0)
            raise SpecError(
                f"{twice!r} stands twice in one table",
                label,
                text.count("\n", 0, max(first, 0)) + 1,
            )
        return table

    try:
        return json.loads(text, object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        raise SpecError(f"no JSON: {error.msg}", label, error.lineno) from None
    except SpecError:
        raise
    except (ValueError, RecursionError) as error:
        raise SpecError(f"no JSON: {error}", label) from None
