"""Findings: a method's overrides in a study's words, the studies that use them, their curves."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from fame.config import OF_TRUTH, Pretrain, StagedData, VideoData
from fame.errors import FameError
from reports.figures import draw_all
from reports.tables import entries, write
from studies.findings import contrasts
from studies.paper.baseline import reference
from studies.paper.registry import ALL_FINDINGS, FINDINGS, FOR_CLAIMS, STUDIES, studies
from studies.setting.cell import Stage
from studies.setting.recording import described
from studies.setting.resolve import Setting, all_stages
from studies.setting.scales import SCALES
from studies.study import Changes, Method, Row, deranged, fame, moco, random_init
from tests.filled import fill, seen

MADE = ("smoke", "quick", "mini")
SMOKE = Setting(SCALES["smoke"])
REAL = Setting(SCALES["smoke"], {"A": VideoData(kind="ucf101", manifest="0123456789ab")})


def pretraining(method: Method, setting: Setting = SMOKE) -> Pretrain:
    stage = setting.pretraining(method)
    assert stage and isinstance(stage.config, Pretrain)
    return stage.config


# ---------------------------------------------------------------- overrides


def test_an_override_is_the_scale_but_for_the_field() -> None:
    plain = pretraining(fame())
    world = {"rho": 0.5, "source.rho": 0.25, "camera": 1}
    changed = pretraining(fame(world=world, optim={"lr": 0.5}, moco={"own_key": False}, augment={"area": (0.3, 0.9)}))
    assert isinstance(plain.data, StagedData) and isinstance(changed.data, StagedData)
    assert changed.data.world.A.rho == 0.5 and changed.data.world.camera == 1.0
    assert changed.data.world.source.rho == 0.25
    assert changed.data.world.B == plain.data.world.B
    assert (changed.optim.lr, changed.contrast.moco.own_key, changed.augment.area) == (0.5, False, (0.3, 0.9))
    back = changed.model_copy(update={name: getattr(plain, name) for name in ("data", "optim", "objective", "augment")})
    assert back == plain


def test_the_value_of_the_scale_is_no_other_cell() -> None:
    world, optim = pretraining(fame()).data.world, SMOKE.scale.pretrain  # type: ignore[union-attr]
    same = fame(world={"rho": world.A.rho, "camera": world.camera}, optim={"lr": optim.lr, "lr_times": 1, "epochs_times": 1})
    assert Stage(pretraining(same)).id == Stage(pretraining(fame())).id
    assert fame(optim={"epochs_times": 1.0}) == fame()
    assert not Changes.of(optim={"lr_times": 1})
    assert fame(world={"rho": 0.5, "camera": 1.0}) == fame(world={"camera": 1.0, "rho": 0.5}) != fame(world={"rho": 0.5})


@pytest.mark.parametrize("name", [*MADE, "paper"])
def test_factors_multiply_what_the_scale_has(name: str) -> None:
    setting = Setting(SCALES[name], {} if SCALES[name].world else REAL.sets)
    plain, long = (pretraining(moco(optim={"epochs_times": times}), setting).optim for times in (1, 4))
    assert long.epochs == 4 * plain.epochs and long.lr == plain.lr
    assert pretraining(moco(optim={"epochs_times": 1e-9}), setting).optim.epochs == 1
    assert pretraining(moco(optim={"lr_times": 1 / 3}), setting).optim.lr == pytest.approx(plain.lr / 3)
    stepped = pretraining(moco(optim={"schedule": "step", "milestones": (4, 6), "epochs_times": 0.5}), setting).optim
    assert stepped.milestones == (2, 3)


def test_evaluation_looks_at_the_same_world() -> None:
    method = fame(world={"likeness": 1.0})
    for part in ("A", "C"):
        stage = SMOKE.stage(Row("", method), deranged(part))  # type: ignore[arg-type]
        assert stage and stage.upstream
        assert stage.config.data.world == stage.upstream.config.data.world  # type: ignore[union-attr]
        assert stage.config.data.world.likeness == 1.0  # type: ignore[union-attr]
    cover = SMOKE.stage(Row("", method), contrasts.MASK_LIFT)
    assert cover and cover.config.data.world.likeness == 1.0 and cover.upstream is None  # type: ignore[union-attr]
    start = SMOKE.stage(Row("", random_init(world={"likeness": 1.0})), deranged("A"))
    assert start and start.upstream == SMOKE.pretraining(random_init())  # the same weights, tested in another world
    assert start.config.data.world.likeness == 1.0  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("overrides", "complaint"),
    [
        ({"world": {"fog": 1}}, "world has no fog; it has version, size"),
        ({"world": {"camera": -1}}, r"world.camera = -1: .*at least 0"),
        ({"world": {"rho": 2}}, r"world.A.rho = 2: "),
        ({"world": {"D.rho": 0.5}}, "world has no part 'D'"),
        ({"optim": {"speed": 1}}, "optim has no speed"),
        ({"optim": {"lr_times": 0}}, "optim.lr_times = 0: it is a factor above 0"),
        ({"optim": {"epochs_times": "long"}}, "optim.epochs_times = 'long'"),
        ({"augment": {"hue": 3}}, r"augment.hue = 3: "),
    ],
)
def test_a_wrong_override_is_named(overrides, complaint) -> None:
    with pytest.raises(FameError, match=complaint):
        SMOKE.pretraining(fame(**overrides))


def test_real_videos_have_no_world_to_change_and_no_true_masks() -> None:
    assert REAL.pretraining(fame(world={"rho": 0.5})) is None
    assert REAL.stage(Row("", random_init(world={"rho": 0.5})), deranged("A")) is None
    assert REAL.pretraining(fame(optim={"lr_times": 3})) is not None
    for variant in OF_TRUTH:
        assert REAL.pretraining(fame(variant=variant)) is None
    assert REAL.pretraining(fame(variant="blob")) is not None


# ---------------------------------------------------------------- the studies


def test_findings_stand_apart_from_the_papers_studies() -> None:
    assert studies() == studies([]) == STUDIES and studies([ALL_FINDINGS]) == FINDINGS
    assert studies(["quirks", "area_ratio"]) == (STUDIES[0], FINDINGS[-1])
    assert studies([FOR_CLAIMS, ALL_FINDINGS]) == (*STUDIES, *FINDINGS)
    assert set(STUDIES) < set(studies([FOR_CLAIMS])) < {*STUDIES, *FINDINGS}


@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize("study", FINDINGS, ids=lambda study: study.name)
def test_every_finding_resolves_and_shares_the_papers_cells(name: str, study) -> None:
    setting = Setting(SCALES[name])
    assert all(stage is not None for _, _, stage in setting.cells(study))
    encoders = {row.method: setting.pretraining(row.method) for row in study.rows if row.method}
    trained = [row for row in study.rows if not row.gate]
    assert len({encoders[row.method].id for row in trained}) == len(trained)  # no row says what another one says
    own = {stage.id for stage in encoders.values() if stage}
    known = {stage.id for method in (moco(), fame()) if (stage := setting.pretraining(method))}
    assert known <= own & set(all_stages(setting, STUDIES))


@pytest.mark.parametrize("study", FINDINGS, ids=lambda study: study.name)
def test_every_row_is_compared_with_the_baseline_of_its_own_setting(study) -> None:
    for row in study.rows:
        base = reference(study, row)
        assert (base is None) == (row.gate or row.method.merge is None)
        assert row.gate or row.method.kind != "random"
        if base:
            assert base.label == contrasts.BASELINE
            assert base.method.changes == row.method.changes and base.method.merge is None
            assert any(other.method == base.method for other in study.rows)
        assert row.gate or (row.at is not None) == bool(study.curve)


# ---------------------------------------------------------------- the report


def test_every_finding_has_a_table_and_a_figure(tmp_path: Path) -> None:
    store, setting = fill(tmp_path, studies=FINDINGS, replicates=1, performances=16)
    evidence = seen(store, setting, (0,))
    tables = {study.name: entries(evidence, study.name) for study in FINDINGS}
    drawn = {figure.study: figure for figure in draw_all(evidence, tables, tmp_path) if figure.study}
    assert set(tables) <= set(drawn)
    for study in FINDINGS:
        figure = drawn[study.name]
        assert figure.name == f"{study.name}_{'curve' if study.curve else 'effects'}"
        assert figure.files[0].stat().st_size > 5000 and figure.files[1].exists()
        assert all(path.exists() for path in write(evidence, described(study), tables[study.name], tmp_path))
        if study.curve:
            with figure.files[-1].open(encoding="utf-8") as file:
                lines = list(csv.DictReader(file))
            gains = [line for line in lines if line["panel"].startswith("gain in")]
            assert len(gains) == sum(row.label != contrasts.BASELINE and not row.gate for row in study.rows)


def test_curves_leave_out_what_was_not_run(tmp_path: Path) -> None:
    store, setting = fill(tmp_path, studies=FINDINGS[:1], leave_out=frozenset({"probe"}))
    evidence = seen(store, setting, (0,))
    tables = {study.name: entries(evidence, study.name) for study in FINDINGS[:1]}
    assert all(figure.study != "schedules" for figure in draw_all(evidence, tables, tmp_path))
