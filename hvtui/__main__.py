"""`python -m hvtui` is the installed `hvtui` command."""

from hvtui.cli import main

if __name__ == "__main__":
    main()
