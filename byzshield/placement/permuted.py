"""A placement whose workers change their places at every step."""

from dataclasses import dataclass

from byzshield.placement.assignment import Assignment

__all__ = ["Permuted", "permuted"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Permuted(Assignment):
    """An assignment of which `at` gives each step's: the same files, whose holders are permuted.

    Two workers share other files at each step, so whoever lies where it is safe disagrees with ever more others. Whatever holds
    for all sets of q workers, like c_max(q), holds at each step as well.

    Reference: Konstantinidis, Vaswani and Ramamoorthy, "Detection and Mitigation of Byzantine Attacks in Distributed Training",
    IEEE/ACM Transactions on Networking, 2023 (Aspis+: random permutation of the file assignment).

    Args:
        seed: the run's seed.
    """

    seed: int

    def at(self, step: int) -> Assignment:
        from byzshield.seeding import generator  # loads numpy.random, which no command needs to say what it does

        order = generator(self.seed, "assignment", step).permutation(self.num_workers)
        return Assignment(scheme=self.scheme, files_of=self.files_of[order], threshold=self.threshold)


def permuted(assignment: Assignment, *, seed: int) -> Permuted:
    """The placement of which each step's is a permutation of `assignment`.

    >>> from byzshield.placement import frc
    >>> permuted(frc(num_workers=6, replication=3), seed=1).at(3).files_of.ravel().tolist()
    [1, 0, 1, 0, 1, 0]
    """
    return Permuted(scheme=assignment.scheme, files_of=assignment.files_of, threshold=assignment.threshold, seed=seed)
