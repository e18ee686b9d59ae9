from __future__ import annotations

import pytest

from docs.generate import mmseg_datasets
from provecfg.catalog.datasets import DATASETS

pytestmark = [pytest.mark.stack, pytest.mark.slow]


def test_the_catalogs_datasets_are_what_mmseg_says() -> None:
    assert mmseg_datasets.main(["--check"]) == 0


def test_a_dataset_of_every_class_of_pictures_and_label_maps_is_in_the_catalog() -> None:
    registered = {dataset.type for dataset in DATASETS.values()}
    assert {
        "ADE20KDataset",
        "COCOStuffDataset",
        "PascalVOCDataset",
        "ISPRSDataset",
        "MapillaryDataset_v2",
    } <= registered
