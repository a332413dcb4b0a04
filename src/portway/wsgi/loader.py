"""Finds the application: `MODULE[:CALLABLE]` of the command line made into a callable.

The forms, `application` being the default:

    module              module:name             module:name.attribute
    module:factory()    module:factory("x", k=1)    module:name.factory()

A factory's arguments are literals; nothing else of the text is evaluated. Runs once for a generation of code,
in the mold or in a worker, and changes neither sys.path nor sys.modules beyond what the import itself does.
"""

import ast
import importlib
import inspect
import os
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any


class ApplicationLoadError(Exception):
    """The application cannot be served. str() is a sentence for the operator.

    Where code of the application raised something, that is the __cause__ and its traceback is worth showing.
    """


def load_application(spec: str) -> Callable[..., Any]:
    """Return the application that the text names, imported and, for a factory, called.

    Raises ApplicationLoadError, also when the application's own code calls sys.exit(); KeyboardInterrupt
    passes.
    """
    module_name, _, expression = spec.partition(":")
    expression = expression if ":" in spec else "application"
    _refuse_path(module_name, expression)
    names, arguments = _parse(expression)
    found = _find(_import(module_name), names, module_name)
    if arguments is not None:
        found = _call(found, arguments, expression, module_name)
    return _checked(found, expression, module_name)


def _refuse_path(module_name: str, expression: str) -> None:
    if module_name.endswith(".py") and (os.path.isfile(module_name) or "/" in module_name):
        dotted = os.path.normpath(module_name)[: -len(".py")].strip("./").replace("/", ".")
        raise ApplicationLoadError(
            f"{module_name!r} is a file, not a module. Failed to find application, did you mean "
            f"'{dotted}:{expression}'?"
        )
    if not module_name:
        raise ApplicationLoadError("No application module given: write MODULE or MODULE:CALLABLE.")
    if not all(part.isidentifier() for part in module_name.split(".")):
        raise ApplicationLoadError(
            f"{module_name!r} is not a module's name: write it with dots, as in 'package.module:application'."
        )


def _parse(expression: str) -> tuple[list[str], tuple[list[Any], dict[str, Any]] | None]:
    """Return the names to follow from the module, and the factory's arguments or None."""
    try:
        node = ast.parse(expression, mode="eval").body
    except (SyntaxError, ValueError):
        raise ApplicationLoadError(
            f"Failed to parse {expression!r} as an attribute name or function call."
        ) from None
    arguments = None
    target = node
    if isinstance(node, ast.Call):
        target = node.func
        try:
            if any(keyword.arg is None for keyword in node.keywords):
                raise ValueError("**")
            arguments = (
                [ast.literal_eval(argument) for argument in node.args],
                {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in node.keywords},
            )
        except (ValueError, TypeError):
            raise ApplicationLoadError(
                f"Failed to parse arguments as literal values: {expression!r}"
            ) from None
    names: list[str] = []
    while isinstance(target, ast.Attribute):
        names.append(target.attr)
        target = target.value
    if not isinstance(target, ast.Name):
        what = "Function reference must be a name" if arguments is not None else "Failed to parse as a name"
        raise ApplicationLoadError(
            f"{what}: {expression!r}. Write 'name', 'name.attribute' or 'factory(\"literal\", key=1)'."
        )
    names.append(target.id)
    return names[::-1], arguments


def _import(module_name: str) -> ModuleType:
    try:
        return importlib.import_module(module_name)
    except KeyboardInterrupt:
        raise
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if missing == module_name or module_name.startswith(missing + "."):
            where = _where_it_ended(module_name, missing)
            raise ApplicationLoadError(
                f"Failed to find the module {module_name!r}{where}. It is looked for in the folder given by "
                "--chdir, in --pythonpath and among the installed packages."
            ) from None
        raise ApplicationLoadError(
            f"Importing {module_name!r} failed, because the module {missing!r} that it needs was not found."
        ) from error
    except BaseException as error:
        raise ApplicationLoadError(f"Importing {module_name!r} raised {_described(error)}") from error


def _where_it_ended(module_name: str, missing: str) -> str:
    """Return, for a dotted name, a clause on the part of it that is at fault, or ""."""
    if missing != module_name:
        return f" (there is no {missing!r})"
    parent = sys.modules.get(module_name.rpartition(".")[0])
    if parent is not None and not hasattr(parent, "__path__"):
        # As site.wsgi does, for "site" is a module of the standard library.
        file = getattr(parent, "__file__", None) or "built in"
        return f" ({parent.__name__!r} is a module and not a package: {file})"
    return ""


def _find(module: ModuleType, names: list[str], module_name: str) -> Any:
    found: Any = module
    place = module_name
    for name in names:
        try:
            following = getattr(found, name)
        except AttributeError:
            hint = ""
            if found is module:
                others = [other for other in ("application", "app") if callable(getattr(module, other, None))]
                hint = f" Did you mean '{module_name}:{others[0]}'?" if others else ""
            raise ApplicationLoadError(f"Failed to find attribute {name!r} in {place!r}.{hint}") from None
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise ApplicationLoadError(
                f"Looking for {name!r} in {place!r} raised {_described(error)}"
            ) from error
        place += f":{name}" if found is module else f".{name}"
        found = following
    return found


def _call(
    factory: Any, arguments: tuple[list[Any], dict[str, Any]], expression: str, module_name: str
) -> Any:
    if not callable(factory):
        raise ApplicationLoadError(
            f"{expression!r} in {module_name!r} cannot be called: it is of type {type(factory).__name__}."
        )
    try:
        return factory(*arguments[0], **arguments[1])
    except KeyboardInterrupt:
        raise
    except TypeError as error:
        # Raised by the call itself, with no frame of the factory's own: the arguments do not fit.
        if error.__traceback__ is None or error.__traceback__.tb_next is None:
            raise ApplicationLoadError(
                f"Calling {expression!r} in {module_name!r}: TypeError: {error}"
            ) from None
        raise ApplicationLoadError(
            f"Calling {expression!r} in {module_name!r} raised {_described(error)}"
        ) from error
    except BaseException as error:
        raise ApplicationLoadError(
            f"Calling {expression!r} in {module_name!r} raised {_described(error)}"
        ) from error


def _checked(found: Any, expression: str, module_name: str) -> Callable[..., Any]:
    named = f"{expression!r} in {module_name!r}"
    if found is None:
        raise ApplicationLoadError(f"Failed to find application object: {named} is None.")
    if not callable(found):
        raise ApplicationLoadError(
            f"Application object must be callable: {named} is of type {type(found).__name__}."
        )
    # type(found).__call__: an instance such as Django's ASGIHandler.
    if inspect.iscoroutinefunction(found) or inspect.iscoroutinefunction(type(found).__call__):
        raise ApplicationLoadError(
            f"{named} is an asynchronous (ASGI) application; Portway serves WSGI applications. "
            "In a Django project it is the one in wsgi.py."
        )
    return found  # type: ignore[no-any-return]


def _described(error: BaseException) -> str:
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
