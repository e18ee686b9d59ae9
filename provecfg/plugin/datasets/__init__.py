"""Datasets for mmseg; importing this registers them."""

from .paired_files_dataset import PairedFilesDataset

__all__ = ["PairedFilesDataset"]
