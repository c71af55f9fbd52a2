"""One block of a sorting network as vector instructions.

From a loop over columns numba makes vector code too, but code that loads and stores two rows at every step of the network. Here
the rows of a block stay in registers until all its steps are done, in a third of the time. numba has no words for that, so the
instructions are built by hand.
"""

import zlib
from pathlib import Path
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from byzshield.aggregation.kernels.sorting_networks import NETWORKS, WIDTH

__all__ = ["FINGERPRINT", "TILE", "run_block"]

AHEAD = 2048  # bytes of a row that memory is asked for in advance
TILE = 112  # columns: an odd number of cache lines, lest the rows of a tile compete for the same places in the cache

INDEX = ir.IntType(64)

FINGERPRINT = f"{zlib.crc32(repr(NETWORKS).encode() + Path(__file__).read_bytes()):08x}"
"""Belongs into the name under which a caller is cached: numba does not see a change of this file or of the networks."""


def _run_block(typing: Any, block: Any, sources: Any, targets: Any, check: Any) -> Any:
    """Runs one line of `sorting_networks.blocks` on TILE columns, for use in compiled code.

    Args:
        typing: numba's.
        block: [1 + WIDTH], the number of the network, and the rows.
        sources: [n], addresses from which the sorting networks take the rows; they add each value times 0 to `check`.
        targets: [n], addresses at which the rows are left; from there the other networks take them.
        check: [TILE], of the dtype of the rows.
    """
    return types.void(block, sources, targets, check), _instructions


def _instructions(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    block, sources, targets, check = (
        context.make_array(kind)(context, builder, value).data for kind, value in zip(signature.args, arguments, strict=True)
    )
    itemsize = signature.args[3].dtype.bitwidth // 8
    _, _, features = context.codegen().magic_tuple()
    lanes = (64 if "+avx512f" in features else 32) // itemsize
    done = builder.append_basic_block("done")
    choice = builder.switch(builder.load(block), done)
    for number, (size, steps) in enumerate(NETWORKS):
        case = builder.append_basic_block(f"network{number}")
        choice.add_case(INDEX(number), case)
        builder.position_at_end(case)
        rows = [builder.load(builder.gep(block, [INDEX(1 + place)])) for place in range(size)]
        starts, ends = ([builder.load(builder.gep(addresses, [row])) for row in rows] for addresses in (sources, targets))
        with cgutils.for_range_slice(builder, INDEX(0), INDEX(TILE * itemsize), INDEX(lanes * itemsize), INDEX) as (at, _):
            columns = _Columns(builder, ir.VectorType(check.type.pointee, lanes), at, itemsize)
            if number < WIDTH:
                values = [columns.load(start) for start in starts]
                columns.check(values, builder.ptrtoint(check, INDEX))
                columns.prefetch(starts)
            else:
                values = [columns.load(end) for end in ends]
            for low, high in steps:
                values[low], values[high] = columns.exchange(values[low], values[high])
            for value, end in zip(values, ends, strict=True):
                columns.store(value, end)
        builder.branch(done)
    builder.position_at_end(done)
    return context.get_dummy_value()


class _Columns:
    """A few columns, as many as a vector holds, that lie `at` bytes from the start of each row."""

    def __init__(self, builder: Any, vector: Any, at: Any, itemsize: int) -> None:
        self.builder, self.vector, self.at, self.itemsize = builder, vector, at, itemsize

    def _pointer(self, row: Any, kind: Any) -> Any:
        return self.builder.inttoptr(self.builder.add(row, self.at), kind.as_pointer())

    def load(self, row: Any) -> Any:
        return self.builder.load(self._pointer(row, self.vector), align=self.itemsize)

    def store(self, value: Any, row: Any) -> None:
        self.builder.store(value, self._pointer(row, self.vector), align=self.itemsize)

    def exchange(self, a: Any, b: Any) -> tuple[Any, Any]:
        # Becomes one instruction each for minimum and maximum; a NaN stays where it is.
        swap = self.builder.fcmp_ordered("<", b, a)
        return self.builder.select(swap, b, a), self.builder.select(swap, a, b)

    def check(self, values: list[Any], row: Any) -> None:
        # The sum remains 0 unless a value is a NaN or an infinity.
        total = self.load(row)
        for value in values:
            nothing = self.builder.fmul(value, ir.Constant(self.vector, None), flags=["contract"])
            total = self.builder.fadd(total, nothing, flags=["contract"])
        self.store(total, row)

    def prefetch(self, rows: list[Any]) -> None:
        pointer, flag = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [pointer, flag, flag, flag])
        function = self.builder.module.declare_intrinsic("llvm.prefetch", [pointer], kind)
        for row in rows:
            ahead = self._pointer(self.builder.add(row, INDEX(AHEAD)), ir.IntType(8))
            self.builder.call(function, [ahead, flag(0), flag(3), flag(1)])  # to read, into every cache, as data


run_block: Any = intrinsic(_run_block)
