"""Declare the paper's claims C1..C12: which method beats which, by what measure, and by which rule that is judged.

A claim is judged up to twice: `as published` (finetuned accuracy on test videos that are drawn like the training ones, raw weights,
recall) and `mechanism` (scenes that go with another action, shares, AUROCs); success on the second never counts as a
reproduction of a table of the paper. C11 needs no training: it is decided on `real video`, over sequences that others filmed and
annotated, and the made benchmark's masks stand beside it as mechanism. C10 needs worlds that the paper's studies do not have, of
the finding `likeness`; one of its links is a difference of differences. The links (studies/paper/links.py) are over declared
methods and
measures, so that they resolve to stages at any `Setting`. docs/rules.md has the rules, reports/ledger.py computes the verdicts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from studies.paper import links as of
from studies.paper.links import PUBLISHED, SCENES, Kind, Link, Side, ordered
from studies.study import UNCHANGED, Changes, balanced, fame, moco, random_init

POINTS = 2.0  # margin of accuracies and recalls, in points
SHARE = 0.02  # margin of shares, AUROCs and ratios
EQUAL_AT_MOST = 3.0  # points: two accuracies further apart than that are never called equal
FINETUNED = "finetuned top-1 on A and B, own scenes"
SWAPPED = "top-1 of a linear probe on A, deranged scenes"

ALL_SUPPORTED = (
    "reproduced if every link's 95 % interval lies above 0; "
    "not reproduced if one, Holm-adjusted, does not and lies below the margin m"
)
ALL_EQUAL = (
    "equal if every 90 % interval lies inside +-delta (two one-sided tests), "
    "delta = min(3, a third of FAME's gain on selection worlds)"
)


@dataclass(frozen=True)
class Test:
    """Declare one way of judging a claim: all of its `links` have to hold; those `beside` are shown and decide nothing."""

    __test__ = False  # not a pytest class

    kind: Kind
    metric: str
    links: tuple[Link, ...]
    rule: str
    margin: float = POINTS
    beside: tuple[Link, ...] = ()
    needs: str = ""  # the finding that has to be run for it, where the paper's own studies do not suffice

    def margin_of(self, link: Link) -> float:
        """Return the link's own margin, or the test's."""
        return self.margin if link.margin is None else link.margin

    @property
    def source(self) -> Literal["runs", "real video"]:
        """Return where its numbers come from: runs of a study, a value a replicate; or real video, a value a sequence."""
        return "real video" if self.kind == "real video" else "runs"


@dataclass(frozen=True)
class Claim:
    """Declare a sentence of the paper, and how it is judged."""

    id: str
    text: str
    where: str
    tests: tuple[Test, ...]


def both(published_links: tuple[Link, ...], mechanism_links: tuple[Link, ...]) -> tuple[Test, Test]:
    """Return the usual pair of tests: finetuned accuracy, and accuracy in deranged scenes."""
    return (
        Test("as published", FINETUNED, published_links, ALL_SUPPORTED),
        Test("mechanism", SWAPPED, mechanism_links, ALL_SUPPORTED),
    )


SOURCES = (("inter-video", fame()), ("intra-video", fame(background="intra")), ("none", moco()))
LARGER = (("FAME, on the source", fame(on="source")), ("Grid, on the source", fame(variant="grid", on="source")))
STILL = (("moving Y", fame()), ("one still frame of Y", fame(background="still")))

CLAIMS: tuple[Claim, ...] = (
    Claim(
        "C1",
        "Every area ratio in 0.3, 0.5, 0.7, with one view merged or both, beats the baseline.",
        "table 1",
        both(of.area_ratio(PUBLISHED), of.area_ratio(SCENES)),
    ),
    Claim(
        "C2",
        "A background from another video beats one from the same video, which beats none.",
        "table 3",
        both(ordered(SOURCES, PUBLISHED), ordered(SOURCES, SCENES)),
    ),
    Claim(
        "C3",
        "Every mask beats the baseline, and Gauss is below Seed, Seed below Grid and FAME.",
        "table 4",
        both(of.masks(PUBLISHED), of.masks(SCENES)),
    ),
    Claim(
        "C4",
        "After pretraining on a larger source, FAME beats Grid.",
        "table 4",
        both(ordered(LARGER, PUBLISHED), ordered(LARGER, SCENES)),
    ),
    Claim(
        "C5",
        "Merging one view and merging both are about equal.",
        "table 1",
        (
            Test("as published", FINETUNED, of.views(PUBLISHED), ALL_EQUAL),
            Test("mechanism", SWAPPED, of.views(SCENES), ALL_EQUAL),
        ),
    ),
    Claim(
        "C6",
        "FAME transfers better than background erasing and random initialisation to a set without background cues.",
        "table 2",
        (Test("as published", "finetuned top-1 on C", of.transfer(), ALL_SUPPORTED),),
    ),
    Claim(
        "C7",
        "The spread of the temporal kernels' weights is larger after supervised training and after FAME than after plain contrast.",
        "figure 3",
        (
            Test(
                "as published",
                "standard deviation of the temporal weights, per layer",
                of.kernels("spread", "spread", "as published"),
                ALL_SUPPORTED + "; raw spread has no scale of its own (batch norm), so m = 0 and the verdict is descriptive",
                margin=0.0,
            ),
            Test(
                "mechanism",
                "share of the kernels' energy that varies in time, per layer",
                of.kernels("energy", "energy varying in time", "mechanism"),
                ALL_SUPPORTED,
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
                "AUROC of the activation against the figure; exchange ratio",
                of.activation(),
                ALL_SUPPORTED,
                margin=SHARE,
            ),
        ),
    ),
    Claim(
        "C9",
        "FAME's features retrieve the right action more often.",
        "table 6",
        (
            Test("as published", "R@1 on A, own scenes", of.retrieval(), ALL_SUPPORTED),
            Test("mechanism", "R@1 on A, deranged scenes", of.retrieval("deranged"), ALL_SUPPORTED),
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
                of.likeness(SHARE),
                ALL_SUPPORTED,
                beside=of.likeness_beside(SHARE),
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
                of.covers_really(),
                ALL_SUPPORTED,
                margin=SHARE,
                beside=of.covers_beside(),
            ),
            Test("mechanism", "recall of the true figure at beta 0.5", of.covers(), ALL_SUPPORTED, margin=SHARE),
        ),
    ),
    Claim(
        "C12",
        "Motion in the pasted background matters: a moving Y beats one still frame of Y.",
        "method",
        both(ordered(STILL, PUBLISHED), ordered(STILL, SCENES)),
    ),
)

# Verdicts on what was learnt require that the baseline learnt at all in every world of a link (docs/rules.md).
GATE_POINTS = 10.0


def gate_of(changes: Changes = UNCHANGED) -> Link:
    """Return the gate's link: the baseline, changed so, above random initialisation in the same world, by the balanced head."""
    baseline = Side("baseline", replace(moco(), changes=changes), balanced("A"))
    return Link(baseline, Side("random init", replace(random_init(), changes=Changes(world=changes.world)), balanced("A")))


GATE = gate_of()

# FAME's gain on selection worlds sets the delta of equality, per measure.
GAIN = (fame(), moco())
