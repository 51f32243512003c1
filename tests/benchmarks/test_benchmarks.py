"""The benchmarks measure what they say: the references against what they stand for, every benchmark once at tiny sizes, and the
command. No test looks at how fast anything is.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import __main__ as command
from benchmarks import eager, merge, reference_mask, writing
from benchmarks.eager import plain_encoder
from benchmarks.figures import Outcome
from benchmarks.inputs import moving_clips
from benchmarks.limits import Limits
from benchmarks.memory import extra_on_cpu
from benchmarks.setting import Setting
from benchmarks.training import NARROW, Ours, Plain, configured, operations, videos_for
from fame import foreground_mask
from fame.backbones import build_encoder, fast_layout
from fame.config import Backbone
from fame.errors import FameError

GOLDEN = Path(__file__).parents[1] / "golden" / "official_masks_112.npz"
MIB = 2**20


@pytest.fixture(scope="module")
def setting(tmp_path_factory: pytest.TempPathFactory) -> Setting:
    return Setting(torch.device("cpu"), rounds=1, folder=tmp_path_factory.mktemp("benchmarks"), tiny=True)


# ---------------------------------------------------------------- what is measured against


@pytest.mark.parametrize("vectorised", [False, True])
def test_the_reference_mask_is_the_released_codes(vectorised: bool) -> None:
    stored = np.load(GOLDEN)
    clips = torch.from_numpy(stored["clips"]).float().div(255).permute(0, 4, 1, 2, 3)
    for beta in (0.3, 0.5, 0.7):
        golden = torch.from_numpy(np.unpackbits(stored[f"mask_beta{beta}"], axis=-1)).bool()
        assert iou(reference_mask.fame_mask(clips, beta, vectorised).bool(), golden).min() >= 0.97


@pytest.mark.parametrize("variant", ["fame", "seed", "grid", "gauss"])
def test_the_reference_and_ours_are_one_algorithm(variant) -> None:
    clips = moving_clips(3, 8, 64)
    ours, theirs = foreground_mask(clips, variant=variant, flavour="official"), reference_mask.MASKS[variant](clips)
    if variant == "gauss":
        torch.testing.assert_close(ours, theirs)
    else:
        assert iou(ours.bool(), theirs.bool()).min() >= 0.97


def test_the_reference_merge_is_a_composition() -> None:
    clips = moving_clips(4, 4, 32)
    generator = torch.Generator().manual_seed(3)
    merged = reference_mask.merge(clips, generator=generator)
    rows = torch.randperm(4, generator=torch.Generator().manual_seed(3))
    kept = reference_mask.fame_mask(clips)[:, None, None].bool()
    assert torch.equal(merged, torch.where(kept, clips, clips[rows]))


@pytest.mark.parametrize("name", ["r2plus1d_narrow", "r2plus1d_18", "r3d_18", "s3d"])
def test_the_plain_twin_is_the_same_network_of_torchs_own_layers(name) -> None:
    backbone = Backbone(name=name, width=4)
    ours, twin = fast_layout(build_encoder(backbone, 5)).eval(), plain_encoder(backbone).eval()
    twin.load_state_dict(ours.state_dict())
    clips = torch.rand(2, 3, 16 if name == "s3d" else 4, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(ours(clips), twin(clips), rtol=1e-3, atol=1e-4)
    weights = [part.weight for part in twin.modules() if isinstance(part, torch.nn.Conv3d)]
    assert all(weight.is_contiguous() for weight in weights)


def test_a_network_of_other_layers_has_no_plain_twin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eager, "build_encoder", lambda backbone: fast_layout(build_encoder(backbone)))
    with pytest.raises(FameError, match="no plain twin"):
        plain_encoder(NARROW)


def test_the_steps_train(setting: Setting) -> None:
    """Both learn: the weights move, the loss is that of a batch against a queue."""
    config = configured(setting, Backbone(name="r2plus1d_narrow", width=4), 4, 1)
    _, videos = videos_for(setting, config.backbone)
    for one in (Ours(config, videos, setting.device, setting.folder), Plain(config, videos, setting.device)):
        before = [weight.detach().clone() for weight in one.model.query.parameters()]
        views = one.draw()
        assert [tuple(view.shape) for view in views] == [(4, 3, 4, 32, 32)] * 2
        assert 0 < one.train(views) < 20
        assert any(not torch.equal(old, new) for old, new in zip(before, one.model.query.parameters(), strict=True))


def test_operations_by_hand(setting: Setting) -> None:
    """Twice the clips, twice the operations; and the stem's first convolution is in them."""
    config = configured(setting, Backbone(name="r2plus1d_narrow", width=4), 4, 1)
    twice = config.model_copy(update={"optim": config.optim.model_copy(update={"batch": 8})})
    stem = 2 * 4 * (4 * 8 * 8) * 4 * (3 * 7 * 7)  # 2 operations, 4 clips, 4 x 8 x 8 places, 4 channels, 3 x 7 x 7 weights
    one, two = operations(config), operations(twice)
    assert one > 3 * stem  # query forward, its kernels' gradient, key forward
    assert two / one == pytest.approx(2, rel=0.01)


# ---------------------------------------------------------------- memory


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
def test_extra_memory_of_known_allocations() -> None:
    """torch's tensors and what NumPy allocates count alike; what is freed on the way counts once."""
    assert extra_on_cpu("tests.allocating:both", 1, mib=100) / MIB == pytest.approx(150, rel=0.05)


def test_extra_memory_of_what_fails_is_an_error() -> None:
    with pytest.raises(FameError, match=r"could not be measured.*nothing"):
        extra_on_cpu("tests.allocating:nothing", 1)


# ---------------------------------------------------------------- every benchmark, tiny


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.long] * (name in ("study", "decoding", "epoch"))) for name in command.NAMES]
)
def test_every_benchmark_runs(name: str, setting: Setting) -> None:
    module = command.importlib.import_module(f"benchmarks.{name}")
    if name in ("decoding", "epoch") and not (module.ROOT / "UCF-101").is_dir():
        pytest.skip("no real UCF101 clips beside the checkout (../shared/real-video)")
    found: Outcome = module.measure(setting)
    assert found.benchmark == name and found.figures
    assert all(np.isfinite([figure.spread.median, figure.spread.low, figure.spread.high]).all() for figure in found.figures)
    assert all(figure.target is None for figure in found.figures if name != "loading"), "tiny sizes judge nothing"
    told = {target.what for target, _ in found.unmeasured} | {figure.target.what for figure in found.figures if figure.target}
    assert told == {target.what for target in module.TARGETS}
    assert Outcome.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_the_limits_are_positive(setting: Setting) -> None:
    limits = setting.limits(1)
    assert limits is setting.limits(1)
    assert min(limits.copy, limits.read, *limits.matmul.values()) > 0
    by_hand = Limits("cpu", 1, copy=10.0, read=5.0, matmul={})
    assert by_hand.moving(read=10, written=20) == pytest.approx(10 / 5 + 40 / 10)


# ---------------------------------------------------------------- the command


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nothing"], "unknown benchmark 'nothing'"),
        (["--rounds", "0"], "--rounds 0"),
        (["--rounds", "many"], "--rounds"),
        (["--device", "tpu"], "unknown device 'tpu'"),
        (["--keep", "--quick"], "--keep"),
        (["study", "--study", "nowhere"], "no study's output folder"),
        (["--never"], "--never"),
    ],
)
def test_wrong_use_is_one_clear_line(words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(words) != 0
    shown = capsys.readouterr()
    assert told in shown.err and shown.err.count("\n") == 1 and not shown.out


def test_the_command_writes_what_it_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["loading", "--tiny", "--rounds", "1", "--out", str(tmp_path)]) == 0
    (data,) = tmp_path.glob("*.json")
    found = writing.read(data)
    assert set(found["outcomes"]) == {"loading"} and set(found["targets"]) == set(command.NAMES)
    assert found["outcomes"]["loading"]["seconds"] > 0
    assert data.with_suffix(".md").read_text() in capsys.readouterr().out


def test_the_first_target_is_the_issues() -> None:
    assert (merge.CPU_RATIO.bound, merge.CPU_MEMORY.bound, merge.GPU_RATIO.bound) == (10, 1.5, 20)


def iou(mask: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    a, b = mask.flatten(1), other.flatten(1)
    return (a & b).sum(1) / (a | b).sum(1)
