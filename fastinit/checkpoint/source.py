"""Read and parse a spec from a preset, a TOML or JSON file or a mapping, and find the line of a
mistake.

Neither parser keeps line numbers.  So the line is found by searching the text for the keys on the
path to the mistake.  spec.py interprets the content.
"""

from __future__ import annotations

import itertools
import json
import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

from .._core import arguments
from .._core.arguments import described, path_text, said, shown
from .errors import SPEC, SpecError, check_there, near_path

AnySpec = str | os.PathLike[str] | Mapping[str, Any]

_PRESETS = os.path.join(os.path.dirname(__file__), "presets")
_COMPARED = 2000  # the most known names to compare for a hint: each comparison takes time
_CONTEXT = 200  # how many characters before and after a name are examined to classify it


def nearest(name: Any, known: Iterable[str]) -> str:
    """Return '; did you mean …?' with a known name that is similar to `name`, or ''."""
    hint = arguments.nearest(name, itertools.islice(known, _COMPARED))
    return f"; {hint}" if hint else ""


class Source:
    """A parsed spec and its text."""

    def __init__(self, label: str, text: str, content: dict[str, Any]):
        self.label, self.text, self.content = label, text, content

    def error(self, message: str, *path: Any) -> SpecError:
        """Make a SpecError at the place that `path` leads to.

        `path` consists of names of keys and the number of a rule.
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
        """Find where a name is first a key or a string, else where it is first a word, else -1.

        This uses str.find and checks the text around each match.  A regular expression would take
        quadratic time for some names.
        """
        if not name:
            return max(self.text.find('""', start), self.text.find("''", start))
        word = -1
        at = self.text.find(name, start)
        while at >= 0:
            before = self.text[max(0, at - _CONTEXT) : at]
            after = self.text[at + len(name) : at + len(name) + _CONTEXT]
            if _is_key(before, after):
                return at
            if word < 0 and not re.search(r"[\w.-]\Z", before) and not re.match(r"[\w.-]", after):
                word = at
            at = self.text.find(name, at + len(name))
        return word

    def _find_rule(self, index: int) -> int:
        headers = [
            found.start()
            for found in re.finditer(r"^[ \t]*\[\[[ \t]*rules[ \t]*\]\]", self.text, re.MULTILINE)
        ]
        if index < len(headers):
            return headers[index]
        # In JSON, or in a TOML list of inline tables, the rule is found by the index-th "match",
        # which is the key of its patterns.
        matches = [
            found.start() for found in re.finditer(r"""["']?\bmatch\b["']?\s*[:=]""", self.text)
        ]
        return matches[index] if index < len(matches) else self._find("rules", 0)


def _is_key(before: str, after: str) -> bool:
    """Whether the text around a name makes it a string, a table's header, or a bare key."""
    if before[-1:] in ('"', "'") and before[-1:] == after[:1]:
        return True
    line = before.rsplit("\n", 1)[-1].strip(" \t")
    if line and not line.strip("[ \t"):
        return bool(re.match(r"[ \t]*\]", after))
    if not line:
        return bool(re.match(r"[ \t]*[=.]", after))
    return line[-1] in "{," and bool(re.match(r"[ \t]*=", after))


# ------------------------------------------------------------------------------------------ presets


def presets() -> tuple[str, ...]:
    """List the names of the specs that come with the package.

    Returns
    -------
    tuple of str
        Sorted.
    """
    return tuple(
        sorted(
            name.removesuffix(".toml") for name in os.listdir(_PRESETS) if name.endswith(".toml")
        )
    )


def preset(name: str) -> str:
    """Return the text of a preset: a spec to read, to copy and to change.

    Parameters
    ----------
    name : str
        One of presets().

    Returns
    -------
    str
        TOML.

    Raises
    ------
    SpecError
        There is no preset of that name.
    """
    if not isinstance(name, str):
        raise TypeError(f"name must be a preset's name, not {described(name)}")
    if name not in presets():
        near = arguments.nearest(name, presets()) or near_path(name).rstrip()
        raise SpecError(
            f"unknown preset {shown(name)}, and no such file; "
            f"{near or 'there are ' + ', '.join(presets()) + ';'} give {SPEC}"
        )
    with open(os.path.join(_PRESETS, name + ".toml"), encoding="utf-8") as file:
        return file.read()


# ------------------------------------------------------------------------------------------ reading


def read(spec: AnySpec, what: str = "spec") -> Source:
    """Parse a preset's name, a path that ends in .toml or .json, or a mapping; `what` is the
    argument in messages.
    """
    if isinstance(spec, Mapping):
        return _checked(Source("<mapping>", "", dict(spec)))
    if not isinstance(spec, (str, os.PathLike)):
        raise TypeError(
            f"{what} is {described(spec)}; give a preset's name, a path that ends in .toml or "
            ".json, or a mapping"
        )
    label = path_text(spec, what)
    kind = os.path.splitext(label)[1].lower()
    if (
        isinstance(spec, str)
        and kind not in (".toml", ".json")
        and os.path.basename(label) == label
    ):
        return Source(label, preset(label), _toml(preset(label), label))
    check_there(label, SPEC)
    if kind not in (".toml", ".json"):
        raise SpecError("a spec's file name must end in .toml or .json", label)
    with open(spec, "rb") as file:
        raw = file.read()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SpecError(
            f"is not UTF-8 text ({error.reason})", label, raw.count(b"\n", 0, error.start) + 1
        ) from None
    return read_text(text, label, kind)


def read_text(text: str, label: str, kind: str = ".json") -> Source:
    """Parse the text of a spec.  `label` names its origin in messages."""
    content = _toml(text, label) if kind == ".toml" else _json(text, label)
    if not isinstance(content, dict):
        raise SpecError("a spec must be a table (a JSON object)", label, 1)
    return _checked(Source(label, text, content))


def _checked(source: Source) -> Source:
    """Check that every key is text and that all text can be encoded in UTF-8."""

    def check(value: Any, path: tuple[Any, ...]) -> None:
        if isinstance(value, Mapping):
            for key, item in value.items():
                if not isinstance(key, str):
                    raise source.error(
                        f"a key is {type(key).__name__} {shown(key)}; keys must be text"
                        f"{_inside(path)}",
                        *path,
                    )
                check_text(key, path)
                check(item, (*path, key))
        elif isinstance(value, (list, tuple)):
            for item in value:
                check(item, path)
        elif isinstance(value, str):
            check_text(value, path)

    def check_text(text: str, path: tuple[Any, ...]) -> None:
        if not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text):
            raise source.error(
                f"{shown(text)} holds a lone surrogate, which has no UTF-8 form{_inside(path)}",
                *path,
                text,
            )

    try:
        check(source.content, ())
    except RecursionError:
        raise SpecError("is nested too deeply", source.label) from None
    return source


def _inside(path: tuple[Any, ...]) -> str:
    return f" (in {shown(path[-1])})" if path else ""


def _toml(text: str, label: str) -> dict[str, Any]:
    import tomllib  # takes 4 ms, which a JSON spec does not need

    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        message = str(error)
        line = re.search(r"at line (\d+)", message)
        at_end = "end of document" in message
        raise SpecError(
            f"is not TOML: {said(error)}",
            label,
            int(line.group(1))
            if line
            else text.count("\n") + 1
            if at_end
            else _line_of_digits(text),
        ) from None


def _line_of_digits(text: str) -> int | None:
    """The line of an integer that has too many digits for Python to read."""
    found = re.search(r"[0-9_]{4300,}", text)
    return text.count("\n", 0, found.start()) + 1 if found else None


def _json(text: str, label: str) -> Any:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        table = dict(pairs)
        if len(table) != len(pairs):
            seen: set[str] = set()
            for key, _ in pairs:
                if key in seen:
                    break
                seen.add(key)
            first = Source(label, text, {})._find(key, 0)
            raise SpecError(
                f"{shown(key)} appears twice in one table",
                label,
                text.count("\n", 0, max(first, 0)) + 1,
            )
        return table

    try:
        return json.loads(text, object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        raise SpecError(f"is not JSON: {error.msg}", label, error.lineno) from None
    except SpecError:
        raise
    except RecursionError:
        raise SpecError("is not JSON: it is nested too deeply", label) from None
    except ValueError as error:
        raise SpecError(f"is not JSON: {said(error)}", label, _line_of_digits(text)) from None
