"""Tiles for kernels: rectangles of a matrix that stay in registers while they are computed.

A tile is a tuple of groups (:mod:`dajko.lanes`): some that follow one another down each of several columns. Its
shape is known when a kernel is compiled: an argument ``shape`` is ``((0,) * rows, (0,) * columns)``, rows counted in groups,
and only its type matters.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from dajko.lanes import DOUBLE, VECTOR, WIDTH, address, in_lanes, intrinsic, spread_over, vector


def _tile_type(shape: Any) -> tuple[int, int, Any]:
    """Rows, in groups, and columns of a tile, and its type."""
    rows, columns = (part.count for part in shape)
    return rows, columns, types.UniTuple(vector, rows * columns)


def _fused(builder: Any, c: Any, a: Any, b: Any) -> Any:
    """``c - a b``, rounded once, of doubles or vectors."""
    suffix = f"v{WIDTH}f64" if c.type == VECTOR else "f64"
    function_type = ir.FunctionType(c.type, [c.type] * 3)
    fused = cgutils.get_or_insert_function(builder.module, function_type, f"llvm.fma.{suffix}")
    return builder.call(fused, [builder.fneg(a), b, c])


def _after(builder: Any, index: Any, offset: int, stride: Any = None) -> Any:
    shift = ir.Constant(index.type, offset)
    return builder.add(index, shift if stride is None else builder.mul(shift, stride))


def _group_places(context: Any, builder: Any, kind: Any, array: Any, index: Any, rows: int, lanes: bool) -> list[Any]:
    """Addresses of groups that follow one another."""
    scale = WIDTH if lanes else 1
    groups = [_after(builder, index, r * (1 if lanes else WIDTH)) for r in range(rows)]
    return [address(context, builder, array, kind, at, True, scale) for at in groups]


@intrinsic
def load_tile(typing: Any, array: Any, index: Any, stride: Any, shape: Any, number: Any) -> Any:
    """Groups that follow one another from ``index``, and below ``index + stride``, ...: rows and columns of a matrix."""
    rows, columns, kind = _tile_type(shape)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        groups = []
        for c in range(columns):
            at = _after(builder, args[1], c, args[2])
            places = _group_places(context, builder, signature.args[0], args[0], at, rows, in_lanes(number))
            groups += [builder.load(place, align=8) for place in places]
        return cgutils.pack_array(builder, groups)

    return kind(array, types.intp, types.intp, shape, number), generate


@intrinsic
def store_tile(typing: Any, array: Any, index: Any, stride: Any, tile: Any, shape: Any, number: Any) -> Any:
    """Write a tile to where :func:`load_tile` reads it."""
    rows, columns, _ = _tile_type(shape)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        groups = iter(cgutils.unpack_tuple(builder, args[3], tile.count))
        for c in range(columns):
            at = _after(builder, args[1], c, args[2])
            for place in _group_places(context, builder, signature.args[0], args[0], at, rows, in_lanes(number)):
                builder.store(next(groups), place, align=8)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, tile, shape, number), generate


def _factor(context: Any, builder: Any, kind: Any, array: Any, index: Any, lanes: bool) -> Any:
    """:func:`spread` within an intrinsic."""
    value = builder.load(address(context, builder, array, kind, index, lanes, WIDTH if lanes else 1), align=8)
    return value if lanes else spread_over(builder, value)


@intrinsic
def minus_products(typing: Any, tile: Any, factors: Any, first: Any, array: Any, index: Any, shape: Any, number: Any) -> Any:
    """Column c of the tile less ``factors[first + c]`` times the groups of ``array`` from ``index`` on."""
    rows, columns, kind = _tile_type(shape)
    lanes = in_lanes(number)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        groups = cgutils.unpack_tuple(builder, args[0], tile.count)
        places = _group_places(context, builder, signature.args[3], args[3], args[4], rows, lanes)
        column = [builder.load(place, align=8) for place in places]
        for c in range(columns):
            factor = _factor(context, builder, signature.args[1], args[1], _after(builder, args[2], c), lanes)
            for r in range(rows):
                groups[c * rows + r] = _fused(builder, groups[c * rows + r], factor, column[r])
        return cgutils.pack_array(builder, groups)

    return kind(tile, factors, types.intp, array, types.intp, shape, number), generate


@intrinsic
def minus_earlier_columns(typing: Any, tile: Any, factors: Any, first: Any, stride: Any, shape: Any, number: Any) -> Any:
    """Column c of the tile less ``factors[first + p stride + c]`` times column p, for all p < c, in this order."""
    rows, columns, kind = _tile_type(shape)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        groups = cgutils.unpack_tuple(builder, args[0], tile.count)
        for p in range(columns):
            row = _after(builder, args[2], p, args[3])
            for c in range(p + 1, columns):
                at = _after(builder, row, c)
                factor = _factor(context, builder, signature.args[1], args[1], at, in_lanes(number))
                for r in range(rows):
                    groups[c * rows + r] = _fused(builder, groups[c * rows + r], factor, groups[p * rows + r])
        return cgutils.pack_array(builder, groups)

    return kind(tile, factors, types.intp, types.intp, shape, number), generate


@intrinsic
def factor_square(
    typing: Any,
    matrix: Any,
    index: Any,
    leading: Any,
    pivots: Any,
    first: Any,
    factors: Any,
    place: Any,
    stride: Any,
    shape: Any,
    number: Any,
) -> Any:
    """``L D L^T`` of a symmetric matrix as wide as a tile: entry (r, c), r >= c, stands at ``index + c leading + r``.

    Writes ``1 / D[c]`` to ``pivots[first + c]`` and ``L[c, p]``, p < c, to ``factors[place + p stride + c]``; the matrix
    stays.
    """
    lanes = in_lanes(number)
    scale = WIDTH if lanes else 1

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        def entry_of(which: int, at: Any) -> Any:
            return address(context, builder, args[which], signature.args[which], at, lanes, scale)

        _, size, _ = _tile_type(shape)
        entry = {}
        for c in range(size):
            column = _after(builder, args[1], c, args[2])
            for r in range(c, size):
                entry[r, c] = builder.load(entry_of(0, _after(builder, column, r)), align=8)
        one = ir.Constant(DOUBLE, 1.0)
        one = spread_over(builder, one) if lanes else one
        for p in range(size):
            inverse = builder.fdiv(one, entry[p, p])
            builder.store(inverse, entry_of(3, _after(builder, args[4], p)), align=8)
            row = _after(builder, args[6], p, args[7])
            for c in range(p + 1, size):
                factor = builder.fmul(entry[c, p], inverse)
                builder.store(factor, entry_of(5, _after(builder, row, c)), align=8)
                for r in range(c, size):
                    entry[r, c] = _fused(builder, entry[r, c], factor, entry[r, p])
        return context.get_dummy_value()

    integer = types.intp
    return types.void(matrix, integer, integer, pivots, integer, factors, integer, integer, shape, number), generate
