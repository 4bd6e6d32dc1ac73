"""`mtrans study calibration`: confidence over the number of training clips."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def calibration(
    folder: Annotated[Path, typer.Argument(help="The study's folder.")],
    seed: Annotated[int, typer.Option(help="Of the halves that are fitted on.")] = 0,
) -> None:
    """Table confidence against training clips, before and after temperature scaling; runs nothing.

    For studies that vary `clips` (studies/scaling-clips.yaml), and any other. The temperature is
    fitted on one half of the test clips and measured on the other, and the reverse: once on all of
    the half, once on a quarter as many clips as the run was trained on. Writes calibration.json,
    calibration.md and a picture beside the study's tables.
    """
    from mtrans.core.files import write_text
    from mtrans.report.study import calibration_pictures
    from mtrans.study.calibration_curve import calibration_curve, curve_table, write_curve
    from mtrans.study.run import load_studies, tables_of

    for plan in load_studies(folder):
        points = calibration_curve(plan, folder, seed=seed)
        place = tables_of(plan, folder)
        data, table = write_curve(points, place)
        for name, picture in calibration_pictures(points):
            write_text(place / name, picture)
        print(curve_table(points))
        print(f"calibration: {table}, {data}")
