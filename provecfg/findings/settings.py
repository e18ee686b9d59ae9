"""`[tool.provecfg]` of the user's pyproject.toml: which rules apply, and how findings are shown."""

from __future__ import annotations

import fnmatch
import functools
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from provecfg.errors import ProvecfgError
from provecfg.files import TooLargeError, read_bytes
from provecfg.findings.problems import RETIRED
from provecfg.spelling import nearest_names, shown

ALL: Final = "ALL"
"""The selector of every code."""

OUTPUT_FORMATS: Final = ("text", "json", "sarif", "github", "junit")
"""The names of `reporters.FORMATS`, which is not imported for reading settings."""

_MENTIONS_TABLE = re.compile(rb"tool[ \t]*\.[ \t]*[\"']?provecfg|^[ \t]*\[[ \t]*tool[ \t]*\]", re.MULTILINE)
_DEEP_KEY = re.compile(rb"(?<![\w\"'-])(?:[\w\"'-]+[ \t]*\.[ \t]*){50}")
"""Python's TOML parser takes time with the square of a dotted key's length."""
_SELECTOR = re.compile(r"[A-Z]{2,}\d{0,3}")


@dataclass(frozen=True)
class Settings:
    """Which codes are judged, and how findings are shown. A selector is a code, the beginning of one, or `ALL`.

    Args:
        select: Selectors of the codes that are on.
        extend_select: More of them.
        ignore: Selectors of the codes that are off. The longer selector wins; of equal ones, `ignore`.
        per_file_ignores: Pattern of paths, relative to the settings' file, and selectors that are off there.
        strict: Whether warnings make the exit code 1.
        output_format: One of `OUTPUT_FORMATS`.
        packages: Packages, or folders relative to the settings' file, that register classes beside the repository's.
        docs_url: Where provecfg's documentation is published (`make site`), for links to a code's page; None where the
            package itself says it.
        file: The pyproject.toml they come from, or None for the defaults.
    """

    select: tuple[str, ...] = (ALL,)
    extend_select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    per_file_ignores: tuple[tuple[str, tuple[str, ...]], ...] = ()
    strict: bool = False
    output_format: str = "text"
    packages: tuple[str, ...] = ()
    docs_url: str | None = None
    file: Path | None = None
    _off: dict[Path, tuple[str, ...]] = field(default_factory=dict, compare=False, repr=False)

    def with_options(
        self,
        *,
        select: Sequence[str] | None = None,
        ignore: Sequence[str] | None = None,
        strict: bool | None = None,
        output_format: str | None = None,
    ) -> Settings:
        """The settings as the command line changes them: `--select` replaces, `--ignore` adds, None leaves as it is.

        Raises:
            ProvecfgError: A selector is none.
        """
        changed = self
        if select is not None:
            chosen = _selectors(_split(select), "--select", None)
            changed = replace(changed, select=chosen, extend_select=(), _off={})
        if ignore is not None:
            more = _selectors(_split(ignore), "--ignore", None)
            changed = replace(changed, ignore=(*changed.ignore, *more), _off={})
        if strict is not None:
            changed = replace(changed, strict=strict)
        if output_format is not None:
            changed = replace(changed, output_format=_format(output_format, "--output-format", None))
        return changed

    def is_on(self, code: str, file: Path | None = None) -> bool:
        """Whether a code is judged, in a file where one is given."""
        on = max(map(len, self._matching(code, (*self.select, *self.extend_select))), default=-1)
        off = max(map(len, self._matching(code, self.ignore)), default=-1)
        if on <= off:
            return False
        return file is None or not self._matching(code, self._off_in(file))

    @staticmethod
    def _matching(code: str, selectors: Iterable[str]) -> list[str]:
        """The selectors that mean a code, `ALL` as the shortest."""
        return ["" if s == ALL else s for s in selectors if s == ALL or code.startswith(s)]

    def _off_in(self, file: Path) -> tuple[str, ...]:
        if not self.per_file_ignores:
            return ()
        if file not in self._off:
            path = file.absolute()
            root = self.file.absolute().parent if self.file else Path.cwd()
            shown = path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()
            self._off[file] = tuple(
                selector
                for pattern, selectors in self.per_file_ignores
                if _fits(shown, path.name, pattern)
                for selector in selectors
            )
        return self._off[file]

    @functools.cached_property
    def selectors(self) -> tuple[str, ...]:
        """Every selector that is used, for checking them against the codes that exist."""
        of_files = (selector for _, selectors in self.per_file_ignores for selector in selectors)
        return tuple(dict.fromkeys([*self.select, *self.extend_select, *self.ignore, *of_files]))

    def check_selectors(self, codes: Iterable[str]) -> None:
        """Refuse a selector that means none of the codes that exist. A retired code is known, and means nothing.

        Raises:
            ProvecfgError: Names the selector and close codes.
        """
        codes = list(codes)
        families = dict.fromkeys(code.rstrip("0123456789") for code in codes)
        for selector in self.selectors:
            if selector not in (ALL, *RETIRED) and not any(code.startswith(selector) for code in codes):
                near = nearest_names(selector, [*families, *codes])
                raise ProvecfgError(
                    f"no rule has the code {selector}",
                    hint=f"did you mean {near[0]}?" if near else f"the families are {', '.join(families)}",
                )


def settings_for(target: Path) -> Settings:
    """The settings of the nearest pyproject.toml at or above a target that has a `[tool.provecfg]` table.

    Args:
        target: A file or folder; it need not exist.

    Raises:
        ProvecfgError: The table cannot be read, has an unknown key, or a value of the wrong kind.
    """
    start = target.absolute()
    for folder in (start, *start.parents):
        file = folder / "pyproject.toml"
        try:
            text = read_bytes(file)
        except TooLargeError as error:
            raise ProvecfgError(f"{file} cannot be read for its settings: {error.strerror}") from error
        except OSError:
            continue
        if not _MENTIONS_TABLE.search(text):  # most files have no such table; they cost no parsing
            continue
        settings = _read(file, text)
        if settings is not None:
            return settings
    return Settings()


@functools.lru_cache(maxsize=32)  # asked for every config below it
def _read(file: Path, text: bytes) -> Settings | None:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib  # type: ignore[import-not-found, unused-ignore]
    if _DEEP_KEY.search(text):
        raise ProvecfgError(f"{file} cannot be read for its settings: a key of it is nested too deeply")
    try:
        tools = tomllib.loads(text.decode("utf-8")).get("tool", {})
    except RecursionError as error:
        raise ProvecfgError(f"{file} cannot be read for its settings: it is nested too deeply") from error
    except ValueError as error:
        raise ProvecfgError(f"{file} is not TOML: {error}") from error
    table = tools.get("provecfg") if isinstance(tools, dict) else None
    if table is None:
        return None
    if not isinstance(table, dict):
        raise ProvecfgError(f"{file}: [tool.provecfg] must be a table, is {shown(table)}")
    fields: dict[str, Any] = {"file": file}
    for key, value in table.items():
        if key not in _READERS:
            near = nearest_names(key, _READERS)
            raise ProvecfgError(
                f"{file}: [tool.provecfg] has no setting {key!r}",
                hint=f"did you mean {near[0]!r}?" if near else f"there are {', '.join(_READERS)}",
            )
        fields[key.replace("-", "_")] = _READERS[key](value, key, file)
    return Settings(**fields)


def _wrong(key: str, file: Path | None, must: str, value: object) -> ProvecfgError:
    where = f"{file}: [tool.provecfg] {key}" if file else key
    return ProvecfgError(f"{where} must be {must}, is {shown(value)}")


def _selectors(value: Any, key: str, file: Path | None) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise _wrong(key, file, 'a list of codes such as ["LOSS", "STOP001"]', value)
    for item in value:
        if item != ALL and not _SELECTOR.fullmatch(item):
            raise _wrong(key, file, "codes such as LOSS003, beginnings of codes such as LOSS, or ALL", item)
    return tuple(value)


def _split(values: Sequence[str]) -> list[str]:
    """`--select LOSS,stop --select CFG` as one list of selectors."""
    return [item.strip().upper() for value in values for item in value.split(",") if item.strip()]


def _per_file(value: Any, key: str, file: Path | None) -> tuple[tuple[str, tuple[str, ...]], ...]:
    if not isinstance(value, dict):
        raise _wrong(key, file, 'a table such as {"generated/*" = ["SCHED"]}', value)
    return tuple((pattern, _selectors(codes, f"{key}.{pattern!r}", file)) for pattern, codes in value.items())


def _flag(value: Any, key: str, file: Path | None) -> bool:
    if not isinstance(value, bool):
        raise _wrong(key, file, "true or false", value)
    return value


def _names(value: Any, key: str, file: Path | None) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        raise _wrong(key, file, 'a list of packages such as ["my_models", "../shared"]', value)
    return tuple(value)


def _address(value: Any, key: str, file: Path | None) -> str:
    if not isinstance(value, str) or not re.match(r"(https?|file)://\S+$", value):
        raise _wrong(key, file, 'an address such as "https://docs.example.org/provecfg"', value)
    return value


def _format(value: Any, key: str, file: Path | None) -> str:
    if not isinstance(value, str) or value not in OUTPUT_FORMATS:
        raise _wrong(key, file, f"one of {', '.join(OUTPUT_FORMATS)}", value)
    return value


_READERS: Final[dict[str, Callable[[Any, str, Path | None], Any]]] = {
    "select": _selectors,
    "extend-select": _selectors,
    "ignore": _selectors,
    "per-file-ignores": _per_file,
    "strict": _flag,
    "output-format": _format,
    "packages": _names,
    "docs-url": _address,
}


def _fits(path: str, name: str, pattern: str) -> bool:
    """Whether a path, or its name alone, fits a pattern; `*` also goes over slashes, `**/` may be nothing."""
    return any(
        fnmatch.fnmatchcase(text, form) for text in (path, name) for form in {pattern, pattern.replace("**/", "")}
    )
