"""Does torch.compile pay back? Known answers, ways that are wrong or fail, and one answer for the same command typed again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

import fame.training.compilation
from fame.config import Pretrain
from fame.errors import FameError
from fame.training.payback import APART, STEPS, WARM, Taken, apart, best, measure
from studies.setting.asked import Asked
from studies.setting.choices import Choices, resolve
from studies.setting.compiling import decided, measured
from studies.setting.training import AUTO, Training, compiled_as
from studies.study import moco
from tests.fakes import contrasted
from tests.training.test_pretrain import config

CPU = torch.device("cpu")
EAGER = Taken(False, first=1.0, step=0.1, losses=[3.0, 2.0])


@pytest.mark.parametrize(
    ("steps", "others", "way"),
    [
        (10, [Taken(True, 60.0, 0.05, [3.0, 2.0])], False),
        (2000, [Taken(True, 60.0, 0.05, [3.0, 2.0])], True),  # 160 s instead of 201
        (1200, [Taken(True, 60.0, 0.05, [3.0, 2.0])], False),  # 120 of 121 s: under a twentieth
        (2000, [Taken(True, 60.0, 0.05, [3.01, 2.0])], True),  # but for rounding
        (2000, [Taken(True, 60.0, 0.05, [3.0, 2.2])], False),  # another loss
        (2000, [Taken(True, 60.0, 0.05, [3.0], failed="no compiler")], False),
        (2000, [Taken(True, 60.0, 0.05, [])], False),  # nothing to compare
        (2000, [Taken(True, 60.0, 0.05, [float("nan"), float("nan")])], False),
    ],
)
def test_the_way_that_pays(steps: int, others: list[Taken], way: Any) -> None:
    assert best([EAGER, *others], steps) == way


def given(monkeypatch: pytest.MonkeyPatch, backend: Any) -> list[Taken]:
    torch.compiler.reset()
    monkeypatch.setattr(fame.training.compilation, "BACKEND", backend)
    return measure(config(), CPU)


def test_ways_take_the_same_steps_from_the_same_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    eager, compiled = given(monkeypatch, lambda graph, inputs: graph.forward)
    assert (eager.way, compiled.way) == (False, True) and not compiled.failed
    assert len(eager.losses) == len(compiled.losses) == WARM + STEPS and len(set(eager.losses)) > STEPS
    assert apart(compiled, eager) < APART and min(eager.step, compiled.step, eager.first, compiled.first) > 0


def test_a_compiler_that_computes_something_else_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    def backend(graph: Any, inputs: Any) -> Any:
        return lambda *given: tuple(part * torch.linspace(-1, 2, part.shape[-1]) for part in graph.forward(*given))

    found = given(monkeypatch, backend)
    assert found[1].failed or apart(found[1], found[0]) > APART
    found[1].step = 0.0
    assert best(found, 10**6) is False


def test_a_compiler_that_fails_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    def backend(graph: Any, inputs: Any) -> Any:
        raise RuntimeError("no compiler\nis here")

    found = given(monkeypatch, backend)
    assert "no compiler is here" in found[1].failed and best(found, 10**6) is False


def test_the_words_of_the_option() -> None:
    assert [compiled_as(word) for word in ("no", "yes", "auto")] == [None, True, AUTO]
    for word in ("maybe", "graphs"):
        with pytest.raises(FameError, match=rf"^--compile {word}: it is one of no, yes, auto$"):
            compiled_as(word)


# ---------------------------------------------------------------- of a study


def smoke(tmp_path: Path, **training: Any) -> Asked:
    return resolve(Choices("smoke", training=Training(**training)), tmp_path, 1)


def test_the_answer_is_measured_once_and_told(tmp_path: Path) -> None:
    told, calls = [], []

    def counted(config: Pretrain, device: str) -> list[Taken]:
        calls.append(config)
        return [EAGER, Taken(True, 0.01, 0.01, [3.0, 2.0])]

    asked = smoke(tmp_path, compiled=AUTO)
    assert asked.choices == {}, "not decided: as the scale has it"
    assert [decided(asked, "cpu", tmp_path, told.append, counted) for _ in range(2)] == [True, True]
    assert len(calls) == 1 and calls[0].kind == "moco"
    assert told[0].startswith("measuring whether") and told[1] == told[2]
    assert (
        told[1]
        == "torch.compile over 4 steps: eager 100.0 ms a step, 1 s in all; compiled 10.0 ms a step, 0 s in all; taken: compiled"
    )
    (kept,) = (tmp_path / "compile").iterdir()
    kept.write_text(kept.read_text(encoding="utf-8")[:20], encoding="utf-8")  # cut off
    assert decided(asked, "cpu", tmp_path, told.append, counted) is True and len(calls) == 2
    resolve(Choices("smoke", training=Training(compiled=True, accumulate=2)), tmp_path, 1)
    assert decided(smoke(tmp_path, accumulate=2), "cpu", tmp_path, told.append, counted) and len(calls) == 3, "other sizes"


@pytest.mark.parametrize(
    ("compiled", "fault"),
    [
        (Taken(True, 0, 0.01, [3.0, 2.5]), "0 s in all, but its loss is up to 0.500 from eager's"),
        (Taken(True, failed="out of memory"), "compiled failed (out of memory)"),
    ],
)
def test_what_is_not_taken_is_told_with_its_fault(tmp_path: Path, compiled: Taken, fault: str) -> None:
    told: list[str] = []
    assert decided(smoke(tmp_path), "cpu", tmp_path, told.append, lambda config, device: [EAGER, compiled]) is False
    assert told[-1].endswith(f"{fault}; taken: eager")


def test_given_weights_have_nothing_to_decide(tmp_path: Path) -> None:
    weights = tmp_path / "encoder.pt"
    weights.write_bytes(b"weights")
    asked = resolve(Choices("smoke", pretrained=weights), tmp_path, 1)
    assert decided(asked, "cpu", tmp_path, print, lambda config, device: pytest.fail("measured")) is False


def test_what_eager_cannot_do_is_one_line(tmp_path: Path) -> None:
    stage = smoke(tmp_path).setting.pretraining(moco())
    assert stage and isinstance(stage.config, Pretrain)
    short = contrasted(stage.config, moco=stage.config.contrast.moco.model_copy(update={"queue": 1}))
    with pytest.raises(FameError, match=r"^--compile auto: a step .* fails on cpu \(.*queue of 1.*\); try it with --compile no$"):
        measured(short, "cpu")


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.skipif(not (shutil.which("c++") or shutil.which("g++")), reason="torch.compile needs a C++ compiler")
def test_the_real_compiler_agrees_with_eager(tmp_path: Path) -> None:
    told: list[str] = []
    decided(smoke(tmp_path), "cpu", tmp_path, told.append)
    (kept,) = (tmp_path / "compile").iterdir()
    eager, compiled = (Taken(**one) for one in json.loads(kept.read_text(encoding="utf-8")))
    assert not compiled.failed and apart(compiled, eager) <= APART and compiled.first > eager.first
