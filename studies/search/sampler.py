"""Propose what no trial has tried: the first choices, then the tree-structured Parzen estimator's."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

from fame.seeds import Seeds
from studies.search.space import Params, Space, rounded

PROPOSALS = 30  # of the estimator, before any choice that is left is taken
BEGUN = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING, TrialState.WAITING)


class Untried(BaseSampler):
    """Propose a choice that no trial in `trials()` has; running ones count as bad (constant liar), so that workers spread out.

    The seed of a proposal is made from `seed` and the number of trials before it: a search that goes on proposes the same.
    """

    def __init__(self, space: Space, seed: int, trials: Callable[[], list[FrozenTrial]]) -> None:
        self.space, self.seed, self.trials = space, seed, trials

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self.space.fields

    def sample_relative(self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]) -> dict[str, Any]:
        others = [other for other in self.trials() if other.number != trial.number and other.state in BEGUN]
        taken = {self.space.key(other.params) for other in others if other.params}
        if first := next((one for one in self.space.first if self.space.key(one) not in taken), None):
            return dict(first)
        before = sum(other.number < trial.number for other in others)
        seed = Seeds(self.seed).of("search", before) % 2**32
        tpe = TPESampler(n_startup_trials=4, multivariate=False, constant_liar=True, seed=seed)
        choice: Params = {}
        for _ in range(PROPOSALS):
            choice = {name: rounded(tpe.sample_independent(study, trial, name, field)) for name, field in search_space.items()}
            if self.space.key(choice) not in taken:
                return dict(choice)
        left = [one for one in self.space.choices if self.space.key(one) not in taken]
        return dict(random.Random(seed).choice(left) if left else choice)

    def sample_independent(self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution) -> Any:
        raise NotImplementedError("all fields are proposed together")
