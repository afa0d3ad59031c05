"""Numbers for kernels: one double, or eight of them in the lanes of a vector unit, behind the same few operations.

A kernel that reads with :func:`load`, writes with :func:`store` and computes with ``+ - * /``, ``abs``, :func:`minimum`,
:func:`maximum` and :func:`minus_product` works on one problem or on eight at once; its argument ``number`` says which. With
``PLAIN`` a number is a double. With ``LANES`` it is eight, and lane ``l`` of entry ``i`` of an array is ``a[8 i + l]``, the
member being the innermost axis. Every operation acts on each lane alone and rounds as it does on a double, so what a lane
holds depends neither on the other lanes nor on their being there, to the last bit. (Kernels that rely on this must not be
compiled with flags that let sums be reordered: see :func:`dajko._numba.exact_kernel`.)

This is the one file that knows about vector instructions. Loads and stores do not check bounds.
"""

from __future__ import annotations

import operator
from typing import Any

from llvmlite import ir
from numba import extending, types
from numba.core import cgutils

WIDTH = 8

intrinsic: Any = extending.intrinsic

_DOUBLE = ir.DoubleType()
_VECTOR = ir.VectorType(_DOUBLE, WIDTH)
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


_vector = _VectorType()
_lanes = _LanesType()


@extending.register_model(_VectorType)
class _VectorModel(extending.models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _VECTOR)


extending.register_model(_LanesType)(extending.models.OpaqueModel)


@extending.typeof_impl.register(_Lanes)
def _typeof_lanes(value: Any, context: Any) -> Any:
    return _lanes


@extending.unbox(_LanesType)
def _unbox_lanes(kind: Any, value: Any, c: Any) -> Any:
    return extending.NativeValue(c.context.get_dummy_value())


# --- memory -------------------------------------------------------------------------------------------------------------


def _place(context: Any, builder: Any, signature: Any, args: Any, vector: bool) -> Any:
    """Address of an entry of an array, the first two arguments of a load or store."""
    data = context.make_array(signature.args[0])(context, builder, args[0]).data
    if not vector:
        return builder.gep(data, [args[1]])
    first = builder.mul(args[1], ir.Constant(args[1].type, WIDTH))
    return builder.bitcast(builder.gep(data, [first]), _VECTOR.as_pointer())


@intrinsic
def load(typing: Any, array: Any, index: Any, number: Any) -> Any:
    """Entry ``index`` of a contiguous array."""
    vector = isinstance(number, _LanesType)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load(_place(context, builder, signature, args, vector), align=8)

    return (_vector if vector else types.float64)(array, types.intp, number), generate


@intrinsic
def store(typing: Any, array: Any, index: Any, value: Any, number: Any) -> Any:
    """Write ``value`` to entry ``index`` of a contiguous array."""
    vector = isinstance(number, _LanesType)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.store(args[2], _place(context, builder, signature, args, vector), align=8)
        return context.get_dummy_value()

    return types.void(array, types.intp, _vector if vector else types.float64, number), generate


@intrinsic
def add(typing: Any, array: Any, index: Any, value: Any, number: Any) -> Any:
    """Add ``value`` to entry ``index`` of a contiguous array."""
    vector = isinstance(number, _LanesType)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = _place(context, builder, signature, args, vector)
        builder.store(builder.fadd(builder.load(place, align=8), args[2]), place, align=8)
        return context.get_dummy_value()

    return types.void(array, types.intp, _vector if vector else types.float64, number), generate


# --- arithmetic ---------------------------------------------------------------------------------------------------------


def _spread_over(builder: Any, value: Any) -> Any:
    nothing = ir.Constant(_VECTOR, ir.Undefined)
    one = builder.insert_element(nothing, value, ir.Constant(_INDEX, 0))
    return builder.shuffle_vector(one, nothing, ir.Constant(ir.VectorType(_INDEX, WIDTH), [0] * WIDTH))


@intrinsic
def as_number(typing: Any, value: Any, number: Any) -> Any:
    """A double as a number."""
    vector = isinstance(number, _LanesType)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _spread_over(builder, args[0]) if vector else args[0]

    return (_vector if vector else types.float64)(types.float64, number), generate


def _call(name: str, count: int) -> Any:
    """An LLVM intrinsic on ``count`` numbers, as one function on vectors and one on doubles."""

    def of(kind: Any, native: Any, suffix: str) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            function_type = ir.FunctionType(native, [native] * count)
            return builder.call(cgutils.get_or_insert_function(builder.module, function_type, f"llvm.{name}.{suffix}"), args)

        return kind(*[kind] * count), generate

    return of(_vector, _VECTOR, f"v{WIDTH}f64"), of(types.float64, _DOUBLE, "f64")


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
def minus_product(typing: Any, c: Any, a: Any, b: Any) -> Any:
    """``c - a b``, rounded once."""
    signature, fused = _FUSED[0 if isinstance(c, _VectorType) else 1]

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return fused(context, builder, signature, [builder.fneg(args[1]), args[2], args[0]])

    return signature, generate


@intrinsic
def _negative(typing: Any, a: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.fneg(args[0])

    return _vector(_vector), generate


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
                v if isinstance(t, _VectorType) else _spread_over(builder, v) for t, v in zip(kinds, args, strict=True)
            ]
            return getattr(builder, instruction)(*numbers)

        kinds = (a, b)
        return _vector(a, b), generate

    @extending.overload(symbol)
    def implement(a, b):
        pair = (a, b)
        numeric = all(isinstance(t, _VectorType) or t == types.float64 for t in pair)
        return (lambda a, b: operation(a, b)) if numeric and _vector in pair else None


for _symbol, _inplace, _instruction in (
    (operator.add, operator.iadd, "fadd"),
    (operator.sub, operator.isub, "fsub"),
    (operator.mul, operator.imul, "fmul"),
    (operator.truediv, operator.itruediv, "fdiv"),
):
    _arithmetic(_symbol, _instruction)
    _arithmetic(_inplace, _instruction)
