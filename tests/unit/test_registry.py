"""Components by name."""

import pytest

from byzshield.attacks import ATTACKS, Attack
from byzshield.errors import ConfigError
from byzshield.registry import Registry


def test_a_users_component_is_named_by_module_and_class() -> None:
    assert issubclass(ATTACKS.get("fault_attacks:Silence"), Attack)


def test_an_unknown_name_suggests_the_nearest_or_lists_all() -> None:
    with pytest.raises(ConfigError, match="did you mean 'constant'"):
        ATTACKS.get("constnt")
    with pytest.raises(ConfigError, match="known: alie, constant, "):
        ATTACKS.get("zzz")


def test_a_name_is_registered_once() -> None:
    registry: Registry[int] = Registry("number", "byzshield.attacks")
    registry.register("one")(1)
    with pytest.raises(ConfigError, match="twice"):
        registry.register("one")(2)
