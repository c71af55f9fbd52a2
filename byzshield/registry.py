"""Components by name: a rule, attack, placement, model or data set is one module that registers itself."""

import importlib
import inspect
import os
import pkgutil
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from importlib.machinery import PathFinder
from importlib.util import find_spec
from typing import Any, Generic, TypeVar, cast

from byzshield.arguments import checked
from byzshield.errors import ByzShieldError, ConfigError, explain
from byzshield.suggestion import suggestion

__all__ = ["Registry", "look_in"]

T = TypeVar("T")
_own_folder = ""


def look_in(folder: str) -> None:
    """Makes a folder the first that users' own modules, "module:attribute", are looked for in; the current one is the second.

    Args:
        folder: such as that of the run file; "" for the current one alone.
    """
    global _own_folder
    _own_folder = folder


class Registry(Generic[T]):
    """Maps a name, or "module:attribute" for a user's own component, to a class or function.

    The modules of `package` are imported at the first look-up, so that a new one is found by its name.

    A user's own module may lie in the folder that `look_in` was told of, or in the current one.

    Args:
        kind: what the entries are, in the singular, for messages ("attack").
        package: the package whose modules register entries.
        base: classes named as "module:Class" must derive from it; None for registries of functions.
        given: the keywords that the program sets, so that a run file cannot.
        only_named: those of `given` that a function gets only if its signature names them, and not through **keywords.
        checks_arguments: whether what is registered here checks the kinds of its arguments; users' own do not.
    """

    def __init__(
        self,
        kind: str,
        package: str,
        *,
        base: type | None = None,
        given: Collection[str] = (),
        only_named: Collection[str] = (),
        checks_arguments: bool = False,
    ) -> None:
        self.kind = kind
        self.given = frozenset(given)
        self.only_named = frozenset(only_named)
        self._package = package
        self._base = base
        self._checks_arguments = checks_arguments
        self._entries: dict[str, T] = {}
        self._complete = False

    def register(self, name: str) -> Callable[[T], T]:
        """Returns a decorator that enters the decorated class or function under `name`."""

        def decorate(entry: T) -> T:
            if name in self._entries:
                raise ConfigError(f"{self.kind} {name!r} is registered twice")
            if self._checks_arguments:
                entry = _checking(entry)
            self._entries[name] = entry
            return entry

        return decorate

    def names(self) -> list[str]:
        """All registered names, sorted."""
        self._load()
        return sorted(self._entries)

    def items(self) -> Iterator[tuple[str, T]]:
        """Pairs of name and entry, sorted by name."""
        return ((name, self._entries[name]) for name in self.names())

    def get(self, name: str) -> T:
        """Returns the entry called `name`.

        Raises:
            ConfigError: the name is unknown; the message suggests the nearest or lists the known ones.
        """
        if name.startswith("<"):
            raise ConfigError(f"{self.kind} {name} was an object of a Python program, and is only known there; run that again")
        if ":" in name:
            return self._import(name)
        self._load()
        try:
            return self._entries[name]
        except KeyError:
            raise ConfigError(f"unknown {self.kind} {name!r}; {suggestion(name, self._entries)}") from None

    def keywords(self, name: str) -> dict[str, inspect.Parameter]:
        """The keywords of the entry called `name` that a run file may set, in the order of its signature.

        Raises:
            ConfigError: the name is unknown, or nobody can tell what the entry takes.
        """
        return {keyword: parameter for keyword, parameter in self.signature(name).items() if keyword not in self.given}

    def signature(self, name: str) -> Mapping[str, inspect.Parameter]:
        """All keywords of the entry called `name`, those that the program sets among them.

        Raises:
            ConfigError: as `keywords`.
        """
        entry = self.get(name)
        try:
            return inspect.signature(cast(Callable[..., Any], entry)).parameters
        except (TypeError, ValueError) as error:
            raise ConfigError(f"{self.kind} {name!r} does not tell its keywords: {error}") from error

    def owners(self, keyword: str) -> list[str]:
        """The registered entries that a run file may give `keyword` to, sorted."""
        return [name for name in self.names() if keyword in self.keywords(name)]

    def name_of(self, entry: object) -> str | None:
        """The name under which a class or function is registered; None if it is not."""
        return next((name for name, registered in self.items() if registered is entry), None)

    @contextmanager
    def calling(self, name: str) -> Iterator[None]:
        """For the call of the entry called `name`: what a user's own code raises is that user's mistake, and is told in one line.

        Raises:
            ConfigError: in place of what "module:attribute" raises; what registered entries raise passes.
        """
        try:
            yield
        except ByzShieldError:
            raise
        except Exception as error:
            if ":" not in name:
                raise
            raise ConfigError(f"{self.kind} {name!r} fails: {explain(error)}") from error

    def _load(self) -> None:
        if self._complete:
            return
        package = importlib.import_module(self._package)
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{self._package}.{module.name}")
        self._complete = True

    def _import(self, name: str) -> T:
        module_name, _, attribute = name.partition(":")
        if not all(part.isidentifier() for part in (*module_name.split("."), attribute)):
            raise ConfigError(f"{self.kind} {name!r} must be a registered name or module:attribute")
        for folder in ("", _own_folder):  # last, so that no file in them takes the place of an installed module
            if folder not in sys.path:
                sys.path.insert(len(sys.path) - (sys.path[-1] == ""), folder)
        self._require_meant(name)
        try:
            entry = getattr(importlib.import_module(module_name), attribute)
        except (ImportError, AttributeError) as error:
            hint = _hint(error, module_name)
            raise ConfigError(f"{self.kind} {name!r} cannot be imported: {error}{hint}") from error
        except (Exception, SystemExit) as error:  # whatever the user's module raises; it may not even parse
            raise ConfigError(f"{self.kind} {name!r} cannot be imported: {explain(error)}") from error
        if self._base is not None and not (isinstance(entry, type) and issubclass(entry, self._base)):
            raise ConfigError(f"{self.kind} {name!r} must be a subclass of {self._base.__name__}")
        if not callable(entry):
            raise ConfigError(f"{self.kind} {name!r} must be a function or a class")
        return cast(T, entry)

    def _require_meant(self, name: str) -> None:
        """Refuses a module that hides one of the same name in the run file's folder, which is the one that was meant."""
        top = name.partition(":")[0].partition(".")[0]
        meant = PathFinder.find_spec(top, [_own_folder]) if _own_folder else None
        if meant is None or meant.origin is None:
            return
        try:
            taken = find_spec(top)
        except ValueError:  # a module that is loaded and comes from no file
            taken = None
        origin = taken and taken.origin
        if os.path.realpath(origin or "") != os.path.realpath(meant.origin):
            raise ConfigError(f"{self.kind} {name!r}: {origin} comes before {meant.origin}, and has the same name; rename one")


def _checking(entry: T) -> T:
    """A function, or a class with a constructor of its own, that checks its arguments."""
    if not isinstance(entry, type):
        return cast(T, checked(cast(Callable[..., Any], entry)))
    if "__init__" in vars(entry):
        setattr(entry, "__init__", checked(vars(entry)["__init__"]))  # noqa: B010 - of a class that is a type variable here
    return entry


def _hint(error: Exception, module: str) -> str:
    """Where a module was looked for that is not there, or its right name."""
    top, _, ending = module.rpartition(".")
    if ending == "py":
        return f"; leave out .py: {top}:..."
    if not isinstance(error, ModuleNotFoundError) or error.name != module.partition(".")[0]:
        return ""
    folders = dict.fromkeys([_own_folder or os.getcwd(), os.getcwd()])
    return f" in {' and '.join(folders)}, nor is it installed"
