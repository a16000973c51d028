"""The lines of keys in a settings file, which the parsers of TOML and JSON do not tell.

Both functions take a text that its parser has accepted. For one that they cannot follow they find no line.
"""

import json
import re
import tomllib
from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

KeyPath: TypeAlias = tuple[str | int, ...]
"""The names of the tables and of the key, from the outside in. An integer is the index of an item of a list."""

_BLANKS = re.compile(r"[ \t]*")
_GAP = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_TEXT = re.compile(r'"""(?:[^\\]|\\.)*?"{3,5}|' + r"'''.*?'{3,5}" + r'|"(?:[^"\\\n]|\\.)*"' + r"|'[^'\n]*'", re.DOTALL)
_PLAIN = re.compile(r"[^,\]}#\n]+")

_SPACE = re.compile(r"\s*")
_JSON_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_JSON_PLAIN = re.compile(r"[^,\]}\s]+")
_JSON_COMMENT = re.compile(rf"({_JSON_TEXT.pattern})|//[^\n]*|/\*.*?\*/", re.DOTALL)
_LAST_COMMA = re.compile(rf"({_JSON_TEXT.pattern})|,(?=\s*[}}\]])", re.DOTALL)


def find_toml_lines(text: str) -> Mapping[KeyPath, int]:
    """The line of every table, key and item of a list in a well-formed TOML text, from 1."""
    return _Toml(text).find()


def find_json_lines(text: str) -> Mapping[KeyPath, int]:
    """The line of every member and item of a list in a well-formed JSON text, from 1."""
    return _Json(text).find()


def without_comments(text: str) -> str:
    """The JSON text with blanks in place of comments and of commas behind the last member. Every line stays."""
    for pattern in (_JSON_COMMENT, _LAST_COMMA):
        text = pattern.sub(lambda match: match[1] or re.sub(r"[^\n]", " ", match[0]), text)
    return text


@dataclass(slots=True)
class _Scanner(ABC):
    """A place in a text, and where each key was found first."""

    text: str
    at: int = 0
    found: dict[KeyPath, int] = field(default_factory=dict)

    def find(self) -> Mapping[KeyPath, int]:
        try:
            self.scan()
        except (ValueError, RecursionError):
            return {}
        breaks = [match.start() for match in re.finditer("\n", self.text)]
        return {path: bisect_left(breaks, offset) + 1 for path, offset in self.found.items()}

    @abstractmethod
    def scan(self) -> None:
        """Follows the whole text. Raises ``ValueError`` where it cannot be followed."""

    def note(self, path: KeyPath, offset: int) -> None:
        for length in range(1, len(path) + 1):
            self.found.setdefault(path[:length], offset)

    def take(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self.text, self.at)
        if match is None:
            raise ValueError(self.at)
        self.at = match.end()
        return match[0]

    def take_if(self, mark: str) -> bool:
        is_there = self.text.startswith(mark, self.at)
        self.at += len(mark) * is_there
        return is_there

    def expect(self, mark: str) -> None:
        if not self.take_if(mark):
            raise ValueError(self.at)

    def sequence(self, end: str, gap: re.Pattern[str]) -> Iterator[int]:
        """Counts what stands between commas, up to and with ``end``. Each turn takes one element."""
        number = 0
        self.take(gap)
        while not self.take_if(end):
            yield number
            number += 1
            self.take(gap)
            if not self.take_if(","):
                self.expect(end)
                return
            self.take(gap)


class _Toml(_Scanner):
    __slots__ = ()

    def scan(self) -> None:
        table: KeyPath = ()
        tables: dict[KeyPath, int] = {}
        while self.take(_GAP) is not None and self.at < len(self.text):
            start = self.at
            if self.take_if("[["):
                inside = _resolve(self._read_key(), tables)
                tables[inside] = tables.get(inside, -1) + 1
                table = (*inside, tables[inside])
                self.note(table, start)
                self.expect("]]")
            elif self.take_if("["):
                names = self._read_key()
                table = _resolve(names, tables)
                table = (*table, tables[table]) if table in tables else table
                self.note(table, start)
                self.expect("]")
            else:
                self._read_pair(table)

    def _read_key(self) -> tuple[str, ...]:
        names: list[str] = []
        while not names or self.take_if("."):
            self.take(_BLANKS)
            is_text = self.text[self.at : self.at + 1] in {'"', "'"}
            names.append(tomllib.loads(f"key={self.take(_TEXT)}")["key"] if is_text else self.take(_BARE_KEY))
            self.take(_BLANKS)
        return tuple(names)

    def _read_pair(self, table: KeyPath) -> None:
        start = self.at
        path = (*table, *self._read_key())
        self.note(path, start)
        self.expect("=")
        self.take(_BLANKS)
        self._read_value(path)

    def _read_value(self, path: KeyPath) -> None:
        if self.take_if("["):
            for number in self.sequence("]", _GAP):
                self.note((*path, number), self.at)
                self._read_value((*path, number))
        elif self.take_if("{"):
            for _ in self.sequence("}", _GAP):
                self._read_pair(path)
        else:
            self.take(_TEXT if self.text[self.at : self.at + 1] in {'"', "'"} else _PLAIN)


def _resolve(names: tuple[str, ...], tables: Mapping[KeyPath, int]) -> KeyPath:
    """The path of a table. A name of a list of tables in front of the last name stands for its last table."""
    path: KeyPath = ()
    for name in names:
        path = (*path, tables[path], name) if path in tables else (*path, name)
    return path


class _Json(_Scanner):
    __slots__ = ()

    def scan(self) -> None:
        self.take(_SPACE)
        self._read_value(())

    def _read_value(self, path: KeyPath) -> None:
        if self.take_if("["):
            for number in self.sequence("]", _SPACE):
                self.note((*path, number), self.at)
                self._read_value((*path, number))
        elif self.take_if("{"):
            for _ in self.sequence("}", _SPACE):
                self._read_member(path)
        else:
            self.take(_JSON_TEXT if self.text.startswith('"', self.at) else _JSON_PLAIN)

    def _read_member(self, path: KeyPath) -> None:
        start = self.at
        name = str(json.loads(self.take(_JSON_TEXT)))
        self.note((*path, name), start)
        self.take(_SPACE)
        self.expect(":")
        self.take(_SPACE)
        self._read_value((*path, name))
