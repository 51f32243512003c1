"""The door: a file outside the repository, by itself a row of the tables, its hash in its own ids, and workers that know it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from fame import plugins
from fame.config import MASKS, OBJECTIVES, Clip, Masks, Merge, Pretrain
from fame.errors import FameError
from fame.evaluation.analysis.mask_quality import masks
from fame.method.masks import foreground_mask
from fame.training.pretrain import pretrain
from studies.cli.session import start
from studies.harness.status import recall
from studies.harness.store import Store
from studies.paper.registry import studies
from studies.setting.cell import Stage
from studies.setting.fields import method_of
from studies.setting.resolve import Setting, all_stages
from studies.setting.scales import SMOKE
from tests.fakes import fake_data, fake_run
from tests.ranked import asked_on, run_of
from tests.small import VIDEOS, config

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
FILES = [EXAMPLES / name for name in ("own_mask.py", "own_pretext.py", "own_study.py")]
OWN_ROWS = {
    "foreground_mask": {"Variance"},
    **{name: {"pace"} for name in ("action_recognition", "diving48", "retrieval", "temporal_kernels", "activation_maps")},
}


def ids(names: list[str] | None = None) -> set[str]:
    return set(all_stages(Setting(SMOKE), studies(names)))


def test_rows_come_by_themselves_and_no_other_id_changes() -> None:
    before, rows = ids(), {study.name: {row.label for row in study.rows} for study in studies()}
    figure = ids(["mask_quality"])
    for file in FILES:
        plugins.load(file)
    after = {study.name: {row.label for row in study.rows} for study in studies()}
    assert {name: after[name] - rows[name] for name in rows if after[name] != rows[name]} == OWN_ROWS
    assert set(after) - set(rows) == {"temperature"}
    assert before - ids() == figure and ids(["mask_quality"]) != figure  # figure 4 draws one mask more
    for file in FILES:
        plugins._forget(plugins.load(file).sha256)
    assert ids() == before


def test_a_pretraining_may_be_a_typed_row() -> None:
    plugins.load(FILES[1])
    stage, fewer = (Setting(SMOKE).pretraining(method_of(text)) for text in ("pace()", "pace(paces=2, optim={'lr': 1})"))
    assert stage and stage.id in ids(["retrieval/pace"]) | ids(["diving48/pace/A"])
    assert fewer and fewer.config.objective == OBJECTIVES["pace"].model_validate({"paces": 2}) and fewer.config.optim.lr == 1
    for text, said in (
        ("pace(pace=2)", "pace has no argument 'pace'; did you mean paces"),
        ("pace(paces='x')", "paces = 'x': "),
    ):
        with pytest.raises(FameError, match=said):
            method_of(text)


def test_an_edited_file_has_new_ids_in_its_own_rows_alone(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(FILES[0].read_text() + FILES[1].read_text())
    plugins.load(file)
    before = ids()
    kept = [stage.to_json() for stage, _ in all_stages(Setting(SMOKE), studies()).values()]
    file.write_text(file.read_text() + "\n# another thought\n")
    with pytest.raises(FameError, match="the plugin has changed since"):
        plugins.load(file, plugins.loaded()[0].sha256)
    plugins.load(file)
    stages = all_stages(Setting(SMOKE), studies())
    changed = [json.dumps(stages[one][0].to_json()) for one in set(stages) - before]
    assert changed and all("variance" in text or '"pace"' in text for text in changed)
    assert {Stage.from_json(value).id for value in kept} == before  # what lies there is still read, as what it was


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "cannot be read"),
        ("def f(:", "line 1: SyntaxError"),
        ("\nimport no_such_package", "line 2: ModuleNotFoundError: No module named"),
        ("x = 1", "it registers no mask, no pretraining and no STUDY"),
        ("import fame.plugins as p\n@p.mask('seed')\ndef m(c, b): return c", "line 2: mask 'seed': the name is taken"),
        (
            "import fame.plugins as p\n@p.pretraining('moco')\nclass A(p.Objective): pass",
            "pretraining 'moco': the name is taken",
        ),
        ("import fame.plugins as p\n@p.pretraining('x')\nclass A(p.Objective): pass", "with a method train"),
    ],
)
def test_a_broken_file_is_one_line(tmp_path: Path, text: str | None, said: str) -> None:
    file = tmp_path / "broken.py"
    if text is not None:
        file.write_text(text)
    known = {*MASKS, *OBJECTIVES}
    with pytest.raises(FameError) as caught:
        plugins.load(file)
    assert said in str(caught.value) and str(file) in str(caught.value) and "\n" not in str(caught.value)
    assert {*MASKS, *OBJECTIVES} == known


@pytest.mark.parametrize(("name", "said"), [("retrieval", "the name is taken"), ("../a%", "letters, digits, _ and -")])
def test_a_study_with_a_taken_or_odd_name_is_refused(tmp_path: Path, name: str, said: str) -> None:
    file = tmp_path / "study.py"
    file.write_text(FILES[2].read_text().replace('name="temperature"', f'name="{name}"'))
    plugins.load(file)
    with pytest.raises(FameError, match=f"study '{name}': .*{said}"):
        studies()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("clips.mean((1, 2))[:, 1:]", r"mask 'own' must return .* \(2, 16, 16\), not torch.float32 of shape \(2, 15, 16\)"),
        ("clips.mean((1, 2)).long()", "not torch.int64 of shape"),
        ("clips.mean((1, 2)) / 0", "not NaN or infinity"),
        ("None", "not NoneType"),
    ],
)
def test_what_is_no_mask_is_named(tmp_path: Path, body: str, said: str) -> None:
    file = tmp_path / "own.py"
    file.write_text(f"import fame.plugins as p\n@p.mask('own')\ndef own(clips, beta): return {body}\n")
    plugins.load(file)
    with pytest.raises(FameError, match=said):
        foreground_mask(torch.rand(2, 3, 4, 16, 16), variant="own")


def test_a_score_keeps_its_share_and_a_bool_mask_is_taken_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text("import fame.plugins as p\n@p.mask('own')\ndef own(clips, beta): return clips.mean((1, 2)) > beta\n")
    for one in (file, FILES[0]):
        plugins.load(one)
    clips = torch.rand(2, 3, 4, 16, 16)
    score = clips.var(2).sum(1)
    kept = foreground_mask(clips, variant="variance", beta=0.25)
    assert kept.flatten(1).sum(1).tolist() == [64, 64] and score[kept == 1].min() >= score[kept == 0].median()
    assert torch.equal(foreground_mask(clips, variant="own", beta=0.4) == 1, clips.mean((1, 2)) > 0.4)


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown variant 'variance'; known: gauss, seed, grid, fame"):
        Merge(variant="variance")
    with pytest.raises(ValueError, match="unknown variant 'variance'"):
        foreground_mask(torch.rand(2, 3, 4, 16, 16), variant="variance")


def test_a_mask_is_measured_and_drawn(tmp_path: Path) -> None:
    plugins.load(FILES[0])
    asked = Masks(data=fake_data(), clip=Clip(frames=4, size=24), variants=(*MASKS,), videos=4, examples=2)
    result = masks(asked, None, fake_run(tmp_path))
    assert 0 <= result["metrics"]["variance/0.5/paper/auroc"] <= 1
    assert asked.plugins == (plugins.loaded()[0].sha256,)


def test_a_pretext_trains(tmp_path: Path) -> None:
    plugins.load(FILES[1])
    asked = config(objective=OBJECTIVES["pace"].model_validate({"paces": 2}))
    again = Pretrain.model_validate_json(asked.model_dump_json())
    assert again == asked and Stage(again).id == Stage(asked).id
    assert set(pretrain(asked, fake_run(tmp_path, VIDEOS))["metrics"]) == {"loss", "accuracy"}


@pytest.mark.long
def test_every_rank_knows_the_plugins(tmp_path: Path) -> None:
    plugins.load(FILES[0])
    asked = asked_on(tmp_path, merge=Merge(variant="variance"), ranks=2)
    assert pretrain(asked, run_of(tmp_path / "run", tmp_path))["metrics"]["loss"] > 0


@pytest.mark.long
def test_workers_know_the_plugins_and_the_folder_remembers_them(tmp_path: Path) -> None:
    from run_study import app

    file = tmp_path / "mine.py"
    file.write_text(FILES[0].read_text() + FILES[1].read_text())
    only = ["foreground_mask/Variance", "mask_quality", "retrieval/pace"]
    words = ["run", *only, "--scale", "smoke", "--plugin", str(file), "--out", str(tmp_path / "out"), "--device", "cpu"]
    assert start(lambda **how: app(words, **how)) == 0
    store = Store(tmp_path / "out")
    plugins._forget(plugins.loaded()[0].sha256)
    asked = recall(store)  # loads it again
    assert all(store.finished(one, 0) for one in all_stages(asked.setting, asked.studies))
    assert start(lambda **how: app(["report", "--out", str(store.out)], **how)) == 0
    file.write_text(file.read_text() + "\n# changed\n")
    with pytest.raises(FameError, match="the plugin has changed since"):
        recall(store)
