from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from provecfg.errors import ProvecfgError
from provecfg.mmconfig import read_config
from provecfg.training import record as records
from provecfg.training.options import RunOptions
from provecfg.training.preflight import (
    Prepared,
    load_config,
    prepare,
    prepared_again,
    read_by_mmengine,
    require_stack,
)

pytestmark = [
    pytest.mark.stack,
    # torch, mmengine and mmdet warn of each other's deprecations when they are imported.
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning"),
]

PSPNET = Path(__file__).parents[2] / "generated" / "pspnet_r50_bdd10k_ce.py"


@pytest.fixture
def smoke(tmp_path: Path):
    """Prepare a smoke run of a config that builds on PSPNet's."""

    def prepared(addition: str = "", **options: Any) -> Prepared:
        path = tmp_path / "config.py"
        path.write_text(f"_base_ = {str(PSPNET)!r}\n{addition}")
        arguments = {"smoke": True, "device": "cpu", "work_dir": tmp_path / "run", **options}
        return prepare(path, RunOptions(**arguments), read_config(path))

    return prepared


def codes(prepared: Prepared) -> list[str]:
    return [finding.code for finding in prepared.findings]


def test_a_smoke_run_is_ready_with_nothing_to_say(smoke) -> None:
    prepared = smoke()
    assert prepared.findings == ()
    assert prepared.is_ready
    assert not prepared.is_complete
    assert (prepared.device, prepared.resume_from) == ("cpu", None)


def test_preparing_writes_nothing_into_the_work_dir(smoke, tmp_path: Path) -> None:
    smoke()
    assert not (tmp_path / "run").exists()


def test_the_config_is_kept_with_its_base(smoke) -> None:
    assert [path.name for path in smoke().files] == ["config.py", PSPNET.name]


def test_a_device_that_is_not_there_is_said(smoke) -> None:
    prepared = smoke(device="cuda")
    assert codes(prepared) == ["RUN131"]
    assert not prepared.is_ready


def test_one_image_for_a_synchronised_norm_is_refused_on_one_process_alone(smoke) -> None:
    one_image = "train_dataloader = dict(batch_size=1)\n"
    prepared = smoke(one_image)
    (finding,) = prepared.findings
    assert (finding.code, finding.key) == ("RUN117", "train_dataloader.batch_size")
    assert not prepared.is_ready
    assert codes(smoke(one_image, gpus=2)) == []
    assert codes(smoke(f"{one_image}model = dict(decode_head=dict(norm_cfg=dict(type='GN', num_groups=32)))\n")) == []


def test_mixed_precision_on_a_cpu_is_said_and_left_out_of_a_smoke_run(smoke, tmp_path: Path) -> None:
    amp = "optim_wrapper = dict(type='AmpOptimWrapper', loss_scale='dynamic')\n"
    prepared = smoke(amp)
    assert codes(prepared) == []
    assert prepared.config.optim_wrapper.type == "OptimWrapper"
    real = smoke(amp, smoke=False, pretrained=False, data_root=Path(prepared.config.train_dataloader.dataset.data_root))
    (finding,) = (finding for finding in real.findings if finding.code == "RUN132")
    assert (finding.filename, finding.key) == (tmp_path / "config.py", "optim_wrapper.type")
    assert finding.span is not None
    assert finding.span.row == 2


def test_all_that_is_wrong_is_said_at_once(smoke, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "iter_1.pth").write_bytes(b"no checkpoint")
    prepared = smoke(
        "model = dict(backbone=dict(init_cfg=dict(checkpoint='no/such.pth')))\n",
        smoke=False,
        data_root=tmp_path / "nowhere",
    )
    assert sorted(codes(prepared)) == ["RUN101", "RUN101", "RUN121", "RUN123", "RUN144"]


def test_a_finished_run_is_complete_without_looking_further(smoke, tmp_path: Path) -> None:
    options = {"smoke": False, "pretrained": False, "data_root": tmp_path}
    fingerprint = smoke(**options).fingerprint
    attempt = records.new_attempt(first_iter=0, command=(), device="cpu", processes=1)
    record = records.Record("config", {}, fingerprint, False, 80_000, 42, {}, None).started(attempt)
    record = record.closed(records.Ending(records.FINISHED), 80_000)
    (tmp_path / "run").mkdir()
    record.write(tmp_path / "run")
    again = smoke(**options)
    assert again.is_complete
    assert again.findings == ()
    record = dataclasses.replace(record, fingerprint={**fingerprint, "model": "other"})
    record.write(tmp_path / "run")
    assert not smoke(**options).is_complete


@pytest.mark.parametrize(
    ("addition", "message"),
    [
        ("import no_such_module\n", "does not load: ModuleNotFoundError"),
        ("raise SystemError('own')\n", "does not load: SystemError: own"),
        ("runner_type = 'FlexibleRunner'\n", "only mmengine's Runner is run here"),
        ("train_cfg = None\n", "has no training loop"),
        ("train_cfg = dict(_delete_=True, type='EpochBasedTrainLoop', max_epochs=2)\n", "counts epochs"),
    ],
)
def test_what_cannot_be_loaded_or_run_is_said_in_words(smoke, addition: str, message: str) -> None:
    with pytest.raises(ProvecfgError, match=message):
        smoke(addition)


def test_data_is_drawn_only_in_layouts_that_are_known(smoke) -> None:
    other = "train_dataloader = dict(dataset=dict(type='NYUDataset'))\n"
    with pytest.raises(ProvecfgError, match="layout of datasets that it knows, and not of NYUDataset"):
        smoke(other + other.replace("train_", "val_"))


def test_a_module_that_cannot_be_imported_is_named(smoke) -> None:
    with pytest.raises(ProvecfgError, match="no_such_plugin"):
        smoke("custom_imports = dict(imports=['no_such_plugin'], allow_failed_imports=False)\n")


def test_an_optimizer_of_a_package_that_is_not_here_is_named_with_it(smoke) -> None:
    prepared = smoke("optim_wrapper = dict(optimizer=dict(_delete_=True, type='DAdaptAdam', lr=1.0))\n")
    (finding,) = (finding for finding in prepared.findings if finding.code == "RUN135")
    assert (finding.message, finding.key) == (
        "no optimizer is registered as 'DAdaptAdam'",
        "optim_wrapper.optimizer.type",
    )
    assert finding.hint == "mmengine registers it where the package 'dadaptation' is installed"


def test_an_optimizer_that_the_user_registers_in_mmsegs_registry_is_there(
    smoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "optimizers_of_the_user.py").write_text(
        "from mmseg.registry import OPTIMIZERS\nfrom torch.optim import SGD\n\n"
        "@OPTIMIZERS.register_module()\nclass OptimizerOfTheUser(SGD):\n    pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    prepared = smoke(
        "custom_imports = dict(imports=['provecfg.plugin', 'optimizers_of_the_user'])\n"
        "optim_wrapper = dict(optimizer=dict(_delete_=True, type='OptimizerOfTheUser', lr=1.0))\n"
    )
    assert "RUN135" not in {finding.code for finding in prepared.findings}


def test_options_change_the_config(tmp_path: Path) -> None:
    options = RunOptions(
        max_iters=800, data_root=tmp_path, pretrained=False, cfg_options=("optim_wrapper.optimizer.lr=0.5",)
    )
    config = load_config(PSPNET, options)
    assert (config.train_cfg.max_iters, config.param_scheduler[-1].end) == (800, 800)
    assert config.train_dataloader.dataset.data_root == str(tmp_path)
    assert config.model.backbone.init_cfg is None
    assert config.optim_wrapper.optimizer.lr == 0.5
    assert config.work_dir == f"work_dirs/loss-study/{PSPNET.stem}"


def test_the_work_dir_of_a_smoke_run_is_apart() -> None:
    assert load_config(PSPNET, RunOptions(smoke=True)).work_dir == f"work_dirs/smoke/{PSPNET.stem}"


def test_the_stack_is_here() -> None:
    require_stack()


def test_a_base_of_mmsegs_own_is_found_whichever_set_is_installed(tmp_path: Path) -> None:
    path = tmp_path / "config.py"
    path.write_text("_base_ = 'mmseg::pspnet/pspnet_r50-d8_4xb2-40k_cityscapes-512x1024.py'\n")
    assert read_by_mmengine(path).model.decode_head.type == "PSPHead"


def test_weights_that_no_pretrained_drops_from_load_from_are_said(smoke, tmp_path: Path) -> None:
    root = Path(smoke().config.train_dataloader.dataset.data_root)
    scale = "train_dataloader.dataset.pipeline.2.scale=(256,144)"  # of the drawn images
    real = {"smoke": False, "pretrained": False, "data_root": root, "cfg_options": (scale,)}
    prepared = smoke("load_from = 'trained.pth'\n", **real)
    (finding,) = prepared.findings
    assert (finding.code, finding.key) == ("RUN126", "load_from")
    assert finding.message == "--no-pretrained starts from random weights: load_from 'trained.pth' is not loaded"
    assert (prepared.is_ready, prepared.config.load_from) == (True, None)
    assert codes(smoke("load_from = 'trained.pth'\n")) == []  # a smoke run starts at random by itself
    assert codes(smoke(**real)) == []


def test_what_happened_in_the_work_dir_since_it_was_looked_at_counts(smoke, tmp_path: Path) -> None:
    prepared = smoke(smoke=False, pretrained=False, data_root=Path(smoke().config.train_dataloader.dataset.data_root))
    assert prepared_again(prepared) is prepared
    attempt = records.new_attempt(first_iter=0, command=(), device="cpu", processes=1)
    record = records.Record("config", {}, prepared.fingerprint, False, 80_000, 42, {}, None).started(attempt)
    (tmp_path / "run").mkdir()
    record.closed(records.Ending(records.FINISHED), 80_000).write(tmp_path / "run")
    assert prepared_again(prepared).is_complete
    torch.save({"meta": {"iter": 8}}, tmp_path / "run" / "iter_8.pth")
    record.closed(records.Ending(records.INTERRUPTED), 8).write(tmp_path / "run")
    assert prepared_again(prepared).resume_from == tmp_path / "run" / "iter_8.pth"
    dataclasses.replace(record, fingerprint={"model": "other"}).write(tmp_path / "run")
    with pytest.raises(ProvecfgError, match="holds a run of config that differs from this one in"):
        prepared_again(prepared)
