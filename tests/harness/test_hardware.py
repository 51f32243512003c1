"""What tells machines apart: a virtual machine's model name does not say which units its processor has."""

from __future__ import annotations

from pathlib import Path

import pytest

from studies.harness import hardware

TOLD = "processor\t: 0\nmodel name\t: Some CPU\nflags\t\t: {}\n\nprocessor\t: 1\nmodel name\t: Another\nflags\t: avx2 amx_bf16\n"


def seen(monkeypatch: pytest.MonkeyPatch, file: Path, text: str) -> tuple[str, str, str]:
    """Processor, and machine without and with a GPU, where /proc/cpuinfo says `text`."""
    file.write_text(text, encoding="utf-8")
    monkeypatch.setattr(hardware, "CPUINFO", file)
    hardware.machine.cache_clear()
    found = hardware.processor(), hardware.machine("cpu"), hardware.machine("cuda:0")
    hardware.machine.cache_clear()
    return found


def test_processors_of_one_model_with_other_units_are_other_machines(monkeypatch, tmp_path) -> None:
    flags = ("sse2 avx2", "sse2 avx2 avx512f avx512_bf16", "sse2 avx2 avx512f avx512_bf16 amx_bf16", "sse2")
    told = [seen(monkeypatch, tmp_path / "cpuinfo", TOLD.format(some)) for some in flags]
    assert [name for name, _, _ in told] == ["Some CPU (AVX2)", "Some CPU (AVX512-BF16)", "Some CPU (AMX-BF16)", "Some CPU"]
    assert len({cpu for _, cpu, _ in told}) == 4
    assert len({gpu for _, _, gpu in told}) == 1, "beside a GPU it hardly matters"


def test_a_processor_that_is_not_told_has_the_platforms_name(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr("platform.processor", lambda: "")
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    assert seen(monkeypatch, tmp_path / "cpuinfo", "isa\t: rv64imafdc\n")[0] == "riscv64"
    monkeypatch.setattr(hardware, "CPUINFO", tmp_path / "nowhere")
    assert hardware.processor() == "riscv64"
