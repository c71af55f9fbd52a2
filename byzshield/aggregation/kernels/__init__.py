"""The heavy lifting beneath the rules: compiled loops for numpy arrays, torch operations for tensors on a device.

Nothing is imported here: `compiled` and `order_statistics` need numba, `torch_device` needs torch, and a rule that uses neither
must not pay for them. `byzshield.aggregation.primitives` picks the one that fits its argument.
"""
