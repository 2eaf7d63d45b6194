"""American English, in code and prose alike; names in the field's words."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
KINDS = {".py", ".md", ".toml", ".yml", ".sh", ".html", ".js", ".css", ".cff"}
BRITISH = re.compile(
    r"colour|neighbour|behaviour|favour|flavour|labell|modell|travell|cancell|centre|licence|grey"
    r"|judgement|catalogue|(?:organ|recogn|real|optim|minim|maxim|normal|regular|initial|serial|equal"
    r"|quant|penal|summar|standard|visual|general|stabil|util|final|local)is(?:e|ed|es|er|ers|ing"
    r"|ation|ations)\b",
    re.IGNORECASE,
)
# a published file's name, an option that was there before, a language's own name
ALLOWED = re.compile(r"vgg_normalised|--licence|\bcancell(?:ed|ation)\b|premises", re.IGNORECASE)


def test_words_are_spelled_as_in_american_english() -> None:
    found = []
    for folder in ("toonify", "tests", "docs", "examples", "recipes", "benchmarks", "."):
        pattern = "*" if folder == "." else "**/*"
        for path in (ROOT / folder).glob(pattern):
            if path.suffix not in KINDS or path == Path(__file__) or "node_modules" in path.parts:
                continue
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
                if word := BRITISH.search(ALLOWED.sub("", line)):
                    place = f"{path.relative_to(ROOT)}:{number}"
                    found.append(f"{place} {word.group()}")
    assert not found


# what the field calls hint, engine, assignment, tracked face, warping error, metrics, outlier …
PRIVATE = re.compile(
    r"(?:^|_)(?:mends?|artists?|casting|sightings?|steadiness|shoot|judg\w+|told|say|says|said|asked"
    r"|whom|telling|shaken|strangers?|misfiled|resembl\w+)(?:_|$)"
)


def names_of(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.arg):
            yield node.arg


def test_names_are_words_of_the_field() -> None:
    found = set()
    for folder in ("toonify", "tests", "examples", "recipes", "benchmarks"):
        for path in (ROOT / folder).rglob("*.py"):
            for name in names_of(ast.parse(path.read_text(encoding="utf-8"))):
                words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
                if not name.startswith("test_") and PRIVATE.search(words):
                    found.add(f"{path.relative_to(ROOT)}: {name}")
    assert not found
