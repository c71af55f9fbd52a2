"""Train PyTorch models on machines that you cannot fully trust.

Importing this package imports neither torch nor MPI; each part is imported where it is used.
"""

__version__ = "0.1.0"

__all__ = ["__version__"]
