"""The header of a generated config: the comments that say what it trains, which cell of which study it is, and whether
anybody has edited it since. Written and read here alone."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Final, NamedTuple

_WRITTEN: Final = re.compile(
    r"^Written by provecfg (?P<version>\S+) from the study (?P<study>\S+) \((?P<digest>\S+)\)\.$", re.MULTILINE
)
_VERSION: Final = re.compile(r"(?<=^# Written by provecfg )\S+(?= from the study )", re.MULTILINE)
_CELL: Final = re.compile(
    r"^Cell: model (?P<model>\S+), dataset (?P<dataset>\S+), strategy (?P<strategy>\S+), loss (?P<loss>\S+), "
    r"seed (?P<seed>\d+)\.$",
    re.MULTILINE,
)
_ADVICE: Final = "Change the study and run `provecfg generate`; an edited file is not overwritten."
_CHECKSUM: Final = re.compile(r"^# provecfg checksum: ([0-9a-f]{64})$", re.MULTILINE)
_UNSEALED: Final = "0" * 64


class Coordinates(NamedTuple):
    """Where on the axes of its study a cell is.

    Args:
        model, dataset, strategy: Their names.
        loss: The losses, as the config's name has them: `ce`, `focal`, `focal-lovasz`.
        seed: Of the run.
    """

    model: str
    dataset: str
    strategy: str
    loss: str
    seed: int


@dataclass(frozen=True, slots=True)
class Header:
    """What a generated config says about itself.

    Args:
        title: Model, data and losses in words; '' where it was taken out.
        equation: The total loss, see `provecfg.equation`; '' where it was taken out.
        note: What the equation leaves unsaid, or ''.
        version: Of the provecfg that wrote it.
        study: Name of the study.
        digest: Of the study.
        cell: Which cell of the study it is; None where that was taken out.
        checksum: SHA-256 of the config but for this very number, hexadecimal; '' where it was taken out.
    """

    title: str
    equation: str
    note: str
    version: str
    study: str
    digest: str
    cell: Coordinates | None
    checksum: str = _UNSEALED

    @classmethod
    def of(cls, text: str) -> Header | None:
        """The header of a config's text, or None where it has none: nobody generated it."""
        comments = _leading_comments(text)
        written = _WRITTEN.search(comments)
        if written is None:
            return None
        paragraphs = [paragraph.split("\n") for paragraph in comments.split("\n\n")]
        total = next((lines for lines in paragraphs if lines[0].startswith("total = ")), [])
        is_titled = paragraphs[0] is not total and _WRITTEN.fullmatch(paragraphs[0][0]) is None
        cell, checksum = _CELL.search(comments), _CHECKSUM.search(text)
        return cls(
            title=paragraphs[0][0] if is_titled else "",
            equation="".join(total[:1]),
            note="".join(total[1:2]),
            version=written["version"],
            study=written["study"],
            digest=written["digest"],
            cell=None if cell is None else _coordinates(**cell.groupdict()),
            checksum=checksum[1] if checksum else "",
        )

    def __str__(self) -> str:
        """The comments, without a newline at their end."""
        cell = self.cell
        lines = [
            *([self.title, ""] if self.title else []),
            *([self.equation, *([self.note] if self.note else []), ""] if self.equation else []),
            f"Written by provecfg {self.version} from the study {self.study} ({self.digest}).",
        ]
        if cell is not None:
            lines.append(
                f"Cell: model {cell.model}, dataset {cell.dataset}, strategy {cell.strategy}, loss {cell.loss}, "
                f"seed {cell.seed}."
            )
        lines.append(_ADVICE)
        if self.checksum:
            lines.append(f"provecfg checksum: {self.checksum}")
        return "\n".join(f"# {line}".rstrip() for line in lines)


def _coordinates(model: str, dataset: str, strategy: str, loss: str, seed: str) -> Coordinates:
    return Coordinates(model, dataset, strategy, loss, int(seed))


def sealed(text: str) -> str:
    """A config with the checksum of its text in its header."""
    return _CHECKSUM.sub(f"# provecfg checksum: {_checksum(text)}", text, count=1)


def is_untouched(text: str) -> bool:
    """Whether a text is a generated config that nobody has edited since."""
    header = Header.of(text)
    return header is not None and header.checksum == _checksum(text)


def differ_in_version_alone(text: str, other: str) -> bool:
    """Whether two generated configs differ in nothing but which provecfg wrote them, and so in their checksums."""
    return text != other and _without_version(text) == _without_version(other)


def _without_version(text: str) -> str:
    return _CHECKSUM.sub("", _VERSION.sub("", text, count=1), count=1)


def _checksum(text: str) -> str:
    return hashlib.sha256(_CHECKSUM.sub("", text, count=1).encode()).hexdigest()


def _leading_comments(text: str) -> str:
    """The comments before the first statement, without their signs; what parts their paragraphs is one blank line."""
    lines: list[str] = []
    for line in text.split("\n"):
        if line.strip() and not line.startswith("#"):
            break
        lines.append(line[1:].strip())
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")
