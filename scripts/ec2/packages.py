"""Packages that only some commands need, imported when they do: so --help is quick, and a missing one is named in one line."""

from __future__ import absolute_import, print_function, unicode_literals

import importlib

from errors import RequestError


def load(name):
    """The module of that dotted name.

    Raises:
        RequestError: it cannot be imported; says how to install it.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise RequestError(
            "{} cannot be imported ({}); install what the launcher needs: pip install -r requirements-local.txt".format(
                name.split(".")[0], error
            )
        )
