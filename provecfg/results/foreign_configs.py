"""What a config that no study wrote trains, in the words of a study's axes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from provecfg.errors import ProvecfgError
from provecfg.mmconfig import ConfigView, Node, read_config


def read_foreign_config(path: Path) -> tuple[dict[str, str], int | None, int | None]:
    """The axes of `header.Coordinates` by the names of the classes, the last iteration, and the seed.

    A config that cannot be read, or that does not settle one of these, has none of it.

    Args:
        path: A config; it is read as data.
    """
    try:
        view = read_config(path)
    except ProvecfgError:
        return {}, None, None
    max_iters, seed = _value(view, "train_cfg.max_iters"), _value(view, "randomness.seed")
    model = "_".join(part for part in (_type(view, "model.decode_head"), _type(view, "model.backbone")) if part)
    depth = _value(view, "model.backbone.depth")
    losses = view.dig("model.decode_head.loss_decode")
    dataset = _type(view, "train_dataloader.dataset")
    cell = {
        "model": f"{model}{depth if isinstance(depth, int) else ''}",
        "dataset": dataset,
        "strategy": "baseline",
        "loss": "-".join(_losses(losses)) or "own",
        "seed": str(seed) if isinstance(seed, int) else "",
    }
    return (
        cell if model and dataset else {},
        max_iters if isinstance(max_iters, int) else None,
        seed if isinstance(seed, int) else None,
    )


def _losses(node: Node | None) -> list[str]:
    if node is None:
        return []
    items = [node] if node.is_dict else list(node) if node.is_list else []
    return [name for item in items if (name := _type_of(item))]


def _type(view: ConfigView, key: str) -> str:
    node = view.dig(key)
    if node is not None and node.is_list:  # of a cascade, the last head gives the prediction
        node = next(reversed(list(node)), None)
    return _type_of(node)


def _type_of(node: Node | None) -> str:
    name = node.value.get("type") if node is not None and isinstance(node.value, dict) else None
    return name.rpartition(".")[2] if isinstance(name, str) else ""


def _value(view: ConfigView, key: str) -> Any:
    node = view.dig(key)
    return None if node is None or node.is_opaque else node.value
