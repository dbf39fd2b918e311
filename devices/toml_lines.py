"""Where in a TOML text each value stands: the standard library's reader does not say."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field

Path = tuple[str | int, ...]  # ("override", 1, "SHED_SMOKE", "delay_s"): keys, and places in arrays

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_AT_LINE = re.compile(r"\(at line (\d+), column \d+\)")
_QUOTES = ('"""', "'''", '"', "'")  # the long ones first


def line_of_error(error: tomllib.TOMLDecodeError, text: str) -> int:
    """The line that tomllib complains of; its last one where it misses an end."""
    found = _AT_LINE.search(str(error))
    return int(found.group(1)) if found else text.count("\n") + 1


def lines_of(text: str) -> dict[Path, int]:
    """The line, from 1, of every table and key of `text`, which tomllib has taken."""
    scan = _Scan(text.replace("\r\n", "\n"))
    scan.document()
    return scan.lines


@dataclass(frozen=True, slots=True)
class Pair:
    """Where a key and its value stand: from `begin` to `end`, the value from `value`."""

    begin: int
    value: int
    end: int


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything of a text stands. headers: the begin of each `[table]` that is written."""

    pairs: Mapping[Path, Pair]
    headers: Mapping[Path, int]
    lines: Mapping[Path, int]


def layout_of(text: str) -> Layout:
    """Where keys, values and headers of `text` stand; tomllib has taken it, and it has no CR."""
    scan = _Scan(text)
    scan.document()
    return Layout(scan.pairs, scan.headers, scan.lines)


@dataclass(slots=True)
class _Scan:
    """One walk over a text. arrays: the newest place in each array of tables."""

    text: str
    at: int = 0
    line: int = 1
    lines: dict[Path, int] = field(default_factory=dict)
    arrays: dict[Path, int] = field(default_factory=dict)
    pairs: dict[Path, Pair] = field(default_factory=dict)
    headers: dict[Path, int] = field(default_factory=dict)

    def document(self) -> None:
        table: Path = ()
        while self._to_something():
            if self.text[self.at] == "[":
                table = self._header()
            else:
                self._pair(table)

    def _header(self) -> Path:
        line, begin = self.line, self.at
        is_array = self.text.startswith("[[", self.at)
        self.at += 2 if is_array else 1
        keys = self._keys()
        self.at += 2 if is_array else 1
        path = self._within((), keys[:-1])
        path = (*path, keys[-1])
        if is_array:
            self.arrays[path] = self.arrays.get(path, -1) + 1
            path = (*path, self.arrays[path])
        elif path in self.arrays:
            path = (*path, self.arrays[path])
        self._note(path, line)
        self.headers.setdefault(path, begin)
        return path

    def _within(self, path: Path, keys: list[str]) -> Path:
        for key in keys:
            path = (*path, key)
            if path in self.arrays:
                path = (*path, self.arrays[path])
        return path

    def _pair(self, table: Path) -> None:
        line, begin = self.line, self.at
        path: Path = (*table, *self._keys())
        for length in range(len(table) + 1, len(path) + 1):
            self._note(path[:length], line)
        self._blank()
        self.at += 1  # the equals sign
        self._blank()
        value = self.at
        self._value(path)
        end = value + len(self.text[value : self.at].rstrip())
        self.pairs.setdefault(path, Pair(begin, value, end))

    def _keys(self) -> list[str]:
        """A key and those behind its dots."""
        keys: list[str] = []
        while True:
            self._blank()
            keys.append(self._key())
            self._blank()
            if not self.text.startswith(".", self.at):
                return keys
            self.at += 1

    def _key(self) -> str:
        begin = self.at
        if self.text[begin] in "\"'":
            self._string(self.text[begin])
            raw = self.text[begin : self.at]
            key: str = tomllib.loads(f"key = {raw}")["key"]
            return key
        found = _BARE.match(self.text, begin)
        if found is None:
            raise ValueError(f"line {self.line}: no key; was the text taken by tomllib?")
        self.at = found.end()
        return found.group()

    def _value(self, path: Path) -> None:
        text = self.text
        if text[self.at] == "[":
            self.at += 1
            place = 0
            while self._to_something() and text[self.at] != "]":
                if text[self.at] == ",":
                    self.at += 1
                    continue
                self._note((*path, place), self.line)
                self._value((*path, place))
                place += 1
            self.at += 1
        elif text[self.at] == "{":
            self.at += 1
            while self._to_something() and text[self.at] != "}":
                if text[self.at] == ",":
                    self.at += 1
                else:
                    self._pair(path)
            self.at += 1
        else:
            quote = next((q for q in _QUOTES if text.startswith(q, self.at)), None)
            if quote is not None:
                self._string(quote)
            else:
                while self.at < len(text) and text[self.at] not in ",]}#\n":
                    self.at += 1

    def _string(self, quote: str) -> None:
        """From the opening quote to behind the closing one."""
        text = self.text
        escapes = quote[0] == '"'
        self.at += len(quote)
        while not text.startswith(quote, self.at):
            step = 2 if escapes and text[self.at] == "\\" else 1
            self.line += text.count("\n", self.at, self.at + step)
            self.at += step
        self.at += len(quote)
        while len(quote) == 3 and text.startswith(quote[0], self.at):
            self.at += 1  # up to two quotes may stand before the closing ones

    def _blank(self) -> None:
        while self.at < len(self.text) and self.text[self.at] in " \t":
            self.at += 1

    def _to_something(self) -> bool:
        """Past blanks, line ends and comments; whether there is anything behind them."""
        text = self.text
        while self.at < len(text):
            letter = text[self.at]
            if letter == "#":
                end = text.find("\n", self.at)
                self.at = len(text) if end < 0 else end
            elif letter == "\n":
                self.line += 1
                self.at += 1
            elif letter in " \t":
                self.at += 1
            else:
                return True
        return False

    def _note(self, path: Path, line: int) -> None:
        self.lines.setdefault(path, line)
