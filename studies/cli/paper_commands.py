"""docs/paper-scale.md: the command of every row of every table at the paper's scale, written from the studies and nothing else.

    python -m studies.cli.paper_commands docs/paper-scale.md

A test fails when the file differs from what stands here and in the studies.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from fame.config import VideoData
from studies.paper.published import COLUMNS, Published, reference_rows
from studies.paper.registry import STUDIES, row_name, studies
from studies.setting.paper_sets import SETS
from studies.setting.resolve import Setting, all_stages
from studies.setting.scales import PAPER
from studies.study import PUBLISHED_NAMES, Row, Study

I3D = ["--backbone", "i3d", "--size", "224"]
NETWORKS = {
    "I3D 16x224": I3D,
    "R(2+1)D 16x112": [],
    "R(2+1)D": [],
}  # the paper's, as options; scale paper is R(2+1)D-18 at 16 x 112
ABLATIONS = ("table 1", "table 2", "table 3", "table 4", "table 4, figure 4")
NAMES = PUBLISHED_NAMES | {"source": "Kinetics-400"}
FOLDERS = {one.part: one.spellings[0] for one in SETS}

HEAD = """# At the paper's scale: the command of every row

Written by `python -m studies.cli.paper_commands docs/paper-scale.md` from the studies; a test fails when they differ. `DIR` holds
the
sets as docs/datasets.md says.

    reproduce-paper --scale paper --data-root DIR                               # every table and figure, R(2+1)D-18 at 16 x 112
    reproduce-paper --scale paper --data-root DIR --backbone i3d --size 224     # the same with the network of the paper's ablations
    reproduce-paper --scale paper --data-root DIR --protocol official           # videos treated as by the released code, faults too

Each command below computes one row, with what it needs before it, and makes a report of it. Runs are shared: with one `--out`, what
one row computed is not computed again for another, and the first command above finds all of it done. Give each network its own
`--out`, so that its report is whole. Add `--fold all` for the mean over the three folds of UCF101 and HMDB51, `--replicates 3` for
verdicts, `--codec jpeg` where the disk is small. `python run_study.py plan ...` instead of `reproduce-paper ...` says beforehand
what would run.

*Runs* counts the row's own chain (pretraining and every evaluation), one fold, one replicate. No time is given: this scale has not
been run (docs/datasets.md has what a step takes on a GPU).
"""

SILENT = """## Where the paper is silent

- **Seeds and error bars**: none were published. One replicate here is one seed.
- **Which fold**: not said for any table; the released code's lists are of split 1. Default: fold 1.
- **What the ablations pretrain on**: UCF101, inferred from table 5 and a user's report; their network, I3D at 16 x 224, likewise.
- **Network of table 2**: not printed. I3D, as in the other ablations, is our choice.
- **Finetuning on HMDB51 and Diving48**: not published. Our choice: as on UCF101.
- **Finetuning of R(2+1)D at 112 pixels**: the command that was released is I3D's. Our choice: the same schedule.
- **Retrieval's set**: UCF101, inferred; retrieval on HMDB51 was not published, so that column is ours alone.
- **Rows without a number** are ours: MoCo in tables 2, 5 and 6, the still background in table 3, random initialisation in
  tables 5 and 6, and all deranged scenes, which only the embedded benchmark has.
"""


def page() -> str:
    """The whole file."""
    return "\n".join([HEAD, *(_section(study) for study in STUDIES), SILENT])


def command(study: Study, row: Row, options: list[str]) -> str:
    """What a user types for one row."""
    words = ["reproduce-paper", "--scale", "paper", "--data-root", "DIR", *options, "--only", row_name(study, row)]
    return " ".join(shlex.quote(word) for word in words)


def everything() -> Setting:
    """Scale paper with all four sets."""
    sets = {one.part: VideoData(kind=one.kind, manifest="0" * 12) for one in SETS}
    return Setting(PAPER, sets.pop("A"), None, {str(part): data for part, data in sets.items()})


def _section(study: Study) -> str:
    columns = list(dict.fromkeys(measure.published for measure in study.measures if measure.published))
    printed = [name for name in columns if any(entry.metric == name for entry in reference_rows(study.name))]
    heads = ["row", "column", "network", *(f"paper: {name}, %" for name in printed), "needs", "runs", "command"]
    lines = [f"## {study.title} ({study.paper})", "", _line(heads), _line(["---"] * len(heads))]
    for row in study.rows:
        for network, options in _networks(study, row):
            found = {entry.metric: entry for entry in _theirs(study, row) if entry.network in (network, "")}
            numbers = [f"{found[name].value:g}" if name in found else "" for name in printed]
            needs, runs = _needs(study, row)
            cells = [row.label, _column(row.column), network, *numbers, needs, str(runs), f"`{command(study, row, options)}`"]
            lines.append(_line(cells))
    return "\n".join([*lines, *(["", study.note] if study.note else []), ""])


def _networks(study: Study, row: Row) -> list[tuple[str, list[str]]]:
    """The networks that the paper printed this row for, with our options; the table's own where it prints none of it."""
    printed = list(dict.fromkeys(entry.network for entry in _theirs(study, row) if entry.network))
    if not printed:
        printed = ["I3D 16x224" if study.paper in ABLATIONS else "R(2+1)D 16x112"]
    return [(network, NETWORKS[network]) for network in printed]


def _theirs(study: Study, row: Row) -> list[Published]:
    column = COLUMNS.get(study.name, {}).get(row.column)
    return [entry for entry in reference_rows(study.name) if (entry.row, entry.column) == (row.label, column)]


def _needs(study: Study, row: Row) -> tuple[str, int]:
    """The folders of the sets that a row needs, and how many runs it is."""
    setting = everything()
    stages = [stage for stage, _ in all_stages(setting, studies([row_name(study, row)])).values()]
    kinds = {data.kind for stage in stages if isinstance(data := getattr(stage.config, "data", None), VideoData)}
    parts = [part for part, data in setting.sets.items() if data.kind in kinds]
    return ", ".join(FOLDERS[part] for part in parts), len(stages)  # type: ignore[index]


def _column(column: str) -> str:
    return f"pretrained on {NAMES[column]}" if column in NAMES else column


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
