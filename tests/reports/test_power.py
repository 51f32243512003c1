"""The smallest effect that n replicates detect, against published numbers."""

from dataclasses import replace

import numpy as np
import pytest

from reports.power import detectable, foretold, half_width
from studies.paper.registry import STUDIES
from studies.setting.recording import about
from studies.setting.resolve import Setting
from studies.setting.scales import MINI


@pytest.mark.parametrize(("effect", "n"), [(0.2, 199), (0.5, 34), (0.8, 15)])
def test_detectable_agrees_with_tables_of_the_paired_t_test(effect: float, n: int) -> None:
    """Cohen's small, medium and large effect, in standard deviations: pairs needed at 80 % power, two-sided 5 % (G*Power)."""
    assert detectable(1.0, n) <= effect < detectable(1.0, n - 1)


def test_detectable_of_ten() -> None:
    """R's power.t.test(n = 10, power = 0.8, type = "one.sample") gives 0.996 standard deviations."""
    assert detectable(1.0, 10) == pytest.approx(0.996, abs=5e-4)
    assert detectable(4.0, 10) == pytest.approx(4 * detectable(1.0, 10))
    assert detectable(0.0, 10) == 0.0
    sizes = [detectable(1.0, n) for n in (2, 3, 6, 10, 100)]
    assert sizes == sorted(sizes, reverse=True) and np.isfinite(sizes).all()


def test_half_width_known_answer() -> None:
    """t(0.975, 9) = 2.26216 from a table."""
    assert half_width(4.0, 10) == pytest.approx(2.26216 * 4 / np.sqrt(10), abs=1e-4)


def test_the_plan_is_told_what_ten_replicates_detect() -> None:
    setting = Setting(replace(MINI, spread=4.0))
    facts, given = (about(one, STUDIES, tuple(range(10))) for one in (setting, replace(setting, pretrained="a" * 64)))
    said = foretold(facts)
    assert "n = 10" in said and "4.0 points with 80 % power; 95 % half-width 2.9 points" in said
    assert foretold(given) == ""
