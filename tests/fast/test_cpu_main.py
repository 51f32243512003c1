"""`python -m fame.fast.cpu` calls every compiled loop, so that workers find its code on disk."""

from __future__ import annotations

import pkgutil
from importlib import import_module

import torch

import fame.fast.cpu
from fame.fast.cpu.__main__ import main
from fame.fast.cpu.compiled import Kernel


def kernels() -> dict[str, Kernel]:
    """Every compiled loop there is, by its place."""
    names = [f"fame.fast.cpu.{module.name}" for module in pkgutil.iter_modules(fame.fast.cpu.__path__) if module.name != "__main__"]
    return {
        f"{name}.{key}": value
        for name in names
        for key, value in vars(import_module(name)).items()
        if isinstance(value, Kernel) and value.__module__ == name
    }


def test_every_loop_is_compiled_for_one_thread() -> None:
    threads = torch.get_num_threads()
    try:
        main()
    finally:
        torch.set_num_threads(threads)
    found = kernels()
    missing = {name for name, loop in found.items() if not loop.serial.signatures}  # type: ignore[attr-defined]
    assert found and not missing
