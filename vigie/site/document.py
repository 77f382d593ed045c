"""YAML as plain data that remembers on which line each of its parts stands.

All scalars are kept as text: YAML 1.1 would read ``18:00`` as 1080, ``+33199001234`` as an integer and ``no`` as false.
"""

import re
from collections.abc import Iterator
from typing import Any, Self, TypeAlias

import yaml

from vigie.site.errors import Problem

Path: TypeAlias = tuple[str | int, ...]
ANY = "*"


class Document:
    """Plain ``data``, the lines on which its parts stand, and the ``problems`` found in it so far."""

    def __init__(self, data: Any = None) -> None:
        self.data = data
        self.problems: list[Problem] = []
        self._lines: dict[Path, int] = {(): 1}

    @classmethod
    def parse(cls, text: str) -> Self:
        """The document that a YAML text describes; with problems of YAML itself, it may lack parts."""
        document = cls()
        document._read(text)
        return document

    def line(self, path: Path) -> int:
        """The line of the innermost part of ``path`` that the text has."""
        while path not in self._lines:
            path = path[:-1]
        return self._lines[path]

    def problem(self, path: Path, reason: str, line: int | None = None) -> None:
        """Notes a mistake at ``path``."""
        self.problems.append(Problem(line or self.line(path), ".".join(map(str, path)), reason))

    def _read(self, text: str) -> None:
        try:
            for event in yaml.parse(text, Loader=yaml.CBaseLoader):
                if isinstance(event, yaml.AliasEvent):
                    self.problem((), "anchors and aliases (& and *) are not used here", _line(event))
            if not self.problems:
                node = yaml.compose(text, Loader=yaml.CBaseLoader)
                self.data = self._plain(node, ()) if node is not None else None
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            said = ", ".join(part for part in (error.context, error.problem) if part)
            self.problem((), f"this is not YAML: {said}", mark.line + 1 if mark else 1)
        except yaml.reader.ReaderError as error:
            line = text.count("\n", 0, error.position) + 1
            self.problem((), f"the character U+{_code(error):04X} may not stand here", line)
        except RecursionError:
            self.problem((), "this is nested too deeply")

    def _plain(self, node: yaml.Node, path: Path) -> Any:
        self._lines.setdefault(path, _line(node))
        match node:
            case yaml.MappingNode():
                return self._mapping(node, path)
            case yaml.SequenceNode():
                return [self._plain(item, (*path, index)) for index, item in enumerate(node.value)]
            case yaml.ScalarNode(style=None | "", value="" | "~" | "null"):
                return None
            case _:
                self._check(node, path)
                return node.value

    def _check(self, node: yaml.Node, path: Path) -> None:
        """Escapes (``"\\0"``) can write what may not stand in the text of a file, nor in a table."""
        if strange := re.search(r"[^\t\n\r\x20-\ud7ff\ue000-\U0010ffff]", node.value):
            self.problem(path, f"the character U+{ord(strange[0]):04X} may not stand here", _line(node))

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self.problem(path, "a key must be a single word", _line(key))
            elif key.value in data:
                self.problem((*path, key.value), "is written twice", _line(key))
            else:
                self._lines[(*path, key.value)] = _line(key)
                data[key.value] = self._plain(value, (*path, key.value))
        return data


def find(data: Any, pattern: str) -> Iterator[tuple[Path, Any]]:
    """The parts of ``data`` at ``pattern``, with their paths; ``*`` stands for any key or item.

    What has another shape than the pattern expects is passed over.
    """
    yield from _find(data, tuple(pattern.split(".")), ())


def _find(data: Any, pattern: tuple[str, ...], path: Path) -> Iterator[tuple[Path, Any]]:
    if not pattern:
        yield path, data
        return
    first, *rest = pattern
    inside: Iterator[tuple[str | int, Any]] = iter(())
    if isinstance(data, dict):
        inside = iter(data.items()) if first == ANY else iter([(first, data[first])] if first in data else [])
    elif isinstance(data, list) and first == ANY:
        inside = iter(enumerate(data))
    for key, value in inside:
        yield from _find(value, tuple(rest), (*path, key))


def _line(part: yaml.Node | yaml.Event) -> int:
    assert part.start_mark is not None
    return int(part.start_mark.line) + 1


def _code(error: yaml.reader.ReaderError) -> int:
    return error.character if isinstance(error.character, int) else ord(error.character[:1] or "\0")
