"""Run the hot loops as Triton kernels on GPUs; each has its plain torch twin, which is the definition, outside this package.

On a machine without a GPU Triton's interpreter runs them on the CPU, slowly, for tests (tests/conftest.py).
"""
