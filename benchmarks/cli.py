"""The command: choose benchmarks, hold them, print the table, write JSON and charts."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

import click

from benchmarks import (
    access,
    control_plane,
    fan_out,
    fleets,
    load,
    log_lines,
    lookups,
    media,
    promotion,
    single_files,
    splits,
    writer_beside,
)
from benchmarks.contest import hold
from benchmarks.machine import facts
from benchmarks.scale import SCALES
from benchmarks.table import print_table

if TYPE_CHECKING:
    from benchmarks.contest import Benchmark

BENCHMARKS: Final[dict[str, Benchmark]] = {
    benchmark.name: benchmark
    for module in (
        single_files,
        lookups,
        fleets,
        load,
        fan_out,
        access,
        media,
        log_lines,
        promotion,
        splits,
        writer_beside,
        control_plane,
    )
    for benchmark in module.BENCHMARKS
}


@click.command
@click.argument("names", metavar="[NAME]...", nargs=-1, type=click.Choice(list(BENCHMARKS)))
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="How often each runs.",
)
@click.option(
    "--scale",
    type=click.Choice(list(SCALES)),
    default="full",
    show_default=True,
    help="full for figures; small only shows that everything runs.",
)
@click.option(
    "--json", "json_path", type=click.Path(path_type=Path), help="Write all samples here."
)
@click.option("--charts", type=click.Path(path_type=Path), help="Draw PNG files in this folder.")
def main(
    names: tuple[str, ...], rounds: int, scale: str, json_path: Path | None, charts: Path | None
) -> None:
    """Measure the product against plain sqlite3 that does the same durable work.

    All benchmarks by default, or those named. The data is built in the folder for temporary files
    (TMPDIR): at full scale up to 6 GB, which are removed at the end.
    """
    measured = {}
    with TemporaryDirectory(prefix="streamhub-benchmarks-") as folder:
        machine = facts(Path(folder))
        for name in names or BENCHMARKS:
            with TemporaryDirectory(dir=folder) as own:
                outcome = hold(BENCHMARKS[name], Path(own), SCALES[scale], rounds, _tell)
            measured[name] = outcome.to_json()
    print_table(measured)
    document = {"machine": machine, "scale": scale, "rounds": rounds, "benchmarks": measured}
    if json_path is not None:
        json_path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    if charts is not None:
        from benchmarks.charts import draw  # noqa: PLC0415 - needs matplotlib, the table does not

        draw(document, charts)


def _tell(what: str) -> None:
    click.echo(what, err=True)
