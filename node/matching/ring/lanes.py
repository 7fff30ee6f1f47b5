"""What numba has no word for: loads from addresses, prefetches, popcounts of words and vectors.

Each is a numba intrinsic that emits LLVM's portable instruction; LLVM makes of it what the
processor has (`vpopcntw` on AVX-512 with BITALG, a table of nibbles elsewhere). Addresses are
uint64; nothing here checks that they are valid.
"""

from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

Address = Any
"""A uint64 that is an address in this process; inside a kernel no Python type fits it."""

Word = Any
"""An unsigned integer of numba's, of 8 to 64 bits."""

_Kernel = TypeVar("_Kernel", bound=Callable[..., Any])
_BYTE: Final = ir.IntType(8)
_INT: Final = ir.IntType(32)
_LONG: Final = ir.IntType(64)


def inlined(function: _Kernel) -> _Kernel:
    """The function is part of each kernel that calls it."""
    return cast("_Kernel", njit(nogil=True, boundscheck=False, error_model="numpy")(function))


def operation(typing: Callable[..., Any]) -> Any:
    """Numba's `intrinsic`, whose own annotation does not know that it takes the first operand."""
    return intrinsic(typing)


def _callee(builder: Any, name: str, result: ir.Type, arguments: list[ir.Type]) -> Any:
    known = builder.module.globals.get(name)
    if known is not None:
        return known
    return ir.Function(builder.module, ir.FunctionType(result, arguments), name=name)


def _pointer(builder: Any, address: Any, kind: ir.Type) -> Any:
    return builder.inttoptr(address, kind.as_pointer())


def _loader(bits: int, result: Any) -> Any:
    @operation
    def load(_context: Any, address: Any) -> Any:
        def emit(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            value = builder.load(_pointer(builder, arguments[0], ir.IntType(bits)))
            value.align = 1
            return value

        return result(types.uint64), emit

    return load


load16: Final = _loader(16, types.uint16)
load32: Final = _loader(32, types.uint32)
load64: Final = _loader(64, types.uint64)


def _storer(bits: int, kind: Any) -> Any:
    @operation
    def store(_context: Any, address: Any, value: Any) -> Any:
        def emit(target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            at = _pointer(builder, arguments[0], ir.IntType(bits))
            builder.store(arguments[1], at).align = 1
            return target.get_dummy_value()

        return types.void(types.uint64, kind), emit

    return store


store8: Final = _storer(8, types.uint8)
store32: Final = _storer(32, types.uint32)
store64: Final = _storer(64, types.uint64)


@operation
def load_counter(_context: Any, address: Any) -> Any:
    """The uint64 there; whatever was written before it was stored is seen after this."""

    def emit(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.load_atomic(_pointer(builder, arguments[0], _LONG), "acquire", 8)

    return types.uint64(types.uint64), emit


@operation
def store_counter(_context: Any, address: Any, value: Any) -> Any:
    """The uint64 is stored there, after everything that was written before."""

    def emit(target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        at = _pointer(builder, arguments[0], _LONG)
        builder.store_atomic(arguments[1], at, "release", 8)
        return target.get_dummy_value()

    return types.void(types.uint64, types.uint64), emit


def _counter_of_ones(bits: int, kind: Any) -> Any:
    @operation
    def ones(_context: Any, word: Any) -> Any:
        def emit(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            width = ir.IntType(bits)
            popcount = _callee(builder, f"llvm.ctpop.i{bits}", width, [width])
            return builder.call(popcount, [arguments[0]])

        return kind(kind), emit

    return ones


ones32: Final = _counter_of_ones(32, types.uint32)
ones64: Final = _counter_of_ones(64, types.uint64)


@operation
def lowest_one(_context: Any, word: Any) -> Any:
    """The number of the lowest bit that is set in a uint32, which must not be 0."""

    def emit(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        trailing = _callee(builder, "llvm.cttz.i32", _INT, [_INT, ir.IntType(1)])
        return builder.call(trailing, [arguments[0], ir.Constant(ir.IntType(1), 1)])

    return types.uint32(types.uint32), emit


def _prefetcher(level: int) -> Any:
    @operation
    def fetch(_context: Any, address: Any) -> Any:
        def emit(target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            kinds = [_BYTE.as_pointer(), _INT, _INT, _INT]
            instruction = _callee(builder, "llvm.prefetch.p0", ir.VoidType(), kinds)
            read, keep, data = _INT(0), _INT(4 - level), _INT(1)
            at = _pointer(builder, arguments[0], _BYTE)
            builder.call(instruction, [at, read, keep, data])
            return target.get_dummy_value()

        return types.void(types.uint64), emit

    return fetch


prefetch: Final = _prefetcher(1)
"""The cache line there is on its way; an address that is not mapped does no harm."""

prefetch_many: Final = _prefetcher(2)
"""The same, as far as the second level: for more lines than the first one holds, or can await."""


@operation
def address_of(_context: Any, array: Any) -> Any:
    """The address of an array's first item."""

    def emit(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        inside = target.make_array(signature.args[0])(target, builder, arguments[0])
        return builder.ptrtoint(inside.data, _LONG)

    return types.uint64(array), emit


@operation
def pointer_to(_context: Any, address: Any) -> Any:
    """The address as `numba.carray` wants it."""

    def emit(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return _pointer(builder, arguments[0], _BYTE)

    return types.voidptr(address), emit


def _spread(builder: Any, word: Any, vector: ir.VectorType) -> Any:
    """A vector with the same word in every lane."""
    undefined = ir.Constant(vector, ir.Undefined)
    first = builder.insert_element(undefined, word, _INT(0))
    lanes = ir.Constant(ir.VectorType(_INT, vector.count), [0] * vector.count)
    return builder.shuffle_vector(first, undefined, lanes)


def _ones_of_lanes(builder: Any, value: Any, vector: ir.VectorType) -> Any:
    name = f"llvm.ctpop.v{vector.count}i{vector.element.width}"
    return builder.call(_callee(builder, name, vector, [vector]), [value])


_FILTER_LANES: Final = 32


@operation
def filters_within(_context: Any, address: Any, chunk: Any, most: Any) -> Any:
    """Which of 32 uint16 there differ from `chunk` in at most `most` bits, as a mask.

    Reads 64 bytes, at any address.
    """

    def emit(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        vector = ir.VectorType(ir.IntType(16), _FILTER_LANES)
        filters = builder.load(_pointer(builder, arguments[0], vector))
        filters.align = 2
        differing = builder.xor(filters, _spread(builder, arguments[1], vector))
        ones = _ones_of_lanes(builder, differing, vector)
        within = builder.icmp_unsigned("<=", ones, _spread(builder, arguments[2], vector))
        return builder.bitcast(within, _INT)

    return types.uint32(types.uint64, types.uint16, types.uint16), emit


_HALVES: Final = 8


@operation
def halves_within(
    _context: Any, near: Any, far: Any, whole: Any, q0: Any, q1: Any, q2: Any, q3: Any, most: Any
) -> Any:
    """Which of 8 rows are within `most` bits of a question: one bit of a uint32 each.

    `near` holds the first 128 bits of each row, `far` the others, 16 bytes a row. Where `whole` is
    0 only the first are read and compared; what passes is then still to be looked at.
    """

    def emit(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        pairs = ir.VectorType(_LONG, _HALVES)
        at_near, at_far, whole_value, *question, most_value = arguments

        def sums(address: Any, even: Any, odd: Any) -> Any:
            """The ones of 8 rows of two words each, in 8 lanes."""
            asked = builder.insert_element(_spread(builder, even, pairs), odd, _INT(1))
            places = ir.Constant(ir.VectorType(_INT, _HALVES), [0, 1] * (_HALVES // 2))
            asked = builder.shuffle_vector(asked, asked, places)
            ones = []
            for part in range(2):
                offset = ir.Constant(_LONG, part * 8 * _HALVES)
                words = builder.load(_pointer(builder, builder.add(address, offset), pairs))
                words.align = 1
                ones.append(_ones_of_lanes(builder, builder.xor(words, asked), pairs))
            lanes = ir.VectorType(_INT, _HALVES)
            evens = ir.Constant(lanes, list(range(0, 2 * _HALVES, 2)))
            odds = ir.Constant(lanes, list(range(1, 2 * _HALVES, 2)))
            return builder.add(
                builder.shuffle_vector(ones[0], ones[1], evens),
                builder.shuffle_vector(ones[0], ones[1], odds),
            )

        total = sums(at_near, question[0], question[1])
        all_of_it = builder.icmp_unsigned("!=", whole_value, ir.Constant(_LONG, 0))
        before = builder.block
        with builder.if_then(all_of_it):
            both = builder.add(total, sums(at_far, question[2], question[3]))
            inside = builder.block
        merged = builder.phi(pairs)
        merged.add_incoming(total, before)
        merged.add_incoming(both, inside)
        within = builder.icmp_unsigned("<=", merged, _spread(builder, most_value, pairs))
        return builder.zext(builder.bitcast(within, _BYTE), _INT)

    word = types.uint64
    return types.uint32(word, word, word, word, word, word, word, word), emit
