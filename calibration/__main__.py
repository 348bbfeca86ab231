"""Calibrate a model: `python -m calibration MODEL`; see `calibration.command`."""

import sys

from calibration.command import main

if __name__ == "__main__":
    sys.exit(main())
