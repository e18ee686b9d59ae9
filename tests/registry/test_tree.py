from __future__ import annotations

import pytest

from provecfg.registry import REQUIRED, UNKNOWN_DEFAULT, ClassInfo, Fate, Registry, registry_for
from provecfg.registry.accepted import accepted
from provecfg.registry.domains import domains_file
from provecfg.registry.release import DATA_DIR, RELEASES, excerpts_file, installed_release, shipped_file


@pytest.fixture(params=list(RELEASES))
def registry(request: pytest.FixtureRequest) -> Registry:
    return registry_for(release=request.param)


def found(registry: Registry, name: str, kind: str = "model") -> ClassInfo:
    info = registry.find(name, kind)
    assert info is not None, name
    return info


def test_a_snapshot_is_small() -> None:
    assert {file.stem for file in DATA_DIR.glob("*.json")} == {
        "plugin",
        *RELEASES,
        *(f"{release}_accepted" for release in RELEASES),
        *(f"{release}_domains" for release in RELEASES),
    }
    assert all(1000 < domains_file(shipped_file(release)).stat().st_size < 100_000 for release in RELEASES)
    assert all(100_000 < (DATA_DIR / f"{release}.json").stat().st_size < 700_000 for release in RELEASES)
    assert all(100_000 < excerpts_file(shipped_file(release)).stat().st_size < 500_000 for release in RELEASES)
    assert all(1000 < len(accepted(release).parts) < 20_000 for release in RELEASES)


def test_a_misspelt_loss_argument_is_refused(registry: Registry) -> None:
    info = found(registry, "CrossEntropyLoss")
    assert info.dotted == "mmseg.models.losses.cross_entropy_loss.CrossEntropyLoss"
    assert info.fate("label_smoothing") is Fate.REFUSED
    assert info.fate("sampler") is Fate.REFUSED
    assert info.fate("avg_non_ignore") is Fate.USED
    assert info.parameters["loss_weight"].default == 1.0
    assert info.has_loss_name
    assert "ignore_index" in (info.forward or {})


def test_mask2former_swallows_what_a_plain_head_takes(registry: Registry) -> None:
    info = found(registry, "Mask2FormerHead")
    assert info.swallows
    assert [info.fate(key) for key in ("loss_decode", "sampler", "norm_cfg")] == [Fate.SWALLOWED] * 3
    assert [info.fate(key) for key in ("num_queries", "align_corners", "loss_cls")] == [Fate.USED] * 3


def test_arguments_of_parents_count_as_the_heads_own(registry: Registry) -> None:
    info = found(registry, "FCNHead")
    assert info.required == ("in_channels", "channels", "num_classes")
    assert info.parameters["num_classes"].origin == "mmseg.models.decode_heads.decode_head.BaseDecodeHead"
    assert info.parameters["num_convs"].default == 2
    assert info.refuses("loss_weight")


def test_an_argument_that_the_class_gives_its_parent_itself_is_refused(registry: Registry) -> None:
    assert found(registry, "SegformerHead").refuses("input_transform")
    assert "input_transform" not in found(registry, "SegformerHead").parameters
    assert found(registry, "FCNHead").accepts("input_transform")


@pytest.mark.parametrize(
    ("kind", "name"), [("model", "HuasdorffDisstanceLoss"), ("metric", "IoUMetric"), ("model", "MaskFormerHead")]
)
def test_these_drop_unknown_arguments(registry: Registry, kind: str, name: str) -> None:
    assert found(registry, name, kind).swallowed("no_such_argument")


def test_a_checkpoint_hooks_arguments_fail_at_the_first_save(registry: Registry) -> None:
    info = found(registry, "CheckpointHook", "hook")
    assert info.refuses("max_keep_ckpt")
    assert info.nearest("max_keep_ckpt")[0] == "max_keep_ckpts"


def test_arguments_that_go_to_a_class_named_beside_them(registry: Registry) -> None:
    resize = found(registry, "RandomResize", "transform")
    assert resize.accepts("keep_ratio")
    assert resize.refuses("keep_ration")
    other = {"resize_type": "NoSuchResize"}
    assert resize.fate("keep_ration", other) is Fate.UNKNOWN
    ema = found(registry, "EMAHook", "hook")
    assert ema.accepts("momentum")
    assert ema.refuses("gamma")
    assert ema.accepts("gamma", {"ema_type": "MomentumAnnealingEMA"})


def test_open_classes_take_what_we_cannot_know(registry: Registry) -> None:
    info = found(registry, "TIMMBackbone")
    assert info.open
    assert info.fate("no_such_argument") is Fate.UNKNOWN
    assert not info.swallows


@pytest.mark.parametrize(
    ("kind", "name", "given_by_builder"),
    [
        ("loop", "IterBasedTrainLoop", "runner"),
        ("data sampler", "InfiniteSampler", "dataset"),
        ("optimizer", "AdamW", "params"),
        ("parameter scheduler", "PolyLR", "optimizer"),
        ("task util", "OHEMPixelSampler", "context"),
        ("model", "SegTTAModel", "module"),
    ],
)
def test_what_the_builder_gives_is_not_required(
    registry: Registry, kind: str, name: str, given_by_builder: str
) -> None:
    info = found(registry, name, kind)
    assert info.accepts(given_by_builder)
    assert given_by_builder not in info.required


def test_keys_that_the_builder_takes_out_are_accepted(registry: Registry) -> None:
    assert found(registry, "CheckpointHook", "hook").accepts("priority")
    assert found(registry, "LinearLR", "parameter scheduler").accepts("convert_to_iter_based")
    assert found(registry, "AmpOptimWrapper", "optim_wrapper").accepts("paramwise_cfg")
    assert found(registry, "SyncBN").accepts("requires_grad", slot="backbone_norm_cfg")
    assert found(registry, "SyncBN").refuses("requires_grad")
    assert found(registry, "FFN").accepts("add_residual")  # the old name of add_identity


@pytest.mark.parametrize("name", ["Lion", "DAdaptAdam", "PagedAdamW8bit", "bnb_SGD", "Adafactor"])
def test_optimizers_of_packages_that_may_be_installed_are_not_judged(registry: Registry, name: str) -> None:
    assert found(registry, name, "optimizer").open
    assert registry.find("PagedNothing", "optimizer") is None


def test_scopes_are_searched_as_mmengine_does(registry: Registry) -> None:
    assert found(registry, "CrossEntropyLoss").scope == "mmseg"
    assert found(registry, "mmdet.CrossEntropyLoss").scope == "mmdet"
    assert found(registry, "ConvModule").scope == "mmengine"  # the root has what mmcv registers
    assert registry.find("mmseg.ConvModule", "model") is None  # a prefix looks in its own scope only
    assert registry.find("GIoULoss", "model") is None
    assert registry.find("GIoULoss", "model", scope="mmdet") is not None
    assert registry.nearest("GIoULoss", "model")[0] == "mmdet.GIoULoss"


def test_dotted_names_are_found_where_packages_hand_them_on(registry: Registry) -> None:
    assert found(registry, "mmseg.models.FCNHead").type_name == "FCNHead"
    assert found(registry, "torch.nn.CrossEntropyLoss").accepts("label_smoothing")
    assert found(registry, "mmengine.hooks.CheckpointHook", "hook").accepts("priority")
    assert registry.find("torch.nn.NoSuchLayer", "model") is None


def test_an_unknown_package_is_not_judged(registry: Registry) -> None:
    assert not registry.knows_scope("mmpretrain.ConvNeXt")
    assert registry.knows_scope("mmdet.NoSuchHead")
    assert registry.knows_scope("NoSuchHead")


def test_an_unknown_registry_is_a_mistake_of_the_caller(registry: Registry) -> None:
    with pytest.raises(KeyError, match=r"'models' is no registry; there are .*model"):
        registry.find("FCNHead", "models")


@pytest.mark.parametrize(
    ("kind", "wrong", "right"),
    [
        ("model", "SegFormerHead", "SegformerHead"),
        ("model", "UperHead", "UPerHead"),
        ("model", "LightDecodeHead", "LightHamHead"),
        ("task util", "OHEMSampler", "OHEMPixelSampler"),
        ("hook", "EarlyStopHook", "EarlyStoppingHook"),
        ("parameter scheduler", "PolyLr", "PolyLR"),
        ("model", "mmdet.CrossEntropyLos", "mmdet.CrossEntropyLoss"),
        ("visualizer", "SegVisualizer", "SegLocalVisualizer"),
    ],
)
def test_a_misspelt_name_finds_the_right_one(registry: Registry, kind: str, wrong: str, right: str) -> None:
    assert right in registry.nearest(wrong, kind)


def test_a_name_of_another_registry_is_found_there(registry: Registry) -> None:
    assert registry.registries_with("IoUMetric") == ["metric"]
    assert registry.registries_with("NoSuchThing") == []


def test_defaults_are_values_or_say_that_they_are_not(registry: Registry) -> None:
    head = found(registry, "FCNHead").parameters
    assert head["act_cfg"].default == {"type": "ReLU"}
    assert head["num_classes"].default is REQUIRED
    pixel_decoder = found(registry, "mmdet.Mask2FormerHead").parameters["pixel_decoder"]
    assert pixel_decoder.default is UNKNOWN_DEFAULT


@pytest.mark.parametrize(
    ("folders", "release"),
    [
        (["onedl_mmsegmentation-1.4.2.dist-info"], "onedl"),
        (["mmsegmentation-1.2.2.dist-info"], "openmmlab"),
        (["mmsegmentation.egg-info"], "openmmlab"),
        (["mmsegmentation_extras-0.1.dist-info"], "onedl"),
        (["mmsegmentation-1.2.2.dist-info", "onedl_mmsegmentation-1.4.2.dist-info"], "onedl"),
        ([], "onedl"),
    ],
)
def test_the_release_is_the_installed_one_else_the_newest(
    tmp_path_factory: pytest.TempPathFactory, folders: list[str], release: str
) -> None:
    site = tmp_path_factory.mktemp("site")
    for folder in folders:
        (site / folder).mkdir()
    assert installed_release([str(site), str(site / "absent")]) == release
