"""GF(p^k) and the Latin squares over it, verified from the axioms."""

from itertools import combinations

import numpy as np
import pytest

from byzshield.errors import PlacementError
from byzshield.placement import mols
from byzshield.placement.galois_field import field, prime_power

PRIME_POWERS = [2, 3, 4, 5, 7, 8, 9, 11, 13, 16, 17, 19, 23, 25, 27, 29, 31, 32]


def test_prime_powers_are_recognized():
    assert [number for number in range(-1, 33) if prime_power(number)] == PRIME_POWERS
    assert [prime_power(number) for number in (8, 9, 25, 31)] == [(2, 3), (3, 2), (5, 2), (31, 1)]


@pytest.mark.parametrize("order", PRIME_POWERS)
def test_the_tables_obey_every_field_axiom(order):
    _, add, multiply = field(order)
    elements = np.arange(order)
    a, b = elements[:, None, None], elements[None, :, None]
    assert np.array_equal(add, add.T)
    assert np.array_equal(multiply, multiply.T)
    assert np.array_equal(add[0], elements)
    assert np.array_equal(multiply[1], elements)
    assert (multiply[0] == 0).all()
    # Every row of + and every row of * but 0's is a permutation: inverses exist.
    assert (np.sort(add, axis=1) == elements).all()
    assert (np.sort(multiply[1:, 1:], axis=1) == elements[1:]).all()
    # (a + b) + c = a + (b + c); (a b) c = a (b c); a (b + c) = a b + a c, over all triples.
    assert np.array_equal(add[add], add[a, add[None]])
    assert np.array_equal(multiply[multiply], multiply[a, multiply[None]])
    assert np.array_equal(multiply[a, add[None]], add[multiply[a, b], multiply[:, None, :]])


@pytest.mark.parametrize("order", [0, 1, 6, 12, 100])
def test_there_is_no_field_of_another_order(order):
    with pytest.raises(PlacementError, match="prime-power"):
        field(order)


@pytest.mark.parametrize("load", [order for order in PRIME_POWERS if 4 <= order <= 27])
def test_workers_of_different_squares_share_one_file_and_of_one_square_none(load):
    replication = load - 1 if load % 2 == 0 else load - 2
    assignment = mols(load=load, replication=replication)
    shared = assignment.incidence @ assignment.incidence.T
    square = np.arange(assignment.num_workers) // load
    same_square = square[:, None] == square[None, :]
    itself = np.eye(assignment.num_workers, dtype=bool)
    assert (shared[~same_square] == 1).all()
    assert (shared[same_square & ~itself] == 0).all()
    assert (shared[itself] == load).all()


def test_squares_of_prime_order_are_integers_modulo_the_load():
    for square in range(1, 4):
        for symbol in range(7):
            cells = mols(load=7, replication=3).files_of[(square - 1) * 7 + symbol]
            assert all((square * (cell // 7) + cell % 7) % 7 == symbol for cell in cells)


def test_squares_of_order_four_are_orthogonal_and_latin():
    squares = np.empty((3, 4, 4), dtype=int)
    for worker, cells in enumerate(mols(load=4, replication=3).files_of):
        squares[worker // 4].flat[cells] = worker % 4
    for square in squares:
        assert (np.sort(square, axis=0) == np.arange(4)[:, None]).all()
        assert (np.sort(square, axis=1) == np.arange(4)).all()
    for first, second in combinations(squares, 2):
        assert len(set(zip(first.ravel().tolist(), second.ravel().tolist(), strict=True))) == 16


@pytest.mark.parametrize("order", [4, 8, 9, 16, 25, 27, 32])
def test_the_tables_are_those_of_the_galois_library(order):
    import galois  # takes seconds, and other tests of this file do without

    prime, degree = prime_power(order)
    # Element p^i stands for x^i. The product of x^(k - 1) and x is x^k reduced, that is, less the modulus.
    reduced = field(order).multiply[prime ** (degree - 1), prime]
    low_first = -(reduced // prime ** np.arange(degree)) % prime
    modulus = galois.Poly([1, *low_first[::-1].tolist()], field=galois.GF(prime, compile="python-calculate"))
    assert modulus.is_irreducible()
    theirs = galois.GF(order, irreducible_poly=modulus, compile="python-calculate")(np.arange(order))
    _, add, multiply = field(order)
    assert np.array_equal(np.asarray(theirs[:, None] + theirs[None, :]), add)
    assert np.array_equal(np.asarray(theirs[:, None] * theirs[None, :]), multiply)
