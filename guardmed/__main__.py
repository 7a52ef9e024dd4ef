"""``python -m guardmed``, as launchers of several processes start it."""

from guardmed.cli import main

if __name__ == "__main__":
    main()
