"""Numbers for kernels: one double, or eight of them in the lanes of a vector unit, behind the same few operations.

A kernel that reads with :func:`load`, writes with :func:`store` and computes with ``+ - * /``, ``abs``, :func:`minimum`,
:func:`maximum` and :func:`minus_product` works on one problem or on eight at once; its argument ``number`` says which. With
``PLAIN`` a number is a double. With ``LANES`` it is eight, and lane ``l`` of entry ``i`` of an array is ``a[8 i + l]``, the
member being the innermost axis.

Loops over many entries use *groups*, which are always eight doubles wide: eight entries of one problem with ``PLAIN``, one
entry of eight problems with ``LANES``. :func:`step` is how many entries a group holds; :func:`load_group`,
:func:`store_group`, :func:`spread` (one entry for all of a group) and :func:`shared` (what all problems have in common) make
the difference invisible. (:mod:`dajko.lanes.tiles` has what works on several groups at once.)

Every operation rounds alike whichever way it is written, and sums run over eight partial sums either way
(:mod:`dajko.lanes.sums`). So a problem's result depends neither on the other problems nor on their being there, to the
last bit. (Kernels that rely on this must not be compiled with flags that let sums be reordered: see
:func:`dajko._numba.kernel`.)

This package is all that knows about vector instructions. Loads and stores do not check bounds.
"""

from __future__ import annotations

import operator
from typing import Any

from llvmlite import ir
from numba import extending, types
from numba.core import cgutils

WIDTH = 8

intrinsic: Any = extending.intrinsic

DOUBLE = ir.DoubleType()
VECTOR = ir.VectorType(DOUBLE, WIDTH)
_INDEX = ir.IntType(32)


class _Lanes:
    """The type of :data:`LANES`."""


PLAIN = 1.0
LANES = _Lanes()


class _VectorType(types.Type):
    """Numba's type of eight doubles."""

    def __init__(self) -> None:
        super().__init__(name=f"Vector{WIDTH}")


class _LanesType(types.Dummy):
    """Numba's type of :data:`LANES`."""

    def __init__(self) -> None:
        super().__init__(name="Lanes")


vector = _VectorType()
_lanes = _LanesType()


@extending.register_model(_VectorType)
class _VectorModel(extending.models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, VECTOR)


extending.register_model(_LanesType)(extending.models.OpaqueModel)


@extending.typeof_impl.register(_Lanes)
def _typeof_lanes(value: Any, context: Any) -> Any:
    return _lanes


@extending.unbox(_LanesType)
def _unbox_lanes(kind: Any, value: Any, c: Any) -> Any:
    return extending.NativeValue(c.context.get_dummy_value())


# --- memory -------------------------------------------------------------------------------------------------------------


def address(context: Any, builder: Any, array: Any, kind: Any, index: Any, wide: bool, scale: int) -> Any:
    """Address of entry ``scale * index`` of an array or a pointer, as that of a double or of eight."""
    data = array if isinstance(kind, types.CPointer) else context.make_array(kind)(context, builder, array).data
    place = builder.gep(data, [builder.mul(index, ir.Constant(index.type, scale))])
    return builder.bitcast(place, VECTOR.as_pointer()) if wide else place


def _load(typing_array: Any, number: Any, wide: bool, scale: int, spread: bool = False) -> Any:
    """Signature and code of a load: a double or eight, every entry or every eighth, one double for all eight."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = address(context, builder, args[0], signature.args[0], args[1], wide and not spread, scale)
        value = builder.load(place, align=8)
        return spread_over(builder, value) if spread else value

    return (vector if wide else types.float64)(typing_array, types.intp, number), generate


def _store(typing_array: Any, number: Any, wide: bool, scale: int) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = address(context, builder, args[0], signature.args[0], args[1], wide, scale)
        builder.store(args[2], place, align=8)
        return context.get_dummy_value()

    return types.void(typing_array, types.intp, vector if wide else types.float64, number), generate


def in_lanes(number: Any) -> bool:
    """Whether the type of a kernel's argument ``number`` is that of :data:`LANES`."""
    return isinstance(number, _LanesType)


@intrinsic
def load(typing: Any, array: Any, index: Any, number: Any) -> Any:
    """Entry ``index`` of a contiguous array, a number."""
    lanes = in_lanes(number)
    return _load(array, number, lanes, WIDTH if lanes else 1)


@intrinsic
def store(typing: Any, array: Any, index: Any, value: Any, number: Any) -> Any:
    """Write a number to entry ``index`` of a contiguous array."""
    lanes = in_lanes(number)
    return _store(array, number, lanes, WIDTH if lanes else 1)


@intrinsic
def step(typing: Any, number: Any) -> Any:
    """How many entries of an array a group holds."""
    entries = 1 if in_lanes(number) else WIDTH

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return context.get_constant(types.intp, entries)

    return types.intp(number), generate


@intrinsic
def lane_count(typing: Any, number: Any) -> Any:
    """How many problems there are."""
    lanes = WIDTH if in_lanes(number) else 1

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return context.get_constant(types.intp, lanes)

    return types.intp(number), generate


@intrinsic
def load_group(typing: Any, array: Any, index: Any, number: Any) -> Any:
    """The group that begins at entry ``index``."""
    return _load(array, number, True, WIDTH if in_lanes(number) else 1)


@intrinsic
def store_group(typing: Any, array: Any, index: Any, value: Any, number: Any) -> Any:
    """Write the group that begins at entry ``index``."""
    return _store(array, number, True, WIDTH if in_lanes(number) else 1)


@intrinsic
def spread(typing: Any, array: Any, index: Any, number: Any) -> Any:
    """Entry ``index``, the same for all entries of a group."""
    lanes = in_lanes(number)
    return _load(array, number, True, WIDTH if lanes else 1, spread=not lanes)


@intrinsic
def shared(typing: Any, array: Any, index: Any, number: Any) -> Any:
    """The group that begins at entry ``index`` of an array without lanes, which all problems have in common."""
    return _load(array, number, True, 1, spread=in_lanes(number))


# --- arithmetic ---------------------------------------------------------------------------------------------------------


def spread_over(builder: Any, value: Any) -> Any:
    """Eight times the same double."""
    nothing = ir.Constant(VECTOR, ir.Undefined)
    one = builder.insert_element(nothing, value, ir.Constant(_INDEX, 0))
    return builder.shuffle_vector(one, nothing, ir.Constant(ir.VectorType(_INDEX, WIDTH), [0] * WIDTH))


@intrinsic
def as_number(typing: Any, value: Any, number: Any) -> Any:
    """A double as a number."""
    lanes = in_lanes(number)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return spread_over(builder, args[0]) if lanes else args[0]

    return (vector if lanes else types.float64)(types.float64, number), generate


@intrinsic
def as_group(typing: Any, value: Any, number: Any) -> Any:
    """A number, or a double, for all entries of a group."""
    given = value

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return args[0] if isinstance(given, _VectorType) else spread_over(builder, args[0])

    return vector(value, number), generate


def _call(name: str, count: int) -> Any:
    """An LLVM intrinsic on ``count`` numbers, as one function on vectors and one on doubles."""

    def of(kind: Any, native: Any, suffix: str) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            function_type = ir.FunctionType(native, [native] * count)
            return builder.call(cgutils.get_or_insert_function(builder.module, function_type, f"llvm.{name}.{suffix}"), args)

        return kind(*[kind] * count), generate

    return of(vector, VECTOR, f"v{WIDTH}f64"), of(types.float64, DOUBLE, "f64")


_ABSOLUTE, _MINIMUM, _MAXIMUM, _FUSED = _call("fabs", 1), _call("minnum", 2), _call("maxnum", 2), _call("fma", 3)


@intrinsic
def _absolute(typing: Any, a: Any) -> Any:
    return _ABSOLUTE[0]


@intrinsic
def minimum(typing: Any, a: Any, b: Any) -> Any:
    """The smaller of two numbers."""
    return _MINIMUM[0 if isinstance(a, _VectorType) else 1]


@intrinsic
def maximum(typing: Any, a: Any, b: Any) -> Any:
    """The larger of two numbers."""
    return _MAXIMUM[0 if isinstance(a, _VectorType) else 1]


@intrinsic
def where_above(typing: Any, a: Any, b: Any, then: Any, otherwise: Any) -> Any:
    """The number ``then`` where ``a > b``, else ``otherwise``."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.select(builder.fcmp_ordered(">", args[0], args[1]), args[2], args[3])

    kind = vector if isinstance(a, _VectorType) else types.float64
    return kind(kind, kind, kind, kind), generate


@intrinsic
def plus_product(typing: Any, c: Any, a: Any, b: Any) -> Any:
    """``c + a b``, rounded once."""
    signature, fused = _FUSED[0 if isinstance(c, _VectorType) else 1]

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return fused(context, builder, signature, [args[1], args[2], args[0]])

    return signature, generate


@intrinsic
def minus_product(typing: Any, c: Any, a: Any, b: Any) -> Any:
    """``c - a b``, rounded once."""
    signature, fused = _FUSED[0 if isinstance(c, _VectorType) else 1]

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return fused(context, builder, signature, [builder.fneg(args[1]), args[2], args[0]])

    return signature, generate


def _fold(builder: Any, vector: Any, combine: Any) -> Any:
    """All eight doubles of a vector combined, halves first."""
    half = WIDTH // 2
    while half:
        pair = [
            builder.shuffle_vector(
                vector, vector, ir.Constant(ir.VectorType(_INDEX, half), [first + i for i in range(half)])
            )
            for first in (0, half)
        ]
        vector, half = combine(*pair), half // 2
    return builder.extract_element(vector, ir.Constant(_INDEX, 0))


@intrinsic
def sum_of(typing: Any, group: Any, number: Any) -> Any:
    """The sum over the entries of a group, as a number."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return args[0] if in_lanes(number) else _fold(builder, args[0], builder.fadd)

    return (vector if in_lanes(number) else types.float64)(group, number), generate


@intrinsic
def largest_of(typing: Any, group: Any, number: Any) -> Any:
    """The largest entry of a group, as a number."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        def larger(a: Any, b: Any) -> Any:
            return builder.select(builder.fcmp_ordered(">", a, b), a, b)

        return args[0] if in_lanes(number) else _fold(builder, args[0], larger)

    return (vector if in_lanes(number) else types.float64)(group, number), generate


@intrinsic
def _negative(typing: Any, a: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.fneg(args[0])

    return vector(vector), generate


# Numba compares the arguments of an overload with those of what it returns, annotations included: so there are none.


@extending.overload(abs)
def _abs(a):
    return (lambda a: _absolute(a)) if isinstance(a, _VectorType) else None


@extending.overload(operator.neg)
def _neg(a):
    return (lambda a: _negative(a)) if isinstance(a, _VectorType) else None


def _arithmetic(symbol: Any, instruction: str) -> None:
    """Give vectors an operator, also where the other operand is a double."""

    @intrinsic
    def operation(typing: Any, a: Any, b: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            numbers = [
                v if isinstance(t, _VectorType) else spread_over(builder, v) for t, v in zip(kinds, args, strict=True)
            ]
            return getattr(builder, instruction)(*numbers)

        kinds = (a, b)
        return vector(a, b), generate

    @extending.overload(symbol)
    def implement(a, b):
        pair = (a, b)
        numeric = all(isinstance(t, _VectorType) or t == types.float64 for t in pair)
        return (lambda a, b: operation(a, b)) if numeric and vector in pair else None


for _symbol, _inplace, _instruction in (
    (operator.add, operator.iadd, "fadd"),
    (operator.sub, operator.isub, "fsub"),
    (operator.mul, operator.imul, "fmul"),
    (operator.truediv, operator.itruediv, "fdiv"),
):
    _arithmetic(_symbol, _instruction)
    _arithmetic(_inplace, _instruction)
