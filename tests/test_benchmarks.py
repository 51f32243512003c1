"""The benchmarks measure what they say: the harness on a clock that is told what time it is, the references against what they stand
for, and every benchmark once at tiny sizes. No test looks at how fast anything is.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import __main__ as command
from benchmarks import eager, merge, reference_mask, step, writing
from benchmarks.eager import plain_encoder
from benchmarks.figures import MISSED, REACHED, UNMEASURED, Outcome, Sheet, Target
from benchmarks.inputs import moving_clips
from benchmarks.limits import Limits
from benchmarks.memory import extra_on_cpu
from benchmarks.setting import Setting
from benchmarks.study import profile
from benchmarks.timing import alternate, spread
from benchmarks.training import NARROW, Ours, Plain, configured, operations, videos_for
from fame import foreground_mask
from fame.backbones import build_encoder, fast_layout
from fame.config import Backbone
from fame.errors import FameError
from fame.graphs import PLAIN

GOLDEN = Path(__file__).parent / "golden" / "official_masks_112.npz"
MIB = 2**20


class FakeClock:
    """Time that passes only when somebody works, at a pace that changes from round to round."""

    def __init__(self) -> None:
        self.now, self.calls = 0.0, []

    def __call__(self) -> float:
        return self.now

    def work(self, name: str, seconds: float, pace=lambda calls: 1.0):
        def done() -> None:
            self.now += seconds * pace(len(self.calls))
            self.calls.append(name)

        return done


@pytest.fixture(scope="module")
def setting(tmp_path_factory: pytest.TempPathFactory) -> Setting:
    return Setting(torch.device("cpu"), rounds=1, folder=tmp_path_factory.mktemp("benchmarks"), tiny=True)


# ---------------------------------------------------------------- the harness


def test_the_ratio_is_right_while_the_machine_changes_its_pace() -> None:
    clock = FakeClock()
    # every pair of calls, so every round, is twice as slow as the one before: the medians alone would tell a wrong ratio
    pace = lambda calls: 2.0 ** (calls // 2)  # noqa: E731
    works = {"slow": clock.work("slow", 6.0, pace), "fast": clock.work("fast", 2.0, pace)}
    found = alternate(works, 5, clock=clock, least=0)
    assert found.ratio("slow", "fast").median == pytest.approx(3.0)
    assert found.ratio("slow", "fast").high == pytest.approx(3.0)
    assert max(found.seconds["slow"]) == pytest.approx(16 * min(found.seconds["slow"]))


def test_each_round_calls_each_once_in_changing_order() -> None:
    clock = FakeClock()
    alternate({name: clock.work(name, 5.0) for name in "abc"}, 8, clock=clock)
    rounds = ["".join(clock.calls[i : i + 3]) for i in range(3, len(clock.calls), 3)]
    assert len(rounds) == 8 and all(sorted(one) == list("abc") for one in rounds)
    assert len(set(rounds)) > 2


def test_short_work_is_called_often_enough_to_be_timed() -> None:
    clock = FakeClock()
    found = alternate({"short": clock.work("short", 0.001), "long": clock.work("long", 1.0)}, 2, clock=clock, least=0.02)
    assert found.of("short").median == pytest.approx(0.001)
    assert clock.calls.count("short") >= 2 + 2 * 19 and clock.calls.count("long") == 2 + 2


def test_on_a_gpu_the_call_that_compiles_does_not_tell_how_long_one_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    """And what is captured by its fourth call is not timed before the fifth."""
    monkeypatch.setattr("torch.cuda.synchronize", lambda device: None)
    clock, gpu = FakeClock(), torch.device("cuda")
    short = clock.work("short", 0.001, lambda calls: 5000.0 if calls == 0 else 90.0 if calls == PLAIN else 1.0)
    found = alternate({"short": short}, 3, clock=clock, least=0.02, device=gpu)
    assert found.of("short").high == pytest.approx(0.001) and len(clock.calls) >= PLAIN + 2 + 3 * 19
    clock = FakeClock()
    alternate({"long": clock.work("long", 3.0)}, 3, clock=clock, device=gpu)
    assert len(clock.calls) == 2 + 3


def test_a_limit_ends_the_rounds_but_never_before_the_third() -> None:
    clock = FakeClock()
    assert alternate({"work": clock.work("work", 100.0)}, 9, clock=clock, limit=10).of("work").rounds == 3
    assert alternate({"work": clock.work("work", 1.0)}, 9, clock=clock, limit=6.5).of("work").rounds == 7


def test_quartiles() -> None:
    found = spread([4.0, 1.0, 3.0, 2.0, 5.0])
    assert (found.low, found.median, found.high, found.rounds) == (2.0, 3.0, 4.0, 5)
    assert spread([7.0]).low == spread([7.0]).high == 7.0
    assert found.scaled(-1).low == -4.0


@pytest.mark.parametrize(("works", "rounds"), [({}, 3), ({"work": lambda: None}, 0)])
def test_nothing_to_measure_is_refused(works, rounds: int) -> None:
    with pytest.raises(ValueError, match="at least one"):
        alternate(works, rounds)


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


# ---------------------------------------------------------------- a study read back


def lay_run(out: Path, kind: str, name: str, end: int, seconds: float, **more) -> None:
    folder = out / "runs" / name / "0"
    folder.mkdir(parents=True)
    stamp = f"2026-01-01T00:{end // 60:02d}:{end % 60:02d}+0000"
    hardware = {"cores": 2, "machine": "0"}
    result = {"stage": name, "kind": kind, "metrics": {}, "seconds": seconds, "finished": stamp, "hardware": hardware, **more}
    (folder / "result.json").write_text(json.dumps(result))
    if kind == "pretrain":
        line = {"seconds": seconds, "waiting": 0.1, "augmenting": 0.3}
        (folder / "metrics.jsonl").write_text(json.dumps(line) + "\n")


def test_where_a_studys_minutes_went(tmp_path: Path) -> None:
    """Two workers: pretrainings 0..60 and 0..40, then a probe 40..60 seconds; and 20 seconds in which one waits for the other."""
    lay_run(tmp_path, "pretrain", "a" * 12, 60, 60.0)
    lay_run(tmp_path, "pretrain", "b" * 12, 40, 40.0)
    lay_run(tmp_path, "probe", "c" * 12, 60, 20.0)
    lay_run(tmp_path, "masks", "d" * 12, 80, 20.0)
    found = profile(tmp_path)
    assert list(found.by_kind()) == ["pretrain", "probe", "masks"]
    assert (found.workers, found.computing) == (2, 80.0)
    assert found.idle == pytest.approx(20 / 160)
    assert sum(run.augmented for run in found.runs) == pytest.approx(30)
    assert found.preparing == found.reporting == 0


def test_a_study_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FameError, match="no finished runs"):
        profile(tmp_path)
    lay_run(tmp_path, "probe", "a" * 12, 60, 20.0, resumed=True)
    with pytest.raises(FameError, match="broken off"):
        profile(tmp_path)


# ---------------------------------------------------------------- writing


TARGET = Target("a thing", 2.0, "x", at_most=False)
MACHINE = {"processor": "Some (R) CPU", "cores": 2, "machine": "0a1b2c3d"}


def a_record(ratio: float = 3.0) -> dict:
    sheet = Sheet("merge", "Merging", {"batch": [2, 3], "threads": 1}, notes=["A note."])
    sheet.add("a / b", spread([ratio, ratio + 0.5]), "x", least=1.5, target=TARGET)
    sheet.add("a", spread([1.0]), "ms")
    sheet.skip(Target("another", 1.0, "s", at_most=True), "no GPU")
    limits = Limits("cpu", 1, 1e9, 2e9, {"fp32": 3e9})
    found = writing.record(
        [sheet.outcome()], [limits], "cpu", {"merge": (TARGET, sheet.unmeasured[0][0]), "step": step.TARGETS[:1]}
    )
    return {**found, "hardware": MACHINE}


def test_results_come_back_as_they_were_written(tmp_path: Path) -> None:
    found = a_record()
    first, second = writing.write(found, tmp_path), writing.write(found, tmp_path)
    assert len({*first, *second}) == 4, "nothing is overwritten"
    assert writing.read(first[0]) == json.loads(json.dumps(found))
    text = first[1].read_text()
    assert "| a thing | >= 2 x | 3.25 (3.12 to 3.38) | reached |" in text
    assert f"{UNMEASURED}: no GPU" in text and f"{UNMEASURED}: benchmark `step` was not asked for" in text
    assert "| a / b | 3.25 | 3.12 to 3.38 | x | 1.5 | 2.17 x | reached |" in text


def test_a_target_missed_is_called_so() -> None:
    assert f"1.25 (1.12 to 1.38) | {MISSED} |" in writing.target_table(a_record(1.0))
    assert TARGET.reached(2.0) and not replace(TARGET, at_most=True).reached(2.1)
    assert Sheet("x", "x", why_not="small").outcome().figures == []


def test_keeping_renews_a_machines_file_and_the_page(tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    page.write_text(f"before\n{writing.BEGIN}\nold\n{writing.END}\nafter\n")
    data, _ = writing.keep(a_record(1.0), tmp_path)
    again = a_record(3.0)
    again["outcomes"] = {"other": again["outcomes"].pop("merge")}
    assert writing.keep(again, tmp_path)[0] == data
    assert set(writing.read(data)["outcomes"]) == {"merge", "other"}, "what was not measured again stays"
    writing.keep(a_record(4.0), tmp_path)
    text = page.read_text()
    assert text.startswith("before\n") and text.endswith("after\n") and "old" not in text
    assert "### Some (R) CPU, 2 cores" in text and REACHED in text
    page.write_text("no markers")
    with pytest.raises(FameError, match="markers"):
        writing.keep(a_record(), tmp_path)


def test_the_books_page_can_be_renewed() -> None:
    text = (Path(__file__).parents[1] / "docs" / "performance.md").read_text()
    assert text.count(writing.BEGIN) == text.count(writing.END) == 1
    between = text.partition(writing.BEGIN)[2].partition(writing.END)[0]
    folder = Path(__file__).parents[1] / "docs" / "results" / "performance"
    assert between.strip() == writing.quotation(folder).strip(), "the page quotes what is kept"


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
