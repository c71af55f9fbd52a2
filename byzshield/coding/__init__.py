"""Codes over the complex numbers: gradients go in, coded combinations travel, and their sum comes out although some are wrong."""

from byzshield.coding.cyclic_code import CyclicCode
from byzshield.coding.decoder import Decoder

__all__ = ["CyclicCode", "Decoder"]
