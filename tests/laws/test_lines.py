"""What a line of the package may touch: no environment, no prints in passing, no hidden
state. And how wide its prose may be.
"""

import ast
import re
from collections.abc import Iterator
from itertools import groupby

import pytest

from trees import MODULES, ROOT, Module, below, dotted, last_name, pretend

# Only the verbs print, read arguments and end the process; so do the demo's two programs, which are no verbs. The
# screen of `kws listen` draws on the terminal. Libraries take a callback of the type `kws.log.Log`.
MAY_PRINT = {"kws.cli", "kws.demo.hear", "kws.demo.screen", "kws.demo.synthesise"}
MAY_READ_ARGUMENTS = {"kws.cli", "kws.demo.hear", "kws.demo.synthesise"}
MAY_EXIT = {
    "kws.__main__",
    "kws.cli",
    "kws.demo.hear",
    "kws.demo.synthesise",
    "kws.parallel.cores",  # a process whose parent has died
}
EXITS = {"sys.exit", "os._exit", "exit", "quit", "parser.exit", "parser.error"}
MAY_TELL_TIME = {"kws.demo"}  # who listens live wants the time of day
PRINTS = {"print", "sys.stdout.write", "sys.stderr.write"}
MAY_SET_TORCH = {"kws.train.trainer", "kws.train.verifier.train", "kws.lab.cost"}
MAY_SEED = {"kws.train"}  # dropout draws from torch's global generator and takes no other
SEEDING = {"manual_seed", "seed_everything"}
MAY_SET_ENVIRONMENT = {"kws.onnxruntime_import", "kws.train.process.waiting"}  # what a library reads when it is loaded
# Whoever writes beside `kws.files` writes what nobody takes for a result when it is half:
# what lives as long as the process, a part of a folder that is written whole, a log, a
# download that goes on, a recording that says when it fails, or sound in memory.
MAY_WRITE = {
    "kws.audio.pipes",
    "kws.cli.main",
    "kws.data.augment",
    "kws.data.download",
    "kws.demo.recorder",
    "kws.demo.synthesise",
    "kws.evaluate.replay.engines.pocketsphinx",
    "kws.evaluate.report.page",
    "kws.lab.run_one",
    "kws.model.checkpoint",
    "kws.recipes.tiny",
}
WRITES = {"write_text", "write_bytes", "savefig"}
WRITERS = {"np.save", "np.savez", "np.savez_compressed", "soundfile.write", "torch.save"}
WHOLE = {"whole", "together"}
ENVIRONMENT = {"environ", "environb", "getenv", "putenv", "unsetenv"}
GENERATORS = {"default_rng", "Generator", "SeedSequence", "BitGenerator", "PCG64", "Philox"}
MUTATORS = {
    "add",
    "append",
    "clear",
    "discard",
    "extend",
    "insert",
    "pop",
    "popitem",
    "remove",
    "setdefault",
    "update",
}
DEFINITIONS = (
    ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef
)  # fmt: skip
WIDEST = 88  # columns of prose
WRITTEN = MODULES + [
    Module(path.stem, path)
    for folder in ("benchmarks", "docs", "examples")
    for path in sorted((ROOT / folder).rglob("*.py"))
]
GUARDS = {"TYPE_CHECKING", "__name__ == '__main__'"}


def environment_variables(modules: list[Module]) -> list[str]:
    bad = []
    for module in modules:
        for node in ast.walk(module.tree):
            names = set()
            if isinstance(node, ast.ImportFrom) and node.module == "os":
                names = {alias.name for alias in node.names}
            elif isinstance(node, ast.Attribute) and dotted(node.value) == "os":
                names = {node.attr}
            if names & ENVIRONMENT and not module.within(MAY_SET_ENVIRONMENT):
                bad.append(f"{module.where(node)}: an environment variable")
    return bad


def prints(modules: list[Module]) -> list[str]:
    return [
        f"{module.where(call)}: {dotted(call.func)} outside kws.cli"
        for module in modules
        if not module.within(MAY_PRINT)
        for call in module.calls()
        if dotted(call.func) in PRINTS or (isinstance(call.func, ast.Attribute) and call.func.attr == "print")
    ]


def argument_parsers(modules: list[Module]) -> list[str]:
    """Imports of argparse, but for those of its types alone."""
    return [
        f"{module.where(node)}: argparse outside kws.cli"
        for module in modules
        if not module.within(MAY_READ_ARGUMENTS)
        for node, name in module.imports()
        if below(name, "argparse") and not module.for_types_alone(node)
    ]


def exits(modules: list[Module]) -> list[str]:
    """What ends the process: `raise SystemExit`, sys.exit, and a parser's exit and error."""
    bad = []
    for module in modules:
        if module.within(MAY_EXIT):
            continue
        for node in ast.walk(module.tree):
            raised = node.exc if isinstance(node, ast.Raise) else None
            kind = dotted(raised.func if isinstance(raised, ast.Call) else raised) if raised else ""
            if kind == "SystemExit" or (isinstance(node, ast.Call) and dotted(node.func) in EXITS):
                bad.append(f"{module.where(node)}: ends the process")
    return bad


def dates(modules: list[Module]) -> list[str]:
    return [
        f"{module.where(call)}: {dotted(call.func)}"
        for module in modules
        if not module.within(MAY_TELL_TIME)
        for call in module.calls()
        if dotted(call.func).startswith(("datetime.", "date.")) and last_name(call) in {"now", "today", "utcnow"}
    ]


def torch_settings(modules: list[Module]) -> list[str]:
    bad = []
    for module in modules:
        for call in module.calls():
            name, last = dotted(call.func), last_name(call)
            if not name.startswith(("torch.", "pl.", "pytorch_lightning.")):
                continue
            setting = last.startswith("set_") or last == "use_deterministic_algorithms"
            if (setting and not module.within(MAY_SET_TORCH)) or (last in SEEDING and not module.within(MAY_SEED)):
                bad.append(f"{module.where(call)}: {name} is for train/trainer.py and lab/cost.py")
    return bad


def written_whole(module: Module, node: ast.AST) -> bool:
    """Whether a node stands in a `with whole(...)` or `with together(...)`."""
    while node in module.parents:
        node = module.parents[node]
        if isinstance(node, ast.With):
            entered = [item.context_expr for item in node.items]
            if WHOLE & {last_name(entry) for entry in entered if isinstance(entry, ast.Call)}:
                return True
    return False


def opens_to_write(call: ast.Call) -> bool:
    """Whether a call of `open`, or of what a library calls so, is given a mode that
    writes.
    """
    given = [*call.args[:2], *(word.value for word in call.keywords if word.arg == "mode")]
    modes = [arg.value for arg in given if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
    writes = any(re.fullmatch("[rwaxbt+]+", mode) and set("wax+") & set(mode) for mode in modes)
    return writes and last_name(call) in {"open", "SoundFile"}


def bare_writes(modules: list[Module]) -> list[str]:
    """What writes a file in place: whoever is stopped, or has no room left, leaves half
    of it.
    """
    bad = []
    for module in modules:
        if module.within(MAY_WRITE):
            continue
        for call in module.calls():
            name = dotted(call.func)
            writes = isinstance(call.func, ast.Attribute) and call.func.attr in WRITES and not name.startswith("files.")
            if (writes or name in WRITERS or opens_to_write(call)) and not written_whole(module, call):
                bad.append(f"{module.where(call)}: {last_name(call)} outside `whole`, `together` and kws.files")
    return bad


def shared_randomness(modules: list[Module]) -> list[str]:
    bad = []
    for module in modules:
        for call in module.calls():
            name = dotted(call.func)
            if name.startswith(("np.random.", "numpy.random.")) and last_name(call) not in GENERATORS:
                bad.append(f"{module.where(call)}: {name} uses numpy's global generator")
            if last_name(call) == "default_rng" and not call.args and not call.keywords:
                bad.append(f"{module.where(call)}: a generator without a seed")
    return bad


def is_constant_name(name: str) -> bool:
    """CONSTANT, _CONSTANT, __dunder__, or TypeName (an alias or a type variable)."""
    bare = name.lstrip("_")
    return bare.isupper() or name.startswith("__") or (bare[:1].isupper() and "_" not in bare)


def assigned_globals(module: Module) -> list[tuple[ast.AST, str]]:
    found = []
    for node in module.tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        leaves = [leaf for target in targets if target is not None for leaf in ast.walk(target)]
        found += [(leaf, leaf.id) for leaf in leaves if isinstance(leaf, ast.Name)]
    return found


def changed_name(node: ast.AST) -> str:
    """The name whose contents a node changes: NAME[...] = x, del NAME[...], NAME.append(x)."""
    if isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load):
        return dotted(node.value)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and last_name(node) in MUTATORS:
        return dotted(node.func.value)
    return ""


def variable_globals(modules: list[Module]) -> list[str]:
    bad = []
    for module in modules:
        found = assigned_globals(module)
        bad += [f"{module.where(node)}: {name} is no constant" for node, name in found if not is_constant_name(name)]
        constants = {name for _, name in found}
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Global):
                bad.append(f"{module.where(node)}: global {', '.join(node.names)}")
            elif changed_name(node) in constants:
                bad.append(f"{module.where(node)}: changes the constant {changed_name(node)}")
    return bad


def work_at_import(modules: list[Module]) -> list[str]:
    """At the top of a file stand imports, definitions and constants; no calls, loops or attempts."""
    bad = []
    for module in modules:
        for node in module.tree.body:
            docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            guarded = isinstance(node, ast.If) and ast.unparse(node.test) in GUARDS
            if not (isinstance(node, DEFINITIONS) or docstring or guarded):
                bad.append(f"{module.where(node)}: {type(node).__name__} at import")
    return bad


def docstring_paragraphs(module: Module) -> Iterator[tuple[int, int, list[str]]]:
    """Of each paragraph of a docstring its first line's number, the docstring's column,
    and the lines as they stand in the file.
    """
    lines = module.source.split("\n")
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        first = node.body[0] if node.body and ast.get_docstring(node, clean=False) is not None else None
        begin = None
        for number in range(first.lineno, first.end_lineno + 2) if first else ():
            if number <= first.end_lineno and lines[number - 1].strip(' "'):
                begin = begin or number
            elif begin:
                yield begin, first.col_offset, lines[begin - 1 : number - 1]
                begin = None


def comment_blocks(module: Module) -> Iterator[tuple[int, list[str]]]:
    """Comments of several lines: the number of the first, and the lines."""
    begin = 1
    for is_comment, own in groupby(module.source.split("\n"), key=lambda line: bool(re.match(r" *# ", line))):
        block = list(own)
        if is_comment and len(block) > 1:
            yield begin, block
        begin += len(block)


def wide_prose(modules: list[Module]) -> list[str]:
    """Docstrings and comments of several lines; formulas, code and tables, which stand
    indented in a paragraph of their own, doctests and rows of Markdown may be wider.
    """
    bad = []
    for module in modules:
        where = module.path.relative_to(ROOT)
        for begin, column, paragraph in docstring_paragraphs(module):
            is_laid_out = all(line.startswith(" " * (column + 2)) for line in paragraph)
            bad += [
                f"{where}:{number}: {len(line)} columns in a docstring"
                for number, line in enumerate(paragraph, begin)
                if len(line) > WIDEST and not is_laid_out and not line.lstrip().startswith((">>> ", "... ", "| "))
            ]
        for begin, block in comment_blocks(module):
            widest = max(map(len, block))
            bad += [f"{where}:{begin}: {widest} columns in a comment of several lines"] if widest > WIDEST else []
    return bad


RULES = [
    environment_variables,
    prints,
    argument_parsers,
    exits,
    dates,
    torch_settings,
    bare_writes,
    shared_randomness,
    variable_globals,
    work_at_import,
]
BREACHES = [
    (environment_variables, "kws.train.x", "x = os.environ['A']"),
    (environment_variables, "kws.train.x", "from os import getenv"),
    (prints, "kws.runtime.detector", "print(1)"),
    (prints, "kws.demo.live", "def run(args):\n    print(1)"),
    (prints, "kws.train.task", "print(1, file=sys.stderr)"),
    (prints, "kws.train.task", "Console().print(1)"),
    (prints, "kws.demo.live", "self._console.print(1)"),
    (argument_parsers, "kws.recipes.own.options", "import argparse"),
    (argument_parsers, "kws.demo.page", "def f():\n    from argparse import ArgumentParser"),
    (exits, "kws.demo.page", "raise SystemExit(1)"),
    (exits, "kws.demo.page", "raise SystemExit"),
    (exits, "kws.train.task", "sys.exit(1)"),
    (exits, "kws.recipes.x", "def configure(parser):\n    parser.error('no')"),
    (dates, "kws.train.x", "datetime.datetime.now()"),
    (torch_settings, "kws.model.x", "torch.set_num_threads(1)"),
    (torch_settings, "kws.train.task", "torch.backends.cuda.set_x(1)"),
    (torch_settings, "kws.model.x", "torch.manual_seed(1)"),
    (bare_writes, "kws.lab.x", "path.write_text('{}')"),
    (bare_writes, "kws.lab.x", "(folder / 'a').write_bytes(b'')"),
    (bare_writes, "kws.train.x", "with path.open('w', encoding='utf-8') as file:\n    pass"),
    (bare_writes, "kws.train.x", "with open(path, mode='ab') as file:\n    pass"),
    (bare_writes, "kws.recipes.x", "wave.open(str(path), 'wb')"),
    (bare_writes, "kws.demo.x", "figure.savefig(path)"),
    (bare_writes, "kws.export.x", "with other(path) as partial:\n    torch.save(values, partial)"),
    (shared_randomness, "kws.data.x", "np.random.rand(3)"),
    (shared_randomness, "kws.data.x", "np.random.default_rng()"),
    (variable_globals, "kws.data.x", "cache = {}"),
    (variable_globals, "kws.data.x", "CACHE = {}\ndef f():\n    CACHE['a'] = 1"),
    (variable_globals, "kws.data.x", "SEEN: set[str] = set()\ndef f():\n    SEEN.add('a')"),
    (variable_globals, "kws.data.x", "N = 0\ndef f():\n    global N"),
    (work_at_import, "kws.data.x", "try:\n    import x\nexcept ImportError:\n    x = None"),
    (work_at_import, "kws.data.x", "prepare()"),
    (wide_prose, "kws.data.x", f'"""{"word " * 17}end."""'),
    (wide_prose, "kws.data.x", f'def f():\n    """A line.\n\n    {"word " * 17}end.\n    """'),
    (wide_prose, "kws.data.x", f"# A comment of\n# {'word ' * 18}\nA = 1"),
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_no(rule):
    assert rule(MODULES) == []


def test_no_wide_prose():
    assert wide_prose(WRITTEN) == []


@pytest.mark.parametrize(("rule", "name", "source"), BREACHES, ids=[breach[2] for breach in BREACHES])
def test_the_rule_notices(rule, name, source):
    assert rule(pretend(name, source)) != []


PERMISSIONS = [
    (environment_variables, MAY_SET_ENVIRONMENT),
    (prints, MAY_PRINT),
    (argument_parsers, MAY_READ_ARGUMENTS),
    (exits, MAY_EXIT),
    (dates, MAY_TELL_TIME),
    (torch_settings, MAY_SET_TORCH),
    (torch_settings, MAY_SEED),
    (bare_writes, MAY_WRITE),
]
NAMES = ["environment", "print", "arguments", "exit", "time", "torch", "seed", "write"]


def in_vain(rule, permitted: set[str], modules: list[Module]) -> list[str]:
    """The entries of a permission without which the rule finds nothing either."""
    vain = []
    for entry in sorted(permitted):
        permitted.remove(entry)
        try:
            if rule(modules) == []:
                vain.append(entry)
        finally:
            permitted.add(entry)
    return vain


@pytest.mark.parametrize(("rule", "permitted"), PERMISSIONS, ids=NAMES)
def test_no_permission_is_vain(rule, permitted):
    assert in_vain(rule, permitted, MODULES) == []


@pytest.mark.parametrize(("rule", "permitted"), PERMISSIONS, ids=NAMES)
def test_a_vain_permission_is_noticed(rule, permitted):
    needless = next(iter(sorted(permitted)))
    assert needless in in_vain(rule, permitted, pretend(needless, "x = 1"))
    assert needless in permitted  # as before


def test_what_is_allowed_passes():
    assert prints(pretend("kws.cli.detect", "def run(args):\n    print(1)")) == []
    assert argument_parsers(pretend("kws.recipes.x", "if TYPE_CHECKING:\n    import argparse")) == []
    assert exits(pretend("kws.train.x", "try:\n    f()\nexcept SystemExit:\n    raise\nraise KwsError('no')")) == []
    assert torch_settings(pretend("kws.model.x", "torch.Generator().manual_seed(1)\ntensor.set_(x)")) == []
    assert shared_randomness(pretend("kws.data.x", "np.random.default_rng([seed, 1])")) == []
    assert bare_writes(pretend("kws.data.x", "with whole(path) as partial:\n    torch.save(values, partial)")) == []
    assert bare_writes(pretend("kws.data.x", "files.write_text(path, '')\nwith path.open('rb') as file:\n    x")) == []
    assert wide_prose(pretend("kws.data.x", f'"""A line.\n\n    {"x = y + z " * 10}\n\n>>> {"f(x) " * 20}\n"""')) == []
    assert wide_prose(pretend("kws.data.x", f"A = 1\n# {'word ' * 20}\nB = 2")) == []
    assert variable_globals(pretend("kws.data.x", "__all__ = []\nSamples = np.ndarray\n_RATE_HZ = 1")) == []
