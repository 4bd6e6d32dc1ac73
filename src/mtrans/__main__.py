"""`python -m mtrans` is the command line."""

from mtrans.app.cli import main

if __name__ == "__main__":
    main()
