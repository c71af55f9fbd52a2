"""How an object shows itself: as the call that made it."""

import inspect

__all__ = ["constructor_call", "constructor_values"]


def constructor_call(instance: object, **values: object) -> str:
    """The constructor's name with its parameters as the object has them, or as `values` has them; the others are left out."""
    known = {**constructor_values(instance), **values}
    return f"{type(instance).__name__}({', '.join(f'{name}={value!r}' for name, value in known.items())})"


def constructor_values(instance: object) -> dict[str, object]:
    """The constructor's parameters as the object has them, under the same names; what it does not keep is left out."""
    parameters = inspect.signature(type(instance)).parameters
    return {name: getattr(instance, name) for name in parameters if hasattr(instance, name)}
