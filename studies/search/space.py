"""What a search varies: fields of the method as Optuna's distributions, and the stage that a choice of values means."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from fame.config import Pretrain, Retrieval
from fame.errors import FameError
from studies.search.objective import Objective
from studies.setting.cell import Stage
from studies.setting.fields import typed_fields
from studies.setting.resolve import Setting
from studies.study import Row, fame, moco

Params = Mapping[str, Any]
Fields = dict[str, BaseDistribution]
BETA = "merge.beta"
STEP = 0.05  # of beta, so that trials meet the runs of table 1
DEFAULT: Fields = {BETA: FloatDistribution(0.1, 1.0, step=STEP)}
FIRST = (0.5, 1.0, 0.3, 0.7)  # table 1's betas, the paper's choice and the baseline first
LARGEST = 1000  # choices that are listed one by one
FORMS = "write FIELD=LOW:HIGH, FIELD=LOW:HIGH:STEP, FIELD=LOW:HIGH:log or FIELD=ONE,TWO"


def parse(texts: Iterable[str]) -> Fields:
    """Return what `FIELD=LOW:HIGH[:STEP|:log]` and `FIELD=ONE,TWO` say, beta's whole range for none. FameError for a wrong one."""
    fields: Fields = {}
    for text in texts:
        name, _, said = (part.strip() for part in text.partition("="))
        fields[name] = _range(text, name, said) if ":" in said else _choices(text, name, said)
    return fields or DEFAULT


def _values(name: str, ends: Iterable[str]) -> list[Any]:
    return [typed_fields([f"{name}={end}"], "--search")[0][2] for end in ends]


def _choices(text: str, name: str, said: str) -> BaseDistribution:
    values = _values(name, said.split(","))
    if len(set(map(str, values))) < max(2, len(values)) or not all(isinstance(one, str | int | float) for one in values):
        raise FameError(f"--search {text}: there is nothing to choose; {FORMS}")
    return CategoricalDistribution(values)


def _range(text: str, name: str, said: str) -> BaseDistribution:
    low, high, *more = said.split(":")
    ends = _values(name, (low, high))
    step = more[0] if more else str(STEP) if name == BETA else ""
    try:
        if len(more) > 1 or not all(isinstance(end, int | float) and math.isfinite(end) for end in ends):
            raise ValueError
        if ends[0] >= ends[1]:
            raise FameError(f"--search {text}: the range is empty; {FORMS}")
        if step == "log":
            return FloatDistribution(float(ends[0]), float(ends[1]), log=True)
        if all(isinstance(end, int) for end in ends) and float(step or 1).is_integer():
            stride = int(float(step or 1))
            return IntDistribution(ends[0], ends[1] - (ends[1] - ends[0]) % stride, step=stride)
        width = float(step) if step else None
        if width is not None:  # Optuna asks for whole steps
            ends[1] = round(ends[0] + math.floor((ends[1] - ends[0]) / width + 1e-9) * width, 9)
        return FloatDistribution(float(ends[0]), float(ends[1]), step=width)
    except (ValueError, ZeroDivisionError):
        raise FameError(f"--search {text}: this is no range of numbers; {FORMS}") from None


@dataclass(frozen=True)
class Space:
    """Hold the searched fields of a setting, and the objective that their stages are evaluated by."""

    setting: Setting
    objective: Objective
    fields: Fields

    def stage(self, params: Params, stop: int = 0) -> Stage:
        """Return the evaluation of a choice, with `stop` after so many epochs; beta = 1.0 is the baseline, as in table 1."""
        typed = tuple((*name.split(".", 1), value) for name, value in params.items())
        setting = replace(self.setting, typed=(*self.setting.typed, *typed))
        stage = setting.stage(Row("", moco() if params.get(BETA) == 1.0 else fame()), self.objective.measure)
        if stage is None or stage.upstream is None or setting.pretrained:
            raise FameError("a search pretrains an encoder for every choice: it goes without --pretrained")
        config, upstream = stage.config, stage.upstream
        if isinstance(config, Retrieval):
            config = config.model_copy(update={"queries": "val"})
        if stop:
            upstream = Stage(Pretrain.model_validate(upstream.config.model_dump() | {"stop": stop}))
        return Stage(config, upstream)

    @cached_property
    def choices(self) -> list[Params]:
        """Return every choice, in order; none where there is no end of them."""
        axes = [_points(field) for field in self.fields.values()]
        if not all(axes) or math.prod(map(len, axes)) > LARGEST:
            return []
        return [dict(zip(self.fields, values, strict=True)) for values in product(*axes)]

    @property
    def first(self) -> list[Params]:
        """Return what is tried first: table 1's betas where beta alone is searched."""
        return [choice for beta in FIRST if list(self.fields) == [BETA] and (choice := {BETA: beta}) in self.choices]

    @cached_property
    def _keys(self) -> dict[Any, str]:
        return {}

    def key(self, params: Params) -> str:
        """Return the stage's id: what makes two choices the same."""
        values = tuple(sorted(params.items()))
        if values not in self._keys:
            self._keys[values] = self.stage(params).id
        return self._keys[values]

    def check(self) -> None:
        """FameError where a field changes nothing in FAME's pretraining or a value is impossible."""
        for name, field in self.fields.items():
            few = _points(field) or [getattr(field, "low", None), getattr(field, "high", None)]
            if len({self.stage({name: value}).id for value in (few[0], few[-1])}) == 1:
                raise FameError(f"--search {name}: it changes nothing in FAME's pretraining")


def epochs_of(stage: Stage) -> int:
    """Return the epochs of the pretraining before an evaluation."""
    pretraining = stage.chain()[0].config
    assert isinstance(pretraining, Pretrain)
    return pretraining.epochs


def rungs(stage: Stage) -> tuple[int, ...]:
    """Return the epochs at which a pruner looks: after a quarter and a half of pretraining."""
    return tuple(sorted({epochs_of(stage) // 4, epochs_of(stage) // 2} - {0}))


def _points(field: BaseDistribution) -> list[Any]:
    if isinstance(field, CategoricalDistribution):
        return list(field.choices)
    assert isinstance(field, FloatDistribution | IntDistribution)
    if field.step is None:
        return []
    return [rounded(field.low + index * field.step) for index in range(1 + round((field.high - field.low) / field.step))]


def rounded(value: Any) -> Any:
    """Return six significant digits: 0.1 + 4 * 0.05 is not quite 0.3, and would be another run."""
    return float(f"{value:.6g}") if isinstance(value, float) else value
