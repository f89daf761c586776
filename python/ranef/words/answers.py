"""Answers to words of other packages."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from functools import wraps
from inspect import CO_VARKEYWORDS, getattr_static
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

from .._options import nearest
from .foreign import KEYWORDS, METHODS, MODEL, MODULE, PROPERTIES
from .rarer import WITHOUT

__all__ = [
    "Spoken",
    "answering",
    "attribute_message",
    "called_elsewhere",
    "keyword_message",
    "module_message",
    "no_attribute",
    "target",
]

F = TypeVar("F", bound=Callable[..., Any])


def attribute_message(name: str) -> str:
    """State a model's counterpart of another package's attribute; empty if none is known."""
    if name in WITHOUT:
        return without(name)
    known = MODEL.get(name) or MODULE.get(name)
    if known is None:
        return function_message(name)
    whose, cure = known
    return f"{name} is from {whose}; {said(cure)}"


def function_message(name: str) -> str:
    """State that a name is a function of this package, to be called with the model."""
    package = sys.modules[__name__.partition(".")[0]]
    if name[:1].isupper() or name not in getattr(package, "__all__", ()):
        return ""
    return f"{name} is a function of the package: write ranef.{name}(...)"


def target(name: str) -> str:
    """Return the name here of another package's attribute."""
    found = re.search(r"\bmodel\.(\w+)", MODEL.get(name, ("", ""))[1])
    return found[1] if found else ""


def module_message(name: str, known: list[str]) -> str:
    """State the counterpart of another package's function, or a similarly spelt name."""
    if name in MODULE:
        whose, cure = MODULE[name]
        return f"; {name} is from {whose}: {said(cure)}"
    if name in MODEL:
        whose, cure = MODEL[name]
        return f"; {name} is from {whose}: {said(cure)}"
    if name in WITHOUT:
        return f"; {without(name)}"
    return f"; {message}" if (message := own_message(name)) else nearest(name, known)


def own_message(name: str) -> str:
    """State that a word belongs to models, for an object that is not one."""
    if name in PROPERTIES:
        return f"{name} belongs to a model: write model.{name}"
    return f"{name} belongs to a model: write model.{name}(...)" if name in METHODS else ""


def without(name: str) -> str:
    """State that a word of another package has no counterpart."""
    return f"{name} is from {WITHOUT[name]} and has no counterpart here; see ranef.help()"


def keyword_message(function: str, name: str, known: list[str]) -> str:
    """State the counterpart of another package's argument, or the arguments that exist."""
    for needed, cure in KEYWORDS.get(name, ()):
        if needed in ("", function) or needed in known:
            return f"{function}() has no argument {name!r}: {cure}"
    hint = nearest(name, known)
    listed = f"{' It' if hint else '; it'} has {', '.join(known)}" if known else ""
    return f"{function}() has no argument {name!r}{hint}{listed}"


def no_attribute(kind: type, name: str) -> str:
    """State that a class has no such attribute, and name a similarly spelt one."""
    hint = "" if name.startswith("_") else nearest(name, public(kind))
    return f"a {kind.__name__} has no attribute {name!r}{hint}"


def public(kind: type) -> list[str]:
    """List the public names of a class."""
    return [name for name in dir(kind) if not name.startswith("_")]


def said(cure: str) -> str:
    """Turn a cure that is code into a sentence."""
    return f"here it is {cure}" if cure.startswith(("model", "-2 *", "ranef.")) else cure


def answering(function: F) -> F:
    """Make a function explain arguments that it does not have."""
    code = cast(FunctionType, function).__code__
    if code.co_flags & CO_VARKEYWORDS:
        return function
    known = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    allowed = frozenset(known)

    @wraps(function)
    def answered(*args: Any, **kwargs: Any) -> Any:
        if not allowed.issuperset(kwargs):
            unknown = next(name for name in kwargs if name not in allowed)
            listed = [name for name in known if name != "self"]
            raise TypeError(keyword_message(function.__name__, unknown, listed))
        return function(*args, **kwargs)

    return cast(F, answered)


class Room(ModuleType):
    """A module with the name of another package's function, which it answers when called."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        name = self.__name__.rpartition(".")[2]
        raise TypeError(module_message(name, []).removeprefix("; "))


def called_elsewhere(module: str) -> None:
    """Let a module answer calls, such as ``ranef.fitted(model)``."""
    sys.modules[module].__class__ = Room


class Spoken:
    """A class that answers other packages' words, as attributes and as arguments of methods."""

    #: Words that mean something else here than on a model, and what to write.
    spoken: ClassVar[Mapping[str, str]] = {}
    #: Where the model is, in answers that name it.
    model_is: ClassVar[str] = ""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name in public(cls):
            member = getattr_static(cls, name)
            if isinstance(member, FunctionType) and not hasattr(member, "__wrapped__"):
                setattr(cls, name, answering(member))

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            kind = type(self)
            if name in kind.spoken:
                message = f"a {kind.__name__} has no {name!r}; {kind.spoken[name]}"
            else:
                message = attribute_message(name) or (kind.model_is and own_message(name))
                if message and kind.model_is and "model" in message:
                    message += f", where model is {kind.model_is}"
                message = message or no_attribute(kind, name)
            raise AttributeError(message, name=name, obj=self)
