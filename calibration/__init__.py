"""From evidence to parameters: targets of each model in `<model>/targets.toml`, and the command `python -m calibration MODEL`."""
