"""`python -m toonify`."""

import sys

from toonify.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
