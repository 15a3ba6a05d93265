"""Memory does not grow with the size of an object."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from streamhub_orm.settings import S3Settings

CHECKOUT: Final = Path(__file__).parents[2]
MIB: Final = 1024 * 1024
PUT_AND_GET: Final = """
import sys
from pathlib import Path
from streamhub_orm.settings import S3Settings
from streamhub_orm.storage import open_s3_store
settings = S3Settings(bucket=sys.argv[1], access_key=sys.argv[2], secret_key=sys.argv[3],
                      endpoint=sys.argv[4], force_path_style=True)
source = Path(sys.argv[5])
with open_s3_store(settings) as store:
    store.put(source, source.name)
    store.get(source.name, source.with_suffix(".back"))
(peak,) = (it for it in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in it)
print(peak.split()[1])
"""


def peak_mib(settings: S3Settings, source: Path) -> float:
    assert settings.endpoint is not None
    given = (settings.bucket, settings.access_key, settings.secret_key, settings.endpoint)
    # VmHWM, since ru_maxrss of a new program begins with what its parent used.
    command = [sys.executable, "-c", PUT_AND_GET, *given, str(source)]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert source.read_bytes() == source.with_suffix(".back").read_bytes()
    return int(done.stdout) / 1024


@pytest.mark.slow
def test_put_and_get_of_a_large_object_take_no_more_memory_than_of_a_middling_one(
    s3_settings: S3Settings, tmp_path: Path
) -> None:
    """A handful of parts of 8 MiB, whatever the size."""
    peaks = {}
    for size in (64, 256):
        source = tmp_path / f"{size}"
        with source.open("wb") as file:
            file.truncate(size * MIB)
        peaks[size] = peak_mib(s3_settings, source)
    assert peaks[256] < peaks[64] + 16
    assert peaks[256] < 256
