"""Finding the application, and what the operator is told when it is not there."""

import importlib
import sys

import pytest

from portway.wsgi.loader import ApplicationLoadError, load_application

SITE = """
def application(environ, start_response):
    return [b"application"]

class Container:
    class inner:
        @staticmethod
        def wsgi(environ, start_response):
            return [b"inner"]

        @staticmethod
        def make(name="inner"):
            return lambda environ, start_response: [name.encode()]

def make(*args, **kwargs):
    def made(environ, start_response):
        return [repr((args, kwargs)).encode()]
    return made

def one(name):
    return make(name)

def failing():
    raise RuntimeError("no database")

def type_error_inside():
    return len(5)

def exiting():
    raise SystemExit("bye")

def nothing():
    return None

def number():
    return 42

class Instance:
    def __call__(self, environ, start_response):
        return [b"instance"]

instance = Instance()
text = "not an application"
none = None

async def asgi(scope, receive, send):
    pass

class Asgi:
    async def __call__(self, scope, receive, send):
        pass

asgi_instance = Asgi()

def __getattr__(name):
    if name == "lazy":
        return application
    if name == "broken":
        raise KeyError("settings")
    raise AttributeError(name)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Make an import folder, and forget what was imported from it."""
    (tmp_path / "loadable").mkdir()
    (tmp_path / "loadable" / "__init__.py").write_text("")
    (tmp_path / "loadable" / "site.py").write_text(SITE)
    (tmp_path / "loadable" / "only_app.py").write_text("def app(environ, start_response):\n    return []\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    importlib.invalidate_caches()
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.partition(".")[0] in ("loadable", "single", "broken"):
            del sys.modules[name]


def answer(spec):
    return b"".join(load_application(spec)({}, None))


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("loadable.site", b"application"),
        ("loadable.site:application", b"application"),
        ("loadable.site:instance", b"instance"),
        ("loadable.site:lazy", b"application"),
        ("loadable.site:Container.inner.wsgi", b"inner"),
        ("loadable.site:Container.inner.make()", b"inner"),
        ("loadable.site:Container.inner.make('x')", b"x"),
        ("loadable.site:make()", b"((), {})"),
        ("loadable.site:make('a', 1, [2, (3,)], -4, k={'x': None}, flag=True)", None),
        ("loadable.site: make( 'a' ) ", None),
    ],
)
def test_forms(spec, expected):
    if expected is None and spec.startswith("loadable.site: "):
        # A space before the expression is no valid Python.
        with pytest.raises(ApplicationLoadError, match="Failed to parse"):
            load_application(spec)
        return
    if expected is None:
        expected = b"(('a', 1, [2, (3,)], -4), {'k': {'x': None}, 'flag': True})"
    assert answer(spec) == expected


def message(spec):
    with pytest.raises(ApplicationLoadError) as caught:
        load_application(spec)
    return str(caught.value), caught.value.__cause__


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("", "No application module given: write MODULE or MODULE:CALLABLE."),
        (":application", "No application module given: write MODULE or MODULE:CALLABLE."),
        ("loadable.site:", "Failed to parse '' as an attribute name or function call."),
        ("loadable.site:a b", "Failed to parse 'a b' as an attribute name or function call."),
        ("loadable.site:a\0", "Failed to parse 'a\\x00' as an attribute name or function call."),
        ("loadable.site:make(open('x'))", "Failed to parse arguments as literal values: \"make(open('x'))\""),
        ("loadable.site:make(name)", "Failed to parse arguments as literal values: 'make(name)'"),
        (
            "loadable.site:make(**{'a': 1})",
            "Failed to parse arguments as literal values: \"make(**{'a': 1})\"",
        ),
        ("loadable.site:make(*[1])", "Failed to parse arguments as literal values: 'make(*[1])'"),
        ("loadable.site:missing", "Failed to find attribute 'missing' in 'loadable.site'. "),
        ("loadable.site:missing()", "Failed to find attribute 'missing' in 'loadable.site'. "),
        (
            "loadable.site:Container.missing.x",
            "Failed to find attribute 'missing' in 'loadable.site:Container'.",
        ),
        ("loadable.only_app", "Did you mean 'loadable.only_app:app'?"),
        (
            "loadable.site:text",
            "Application object must be callable: 'text' in 'loadable.site' is of type str.",
        ),
        (
            "loadable.site:number()",
            "Application object must be callable: 'number()' in 'loadable.site' is of type int.",
        ),
        ("loadable.site:none", "Failed to find application object: 'none' in 'loadable.site' is None."),
        (
            "loadable.site:nothing()",
            "Failed to find application object: 'nothing()' in 'loadable.site' is None.",
        ),
        ("loadable.site:text()", "'text()' in 'loadable.site' cannot be called: it is of type str."),
        ("loadable.site:one()", "TypeError: one() missing 1 required positional argument: 'name'"),
        ("loadable.site:one(1, 2)", "Calling 'one(1, 2)' in 'loadable.site': TypeError: one() takes 1"),
        ("loadable.site:asgi", "is an asynchronous (ASGI) application"),
        ("loadable.site:asgi_instance", "is an asynchronous (ASGI) application"),
        ("loadable.missing", "Failed to find the module 'loadable.missing'. It is looked for in"),
        (
            "missing_package.site",
            "Failed to find the module 'missing_package.site' (there is no 'missing_package').",
        ),
        ("loadable.site.deeper", "'loadable.site.deeper' ('loadable.site' is a module and not a package: /"),
        ("sys.wsgi", "Failed to find the module 'sys.wsgi' ('sys' is a module and not a package: built in)."),
        ("loadable/site.py", "did you mean 'loadable.site:application'?"),
        ("./loadable/site.py:make", "did you mean 'loadable.site:make'?"),
        ("loadable/site", "'loadable/site' is not a module's name: write it with dots"),
        ("loadable..site", "'loadable..site' is not a module's name"),
        (".site", "'.site' is not a module's name"),
        ("-c:x", "'-c' is not a module's name"),
    ],
)
def test_mistakes_of_the_operator(spec, expected):
    text, cause = message(spec)
    assert expected in text
    assert cause is None


@pytest.mark.parametrize(
    "expression", ["make()()", "make[0]", "'text'", "lambda: 0", "a.b().c", "(a, b)", "f'{x}'", "1+1"]
)
def test_expressions_that_are_neither_name_nor_call(expression):
    text, _ = message(f"loadable.site:{expression}")
    assert repr(expression) in text
    assert "name" in text


def test_a_file_beside_is_hinted_at_and_not_imported(folder):
    (folder / "single.py").write_text("raise AssertionError('was imported')")
    text, cause = message("single.py")
    assert "did you mean 'single:application'?" in text
    assert cause is None
    assert "single" not in sys.modules


@pytest.mark.parametrize(
    ("spec", "expected", "cause"),
    [
        (
            "loadable.site:failing()",
            "Calling 'failing()' in 'loadable.site' raised RuntimeError: no database",
            RuntimeError,
        ),
        (
            "loadable.site:type_error_inside()",
            "raised TypeError: object of type 'int' has no len()",
            TypeError,
        ),
        ("loadable.site:exiting()", "raised SystemExit: bye", SystemExit),
        (
            "loadable.site:broken",
            "Looking for 'broken' in 'loadable.site' raised KeyError: 'settings'",
            KeyError,
        ),
    ],
)
def test_what_the_application_s_code_raises_is_the_cause(spec, expected, cause):
    text, found = message(spec)
    assert expected in text
    assert type(found) is cause
    assert found.__traceback__ is not None


@pytest.mark.parametrize(
    ("source", "expected", "cause"),
    [
        (
            "import not_installed_anywhere",
            "because the module 'not_installed_anywhere' that it needs",
            ModuleNotFoundError,
        ),
        (
            "import loadable.nothing_there",
            "because the module 'loadable.nothing_there' that it",
            ModuleNotFoundError,
        ),
        (
            "from loadable import nothing_there",
            "raised ImportError: cannot import name 'nothing_there'",
            ImportError,
        ),
        (
            "raise ValueError('SECRET_KEY must be set')",
            "raised ValueError: SECRET_KEY must be set",
            ValueError,
        ),
        ("raise AssertionError", "Importing 'broken' raised AssertionError", AssertionError),
        ("def broken(:", "Importing 'broken' raised SyntaxError: ", SyntaxError),
        ("import sys; sys.exit(1)", "Importing 'broken' raised SystemExit: 1", SystemExit),
    ],
)
def test_an_import_that_raises_is_told_from_a_module_that_is_not_there(folder, source, expected, cause):
    (folder / "broken.py").write_text(source)
    importlib.invalidate_caches()
    text, found = message("broken")
    assert expected in text
    assert "Failed to find" not in text
    assert type(found) is cause


def test_ctrl_c_during_the_import_is_ctrl_c(folder):
    (folder / "broken.py").write_text("raise KeyboardInterrupt")
    importlib.invalidate_caches()
    with pytest.raises(KeyboardInterrupt):
        load_application("broken")


def test_sys_modules_has_the_modules_and_nothing_else():
    before = set(sys.modules)
    load_application("loadable.site:make('x')")
    assert set(sys.modules) - before == {"loadable", "loadable.site"}
    with pytest.raises(ApplicationLoadError):
        load_application("loadable.missing")
    with pytest.raises(ApplicationLoadError):
        load_application("loadable/site.py")
    assert set(sys.modules) - before == {"loadable", "loadable.site"}
