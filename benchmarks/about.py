"""What figures were measured on."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from typing import Any


def about_this_machine() -> dict[str, Any]:
    described = ["git", "describe", "--always", "--dirty"]
    commit = subprocess.run(described, capture_output=True, text=True, check=False).stdout.strip()
    return {
        "commit": commit or "unknown",
        "date": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "processors": os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 2),
    }
