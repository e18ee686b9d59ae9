from __future__ import annotations

import copy
import pickle

from provecfg.catalog.datasets import DATASETS


def test_a_dataset_can_be_copied_and_handed_to_another_process() -> None:
    for dataset in DATASETS.values():
        assert copy.deepcopy(dataset) == dataset
        assert pickle.loads(pickle.dumps(dataset)) == dataset
