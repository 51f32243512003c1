"""`python -m fame.fast.cpu` calls every compiled loop, so that workers find its code on disk."""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module

import torch

import fame.fast.cpu
from fame.fast.cpu.__main__ import main
from fame.fast.cpu.compiled import Kernel


def test_a_compiler_that_fails_is_told_once(monkeypatch, caplog):
    def fail(name: str) -> None:
        raise RuntimeError("no locator available")

    monkeypatch.setattr(fame.fast, "import_module", fail)
    monkeypatch.setattr(fame.fast, "_loaded", cache(fame.fast._loaded.__wrapped__))
    assert [fame.fast.choose(name, torch.zeros(1)) for name in ("mask", "unit", "jitter", "mask")] == [None] * 4
    assert len(caplog.messages) == 1 and "plain torch computes instead" in caplog.text


def test_every_loop_is_compiled_for_one_thread():
    threads = torch.get_num_threads()
    try:
        main()
    finally:
        torch.set_num_threads(threads)
    names = [module.name for module in pkgutil.iter_modules(fame.fast.cpu.__path__, "fame.fast.cpu.")]
    found = [loop for name in names for loop in vars(import_module(name)).values() if isinstance(loop, Kernel)]
    assert found and all(loop.serial.signatures for loop in found)  # type: ignore[attr-defined]
