"""Files that are either the old one or the whole new one, never half of it (write beside, then rename)."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def write_bytes(path: Path, content: bytes) -> None:
    """Replaces `path` in one step; the folder must exist. A failure leaves the old file and no rubbish."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(name).chmod(0o644)  # mkstemp gives 0600, which a web server or a colleague cannot read
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
