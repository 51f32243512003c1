"""The study `selection`: worlds that no verdict looks at, which set the delta of equality."""

from __future__ import annotations

from pathlib import Path

import pytest

from fame.errors import FameError
from fame.seeds import SELECTION_REPLICATES
from reports.ledger import equality_delta
from studies.harness.parts import pack, unpack
from studies.harness.store import Store
from studies.paper.claims import EQUAL_AT_MOST
from studies.paper.registry import FOR_CLAIMS, SELECTION, STUDIES, studies
from studies.setting.asked import resolve
from studies.setting.options import Options
from studies.setting.resolve import all_stages
from studies.study import deranged, top1
from tests.filled import fill, seen


def test_it_has_worlds_of_its_own_and_no_pretraining_that_the_claims_lack(tmp_path: Path) -> None:
    asked = resolve(Options(scale="mini", only=(SELECTION,)), tmp_path, 1)
    verdicts = resolve(Options(scale="mini", only=(FOR_CLAIMS,)), tmp_path, 1)
    assert asked.replicates == tuple(range(SELECTION_REPLICATES, SELECTION_REPLICATES + 5))
    assert not set(asked.replicates) & set(verdicts.replicates)
    own, claimed = (all_stages(one.setting, one.studies) for one in (asked, verdicts))
    assert {own[cell][0].kind for cell in own.keys() - claimed.keys()} == {"finetune"}  # of the control, by the study's measures
    assert not {study.name for study in (*STUDIES, *verdicts.studies)} & {SELECTION}
    with pytest.raises(FameError, match="worlds of its own, so it is asked for alone"):
        studies([SELECTION, "area_ratio"])


def test_its_runs_put_beside_a_study_set_the_delta(tmp_path: Path) -> None:
    apart = resolve(Options(scale="mini", only=(SELECTION,), replicates=2), tmp_path, 1)
    filled = {"setting": apart.setting, "studies": apart.studies, "replicates": apart.replicates}
    chosen, _ = fill(tmp_path / "selected", performances=80, **filled)
    chosen.write_setting(apart.to_json())
    pack(chosen, apart, tmp_path / "parts")

    asked = resolve(Options(scale="mini", only=("retrieval",)), tmp_path, 1)
    store = Store(tmp_path / "out").prepare()
    store.write_setting(asked.to_json())
    assert equality_delta(seen(store, asked.setting, asked.replicates), deranged("A")) is None
    done = unpack(tmp_path / "parts", store)
    assert done.runs == 2 * len(all_stages(apart.setting, apart.studies))
    assert not done.left_out
    assert store.setting() == asked.to_json()
    evidence = seen(store, asked.setting, asked.replicates)
    _, baseline, merged, *_ = (row.method for row in apart.studies[0].rows)
    both = [(evidence.runs(method, deranged("A")), deranged("A").metric) for method in (merged, baseline)]
    gains = evidence.differences(*both, evidence.selection)
    assert evidence.selection == apart.replicates and len(gains) == 2
    assert equality_delta(evidence, deranged("A")) == min(EQUAL_AT_MOST, sum(gains.values()) / 6)
    for target in ("A", "B"):
        assert set(evidence.values(evidence.runs(merged, top1(target)), "top1", apart.replicates))
