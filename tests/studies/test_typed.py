"""Fields and rows that a user types, and how mistakes in them are told."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from fame.config import Pretrain
from fame.errors import FameError
from studies.harness.status import recall
from studies.harness.store import Store
from studies.setting.asked import resolve
from studies.setting.fields import ROWS, rows_study, typed_fields
from studies.setting.options import Options
from studies.setting.resolve import Setting
from studies.setting.scales import SMOKE
from studies.study import Method, background_erasing, fame, moco, supervised
from tests.cli.test_cli import Captured, Typed, typed_here  # noqa: F401 (a fixture)


def pretraining(method: Method, *fields: str) -> Pretrain:
    stage = Setting(SMOKE, typed=typed_fields(fields)).pretraining(method)
    assert stage is not None and isinstance(stage.config, Pretrain)
    return stage.config


def test_a_typed_field_changes_every_pretraining_that_has_it_and_no_other() -> None:
    merged, plain = (pretraining(method, "merge.beta=0.4", "moco.temperature=0.2") for method in (fame(), moco()))
    assert merged.contrast.merge is not None
    assert merged.contrast.merge.beta == 0.4 and plain.contrast.merge is None
    assert merged.contrast.moco.temperature == plain.contrast.moco.temperature == 0.2
    assert pretraining(supervised(), "merge.beta=0.4", "moco.temperature=0.2") == pretraining(supervised())
    assert pretraining(supervised(), "optim.lr=1e-3", "augment.blur=1").optim.lr == 1e-3
    assert pretraining(background_erasing(), "erasing.weight=0.1").contrast.erasing.weight == 0.1  # type: ignore[union-attr]


def test_a_row_keeps_the_fields_that_it_gives_itself() -> None:
    beta = {own: pretraining(fame(own), "merge.beta=0.4").contrast.merge.beta for own in (None, 0.5, 0.3)}  # type: ignore[union-attr]
    assert beta == {None: 0.4, 0.5: 0.5, 0.3: 0.3}
    assert pretraining(moco(optim={"lr": 0.5}), "optim.lr=0.1").optim.lr == 0.5
    assert pretraining(fame(), "merge.beta=0.5") == pretraining(fame()), "the same value is the same run"


def test_rows_stand_beside_their_baselines_once() -> None:
    study = rows_study(["fame(beta=0.4, variant='seed')", "fame( beta=0.4, variant='seed' )", "fame(world={'rho': 0.5})"])
    assert [row.label for row in study.rows[:2]] == ["moco()", "moco(world={'rho': 0.5})"]
    assert len(study.rows) == 4
    assert study.rows[2].method == fame(0.4, variant="seed")
    assert len(rows_study(["moco()"]).rows) == 1


def test_both_come_back_from_setting_json_and_stand_in_the_command(tmp_path: Path) -> None:
    store = Store(tmp_path).prepare()
    choices = Options(scale="smoke", set=("merge.views=both", "optim.lr=1e-3"), row=("fame(beta=0.4)", "supervised()"))
    found = resolve(choices, store.cache, 1)
    store.write_setting(found.to_json())
    assert recall(store) == found and [study.name for study in found.studies] == [ROWS]
    words = shlex.split(found.command())
    assert "--only" not in words
    told = {name: tuple(words[at + 1] for at, word in enumerate(words) if word == name) for name in ("--set", "--row")}
    again = resolve(Options(scale="smoke", set=told["--set"], row=told["--row"]), store.cache, 1)
    assert again == found


@pytest.mark.parametrize(
    ("option", "text", "told"),
    [
        ("set", "merge.beta", "write GROUP.FIELD=VALUE, as merge.beta=0.4"),
        ("set", "merg.beta=0.4", "unknown group 'merg'; did you mean merge"),
        ("set", "merge.betta=0.4", "merge has no field 'betta'; did you mean beta?"),
        ("set", "merge.beta=1.5", "merge.beta = 1.5: "),
        ("set", "optim.lr=inf", "optim.lr = 'inf': it must be a finite number"),
        ("set", "optim.kind=lion", "optim.kind = 'lion': it must be 'sgd' or 'adamw'"),
        ("row", "fame(beta=", "write a method with named arguments"),
        ("row", "fame(0.4)", "write a method with named arguments"),
        ("row", "fame(**{'beta': 0.4})", "fame has no argument '**'"),
        ("row", "os.system('x')", "write a method with named arguments"),
        ("row", "fam(beta=0.4)", "unknown method 'fam'; did you mean fame?"),
        ("row", "fame(bet=0.4)", "fame has no argument 'bet'; did you mean beta?"),
        ("row", "fame(beta=open('x'))", "beta is no literal"),
        ("row", "fame(beta=1.5)", "beta = 1.5"),
        ("row", "fame(variant='sead')", "unknown variant 'sead'"),
        ("row", "fame(on='B')", "on = 'B': it is 'A' or 'source'"),
        ("row", "fame(moco=3)", "moco takes fields by name"),
        ("row", "fame(moco={'temp': 3})", "moco has no temp"),
        ("row", "fame(optim={'lr': -1})", "optim.lr = -1"),
    ],
)
def test_what_is_typed_wrong_is_one_line(option: str, text: str, told: str) -> None:
    with pytest.raises(FameError) as caught:
        (typed_fields if option == "set" else rows_study)([text])
    assert told in str(caught.value) and str(caught.value).startswith(f"--{option} ")
    assert "\n" not in str(caught.value)


def test_from_the_command_line_to_finished_runs(typed: Typed, capfd: Captured) -> None:
    words = ["--scale", "smoke", "--row", "fame(beta=0.4, variant='seed')", "--set", "moco.temperature=0.2"]
    assert typed("run", *words) == 0
    assert "8 runs done" in capfd.readouterr().out
    assert typed("status") == 0
    assert capfd.readouterr().out.strip() == "out: 8 finished"
    assert typed("plan", "--scale", "smoke", "--set", "merge.beta=0.5", "--set", "optim.lr=1", "area_ratio") == 0
    expected = "--set merge.beta=0.5: not for rows that give a value themselves (area_ratio/0.7/single and 3 more)"
    told = [line for line in capfd.readouterr().out.splitlines() if line.startswith("--set")]
    assert told == [expected]
    for wrong in (["--set", "merge.betta=1"], ["--row", "fam()"], ["--set", "optim.batch=7", "--ranks", "2"]):
        assert typed("plan", "--scale", "smoke", *wrong) == 2
        err = capfd.readouterr().err
        assert err.startswith("error: ") and err.count("\n") == 1
