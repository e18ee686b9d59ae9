"""Pictures that can be made for a pipeline to read."""

from __future__ import annotations

from pathlib import Path

BACKENDS = ("backend_args", "file_client_args")
"""Arguments of what loads files from elsewhere than this disk."""

_WRITTEN = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff"})
_WITHOUT_ALPHA = frozenset({".jpg", ".jpeg"})
_CHANNELS = frozenset({1, 3, 4})


def why_unwritable(image_suffix: str, label_suffix: str, channels: int) -> str | None:
    """Why no images of so many channels, or label maps, are made in files of such names; None where they are."""
    if channels not in _CHANNELS:
        return f"images of {channels} channels are not written here"
    image_kind, label_kind = (Path(f"x{suffix}").suffix.lower() for suffix in (image_suffix, label_suffix))
    if {image_kind, label_kind} - _WRITTEN:
        return f"files *{image_suffix} and *{label_suffix} are not written here"
    if channels == 4 and image_kind in _WITHOUT_ALPHA:
        return f"files *{image_suffix} do not have {channels} channels"
    return None
