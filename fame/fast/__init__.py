"""Compiled versions of plain torch code, optional: Numba and LLVM on CPUs, Triton on GPUs."""
