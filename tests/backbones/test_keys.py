"""Checkpoints of the released code, of torchvision and of this project: every key accounted for."""

from __future__ import annotations

import logging
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torchvision.models.video import r3d_18, s3d
from typer.testing import CliRunner

import fame
import run_study
from fame.backbones import Encoder, build_encoder
from fame.backbones.given import NAMES, export_encoder, fitting, save_encoder
from fame.backbones.keys import fit, fits, released
from fame.config import Backbone
from fame.errors import FameError
from tests.small import NARROW

with torch.device("meta"):
    META = build_encoder(NARROW).state_dict()
SMALL = build_encoder(NARROW, 1).state_dict()
HEADS = {"i3d": ("id_head.2", "id_head.4"), "r2plus1d_18": ("fc.0", "fc.2"), "r2plus1d_narrow": ("fc.0", "fc.2")}


def backbone_of(name: str) -> Backbone:
    return Backbone(name=name, width=4 if name == "r2plus1d_narrow" else 64)  # type: ignore[arg-type]


@cache
def trained(name: str, seed: int) -> Encoder:
    """A network to compare with: it is not changed."""
    return build_encoder(backbone_of(name), seed).eval()


def pretrained(name: str) -> dict[str, Any]:
    """A checkpoint as the released pretraining writes it."""
    found: dict[str, Tensor] = {}
    for side, seed in (("encoder_q", 1), ("encoder_k", 2)):
        encoder = trained(name, seed)
        found |= {f"module.{side}.{key}": value.clone() for key, value in encoder.state_dict().items()}
        for place, wide in zip(HEADS[name], (encoder.dim, 128), strict=True):
            found[f"module.{side}.{place}.weight"] = torch.zeros(wide, encoder.dim)
            found[f"module.{side}.{place}.bias"] = torch.zeros(wide)
    found |= {"module.queue": torch.zeros(128, 16), "module.queue_ptr": torch.zeros(1, dtype=torch.long)}
    return {"epoch": 200, "arch": "I3D", "state_dict": found, "optimizer": {"state": {}, "param_groups": [{"lr": 0.01}]}}


def equal(encoder: torch.nn.Module, expected: torch.nn.Module) -> bool:
    ours, theirs = encoder.state_dict(), expected.state_dict()
    return list(ours) == list(theirs) and all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize(("name", "told"), [("i3d", True), ("r2plus1d_18", False), ("r2plus1d_narrow", False)])
def test_a_pretrained_release_gives_its_query_encoder(tmp_path: Path, name: str, told: bool) -> None:
    file = tmp_path / "checkpoint_0199.pth.tar"
    content = pretrained(name)
    torch.save(content, file)
    encoder = fame.load_encoder(file, backbone=name if told else None)
    expected = trained(name, 1)
    assert equal(encoder, expected) and not encoder.training
    assert encoder.loaded.used == {f"module.encoder_q.{key}": key for key in expected.state_dict()}
    heads = [f"module.encoder_q.{place}.{part}" for place in HEADS[name] for part in ("weight", "bias")]
    left = dict.fromkeys(heads, "projection head") | {"module.queue": "queue", "module.queue_ptr": "queue"}
    momentum = [key for key in content["state_dict"] if ".encoder_k." in key]
    assert encoder.loaded.left == left | dict.fromkeys(momentum, "momentum encoder")


@pytest.mark.parametrize(("name", "build"), [("r3d_18", r3d_18), ("s3d", s3d)])
def test_torchvisions_supervised_files(tmp_path: Path, name: str, build) -> None:
    torch.manual_seed(0)
    theirs = build(weights=None).eval()
    torch.save(theirs.state_dict(), tmp_path / "kinetics.pth")
    encoder = fame.load_encoder(tmp_path / "kinetics.pth", backbone=name)
    assert set(encoder.loaded.left.values()) == {"classifier"}
    assert len(encoder.loaded.left) == 2
    assert fame.load_encoder(tmp_path / "kinetics.pth").loaded.backbone.name == name
    if name != "s3d":
        theirs.fc = torch.nn.Identity()  # what is left computes the pooled features
        clips = torch.randn(1, 3, 8, 32, 32)
        with torch.no_grad():
            assert torch.allclose(encoder(clips), theirs(clips), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["i3d", "s3d", "r2plus1d_narrow"])
def test_what_is_exported_loads_back_bit_for_bit(tmp_path: Path, name: str) -> None:
    backbone = backbone_of(name)
    encoder = trained(name, 1)
    save_encoder(encoder, backbone, tmp_path / "encoder.pt")
    ours = fame.load_encoder(tmp_path / "encoder.pt")
    assert ours.loaded.backbone == backbone and not ours.loaded.left and equal(ours, encoder)
    export_encoder(ours, backbone, tmp_path / "released.pth.tar")
    content = torch.load(tmp_path / "released.pth.tar", weights_only=True)
    assert all(key.startswith("module.encoder_q.") for key in content["state_dict"])
    assert content["arch"] == ("I3D" if name == "i3d" else name)  # as their command line spells it
    back = fame.load_encoder(tmp_path / "released.pth.tar")  # recognised without being told
    assert equal(back, encoder) and not back.loaded.left and back.loaded.backbone == backbone


def test_what_is_missing_or_misshaped_is_one_line(tmp_path: Path) -> None:
    content = pretrained("i3d")
    weights = content["state_dict"]
    del weights["module.encoder_q.mixed_3b.branch_1.0.batch3d.bias"]
    weights["module.encoder_q.conv3d_1a_7x7.conv3d.weight"] = torch.zeros(64, 2, 7, 7, 7)  # the flow network's
    weights["module.encoder_q.conv3d_2b_1x1.batch3d.weight"].fill_(torch.nan)
    torch.save(content, tmp_path / "flow.pt")
    with pytest.raises(FameError) as caught:
        fame.load_encoder(tmp_path / "flow.pt", backbone="i3d")
    told = str(caught.value)
    assert "conv3d_1a_7x7.conv3d.weight is (64, 2, 7, 7, 7) and should be (64, 3, 7, 7, 7)" in told
    assert "mixed_3b.branch_1.0.batch3d.bias is missing" in told
    assert "conv3d_2b_1x1.batch3d.weight is not finite" in told
    assert "\n" not in told and str(tmp_path / "flow.pt") in told
    with pytest.raises(FameError, match="fits none of the backbones"):
        fame.load_encoder(tmp_path / "flow.pt")
    with pytest.raises(FameError, match=r"does not fit the backbone r3d_18.*; and 96 more; the file has module"):
        fame.load_encoder(tmp_path / "flow.pt", backbone="r3d_18")
    with pytest.raises(FameError, match="no backbone 'I3D'"):
        fame.load_encoder(tmp_path / "flow.pt", backbone="I3D")


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        ("damaged", "is damaged: copy"),
        ("cut", "damaged"),
        ("quantised", "is torch.int8 and should be floats"),
        ("sparse", "is a sparse tensor: save it with its values"),
        ("meta", "is a meta tensor: save it with its values"),
    ],
)
def test_weights_that_would_compute_nonsense_are_refused(tmp_path: Path, harm: str, told: str) -> None:
    file = tmp_path / "given.pt"
    spoil = {"quantised": Tensor.char, "sparse": Tensor.to_sparse, "meta": partial(torch.empty_like, device="meta")}
    torch.save({name: spoil.get(harm, Tensor.clone)(value) for name, value in SMALL.items()}, file)
    content = file.read_bytes()
    if harm == "damaged":
        middle = content.index(SMALL["layer4.1.conv2.0.3.weight"].numpy().tobytes()[:64])
        file.write_bytes(content[:middle] + bytes(64) + content[middle + 64 :])
    elif harm == "cut":
        file.write_bytes(content[:5000])
    with pytest.raises(FameError, match=told):
        fame.load_encoder(file, NARROW)


def test_old_files_have_no_counters(tmp_path: Path) -> None:
    torch.save({name: value for name, value in SMALL.items() if not name.endswith("num_batches_tracked")}, tmp_path / "given.pt")
    assert equal(fame.load_encoder(tmp_path / "given.pt"), build_encoder(NARROW, 1))


def test_a_file_of_ours_is_no_other_backbone(tmp_path: Path) -> None:
    save_encoder(build_encoder(NARROW), NARROW, tmp_path / "encoder.pt")
    assert [path.name for path in tmp_path.iterdir()] == ["encoder.pt"]  # no half-written neighbour is left
    assert fame.load_encoder(tmp_path / "encoder.pt", backbone="r2plus1d_narrow").dim == 32  # its width is read off
    with pytest.raises(FameError, match="holds the backbone r2plus1d_narrow of width 4, not s3d"):
        fame.load_encoder(tmp_path / "encoder.pt", backbone="s3d")


def test_an_encoder_of_other_depth_and_strides_is_no_narrow_one_of_its_width(tmp_path: Path) -> None:
    shallow = Backbone(name="r2plus1d_narrow", width=4, blocks=1, stem=8, time=(1, 1, 2))
    saved = build_encoder(shallow, 1)
    save_encoder(saved, shallow, tmp_path / "encoder.pt")
    for asked in (None, "r2plus1d_narrow", shallow):
        assert equal(fame.load_encoder(tmp_path / "encoder.pt", asked), saved)
    with pytest.raises(FameError, match="of width 4, blocks 1, stem 8, time"):
        fame.load_encoder(tmp_path / "encoder.pt", NARROW)


def test_unknown_keys_are_left_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    torch.save(SMALL | {"stem.9.weight": torch.zeros(2)}, tmp_path / "w.pt")
    assert fame.load_encoder(tmp_path / "w.pt").loaded.unknown == ["stem.9.weight"]
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "stem.9.weight" in caplog.text


def test_of_two_copies_the_fuller_one_is_taken_whole() -> None:
    """Weights are never mixed from two copies."""
    one, two = (build_encoder(NARROW, seed).state_dict() for seed in (1, 2))
    part = {f"module.{name}": value for name, value in list(two.items())[:5]}
    used, left = fit(one, {**part, **{f"backbone.{name}": value for name, value in one.items()}}, "a file")
    assert used == {f"backbone.{name}": name for name in one}
    assert left == dict.fromkeys(part, "another copy")


@settings(max_examples=50)
@given(
    prefix=st.lists(st.sampled_from(["module.", "encoder.", "net.", "a_b.", "0."]), max_size=4).map("".join),
    dropped=st.sets(st.integers(0, 100), max_size=3),
)
def test_any_prefix_is_taken_off_and_nothing_lost(prefix: str, dropped: set[int]) -> None:
    weights = {prefix + name: torch.zeros(value.shape) for name, value in META.items()}
    gone = [name for number, name in enumerate(META) if number in dropped and not name.endswith("num_batches_tracked")]
    for name in gone:
        del weights[prefix + name]
    assert fits(META, weights) == (not gone)
    if gone:
        with pytest.raises(FameError) as caught:
            fit(META, weights, "a file")
        assert all(f"{name} is missing" in str(caught.value) for name in gone)
    else:
        used, left = fit(META, weights, "a file")
        assert set(used.values()) == set(META) and not left


def test_recognition_looks_at_names_and_shapes() -> None:
    for name in NAMES:
        backbone = backbone_of(name)
        with torch.device("meta"):
            weights = build_encoder(backbone).state_dict()
        assert fitting(released(weights)) == fitting(weights) == [backbone]
    assert fitting({"fc.weight": torch.zeros(3)}) == []
    wide = Backbone(name="r2plus1d_narrow", width=64)  # as wide as the published network, and another one
    with torch.device("meta"):
        assert fitting(build_encoder(wide).state_dict()) == [wide]


def test_the_verbs(tmp_path: Path) -> None:
    save_encoder(build_encoder(NARROW, 3), NARROW, tmp_path / "encoder.pt")
    runner, target = CliRunner(), tmp_path / "released.pth.tar"

    def call(*words: object) -> str:
        found = runner.invoke(run_study.app, ["weights", *map(str, words)])
        if found.exception is not None:
            raise found.exception
        return found.stdout

    assert "keys module.encoder_q.*" in call("export", tmp_path / "encoder.pt", target)
    shown = call("show", target)
    assert "r2plus1d_narrow of width 4" in shown and "0 left" in shown
    assert "module.encoder_q.stem.0.weight" in shown
    with pytest.raises(FameError, match="is there already"):
        call("export", tmp_path / "encoder.pt", target)
