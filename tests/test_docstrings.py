"""What docstrings say about arguments and attributes is about ones that are there."""

import ast
import re
from pathlib import Path

import toonify

PACKAGE = Path(toonify.__file__).parent
SECTION = re.compile(r"^(?:Args|Attributes):\n((?: +.*(?:\n|$)|\n)+)", re.MULTILINE)
ENTRY = re.compile(r"^ {4}(\S.*?):", re.MULTILINE)


def parameters(function):
    given = function.args
    found = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
    return {argument.arg for argument in found if argument is not None}


def members(kind):
    """Fields, methods, arguments of the constructor, and what is set on `self`."""
    found = {node.attr for node in ast.walk(kind) if isinstance(node, ast.Attribute)}
    for node in kind.body:
        if isinstance(node, ast.AnnAssign):
            found.add(node.target.id)
        elif isinstance(node, ast.FunctionDef):
            found.add(node.name)
            found |= parameters(node) if node.name == "__init__" else set()
    return found


def described(docstring):
    for section in SECTION.findall(docstring):
        for names in ENTRY.findall(section):
            yield from (name.strip().lstrip("*") for name in names.split(","))


def test_arguments_and_attributes_are_there():
    wrong, seen = [], 0
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, (ast.ClassDef, ast.FunctionDef)):
                continue
            known = parameters(node) if isinstance(node, ast.FunctionDef) else members(node)
            for name in described(ast.get_docstring(node) or ""):
                seen += 1
                if name not in known:
                    wrong.append(f"{path.relative_to(PACKAGE)}: {node.name} has no {name}")
    assert seen > 1000 and not wrong, "\n".join(wrong)
