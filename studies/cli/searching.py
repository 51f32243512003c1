"""Make a search of what was typed, and run it."""

from __future__ import annotations

from typing import Any

from fame.errors import FameError
from studies.cli.session import Session, watching
from studies.search.objective import OBJECTIVES, OWN
from studies.search.search import Search
from studies.search.space import Space, parse
from studies.search.workers import Place, searched


def space_of(session: Session, fields: list[str], objective: str | None) -> Space:
    """Return what was typed as a space, by the first objective that the data has where none is named. FameError."""
    setting = session.asked.setting
    if setting.targets:
        raise FameError("--dataset targets: a search looks at validation videos, and targets have none; use --dataset folder")
    if setting.folds:
        raise FameError("--fold all: a search looks at the validation videos of one fold; name it")
    data = setting.data("A")
    splits = session.asked.sizes(data) if data else {}
    possible = [name for name, one in OBJECTIVES.items() if any(splits.get(split) for split in one.splits)]
    if not possible:
        raise FameError(f"{setting.dataset} has no validation videos ({OWN}), and a search looks at no others")
    name = objective or possible[0]
    if name not in possible:
        why = f"{setting.dataset} lacks such videos" if name in OBJECTIVES else "there is none of that name"
        raise FameError(f"--objective {name}: {why}; choose {', '.join(possible)}")
    space = Space(setting, OBJECTIVES[name], parse(fields))
    space.check()
    return space


def hunt(session: Session, search: Search, workers: int, confirm: int) -> dict[str, Any]:
    """Search and return what search.json holds. FameError as `studies.search.search.work`."""
    place = Place(session.store, session.workers, session.device, session.jobs)
    with watching() as watcher:
        return searched(search, place, watcher, session.tracker(watcher.note), workers, confirm)
