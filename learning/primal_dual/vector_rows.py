"""Rows of arrays as vectors, for compiled code: dot products, sums of rows and prefetches, spelled out in LLVM IR.

Rows are short. A plain loop over 13 features runs through the compiler's scalar remainder, and one over 100 is unrolled
beyond use. Here a row is its whole 64-byte vectors and one masked vector for the rest, and every sum has one fixed
order, so that the bits of a result do not depend on the code around it. Processors with narrower vectors do the same in
halves.

The intrinsics work on rows of C-contiguous arrays, unchecked: indices must exist, and W be as wide as X or wider (then
its last columns are let alone).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

FAN = 4  # rows that add_rows adds at once
_VECTOR_BYTES = 64
_compiled: Any = intrinsic  # whose callers leave out the first argument
_INDEX, _INT = ir.IntType(64), ir.IntType(32)


class _Row:
    """The address, width and scalar type of one row while code is written."""

    def __init__(self, context: Any, builder: Any, array_type: Any, array: Any, i: Any) -> None:
        struct = context.make_array(array_type)(context, builder, array)
        self.builder, self.scalar = builder, context.get_data_type(array_type.dtype)
        self.bytes = context.get_abi_sizeof(self.scalar)
        self.width = builder.extract_value(struct.shape, array_type.ndim - 1)
        self.start = builder.gep(struct.data, [builder.mul(i, self.width)])

    def load(self, j: Any, kind: Any, mask: Any) -> Any:
        """Return ``kind.count`` entries from ``j`` on, converted to ``kind``, 0 where the mask is off."""
        raw = ir.VectorType(self.scalar, kind.count)
        place = self._place(j, raw)
        if mask is None:
            return _converted(self.builder, self.builder.load(place, align=self.bytes), kind)
        arguments = [place, ir.Constant(_INT, self.bytes), mask, ir.Constant(raw, [0.0] * kind.count)]
        name = f"llvm.masked.load.v{kind.count}f{8 * self.bytes}.p0"
        return _converted(self.builder, _call(self.builder, name, raw, arguments), kind)

    def store(self, value: Any, j: Any, mask: Any) -> None:
        """Write a vector of this row's own type from entry ``j`` on, where the mask is on."""
        place = self._place(j, value.type)
        if mask is None:
            self.builder.store(value, place, align=self.bytes)
            return
        name = f"llvm.masked.store.v{value.type.count}f{8 * self.bytes}.p0"
        _call(self.builder, name, ir.VoidType(), [value, place, ir.Constant(_INT, self.bytes), mask])

    def _place(self, j: Any, kind: Any) -> Any:
        return self.builder.bitcast(self.builder.gep(self.start, [j]), kind.as_pointer())


def _call(builder: Any, name: str, result: Any, arguments: list[Any]) -> Any:
    signature = ir.FunctionType(result, [argument.type for argument in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, signature, name), arguments)


def _converted(builder: Any, value: Any, kind: Any) -> Any:
    if value.type == kind:
        return value
    to_double = getattr(kind, "element", kind) == ir.DoubleType()
    return builder.fpext(value, kind) if to_double else builder.fptrunc(value, kind)


def _spread(builder: Any, value: Any, count: int) -> Any:
    """Return a vector of ``count`` times one value."""
    kind = ir.VectorType(value.type, count)
    one = builder.insert_element(ir.Constant(kind, ir.Undefined), value, ir.Constant(_INT, 0))
    return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(_INT, count), [0] * count))


def _fused(builder: Any, a: Any, b: Any, c: Any) -> Any:
    """Return a * b + c, rounded once where the processor can."""
    bits = 64 if a.type.element == ir.DoubleType() else 32
    return _call(builder, f"llvm.fmuladd.v{a.type.count}f{bits}", a.type, [a, b, c])


def _total(builder: Any, vector: Any) -> Any:
    """Return the sum of a vector's entries: halves are added until one is left."""
    count = vector.type.count
    while count > 1:
        count //= 2
        halves = [ir.Constant(ir.VectorType(_INT, count), list(range(at, at + count))) for at in (0, count)]
        vector = builder.fadd(*(builder.shuffle_vector(vector, vector, half) for half in halves))
    return builder.extract_element(vector, ir.Constant(_INT, 0))


def _loop(builder: Any, end: Any, step: int, body: Callable[[Any], None]) -> None:
    """Write ``for j in range(0, end, step): body(j)``, not to be unrolled: most rows are a few vectors wide."""
    before, inside, after = builder.block, builder.append_basic_block("vectors"), builder.append_basic_block("rest")
    zero = ir.Constant(_INDEX, 0)
    builder.cbranch(builder.icmp_signed("<", zero, end), inside, after)
    builder.position_at_end(inside)
    j = builder.phi(_INDEX)
    j.add_incoming(zero, before)
    body(j)
    following = builder.add(j, ir.Constant(_INDEX, step), flags=["nuw", "nsw"])
    j.add_incoming(following, builder.block)
    branch = builder.cbranch(builder.icmp_signed("<", following, end), inside, after)
    module = builder.module
    wish = module.add_metadata([ir.MetaDataString(module, "llvm.loop.unroll.disable")])
    loop = ir.MDValue(module, [], name=str(len(module.metadata)))
    loop.operands = (loop, wish)  # a loop's properties start with themselves
    branch.set_metadata("llvm.loop", loop)
    builder.position_at_end(after)


def _sweep(builder: Any, width: Any, lanes: int, body: Callable[[Any, Any, int], None]) -> None:
    """Write ``body(j, mask, turn)`` for a row's vectors: pairs of whole ones, an odd one, the masked rest.

    The mask of whole vectors is None; ``turn`` is 0 or 1 for neighbours.
    """
    one, zero = ir.Constant(_INDEX, lanes), ir.Constant(_INDEX, 0)
    rest, odd = builder.and_(width, ir.Constant(_INDEX, lanes - 1)), builder.and_(width, one)
    whole = builder.sub(width, rest)
    even = builder.sub(whole, odd)

    def pair(j: Any) -> None:
        body(j, None, 0)
        body(builder.add(j, one), None, 1)

    _loop(builder, even, 2 * lanes, pair)
    with builder.if_then(builder.icmp_signed(">", odd, zero)):
        body(even, None, 0)
    with builder.if_then(builder.icmp_signed(">", rest, zero)):
        places = ir.Constant(ir.VectorType(_INDEX, lanes), list(range(lanes)))
        body(whole, builder.icmp_signed("<", places, _spread(builder, rest, lanes)), 1)


@_compiled
def dot(typing: Any, X: Any, i: Any, W: Any, k: Any) -> Any:
    """Return X[i].W[k] as float64, summed in the wider type of the two."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        x = _Row(context, builder, signature.args[0], values[0], values[1])
        w = _Row(context, builder, signature.args[2], values[2], values[3])
        wider = x if x.bytes > w.bytes else w
        kind = ir.VectorType(wider.scalar, _VECTOR_BYTES // wider.bytes)
        zeros = ir.Constant(kind, [0.0] * kind.count)
        totals = [cgutils.alloca_once_value(builder, zeros) for _ in range(2)]  # neighbours need not wait in line

        def add(j: Any, mask: Any, turn: int) -> None:
            product = (x.load(j, kind, mask), w.load(j, kind, mask))
            builder.store(_fused(builder, *product, builder.load(totals[turn])), totals[turn])

        _sweep(builder, x.width, kind.count, add)
        both = builder.fadd(*(builder.load(total) for total in totals))
        return _converted(builder, _total(builder, both), ir.DoubleType())

    return types.float64(X, i, W, k), generate


def _write_addition(builder: Any, w: _Row, rows: list[_Row], scales: list[Any]) -> None:
    """Write w += sum of scales times rows, in w's own type."""
    lanes = _VECTOR_BYTES // max(w.bytes, rows[0].bytes)
    kind = ir.VectorType(w.scalar, lanes)
    spread = [_spread(builder, _converted(builder, scale, w.scalar), lanes) for scale in scales]

    def add(j: Any, mask: Any, turn: int) -> None:
        total = w.load(j, kind, mask)
        for row, scale in zip(rows, spread, strict=True):
            total = _fused(builder, scale, row.load(j, kind, mask), total)
        w.store(total, j, mask)

    _sweep(builder, rows[0].width, lanes, add)


@_compiled
def add_row(typing: Any, X: Any, i: Any, scale: Any, W: Any, k: Any) -> Any:
    """Add ``scale * X[i]`` to W[k] in place; ``scale`` is float64."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        x = _Row(context, builder, signature.args[0], values[0], values[1])
        w = _Row(context, builder, signature.args[3], values[3], values[4])
        _write_addition(builder, w, [x], [values[2]])
        return context.get_dummy_value()

    return types.none(X, i, types.float64, W, k), generate


@_compiled
def add_rows(typing: Any, X: Any, rows: Any, scales: Any, first: Any, W: Any, k: Any) -> Any:
    """Add ``scales[f] * X[rows[f]]`` of the FAN entries from ``first`` on to W[k] in place; ``scales`` is float64."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        lists = [context.make_array(signature.args[a])(context, builder, values[a]).data for a in (1, 2)]
        chosen, weights = [], []
        for f in range(FAN):
            place = builder.add(values[3], ir.Constant(_INDEX, f))
            i, scale = (builder.load(builder.gep(entries, [place])) for entries in lists)
            chosen.append(_Row(context, builder, signature.args[0], values[0], i))
            weights.append(scale)
        w = _Row(context, builder, signature.args[4], values[4], values[5])
        _write_addition(builder, w, chosen, weights)
        return context.get_dummy_value()

    return types.none(X, rows, scales, first, W, k), generate


@_compiled
def prefetch(typing: Any, array: Any, i: Any) -> Any:
    """Ask for entry or row ``i`` to be brought near (second-level cache); one that does not exist does no harm."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        is_row = signature.args[0].ndim == 2
        row = _Row(context, builder, signature.args[0], values[0], values[1] if is_row else ir.Constant(_INDEX, 0))

        def ask(j: Any) -> None:
            place = builder.bitcast(builder.gep(row.start, [j]), ir.IntType(8).as_pointer())
            _call(builder, "llvm.prefetch.p0", ir.VoidType(), [place, *(ir.Constant(_INT, v) for v in (0, 2, 1))])

        if is_row:
            _loop(builder, row.width, _VECTOR_BYTES // row.bytes, ask)
            ask(builder.sub(row.width, ir.Constant(_INDEX, 1)))  # rows need not start with a cache line
        else:
            ask(values[1])
        return context.get_dummy_value()

    return types.none(array, i), generate


@_compiled
def address(typing: Any, array: Any) -> Any:
    """Return where an array's first entry lies in memory, in bytes."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        struct = context.make_array(signature.args[0])(context, builder, values[0])
        return builder.ptrtoint(struct.data, _INDEX)

    return types.int64(array), generate
