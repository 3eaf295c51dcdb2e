"""The syntax tree of every file of the package, for the laws in test_floors.py and test_lines.py."""

import ast
from collections.abc import Iterator
from pathlib import Path

import kws

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = {"kws": "kws", "kws.demo": "demo", "kws.export": "export", "kws.recipes": "recipes"}
LOADERS = {"import_module", "require"}


class Module:
    """One parsed file with its dotted name."""

    def __init__(self, name: str, path: Path, source: str | None = None) -> None:
        self.name = name
        self.path = path
        self.source = path.read_text(encoding="utf-8") if source is None else source
        self.tree = ast.parse(self.source)
        self.parents = {child: node for node in ast.walk(self.tree) for child in ast.iter_child_nodes(node)}

    def within(self, prefixes: set[str]) -> bool:
        return any(below(self.name, prefix) for prefix in prefixes)

    def where(self, node: ast.AST) -> str:
        return f"{self.path.relative_to(ROOT)}:{node.lineno}"

    def calls(self) -> Iterator[ast.Call]:
        return (node for node in ast.walk(self.tree) if isinstance(node, ast.Call))

    def enclosing_functions(self, node: ast.AST) -> list[str]:
        names = []
        while node in self.parents:
            node = self.parents[node]
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                names.append(node.name)
        return names

    def imports(self) -> Iterator[tuple[ast.AST, str]]:
        """What import statements name, each as a dotted module."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from ((node, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                base = self.base(node)
                for alias in node.names:
                    yield node, resolve(base, alias.name)

    def for_types_alone(self, node: ast.AST) -> bool:
        """Whether a node stands below `if TYPE_CHECKING:`."""
        while node in self.parents:
            node = self.parents[node]
            if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
                return True
        return False

    def loads(self) -> Iterator[tuple[ast.AST, str]]:
        """What `import_module("x")` and `require("x")` name."""
        for call in self.calls():
            if last_name(call) in LOADERS and call.args and isinstance(call.args[0], ast.Constant):
                yield call, str(call.args[0].value)

    def base(self, node: ast.ImportFrom) -> str:
        """The absolute name of what stands between `from` and `import`."""
        if not node.level:
            return node.module or ""
        package = self.name.split(".")
        if self.path.name != "__init__.py":
            package = package[:-1]
        package = package[: len(package) - node.level + 1]
        return ".".join([*package, *([node.module] if node.module else [])])


def below(name: str, prefix: str) -> bool:
    """Is a dotted name the prefix itself or something inside it?"""
    return name == prefix or name.startswith(prefix + ".")


def resolve(base: str, name: str) -> str:
    """`from base import name`: the module that this loads."""
    whole = f"{base}.{name}"
    if base == "kws" and name in kws._HOMES:
        return kws._HOMES[name]
    return whole if whole in NAMES or base not in NAMES else base


def last_name(call: ast.Call) -> str:
    """`f(...)` and `a.b.f(...)` are both calls of "f"."""
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def dotted(node: ast.AST) -> str:
    """`a.b.c` as a string; "" for anything that is not a chain of names."""
    if isinstance(node, ast.Attribute):
        base = dotted(node.value)
        return f"{base}.{node.attr}" if base else ""
    return node.id if isinstance(node, ast.Name) else ""


def find_modules() -> dict[str, Path]:
    found = {}
    for package, folder in FOLDERS.items():
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = [package, *path.relative_to(ROOT / folder).with_suffix("").parts]
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


NAMES = find_modules()
MODULES = [Module(name, path) for name, path in NAMES.items()]


def pretend(name: str, source: str) -> list[Module]:
    """A program of one module that does not exist, to show that a rule can fail."""
    return [Module(name, ROOT / "pretended.py", source)]
