"""Every number of the paper is here once, with a source, and stands beside the right one of ours."""

from collections import Counter

import pytest

from studies.paper.published import entries, noise, published
from studies.paper.registry import STUDIES


def test_every_entry_has_a_source_in_words_and_stands_once() -> None:
    assert len(entries()) == 16 + 5 + 6 + 14 + 44 + 29 + 9  # tables 1 to 6, other reports
    assert all(len(entry.source) > 20 and 0 < entry.value < 100 for entry in entries())
    assert set(Counter((entry.table, entry.row, entry.column, entry.metric, entry.network) for entry in entries()).values()) == {1}
    assert noise()["UCF101"] == {"points": 1.25, "videos": 3783, "at": 81}


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (("area_ratio", "1.0 (baseline)", "", "UCF101 finetuned"), 75.8),
        (("area_ratio", "0.3", "both", "HMDB51 finetuned"), 53.1),
        (("diving48", "BE", "source", "Diving48 finetuned"), 62.4),
        (("background_source", "intra-video", "", "HMDB51 finetuned"), 47.6),
        (("foreground_mask", "FAME", "source", "UCF101 finetuned"), 88.6),
        (("action_recognition", "FAME", "", "UCF101 linear"), 72.2),
        (("action_recognition", "FAME", "", "UCF101 finetuned"), 84.8),  # R(2+1)D's, not I3D's 88.6
        (("retrieval", "FAME", "source", "UCF101 R@50"), 94.2),
        (("retrieval", "FAME", "", "UCF101 R@1"), None),  # pretrained on UCF101 it is not published
        (("background_source", "inter-video, still frame", "", "UCF101 finetuned"), None),
        (("area_ratio", "0.5", "single", ""), None),
        (("temporal_kernels", "FAME", "", "UCF101 finetuned"), None),
    ],
)
def test_ours_beside_the_papers(key: tuple[str, str, str, str], expected: float | None) -> None:
    found = published(*key)
    assert (found.value if found else None) == expected


def test_every_number_of_an_ablation_table_meets_a_row_of_ours() -> None:
    for study in STUDIES[:4]:
        met = {published(study.name, row.label, row.column, m.published) for row in study.rows for m in study.measures}
        missed = {entry for entry in entries() if entry.study == study.name} - met
        # printed twice, the same value
        assert {(entry.row, entry.column) for entry in missed} <= {("1.0 (baseline)", "both")}
