"""`python -m openai_async`: the command line, as `openai-async` starts it."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
