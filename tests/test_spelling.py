"""American English, in code and prose alike."""

import re
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
