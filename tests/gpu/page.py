"""Write the figures of docs/gpu.md, from the files of the machines that measured them.

python -m tests.gpu.page
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tests.gpu.allowances import fitted_allowances, pairs_of
from tests.gpu.figures import Figures, Row, read_all, rows_of

PAGE = Path(__file__).parents[2] / "docs" / "gpu.md"
BEGIN = "<!-- figures: written by `make gpu`, from tests/gpu/figures/ -->"
END = "<!-- end of figures -->"
NOTHING = "No machine has run this yet: there are no figures."

PATHS = {
    "own": "own kernel",
    "own, compiled": "own, torch.compile",
    "plain": "plain PyTorch",
    "plain, compiled": "plain, torch.compile",
    "mmseg": "mmseg's",
}
"""Ways to compute a loss, as the measurement and the page name them."""
UNIT = "F.cross_entropy"
COPY = "one read and one write"
MIB = 2**20


def section(figures: Sequence[Figures]) -> str:
    """The part of the page between the markers."""
    if not figures:
        return NOTHING
    return "\n\n".join(_machine(each) for each in figures)


def with_section(page: str, text: str) -> str:
    """The page with another part between its markers.

    Raises:
        ValueError: It does not have both markers once, in order.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in rest or END in after:
        raise ValueError(f"the page must have {BEGIN!r} and then {END!r}, once each")
    return f"{before}{BEGIN}\n\n{text}\n\n{END}{after}"


def write_page(path: Path, figures: Sequence[Figures]) -> None:
    """Bring the page up to date."""
    path.write_text(with_section(path.read_text(encoding="utf-8"), section(figures)), encoding="utf-8")


def _machine(figures: Figures) -> str:
    about = ", ".join(f"{key} {value}" for key, value in figures.machine.items() if key != "card")
    parts = [f"### {figures.machine['card']}", f"{figures.day}: {about}."]
    parts += [text for text in (_outcomes(figures), *_losses(figures), *_models(figures), *_memory(figures)) if text]
    return "\n\n".join(parts)


def _outcomes(figures: Figures) -> str:
    rows = [
        [name, entry["passed"], entry["failed"], entry["skipped"], "; ".join(entry["reasons"])]
        for name, entry in figures.outcomes.items()
    ]
    return _table(["what was tried", "passed", "failed", "skipped", "why"], rows)


def _losses(figures: Figures) -> list[str]:
    """A table for each size, and which path is the fastest for each loss."""
    rows = figures.tables.get("losses", [])
    texts = []
    for size in dict.fromkeys(tuple(row["size"]) for row in rows):
        there = [row for row in rows if tuple(row["size"]) == size]
        unit, copy = _only(there, UNIT), _only(there, COPY)
        texts.append(
            f"Losses at {' x '.join(map(str, size))}, forward and backward: times `F.cross_entropy` in the same "
            f"run ({unit['device_ms']:.3f} ms, peak {_mib(unit['peak_bytes'])} MiB; one read and one write of the "
            f"logits {copy['device_ms']:.3f} ms) / peak memory in multiples of the logits / host time in ms:"
        )
        body = []
        for loss in dict.fromkeys(row["loss"] for row in there if row["path"] in PATHS):
            of_loss = {row["path"]: row for row in there if row["loss"] == loss}
            body.append([loss, *(_cost(of_loss.get(path), of_loss[UNIT]) for path in PATHS), fastest(of_loss.values())])
        texts.append(_table(["loss", *PATHS.values(), "fastest"], body))
    return texts


def fastest(rows: Iterable[Row]) -> str:
    """The path of a loss that took the least time on the device, and by how much it beats the plugin's own.

    Passed over are rows of paths that could not run (an `error` in place of a time), and mmseg's, whose formula may be
    another.
    """
    timed = [row for row in rows if row["path"] in PATHS and row["path"] != "mmseg" and "device_ms" in row]
    if not timed:
        return "none ran"
    best = min(timed, key=lambda row: row["device_ms"])
    own = next((row for row in timed if row["path"] == "own"), None)
    if own is None or best is own:
        return PATHS[best["path"]]
    return f"{PATHS[best['path']]}, {own['device_ms'] / best['device_ms']:.2f} times as fast as the own kernel"


def _cost(row: Row | None, unit: Row) -> str:
    if row is None:
        return ""
    if "device_ms" not in row:
        return f"does not run: {row['error']}"
    logits = row["logits_bytes"]
    ratio = row["device_ms"] / unit["device_ms"]
    return f"{ratio:.2f} / {row['peak_bytes'] / logits:.2f} / {row['host_ms']:.2f}"


def _models(figures: Figures) -> list[str]:
    texts = []
    rows = figures.tables.get("models", [])
    if rows:
        texts.append("Training, interrupted once and gone on with, at the end validated and a checkpoint written:")
        texts.append(
            _table(
                ["config", "AMP", "crop", "batch", "iterations", "s an iteration", "allocated, MiB", "reserved, MiB"],
                [
                    [
                        row["config"],
                        "on" if row["amp"] else "off",
                        "x".join(map(str, row["crop"])),
                        row["batch"],
                        row["iterations"],
                        f"{row['seconds_an_iteration']:.3f}",
                        f"{row['allocated'] / MIB:.0f}",
                        f"{row['reserved'] / MIB:.0f}",
                    ]
                    for row in rows
                ],
            )
        )
    rows = figures.tables.get("attention", [])
    if rows:
        texts.append("Multi-scale deformable attention of Mask2Former's pixel decoder, forward and backward:")
        texts.append(
            _table(
                ["operator", "finest level", "ms", "peak, MiB"],
                [
                    [
                        row["operator"],
                        "x".join(map(str, row["size"])),
                        f"{row['device_ms']:.2f}",
                        _mib(row["peak_bytes"]),
                    ]
                    for row in rows
                ],
            )
        )
    return texts


def _memory(figures: Figures) -> list[str]:
    texts = []
    rows = figures.tables.get("forecast", [])
    if rows:
        texts.append("The forecast of `provecfg prove` against what a training run took, in MiB:")
        texts.append(
            _table(
                ["model", "AMP", "batch", "forecast", "allocated", "error", "reserved", "outside", "state"],
                [
                    [
                        row["model"],
                        "on" if row["amp"] else "off",
                        row["batch"],
                        _mib(row["forecast"]),
                        _mib(row["allocated"]),
                        f"{row['forecast'] / row['allocated'] - 1:+.1%}" if row["state"] == "finished" else "",
                        _mib(row["reserved"]),
                        _mib(row["outside"]),
                        row["state"],
                    ]
                    for row in rows
                ],
            )
        )
    pairs = pairs_of(rows_of([figures], "forecast"))
    if pairs:
        fit = fitted_allowances(pairs)
        texts.append(
            f"Allowances fitted to these {fit.runs} runs: {fit.share:.0%} of the forecast on top (enough for 95 % of "
            f"them) and {fit.outside / MIB:.0f} MiB outside of torch's allocator. The forecast of tensors was at most "
            f"{fit.low:.1%} too low and {fit.high:.1%} too high."
        )
    rows = figures.tables.get("largest batch", [])
    if rows:
        texts.append("The largest batch that the forecast says fits, tried, and a quarter more:")
        texts.append(
            _table(
                ["model", "AMP", "largest", "it", "a quarter more"],
                [
                    [row["model"], "on" if row["amp"] else "off", row["batch"], row["state"], row["more"]]
                    for row in rows
                ],
            )
        )
    return texts


def _only(rows: Sequence[Row], path: str) -> Row:
    return next(row for row in rows if row["path"] == path)


def _mib(amount: int) -> str:
    return f"{amount / MIB:.0f}"


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(str(cell).replace('|', '/') for cell in line)} |" for line in lines)


if __name__ == "__main__":
    write_page(PAGE, read_all())
