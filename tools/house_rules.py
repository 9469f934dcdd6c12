"""Reads the package's source and names what the house does not do: unsafe loading, assertions, stubs, overlong code."""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

__all__ = ["FILE_LINES", "FUNCTION_LINES", "main", "overridden", "violations"]

FILE_LINES = 400
FUNCTION_LINES = 50
NAMELESS = {"utils", "util", "helpers", "helper", "common", "misc"}

# Modules whose formats run code when read.
_MODULES = {"pickle", "_pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
_CALLS = {
    "eval": "runs code from a string",
    "exec": "runs code from a string",
    "print": "log it, or write it with the console of the command line",
    "torch.load": "can run code from a file; use safetensors",
    "torch.save": "writes a pickle; use safetensors",
    "torch.manual_seed": "seeds global state; draw from castalia.rng.Stream",
    "np.random.seed": "seeds global state; draw from castalia.rng.Stream",
    "np.random.default_rng": "draw from castalia.rng.Stream",
    "random.seed": "seeds global state; draw from castalia.rng.Stream",
    "yaml.load": "can run code from a file",
    "os.fork": "workers are spawned",
    "os._exit": "skips the clean-up",
}
_NOQA = re.compile(r"#\s*(noqa|type:\s*ignore)(?!\s*[\[:])")
_UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")

Function = ast.FunctionDef | ast.AsyncFunctionDef


def violations(source: Path) -> list[str]:
    """Return one sentence for every breach below ``source``, as ``path:line what``."""
    found: list[str] = []
    trees: dict[str, ast.Module] = {}
    for path in sorted(source.rglob("*.py")):
        name = str(path.relative_to(source))
        text = path.read_text(encoding="utf-8")
        trees[name] = ast.parse(text)
        found.extend(f"{name}:{line} {what}" for line, what in sorted(_in_file(path, text, trees[name])))
    return found + overridden(trees)


def _in_file(path: Path, text: str, tree: ast.Module) -> Iterator[tuple[int, str]]:
    lines = text.splitlines()
    if len(lines) > FILE_LINES:
        yield 1, f"has {len(lines)} lines, at most {FILE_LINES} are wanted."
    if NAMELESS & {path.stem, path.parent.name}:
        yield 1, "has a name that says nothing of what is in it."
    if not ast.get_docstring(tree):
        yield 1, "has no module docstring."
    for number, line in enumerate(lines, 1):
        if _NOQA.search(line):
            yield number, "silences every rule at once; name the rule."
        if _UNFINISHED.search(line):
            yield number, "is unfinished."
    code = _code_lines(text)
    for node in ast.walk(tree):
        yield from ((getattr(node, "lineno", 1), what) for what in _in_node(node, code))


def _code_lines(text: str) -> set[int]:
    """Return the numbers of the lines that hold code: neither blank nor only a comment."""
    skipped = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    found: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in skipped:
            found.update(range(token.start[0], token.end[0] + 1))
    return found


def _in_node(node: ast.AST, code: set[int]) -> Iterator[str]:
    match node:
        case ast.Assert():
            yield "assert outside tests: raise an error that names the cure."
        case ast.ExceptHandler(body=body) if all(_is_nothing(one) for one in body):
            yield "swallows an exception in silence."
        case ast.Raise(exc=ast.expr() as error) if "NotImplementedError" in ast.unparse(error):
            yield "raises NotImplementedError: a stub."
        case ast.Import(names=names):
            yield from (f"imports {a.name}: its files run code." for a in names if a.name.partition(".")[0] in _MODULES)
        case ast.ImportFrom(module=str(name)) if name.partition(".")[0] in _MODULES:
            yield f"imports {name}: its files run code."
        case ast.Call():
            yield from _in_call(node)
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            yield from _in_function(node, code)
        case _:
            return


def _in_call(node: ast.Call) -> Iterator[str]:
    called = ast.unparse(node.func).replace("numpy.", "np.")
    words = {word.arg: word.value for word in node.keywords}
    if called in _CALLS:
        yield f"calls {called}: {_CALLS[called]}."
    if "allow_pickle" in words and ast.unparse(words["allow_pickle"]) != "False":
        yield "allows pickle: can run code from a file."
    if called == "np.load" and "allow_pickle" not in words:
        yield "calls np.load without allow_pickle=False."
    method = called.rpartition(".")[2]
    if method in {"get_context", "set_start_method"} and ast.unparse(ast.Tuple(node.args, ast.Load())) != "('spawn',)":
        yield f"calls {called} without 'spawn': forked workers inherit locks and threads."
    if method == "ProcessPoolExecutor" and "mp_context" not in words:
        yield "starts workers without mp_context=get_context('spawn')."
    if called in {"multiprocessing.Process", "multiprocessing.Pool", "Pool"}:
        yield f"calls {called}: take it from get_context('spawn')."


def _in_function(node: Function, code: set[int]) -> Iterator[str]:
    documented = ast.get_docstring(node, clean=False) is not None
    body = node.body[1:] if documented else node.body
    docstring = set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1)) if documented else set()
    size = len(code.intersection(range(node.lineno, (node.end_lineno or node.lineno) + 1)) - docstring)
    if size > FUNCTION_LINES:
        yield f"{node.name} has {size} lines of code, at most {FUNCTION_LINES} are wanted."
    if all(_is_nothing(one) for one in body) and not _is_abstract(node) and "callback" not in _decorators(node):
        yield f"{node.name} has an empty body."


def _is_nothing(node: ast.stmt) -> bool:
    return isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))


def _is_abstract(node: Function) -> bool:
    return bool(_decorators(node) & {"abstractmethod", "overload"})


def _decorators(node: Function) -> set[str]:
    # A command group's callback has a docstring, its help, and nothing to do.
    return {ast.unparse(one).partition("(")[0].rpartition(".")[2] for one in node.decorator_list}


def overridden(trees: dict[str, ast.Module]) -> list[str]:
    """Return a sentence for every implemented method that a class below overrides: classes are abstract or final.

    Classes are matched by name over all of ``trees``. Constructors and other magic methods may be extended.
    """
    classes = {
        node.name: (name, node)
        for name, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    }
    found: list[str] = []
    for name, node in classes.values():
        inherited: dict[str, str] = {}
        for base in _ancestors(node, classes):
            if not _is_protocol(base):
                inherited.update({one.name: base.name for one in _methods(base) if not _is_abstract(one)})
        found.extend(
            f"{name}:{one.lineno} {node.name}.{one.name} overrides what {inherited[one.name]} implements."
            for one in _methods(node)
            if one.name in inherited
        )
    return sorted(found)


def _methods(node: ast.ClassDef) -> list[Function]:
    found = [one for one in node.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)]
    return [one for one in found if not (one.name.startswith("__") and one.name.endswith("__"))]


def _is_protocol(node: ast.ClassDef) -> bool:
    return any(_bare(base) == "Protocol" for base in node.bases)


def _ancestors(node: ast.ClassDef, classes: dict[str, tuple[str, ast.ClassDef]]) -> list[ast.ClassDef]:
    found: list[ast.ClassDef] = []
    waiting = [_bare(base) for base in node.bases]
    while waiting:
        name = waiting.pop()
        if name in classes and classes[name][1] is not node and classes[name][1] not in found:
            found.append(classes[name][1])
            waiting.extend(_bare(base) for base in classes[name][1].bases)
    return found


def _bare(base: ast.expr) -> str:
    return ast.unparse(base).partition("[")[0].rpartition(".")[2]


def main() -> int:
    """Check this repository's ``src``; return 1 if something breaks a rule."""
    found = violations(Path(__file__).resolve().parent.parent / "src")
    for line in found:
        sys.stderr.write(f"{line}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
