"""``python -m vcmetrics`` is the command ``vcmetrics``."""

from vcmetrics.cli import main

if __name__ == "__main__":
    main()
