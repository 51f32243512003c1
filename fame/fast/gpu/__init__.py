"""The hot loops as Triton kernels for GPUs; each has its plain torch twin, which is the definition, outside this package.

Triton comes with torch's builds for GPUs. It is imported when a kernel is first wanted, never by `import fame`. On a machine
without a GPU its interpreter runs the same kernels on the CPU, slowly: so tests compare them with their twins (tests/conftest.py).
"""
