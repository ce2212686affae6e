# SPDX-License-Identifier: BSD-3-Clause
"""Stands in for what the Python package calls, so that its docstrings can be read where nothing of it is installed: the
compiled part, and Keras, whose classes ours derive from.  (The other frameworks are mocked by autodoc.)"""

import sys
import types


class Names(types.ModuleType):
    """A module in which every name is there: an empty class, or one more such module."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        full = f"{self.__name__}.{name}"
        found = type(name, (), {"__module__": self.__name__, "__doc__": None}) if name[0].isupper() else Names(full)
        setattr(self, name, found)
        return found


def install(release):
    major, minor, patch = map(int, release.split("."))
    module = types.ModuleType("svdgrad._numpy")
    module.version = 10000 * major + 100 * minor + patch
    module.operations = lambda: ()
    module.call = None
    sys.modules[module.__name__] = module

    keras = Names("keras")
    keras.saving.register_keras_serializable = lambda **_: lambda of_this_class: of_this_class
    keras.backend.backend = lambda: "jax"
    sys.modules["keras"] = keras
