"""Multiply matrices whose numbers are read where they lie: the one inner loop of convolutions.

    Y[D[r] + o]  (+)=  sum over k of  X[A[r] + B[k].x] * M[B[k].m + o]

With A the places of an output, and B the taps and channels around a place, that is a convolution; with A the taps and channels, B
the places and M the output's gradient it is the gradient to the kernel. A block of Y, 4 rows of 16 numbers or 8 of 8, is written in
LLVM's terms, so that it stays in registers through the whole sum. Every sum runs in the order of k.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from fame.fast.cpu.compiled import inline

LANES = 8  # numbers of a vector
ROWS = 8  # rows come in so many: what fills up a table repeats its last row

INT, NUMBER = ir.IntType(64), ir.FloatType()
VECTOR = ir.VectorType(NUMBER, LANES)
HALF = 32  # bits of B's two parts


def pairs(x: NDArray[np.int64], m: NDArray[np.int64]) -> NDArray[np.int64]:
    """B, of two tables of offsets, each from 0 to 2^31 - 1: one load of two numbers."""
    return x | (m << HALF)


def _block(rows: int, vectors: int) -> Callable[..., Any]:
    """An intrinsic that computes `rows` rows of `vectors` vectors of Y; with `add` they are added to what is there."""

    @intrinsic  # type: ignore[misc]
    def block(typing, x, a, b, terms, m, y, d, add):  # type: ignore[no-untyped-def]
        def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            _generate(builder, rows, vectors, *arguments)
            return context.get_dummy_value()

        return types.void(*[types.intp] * 8), generate

    return block  # type: ignore[no-any-return]


def _generate(builder: Any, rows: int, vectors: int, x: Any, a: Any, b: Any, terms: Any, m: Any, y: Any, d: Any, add: Any) -> None:
    """The code of a block. x, m, y: addresses of 32-bit floats; a, b, d: of tables, int64. `terms` of the sum: 1 or more."""
    a, b, d = (builder.inttoptr(address, INT.as_pointer()) for address in (a, b, d))
    x, m, y = (builder.inttoptr(address, NUMBER.as_pointer()) for address in (x, m, y))

    def entry(table: Any, number: Any) -> Any:
        return builder.load(builder.gep(table, [number]))

    def vector_at(start: Any, vector: int) -> Any:
        return builder.bitcast(builder.gep(start, [INT(LANES * vector)]), VECTOR.as_pointer())

    sources = [builder.gep(x, [entry(a, INT(row))]) for row in range(rows)]
    targets = [builder.gep(y, [entry(d, INT(row))]) for row in range(rows)]
    places = [vector_at(target, vector) for target in targets for vector in range(vectors)]
    before = builder.block
    adding, loop, end = (builder.append_basic_block(name) for name in ("adding", "loop", "end"))
    builder.cbranch(builder.icmp_signed("!=", add, INT(0)), adding, loop)
    builder.position_at_end(adding)
    there = [builder.load(place, align=4) for place in places]
    builder.branch(loop)

    builder.position_at_end(loop)
    k = builder.phi(INT)
    k.add_incoming(INT(0), before)
    k.add_incoming(INT(0), adding)
    sums = [builder.phi(VECTOR) for _ in places]
    for total, old in zip(sums, there, strict=True):
        total.add_incoming(VECTOR([0.0] * LANES), before)
        total.add_incoming(old, adding)
    pair = entry(b, k)
    offset, line = builder.and_(pair, INT((1 << HALF) - 1)), builder.gep(m, [builder.lshr(pair, INT(HALF))])
    factors = [builder.load(vector_at(line, vector), align=4) for vector in range(vectors)]
    nothing, everywhere = VECTOR(ir.Undefined), ir.VectorType(ir.IntType(32), LANES)([0] * LANES)
    multiply_add = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(VECTOR, [VECTOR] * 3), f"llvm.fmuladd.v{LANES}f32"
    )
    found = []
    for row, source in enumerate(sources):
        number = builder.insert_element(nothing, entry(source, offset), ir.IntType(32)(0))
        repeated = builder.shuffle_vector(number, nothing, everywhere)
        own = sums[row * vectors : (row + 1) * vectors]
        found += [builder.call(multiply_add, [repeated, factor, total]) for factor, total in zip(factors, own, strict=True)]
    following = builder.add(k, INT(1))
    k.add_incoming(following, loop)
    for total, new in zip(sums, found, strict=True):
        total.add_incoming(new, loop)
    builder.cbranch(builder.icmp_signed("<", following, terms), loop, end)
    builder.position_at_end(end)
    for place, new in zip(places, found, strict=True):
        builder.store(new, place, align=4)


_wide, _narrow = _block(4, 2), _block(8, 1)


@inline
def product(x, a, rows, b, terms, m, y, d, vectors, add):  # type: ignore[no-untyped-def]
    """Y of `rows` rows, a multiple of ROWS, and `vectors` vectors. All but counts are addresses. Without a term nothing is done."""
    if terms == 0:
        return
    for first in range(0, vectors, 2):
        beyond = 4 * LANES * first
        if first + 1 < vectors:
            for row in range(0, 8 * rows, 8 * 4):
                _wide(x, a + row, b, terms, m + beyond, y + beyond, d + row, add)
        else:
            for row in range(0, 8 * rows, 8 * ROWS):
                _narrow(x, a + row, b, terms, m + beyond, y + beyond, d + row, add)
