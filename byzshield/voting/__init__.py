"""The vote among r copies of a file: values by worker go in, the winner and the dissenters come out."""

from byzshield.voting.ballot import Ballot

__all__ = ["Ballot"]
