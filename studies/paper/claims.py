"""Declare the paper's claims C1..C12: which method beats which, by what measure, and by which rule (docs/rules.md)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from studies.findings.contrasts import MASK_LIFT, SEED_LIFT
from studies.paper.links import ALL_SUPPORTED, SHARE, Claim, Link, Named, RealMask, Relation, Side, Test, links
from studies.paper.tables import AUROC, ENERGY, EXCHANGE, SPREAD
from studies.study import (
    PICTURED,
    Measure,
    background_erasing,
    deranged,
    fame,
    moco,
    on_targets,
    random_init,
    recall_at,
    supervised,
    top1,
)

EQUAL_AT_MOST = 3.0  # points: two accuracies further apart than that are never called equal

ALL_EQUAL = (
    "equal if every 90 % interval lies inside +-delta (two one-sided tests), "
    "delta = min(3, a third of FAME's gain on selection worlds)"
)


def both(*pairs: tuple[Named, Named], relation: Relation = "greater") -> tuple[Test, Test]:
    """Return the usual tests of pairs of methods: finetuned accuracy on both targets, and accuracy in deranged scenes."""
    rule = ALL_SUPPORTED if relation == "greater" else ALL_EQUAL
    published, scenes = (
        links(pairs, top1("A"), top1("B"), relation=relation),
        links(pairs, deranged("A"), relation=relation),
    )
    return (
        Test("as published", "finetuned top-1 on A and B, own scenes", published, rule),
        Test("mechanism", "top-1 of a linear probe on A, deranged scenes", scenes, rule),
    )


BETAS = (0.7, 0.5, 0.3)
BASELINE, MOCO = ("baseline", moco()), ("MoCo", moco())
CONTRASTIVE, VANILLA = ("contrastive", moco()), ("vanilla contrastive", moco())
FAME, FAME_ON_SOURCE = ("FAME", fame()), ("FAME, on the source", fame(on="source"))
GAUSS, SEED, GRID = (
    ("Gauss", fame(variant="gauss")),
    ("Seed", fame(variant="seed")),
    ("Grid", fame(variant="grid")),
)
BE, BE_ON_SOURCE = ("BE", background_erasing()), ("BE, on the source", background_erasing("source"))
MOCO_ON_SOURCE, RANDOM = ("MoCo, on the source", moco("source")), ("random init", random_init())
OF_KERNELS = ((("supervised", supervised()), CONTRASTIVE), (FAME, CONTRASTIVE))


def suffers(mask: Measure) -> Link:
    """Return C10's link of one kind of mask, from no shared colours to all; the method says which world."""
    apart, alike = (Side(f"likeness {at:g}", fame(world={"likeness": at}), mask) for at in (0.0, 1.0))
    return Link(apart, alike, margin=SHARE)


def at_likeness(at: float) -> tuple[Named, Named]:
    """Return FAME and the baseline of a world."""
    return (f"FAME at likeness {at:g}", fame(world={"likeness": at})), ("baseline", moco(world={"likeness": at}))


def gain(at: float) -> Side:
    """Return FAME's gain at one likeness, a difference: C10 compares two of them."""
    (_, merged), base = at_likeness(at)
    return Side(f"(FAME - baseline) at likeness {at:g}", merged, deranged("A"), minus=Side(*base, deranged("A")))


def covers(metric: str, label: str) -> Link:
    """Return C11's link on the benchmark: FAME's mask above Seed's."""
    greater, lesser = (
        Measure(f"{variant}/0.5/paper/{metric}", "masks", "A", label, kind="mechanism") for variant in ("fame", "seed")
    )
    return Link(Side("FAME", None, greater), Side("Seed", None, lesser))


def really(measure: tuple[str, str], **how: Any) -> Link:
    """Return the same on real video, by a column of its table and that column in words; `how`: fields of `RealMask`."""
    name = "FAME (released code's colours)" if how.get("flavour") == "official" else "FAME"
    seed = RealMask("seed", *measure, **how | {"flavour": "paper"})  # it has no colours
    return Link(Side(name, None, RealMask("fame", *measure, **how)), Side("Seed", None, seed))


STILL, LIFT = ("recall_still", "recall on the object's pixels that do not move"), ("recall_lift", "recall lift")
BOX_LIFT = ("box_recall_lift", "recall lift of the actor's box")
WAYS: tuple[dict[str, Any], ...] = (
    {"camera": "still"},
    {"camera": "moving"},
    {"flavour": "official"},
    {"size": 32},
)
BESIDE = (
    *(really(measure, **how) for how in WAYS for measure in (STILL, LIFT)),
    *(really(BOX_LIFT, **how) for how in ({}, *WAYS[:2])),
)

CLAIMS: tuple[Claim, ...] = (
    Claim(
        "C1",
        "Every area ratio in 0.3, 0.5, 0.7, with one view merged or both, beats the baseline.",
        "table 1",
        both(*(((f"beta {beta} {views}", fame(beta, views=views)), BASELINE) for views in ("single", "both") for beta in BETAS)),
    ),
    Claim(
        "C2",
        "A background from another video beats one from the same video, which beats none.",
        "table 3",
        both(*pairwise((("inter-video", fame()), ("intra-video", fame(background="intra")), ("none", moco())))),
    ),
    Claim(
        "C3",
        "Every mask beats the baseline, and Gauss is below Seed, Seed below Grid and FAME.",
        "table 4",
        both(*((mask, BASELINE) for mask in (GAUSS, SEED, GRID, FAME)), (SEED, GAUSS), (GRID, SEED), (FAME, SEED)),
    ),
    Claim(
        "C4",
        "After pretraining on a larger source, FAME beats Grid.",
        "table 4",
        both((FAME_ON_SOURCE, ("Grid, on the source", fame(variant="grid", on="source")))),
    ),
    Claim(
        "C5",
        "Merging one view and merging both are about equal.",
        "table 1",
        both(
            *(((f"beta {beta} single", fame(beta)), ("both", fame(beta, views="both"))) for beta in BETAS),
            relation="equal",
        ),
    ),
    Claim(
        "C6",
        "FAME transfers better than background erasing and random initialisation to a set without background cues.",
        "table 2",
        (
            Test(
                "as published",
                "finetuned top-1 on C",
                links(
                    ((FAME, BE), (FAME, RANDOM), (FAME_ON_SOURCE, BE_ON_SOURCE), (FAME_ON_SOURCE, RANDOM)),
                    top1("C"),
                ),
            ),
        ),
    ),
    Claim(
        "C7",
        "The spread of the temporal kernels' weights is larger after supervised training and after FAME than after plain contrast.",
        "figure 3",
        (
            Test(
                "as published",
                "standard deviation of the temporal weights, per layer",
                links(OF_KERNELS, *SPREAD),
                ALL_SUPPORTED + "; raw spread has no scale of its own (batch norm), so m = 0 and the verdict is descriptive",
                margin=0.0,
            ),
            Test(
                "mechanism",
                "share of the kernels' energy that varies in time, per layer",
                links(OF_KERNELS, *ENERGY),
                margin=SHARE,
            ),
        ),
    ),
    Claim(
        "C8",
        "Contrastive features attend to the background, FAME's to the moving foreground.",
        "figure 1",
        (
            Test(
                "mechanism",
                "AUROC of the activation against the figure; logarithm of the exchange ratio",
                (*links(((FAME, VANILLA),), AUROC), *links(((VANILLA, FAME),), EXCHANGE)),
                margin=SHARE,
            ),
        ),
    ),
    Claim(
        "C9",
        "FAME's features retrieve the right action more often.",
        "table 6",
        (
            Test(
                "as published",
                "R@1 on A, own scenes",
                links(((FAME, MOCO), (FAME_ON_SOURCE, MOCO_ON_SOURCE)), recall_at(1, "A")),
            ),
            Test("mechanism", "R@1 on A, deranged scenes", links(((FAME, MOCO),), recall_at(1, "A", "deranged"))),
        ),
    ),
    Claim(
        "C10",
        "Where moving things and background share their colours, the mask and the gain suffer.",
        "conclusion",
        (
            Test(
                "mechanism",
                "recall lift of FAME's mask; FAME's gain, top-1 of a linear probe on A, deranged scenes: both at likeness 0 and 1",
                (suffers(MASK_LIFT), Link(gain(0.0), gain(1.0))),
                beside=(*links((at_likeness(0.0), at_likeness(1.0)), deranged("A")), suffers(SEED_LIFT)),
                needs="likeness",
            ),
        ),
    ),
    Claim(
        "C11",
        "The colour step extends the seed region from moving edges to the whole object: FAME's mask covers it better than Seed's.",
        "method",
        (
            Test(
                "real video",
                "recall of the annotated object at beta 0.5, DAVIS and SBI sequences",
                (really(STILL), really(LIFT)),
                margin=SHARE,
                beside=BESIDE,
            ),
            Test(
                "mechanism",
                "recall of the true figure at beta 0.5",
                (
                    covers("recall_still", "recall on figure pixels that do not move"),
                    covers("recall_lift", "recall lift"),
                ),
                margin=SHARE,
            ),
        ),
    ),
    Claim(
        "C12",
        "Motion in the pasted background matters: a moving Y beats one still frame of Y.",
        "method",
        both((("moving Y", fame()), ("one still frame of Y", fame(background="still")))),
    ),
)


def claims_on(targets: Sequence[str]) -> tuple[Claim, ...]:
    """Return the claims as they are judged on the user's targets: each by itself, then their mean; as above where there are none.

    C11, measured on real video, stays; what needs staged scenes, another source or a set without background cues does not.
    Of C7 the share of energy is judged, too: kernels need no scene.
    """
    if not targets:
        return CLAIMS
    found = []
    for claim in (claim for claim in CLAIMS if claim.id != "C6"):
        tests = [test for test in claim.tests if test.kind == "real video"]
        for test in (test for test in claim.tests if test.kind != "real video"):
            by_target: dict[str, list[Link]] = {}
            for link in (link for link in test.links if all(method.on == "A" for method in link.greater.encoders)):
                assert isinstance(link.greater.measure, Measure)
                for measure in on_targets(link.greater.measure, targets) if link.greater.measure.protocol not in PICTURED else ():
                    own = replace(measure, published="")  # A and B are the same targets here
                    greater, lesser = (replace(side, measure=own) for side in (link.greater, link.lesser))
                    label = test.metric if measure.protocol == "kernels" else measure.label
                    by_target.setdefault(label, []).append(replace(link, greater=greater, lesser=lesser))
            tests += [
                replace(test, kind="real video, small scale", metric=label, links=tuple(dict.fromkeys(found_links)), beside=())
                for label, found_links in by_target.items()
            ]
        if tests:
            found.append(replace(claim, tests=tuple(tests)))
    return tuple(found)


# FAME's gain on selection worlds sets the delta of equality, per measure.
GAIN = (fame(), moco())
