"""`python -m fame.fast.cpu` calls every compiled loop, so that workers find its code on disk."""

from __future__ import annotations

import pkgutil
from importlib import import_module

import torch

import fame.fast.cpu
from fame.fast.cpu.__main__ import main
from fame.fast.cpu.compiled import Kernel


def test_every_loop_is_compiled_for_one_thread() -> None:
    threads = torch.get_num_threads()
    try:
        main()
    finally:
        torch.set_num_threads(threads)
    names = [module.name for module in pkgutil.iter_modules(fame.fast.cpu.__path__, "fame.fast.cpu.")]
    found = [loop for name in names for loop in vars(import_module(name)).values() if isinstance(loop, Kernel)]
    assert found and all(loop.serial.signatures for loop in found)  # type: ignore[attr-defined]
