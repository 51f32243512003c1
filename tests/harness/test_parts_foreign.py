"""Parts that are damaged, of another version or not ours: refused or left out in one line."""

from __future__ import annotations

import io
import json
import lzma
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from fame.errors import FameError
from studies.harness.archive import decode, encode, files_of
from studies.harness.parts import unpack
from studies.harness.store import Store
from studies.setting.choices import Choices, resolve
from tests.harness.test_parts import NAMES, copied, packed_parts, three_replicates  # noqa: F401 (fixtures)


def rewritten(path: Path, change: Callable[[dict[str, bytes]], object]) -> None:
    """The archive with other content under the same kind of container."""
    with tarfile.open(path, "r:xz") as file:
        members = {entry.name: file.extractfile(entry).read() for entry in file}  # type: ignore[union-attr]
    change(members)
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as file:
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            file.addfile(entry, io.BytesIO(data))
    path.write_bytes(lzma.compress(tar.getvalue()))


# ---------------------------------------------------------------- what does not belong


@pytest.mark.parametrize(
    "name",
    ["../outside.csv", "/tmp/outside.csv", "runs/0123456789ab/1/../../x.csv", "runs/0123456789ab/1/encoder.pt",
     "runs/0123456789ab/2/x.csv", "runs/0123456789ab/1/.lock.csv", "mlflow.db"],
)  # fmt: skip
def test_a_name_that_no_part_holds_is_refused_and_nothing_is_written(name: str, parts: Path, tmp_path: Path) -> None:
    path = copied(parts, tmp_path / "parts")
    rewritten(path, lambda members: members.update({name: b"x"}))
    store = Store(tmp_path / "out").prepare()
    with pytest.raises(FameError, match=r"damaged, or no part that `pack` wrote .* nothing of it is used") as caught:
        unpack(path.parent, store)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)
    assert not list(store.runs.iterdir()) and not (tmp_path / "outside.csv").exists()


def test_a_link_is_refused(parts: Path, tmp_path: Path) -> None:
    path = copied(parts, tmp_path / "parts")
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as file:
        entry = tarfile.TarInfo("runs/0123456789ab/1/predictions.csv")
        entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/hostname"
        file.addfile(entry)
    path.write_bytes(lzma.compress(tar.getvalue()))
    with pytest.raises(FameError, match="which no part holds"):
        unpack(path.parent, Store(tmp_path / "out").prepare())


@pytest.mark.parametrize("how", ["flipped", "cut", "empty", "text", "no setting", "lost table", "lost result"])
def test_a_damaged_part_is_one_line_and_nothing_is_written(how: str, parts: Path, tmp_path: Path) -> None:
    path = copied(parts, tmp_path / "parts")
    data = path.read_bytes()

    def without(name: str) -> None:
        rewritten(path, lambda members: members.pop(next(member for member in members if member.endswith(name))))

    match how:
        case "flipped":
            path.write_bytes(data[:500] + bytes([data[500] ^ 1]) + data[501:])
        case "cut":
            path.write_bytes(data[: len(data) // 2])
        case "empty":
            path.write_bytes(b"")
        case "text":
            path.write_text("not found")
        case "no setting":
            without("setting.json")
        case "lost table":
            without("retrieval.csv")
        case "lost result":
            without("result.json")
    store = Store(tmp_path / "out").prepare()
    with pytest.raises(FameError, match="is damaged, or no part that `pack` wrote"):
        unpack(path.parent, store)
    assert not list(store.runs.iterdir())


def test_a_run_of_another_version_is_left_out_with_one_line(parts: Path, tmp_path: Path) -> None:
    path = copied(parts, tmp_path / "parts")
    runs, setting = decode(path)
    keys = sorted(runs)
    unknown, hashed = (json.loads(runs[key]["config.json"]) for key in keys[:2])
    unknown["config"]["flux"] = 7  # a field that this version does not know
    hashed["id"] = "0" * 12
    for key, config in zip(keys, (unknown, hashed), strict=False):
        runs[key]["config.json"] = json.dumps(config).encode()
    there = Store(tmp_path / "out").prepare()
    path.write_bytes(encode(runs, setting))
    done = unpack(path.parent, there)
    (line,) = done.left_out
    assert f"runs/{keys[0][0]}/1 and 1 more: was made by another version of the program" in line
    assert done.runs == len(keys) - 2 and not there.finished(*keys[0]) and there.finished(*keys[2])


def test_a_result_under_another_name_is_foreign(parts: Path, tmp_path: Path) -> None:
    path = copied(parts, tmp_path / "parts")
    runs, setting = decode(path)
    first, second = sorted(runs)[:2]
    runs[first], runs[second] = runs[second], runs[first]
    path.write_bytes(encode(runs, setting))
    assert "and 1 more" in unpack(path.parent, Store(tmp_path / "out").prepare()).left_out[0]


def test_another_setting_is_told_and_the_folders_own_is_kept(parts: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "out").prepare()
    own = resolve(Choices("mini", replicates=2, studies=NAMES), store.cache, 1).to_json()
    store.write_setting(own)
    done = unpack(parts, store)
    assert store.setting() == own and done.runs
    assert len(done.left_out) == 3 and "other replicates; " in done.left_out[0]


def test_files_of_a_run_skip_what_is_not_a_result(tmp_path: Path) -> None:
    for name in (
        "result.json",
        "config.json",
        "metrics.jsonl",
        "predictions.csv",
        "maps.npz",
        "encoder.pt",
        "log.txt",
        ".lock",
        ".x.csv",
    ):
        (tmp_path / name).write_text('{"artifacts": ["predictions.csv", "maps.npz"]}')
    (tmp_path / "folder.csv").mkdir()
    assert set(files_of(tmp_path, pictures=False)) == {"result.json", "config.json", "metrics.jsonl", "predictions.csv"}
    assert "maps.npz" in files_of(tmp_path, pictures=True)
