"""Given weights by what they are: whatever is around them, and files that hold none."""

from __future__ import annotations

import argparse
import os
import pickle
from collections import defaultdict
from pathlib import Path

import numpy
import pytest
import torch

import fame
from fame.backbones import build_encoder
from fame.errors import FameError
from tests.backbones.test_keys import SMALL, equal
from tests.small import NARROW


class Call:
    """A pickle that calls a function when it is loaded."""

    def __init__(self, function: object, path: Path):
        self.reduced = function, (str(path),)

    def __reduce__(self) -> object:
        return self.reduced


class Settings(dict[str, object]):
    """A dictionary of a class of one's own."""


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(
    ("prefix", "containers", "beside"),
    [
        ("", (), {}),
        (
            "module.",
            ("state_dict",),
            {"args": argparse.Namespace(lr=0.1, out=Path("x")), "best": numpy.float64(3), "epoch": 3},
        ),
        ("module.encoder_q.", ("net",), {"config": Settings(lr=0.1), "options": defaultdict(list, {"a": [1]})}),
        ("online_encoder.", ("checkpoint", "model_state"), {"optimizer": {"state": {0: {"exp_avg": torch.zeros(1)}}}}),
        ("net.backbone.", ("model",), {"hook": Call(eval, Path("sprung"))}),
    ],
)
def test_whatever_is_around_the_weights(tmp_path: Path, containers, beside, prefix, zipped) -> None:
    left = {"module.queue": "queue", "teacher.stem.0.weight": "momentum encoder", "fc.weight": "classifier"}
    content: dict[str, object] = {name: torch.zeros(1) for name in left} | {prefix + name: value for name, value in SMALL.items()}
    for container in reversed(containers):
        content = {container: content}
    torch.save(content | beside, tmp_path / "given.pt", _use_new_zipfile_serialization=zipped)
    for backbone in (NARROW, None):
        encoder = fame.load_encoder(tmp_path / "given.pt", backbone)
        assert equal(encoder, build_encoder(NARROW, 1))
        assert encoder.loaded.left == left
        assert encoder.loaded.used == {prefix + name: name for name in SMALL}


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "no file of weights at"),
        (torch.zeros(1), "holds a Tensor, not a dictionary of weights"),
        (build_encoder(NARROW), "holds a fame.backbones.resnet.NarrowR2Plus1D, not a dictionary of weights"),
        ({"model": build_encoder(NARROW)}, "holds no weights by name, only model: fame.backbones.resnet.NarrowR2Plus1D"),
        ({"state_dict": SMALL, "hook": Call(os.system, Path("touch sprung"))}, "would call posix.system when it is read"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0",
            "is text, not weights (it begins 'version https://git-lfs",
        ),
        (b"<!DOCTYPE html>\n<html>", "is text, not weights (it begins '<!DOCTYPE html>'): download it again"),
        (b"", "is no file of weights, or a damaged one"),
        (pickle.dumps({"state_dict": Call(open, Path("sprung"))}), "is no file of weights, or a damaged one"),
    ],
)
def test_a_file_without_weights_is_one_line_and_runs_no_code(tmp_path: Path, monkeypatch, content, told) -> None:
    monkeypatch.chdir(tmp_path)
    if isinstance(content, bytes):
        Path("given.pt").write_bytes(content)
    elif content is not None:
        torch.save(content, "given.pt")
    with pytest.raises(FameError) as caught:
        fame.load_encoder("given.pt")
    assert told in str(caught.value) and "\n" not in str(caught.value)
    assert "weights_only" not in str(caught.value)
    assert not Path("sprung").exists()


def test_another_form_is_named(tmp_path: Path) -> None:
    (tmp_path / "given.safetensors").write_bytes(b"\x02" + bytes(7) + b"{}")
    with pytest.raises(FameError, match=r"is a safetensors file: read it by safetensors.torch.load_file"):
        fame.load_encoder(tmp_path / "given.safetensors")
