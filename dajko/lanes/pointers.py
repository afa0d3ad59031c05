"""Named tuples of arrays as named tuples of pointers, for kernels that call others with them.

An array is seven words and a count of references; handing over a hundred of them takes longer than what many kernels do with
them. A pointer is one word, indexed and loaded alike; it has no size. The arrays must outlive it.
"""

from __future__ import annotations

from typing import Any

import numba.core.imputils
import numba.core.types

from dajko.lanes import intrinsic

# Numba's types are typed in part.
types: Any = numba.core.types
borrowed: Any = numba.core.imputils.impl_ret_borrowed


def _bare_type(kind: Any) -> Any:
    if isinstance(kind, types.Array) and kind.ndim == 1 and kind.layout == "C":
        return types.CPointer(kind.dtype)
    if isinstance(kind, types.BaseNamedTuple):
        return types.BaseTuple.from_types([_bare_type(member) for member in kind], kind.instance_class)
    return kind


def _bare_value(context: Any, builder: Any, kind: Any, value: Any) -> Any:
    if isinstance(kind, types.Array) and kind.ndim == 1 and kind.layout == "C":
        return context.make_array(kind)(context, builder, value).data
    if isinstance(kind, types.BaseNamedTuple):
        members = [_bare_value(context, builder, member, builder.extract_value(value, i)) for i, member in enumerate(kind)]
        return context.make_tuple(builder, _bare_type(kind), members)
    return value


@intrinsic
def bare(typing: Any, arrays: Any) -> Any:
    """The same named tuple, with pointers in the place of its contiguous vectors."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        # Members that stay arrays have one more owner now.
        value = _bare_value(context, builder, arrays, args[0])
        return borrowed(context, builder, signature.return_type, value)

    return _bare_type(arrays)(arrays), generate
