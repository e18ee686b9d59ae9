"""Write the files that are made from the definitions: `python -m docs.generate [--check]`."""

import sys

from docs.generate.pages import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
