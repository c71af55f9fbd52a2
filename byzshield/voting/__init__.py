"""The vote among r copies of a file: values by worker go in, the winner, the dissenters, and who is proven Byzantine come out."""

from byzshield.voting.ballot import Ballot
from byzshield.voting.detection import Detection, disagreements

__all__ = ["Ballot", "Detection", "disagreements"]
