"""For mkdocs: links from the guides into the repository, outside the site, become plain text, after
a look whether what they point to is there."""

import logging
import re
from pathlib import Path

log = logging.getLogger("mkdocs.hooks")
_OUTSIDE = re.compile(r"(?<!!)\[([^\]]+)\]\(\.\./([^)#]+)[^)]*\)")


def on_page_markdown(markdown: str, *, page, config, files) -> str:
    """Called for each page."""
    root = Path(config["config_file_path"]).parent

    def plain(link: re.Match[str]) -> str:
        text, target = link.groups()
        if not (root / target).exists():
            log.warning("%s links to %s, which is not there", page.file.src_path, target)
        return text

    return _OUTSIDE.sub(plain, markdown)
