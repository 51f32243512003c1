"""Write the command that makes a study's runs and its report, without the reader's own folders."""

from __future__ import annotations

import shlex

from studies.paper.registry import ALL_FINDINGS, FINDINGS, FOR_CLAIMS, named, paper_studies
from studies.paper.registry import studies as chosen
from studies.setting.asked import Asked
from studies.setting.folds import ALL
from studies.setting.protocols import CORRECTED
from studies.setting.training import option_of
from studies.setting.typed import ROWS, written


def command_of(asked: Asked) -> str:
    """Return `reproduce-paper` with the options that this study was asked for with."""
    setting, studies = asked.setting, asked.studies
    words = ["reproduce-paper", "--scale", setting.scale.name, "--dataset", setting.dataset]
    if setting.videos:
        words += ["--data-root", "DIR"]
        words += ["--fold", ALL if setting.folds else str(setting.videos.fold)] if setting.folds or setting.videos.fold != 1 else []
        words += ["--codec", setting.videos.codec] if setting.videos.codec != "raw" else []
    words += ["--protocol", setting.protocol.name] if setting.protocol != CORRECTED else []
    words += ["--replicates", str(len(asked.replicates))]
    typed = [row.label for study in studies if study.name == ROWS for row in study.rows]
    if studies == chosen([FOR_CLAIMS]):
        words += ["--only", FOR_CLAIMS]
    elif studies == FINDINGS:
        words += ["--only", ALL_FINDINGS]
    elif studies != paper_studies():
        listed = (name for study in studies if study.name != ROWS for name in named(study))
        words += [word for name in listed for word in ("--only", shlex.quote(name))]
    words += [word for text in typed for word in ("--row", shlex.quote(text))]
    words += [word for text in written(setting.typed) for word in ("--set", shlex.quote(text))]
    if setting.pretrained:
        words += ["--pretrained", asked.pretrained or "FILE"]
    for name, value in asked.choices.items():
        words += [option_of(name)] if value is True else [option_of(name), str(value)]
    return " ".join(words)
