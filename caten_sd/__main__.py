"""The command line as ``python -m caten_sd`` and as the script ``caten-sd``."""

from __future__ import annotations

from caten_sd.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
