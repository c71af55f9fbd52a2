"""Memory that is used again and again: a fresh page costs more than the copy that fills it."""

import sys
from collections.abc import Callable, Sized
from itertools import chain
from typing import Generic, TypeVar

__all__ = ["Reused"]

B = TypeVar("B", bound=Sized)


def _references(buffers: list[B], index: int) -> int:
    return sys.getrefcount(buffers[index])


_ALONE = _references([bytearray()], 0)


class Reused(Generic[B]):
    """Buffers that are handed out again once nobody else refers to them, nor to a view of them.

    So nobody has to give one back, and what somebody keeps for later stays as it is.

    Args:
        make: makes a buffer of so many elements, which holds a reference to none but itself.
        most: how many are kept; further ones are made and forgotten.
        least: elements from which on a buffer is kept; what is smaller comes from memory that the C library has at hand, sooner
            than a look at those that are kept.
    """

    def __init__(self, make: Callable[[int], B], *, most: int, least: int = 0) -> None:
        self._make = make
        self._most = most
        self._least = least
        self._kept: list[B] = []
        self._last = 0  # which one was handed out last

    def take(self, size: int) -> B:
        """Returns a buffer of `size` elements or more, which holds anything.

        It looks first at the one that was handed out last, which may still be in a cache, and then at those behind it, which
        are free for longest where somebody keeps many and lets them go together; O(most) if all are in use.
        """
        if size < self._least:
            return self._make(size)
        small = -1
        for index in chain(range(self._last, len(self._kept)), range(self._last)):
            if _references(self._kept, index) == _ALONE:
                if len(self._kept[index]) >= size:
                    self._last = index
                    return self._kept[index]
                small = index
        buffer = self._make(size)
        if small >= 0:
            self._kept[small] = buffer
        elif len(self._kept) < self._most:
            self._last = len(self._kept)
            self._kept.append(buffer)
        return buffer
