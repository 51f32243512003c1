"""What a spreadsheet would run is written as text; numbers stay numbers."""

from pathlib import Path

import pandas as pd

from reports.sheets import write_csv


def test_a_formula_is_text_and_numbers_stay(tmp_path: Path) -> None:
    labels = ["=cmd()|'x'!A1", "@SUM(A1)", "+1", "-1", "\t=1", "걷는 사람 🏃", 'a, "b"\nc', None]
    write_csv(pd.DataFrame({"row": labels, "value": [-1.5, *range(7)]}), tmp_path / "a.csv")
    read = pd.read_csv(tmp_path / "a.csv")
    assert [str(label)[0] for label in read["row"][:5]] == ["'"] * 5
    assert [label.removeprefix("'") for label in read["row"][:7]] == labels[:7]
    assert read["value"].tolist() == [-1.5, *range(7)]
