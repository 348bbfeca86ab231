"""JAX's persistent compilation cache: its place and its opt-out. Only the command line uses it."""

import os
import sys
from pathlib import Path


def cache_folder() -> Path | None:
    """Where compiled programs are kept; `None` if the user opted out by `JAXECON_CACHE=off`.

    `JAXECON_CACHE` names another folder; otherwise the platform's user cache folder.
    """
    chosen = os.environ.get("JAXECON_CACHE", "")
    if chosen.lower() in ("off", "0", "no", "none", "false"):
        return None
    if chosen:
        return Path(chosen).expanduser()
    if sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    elif os.name == "nt":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "jaxecon"


def use_compilation_cache(off: bool = False) -> Path | None:
    """Switch the cache on for this process; returns its folder. An unwritable folder means no cache."""
    folder = None if off else cache_folder()
    if folder is None:
        return None
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    if not os.access(folder, os.W_OK):
        return None
    import jax

    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    return folder
