"""`python -m tinycompress` is the command line of `tinycompress.cli`."""
import sys

from tinycompress.cli import main

if __name__ == "__main__":
    sys.exit(main())
