"""(2) What FAME adds to a MoCo step. A direct difference of two steps drowns in their spread, so mask and merge are timed by
themselves and set against the step; the difference of drawing views with and without FAME is given beside it.
"""

from __future__ import annotations

from benchmarks.figures import Outcome, Sheet, Target
from benchmarks.merge import ours as merge_of
from benchmarks.setting import Setting, threads
from benchmarks.timing import Work, alternate
from benchmarks.training import FULL, NARROW, TINY, Ours, configured, videos_for
from fame.method.augment import random_crops

TITLE = "A MoCo step with and without FAME"
LIMIT = 40.0  # seconds after which a network's comparison begins no further round
ON_CPU = Target("FAME's share of a MoCo step, R(2+1)D-18 at 112 px, CPU", 0.3, "% of the step", at_most=True)
ON_GPU = Target("FAME's share of a MoCo step, R(2+1)D-18 at 112 px, GPU", 0.5, "% of the step", at_most=True)
TARGETS = (ON_CPU, ON_GPU)


def measure(setting: Setting) -> Outcome:
    count = 1 if setting.cuda else setting.threads
    networks = {"narrow network": (TINY, 4)} if setting.tiny else {"narrow network": (NARROW, 32)}
    if not setting.small:
        networks["R(2+1)D-18"] = (FULL, 32 if setting.cuda else 2)
    batches = {name: batch for name, (_, batch) in networks.items()}
    sheet = Sheet("share", TITLE, {"clips of a view": batches, "threads": count})
    with threads(count):
        for name, (backbone, batch) in networks.items():
            config = configured(setting, backbone, batch, count)
            _, videos = videos_for(setting, backbone)
            step = Ours(config, videos, setting.device, setting.folder)
            without = Ours(config.model_copy(update={"merge": None}), videos, setting.device, setting.folder)
            views = step.draw()
            raw = videos.clips(step.rows, step.rows * 0, config.clip)
            clips = random_crops(raw, config.clip.size, config.augment).to(setting.device)  # what the merge is given
            works: dict[str, Work] = {
                "merge": merge_of(clips, "fame"),
                "draw": step.draw,
                "draw without": without.draw,
                "train": lambda step=step, views=views: step.train(views),  # type: ignore[misc]
            }
            found = alternate(works, setting.rounds, device=setting.device, limit=LIMIT)
            sheet.add(f"{name}: step with FAME", found.combined(lambda took: 1e3 * (took["draw"] + took["train"])), "ms")
            sheet.add(f"{name}: step without", found.combined(lambda took: 1e3 * (took["draw without"] + took["train"])), "ms")
            sheet.add(f"{name}: mask and merge", found.of("merge").scaled(1e3), "ms")
            target = (ON_GPU if setting.cuda else ON_CPU) if backbone == FULL else None
            share = found.combined(lambda took: 100 * took["merge"] / (took["draw"] + took["train"]))
            sheet.add(f"{name}: mask and merge in a step", share, "% of the step", target=target)
            more = found.combined(lambda took: 100 * (took["draw"] - took["draw without"]) / (took["draw without"] + took["train"]))
            sheet.add(f"{name}: what drawing views takes more with FAME", more, "% of the step")
    sheet.skip(ON_CPU if setting.cuda else ON_GPU, setting.elsewhere)
    if setting.small:
        sheet.skip(ON_GPU if setting.cuda else ON_CPU, setting.why_not)
    sheet.notes.append("One view of two is merged; the loss has the turns that the network's scale has (paper: two, quick: one).")
    return sheet.outcome()
