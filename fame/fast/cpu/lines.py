"""A small matrix of constants applied to lines of numbers: what Winograd's transforms do to the pixels of a tile.

    line i of the result = sum over j of matrix[i][j] * line j of what is given

Lines lie anywhere, so both come as tables of addresses. Written in LLVM's terms as fame/fast/cpu/products.py is: of twelve lines
Numba
would have to show, call by call, that none overlaps another before it used vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from fame.fast.cpu.products import INT, LANES, NUMBER, VECTOR

Matrix = Sequence[Sequence[float]]


def applied(matrix: Matrix) -> Callable[..., Any]:
    """An intrinsic (given, results, length): tables of as many addresses as the matrix has columns, and rows; `length` numbers a
    line, LANES or more. No result may overlap what is given: where lines do not fill vectors, the last numbers are computed twice.
    """

    @intrinsic  # type: ignore[misc]
    def apply(typing, given, results, length):  # type: ignore[no-untyped-def]
        def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            _generate(builder, matrix, *arguments)
            return context.get_dummy_value()

        return types.void(*[types.intp] * 3), generate

    return apply  # type: ignore[no-any-return]


def _generate(builder: Any, matrix: Matrix, given: Any, results: Any, length: Any) -> None:
    def lines(table: Any, count: int) -> list[Any]:
        start = builder.inttoptr(table, INT.as_pointer())
        addresses = [builder.load(builder.gep(start, [INT(number)])) for number in range(count)]
        return [builder.inttoptr(address, NUMBER.as_pointer()) for address in addresses]

    sources, targets = lines(given, len(matrix[0])), lines(results, len(matrix))
    last = builder.sub(length, INT(LANES))
    before, loop, end = builder.block, *(builder.append_basic_block(name) for name in ("loop", "end"))
    builder.branch(loop)
    builder.position_at_end(loop)
    reached = builder.phi(INT)
    reached.add_incoming(INT(0), before)
    first = builder.select(builder.icmp_signed("<", reached, last), reached, last)

    def place(line: Any) -> Any:
        return builder.bitcast(builder.gep(line, [first]), VECTOR.as_pointer())

    read = [builder.load(place(source), align=4) for source in sources]
    found = [_sum(builder, row, read) for row in matrix]
    for target, total in zip(targets, found, strict=True):
        builder.store(total, place(target), align=4)
    following = builder.add(reached, INT(LANES))
    reached.add_incoming(following, loop)
    builder.cbranch(builder.icmp_signed("<", following, length), loop, end)
    builder.position_at_end(end)


def _sum(builder: Any, factors: Sequence[float], read: list[Any]) -> Any:
    """In the order of the lines; nothing is computed for zeros."""
    multiply_add = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(VECTOR, [VECTOR] * 3), f"llvm.fmuladd.v{LANES}f32"
    )
    total = None
    for factor, line in zip(factors, read, strict=True):
        if factor == 0:
            continue
        repeated = VECTOR([factor] * LANES)
        if total is None:
            total = line if factor == 1 else builder.fmul(repeated, line)
        elif abs(factor) == 1:
            total = builder.fadd(total, line) if factor == 1 else builder.fsub(total, line)
        else:
            total = builder.call(multiply_add, [repeated, line, total])
    return total
