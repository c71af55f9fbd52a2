"""Arithmetic of the finite fields GF(p^k), as tables, for Latin squares of prime-power order."""

from functools import lru_cache
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from byzshield.errors import PlacementError

__all__ = ["Field", "field", "is_prime", "prime_power"]

MOST_ELEMENTS = 1024


class Field(NamedTuple):
    """GF(order): element e stands for the polynomial over GF(p) whose coefficients are the base-p digits of e, lowest first.

    Args:
        order: p^k.
        add: add[a, b] = a + b, [order, order].
        multiply: multiply[a, b] = a b, [order, order].
    """

    order: int
    add: NDArray[np.int64]
    multiply: NDArray[np.int64]


def prime_power(number: int) -> tuple[int, int] | None:
    """Returns (p, k) with p prime and p^k = number, or None.

    >>> prime_power(8), prime_power(12)
    ((2, 3), None)
    """
    for base in range(2, number + 1):
        if base * base > number:
            return number, 1
        if number % base == 0:
            exponent = 0
            while number % base == 0:
                number //= base
                exponent += 1
            return (base, exponent) if number == 1 else None
    return None


def is_prime(number: int) -> bool:
    """Whether `number` is prime, by trial division."""
    return prime_power(number) == (number, 1)


@lru_cache(maxsize=16)
def field(order: int) -> Field:
    """The field with `order` elements; for a prime order, the integers modulo it. O(order^2 k) time and memory.

    The modulus is the first irreducible monic polynomial of degree k, so that every process numbers the elements alike.

    Raises:
        PlacementError: `order` is not a prime power, so no such field exists; or it is more than the tables are meant for.
    """
    if order > MOST_ELEMENTS:
        raise PlacementError(f"a finite field is supported up to {MOST_ELEMENTS} elements; got {order}")
    power = prime_power(order)
    if power is None:
        raise PlacementError(f"a finite field needs a prime-power order; got {order}")
    prime, degree = power
    weights = prime ** np.arange(degree)
    digits = np.arange(order)[:, None] // weights % prime
    add = (digits[:, None, :] + digits[None, :, :]) % prime @ weights
    modulus = np.array(_irreducible(prime, degree)[:degree])
    result = np.zeros((order, order, degree), dtype=np.int64)
    shifted = digits  # of a x^power_of_x, for every element a
    for power_of_x in range(degree):
        result += shifted[:, None, :] * digits[None, :, power_of_x, None]
        overflow = shifted[:, -1:]
        shifted = np.concatenate([np.zeros((order, 1), dtype=np.int64), shifted[:, :-1]], axis=1)
        shifted = (shifted - overflow * modulus) % prime
    multiply = result % prime @ weights
    for table in (add, multiply):
        table.flags.writeable = False
    return Field(order, add, multiply)


def _irreducible(prime: int, degree: int) -> tuple[int, ...]:
    """Coefficients, lowest first, of the first monic polynomial of that degree that no monic one of half the degree divides."""
    for high_first in product(range(prime), repeat=degree):
        candidate = (*reversed(high_first), 1)
        if all(
            any(_remainder(candidate, (*divisor, 1), prime))
            for size in range(1, degree // 2 + 1)
            for divisor in product(range(prime), repeat=size)
        ):
            return candidate
    raise AssertionError("an irreducible polynomial of every degree exists over every prime field")


def _remainder(dividend: tuple[int, ...], divisor: tuple[int, ...], prime: int) -> list[int]:
    rest = list(dividend)
    while len(rest) >= len(divisor):
        lead = rest[-1]
        for place, coefficient in enumerate(reversed(divisor)):
            rest[-1 - place] = (rest[-1 - place] - lead * coefficient) % prime
        rest.pop()
    return rest
