"""``python -m dajko``: the command line where its script is not on the path."""

from dajko.cli import main

if __name__ == "__main__":  # local workers are processes that import this file
    main(prog_name="dajko")
