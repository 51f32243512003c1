"""Blocks of 8 x 8 numbers turned over in registers: frames brought side by side, and apart again.

All frames of a clip are cut and resized alike. With 8 of them side by side, pixel by pixel, what is done to one number is done to a
vector of 8, whose neighbours are the next pixel's: pixels at uneven distances, which no vector could be loaded from, no longer
matter. Numba's loops would turn blocks over number by number, hence they are written in LLVM's terms.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core.imputils import impl_ret_untracked
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from fame.fast.cpu.products import INT, LANES, VECTOR

BYTES = ir.VectorType(ir.IntType(8), LANES)


def _inlined(define: Callable[..., Any]) -> Callable[..., Any]:
    """`intrinsic`, whose own type would have kernels pass what only the compiler passes."""
    return intrinsic(define)


@_inlined
def join(typing, frames, start, step, shown, to, at):  # type: ignore[no-untyped-def]
    """to[at + 8 k + lane] = frames[start + lane * step + k] for k < 8, uint8; lanes from `shown` on repeat the last one before."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        _, start, step, shown, _, at = arguments
        given, out = (_data(context, builder, signature.args[i], arguments[i]) for i in (0, 4))
        last = builder.sub(shown, INT(1))
        lines = []
        for lane in range(LANES):
            number = builder.select(builder.icmp_signed("<", INT(lane), shown), INT(lane), last)
            place = builder.gep(given, [builder.add(start, builder.mul(number, step))])
            lines.append(builder.load(builder.bitcast(place, BYTES.as_pointer()), align=1))
        pairs = [_shuffled(builder, lines[i], lines[i + 4], _zipped(0, 8, 8)) for i in range(4)]  # 0 and 4, 1 and 5, ...
        fours = [_shuffled(builder, pairs[i], pairs[i + 2], _zipped(h, h + 8, 16)) for h in (0, 8) for i in range(2)]
        for half in range(2):
            for quarter in range(2):
                found = _shuffled(builder, fours[2 * half], fours[2 * half + 1], _zipped(8 * quarter, 8 * quarter + 8, 16))
                place = builder.gep(out, [builder.add(at, INT(16 * (2 * half + quarter)))])
                builder.store(found, builder.bitcast(place, found.type.as_pointer()), align=1)
        return impl_ret_untracked(context, builder, signature.return_type, context.get_dummy_value())

    return types.void(frames, types.intp, types.intp, types.intp, to, types.intp), generate


@_inlined
def between(typing, line, left, right, share, column, channel, to, at, step):  # type: ignore[no-untyped-def]
    """to[at + lane * step + i] = a + w (b - a) for 8 columns j = column + i, lane by lane, float32.

    a = line[left[j] + channel + lane], b = line[right[j] + channel + lane], w = share[j].
    """

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        line, left, right, share, out = (_data(context, builder, signature.args[i], arguments[i]) for i in (0, 1, 2, 3, 6))
        _, _, _, _, column, channel, _, at, step = arguments
        line = builder.gep(line, [channel])
        found = []
        for i in range(LANES):
            j = builder.add(column, INT(i))
            places = [builder.gep(line, [builder.load(builder.gep(side, [j]))]) for side in (left, right)]
            a, b = (builder.load(builder.bitcast(place, VECTOR.as_pointer()), align=4) for place in places)
            number = builder.insert_element(VECTOR(ir.Undefined), builder.load(builder.gep(share, [j])), ir.IntType(32)(0))
            weight = _shuffled(builder, number, VECTOR(ir.Undefined), [0] * LANES)
            found.append(builder.fadd(a, builder.fmul(weight, builder.fsub(b, a))))
        for lane, numbers in enumerate(_turned(builder, found)):
            place = builder.gep(out, [builder.add(at, builder.mul(INT(lane), step))])
            builder.store(numbers, builder.bitcast(place, VECTOR.as_pointer()), align=4)
        return impl_ret_untracked(context, builder, signature.return_type, context.get_dummy_value())

    return types.void(line, left, right, share, *[types.intp] * 2, to, *[types.intp] * 2), generate


def _turned(builder: Any, rows: list[Any]) -> list[Any]:
    """8 vectors of 8 numbers -> the columns of that block. Only the last of three rounds crosses a register's halves."""
    for distance, low, high in (
        (1, [0, 8, 1, 9, 4, 12, 5, 13], [2, 10, 3, 11, 6, 14, 7, 15]),
        (2, [0, 1, 8, 9, 4, 5, 12, 13], [2, 3, 10, 11, 6, 7, 14, 15]),
    ):
        rows = _paired(builder, rows, distance, low, high)
    rows = _paired(builder, rows, 4, [0, 1, 2, 3, 8, 9, 10, 11], [4, 5, 6, 7, 12, 13, 14, 15])
    return [rows[i] for i in (0, 2, 1, 3, 4, 6, 5, 7)]


def _paired(builder: Any, rows: list[Any], distance: int, low: Sequence[int], high: Sequence[int]) -> list[Any]:
    """Each row with the one `distance` further on: its numbers `low` of both in the first one's place, `high` in the other's."""
    found = list(rows)
    for i in range(LANES):
        if not i & distance:
            found[i], found[i + distance] = (_shuffled(builder, rows[i], rows[i + distance], order) for order in (low, high))
    return found


def _zipped(first: int, stop: int, length: int) -> list[int]:
    """Numbers `first` to `stop` of two vectors of `length`, in turn."""
    return [number for i in range(first, stop) for number in (i, length + i)]


def _shuffled(builder: Any, one: Any, other: Any, order: Sequence[int]) -> Any:
    return builder.shuffle_vector(one, other, ir.VectorType(ir.IntType(32), len(order))(list(order)))


def _data(context: Any, builder: Any, kind: Any, array: Any) -> Any:
    return make_array(kind)(context, builder, array).data
