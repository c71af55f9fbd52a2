"""What runs over all n d values: compiled loops for numpy arrays, torch operations for tensors on a device.

Nothing is imported here: `sums` and `order_statistics` need numba, `torch_device` needs torch, and neither is to be loaded
for a rule that does not use it. `byzshield.aggregation.primitives` picks the one that fits its argument.
"""
