"""The smallest effect that n replicates detect, against published numbers, and the file from which its spread is read."""

from pathlib import Path

import numpy as np
import pytest

from fame.errors import FameError
from reports.power import detectable, foretold, half_width
from studies.paper.registry import STUDIES
from studies.setting.recording import about
from studies.setting.resolve import Setting
from studies.setting.scales import MINI
from studies.setting.spread import UNKNOWN, Spread, spread_at

ENTRY = '[mini]\nsd = 4.0\nreplicates = [1000, 1001, 1002]\nmeasure = "deranged"\nsource = "a run"\n'


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


def test_the_plan_is_told_what_ten_replicates_detect(tmp_path: Path) -> None:
    file = tmp_path / "spread.toml"
    facts, given = (about(Setting(MINI, pretrained=weights), STUDIES, tuple(range(10))) for weights in (None, "a" * 64))
    file.write_text("# nothing yet\n")
    assert foretold(facts, file).endswith(f"deranged scenes): {UNKNOWN}")
    file.write_text(ENTRY)
    said = foretold(facts, file)
    assert "n = 10" in said and "4.0 points with 80 % power; 95 % half-width 2.9 points" in said and "a run" in said
    assert foretold(given, file) == ""


def test_spread_is_read(tmp_path: Path) -> None:
    file = tmp_path / "spread.toml"
    file.write_text(ENTRY)
    assert spread_at("mini", file) == Spread(sd=4.0, replicates=(1000, 1001, 1002), measure="deranged", source="a run")
    assert spread_at("quick", file) is None


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("4.0", "-1", "[mini] sd = -1: it must be more than 0"),
        ("4.0", '"4"', "sd = '4'"),
        ("1000", "0", "replicates.0 = 0: it must be at least 1000"),
        ("1000, 1001, 1002", "1000", "at least 2 items"),
        ("1001, 1002", "1000, 1000", "a world stands there twice"),
        ('"a run"', '""', "source = ''"),
        ("source", "where", "source: it is missing"),
        ("sd =", "sd", "not valid TOML"),
    ],
)
def test_a_wrong_entry_is_named(tmp_path: Path, old: str, new: str, told: str) -> None:
    file = tmp_path / "spread.toml"
    file.write_text(ENTRY.replace(old, new))
    with pytest.raises(FameError, match=r"spread\.toml: ") as caught:
        spread_at("mini", file)
    assert told in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FameError, match="cannot be read"):
        spread_at("mini", tmp_path / "spread.toml")
