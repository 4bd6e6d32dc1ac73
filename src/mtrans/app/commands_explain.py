"""`mtrans explain`: why a model gives this answer, as one page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mtrans.app import output
from mtrans.app.models import Device, open_predictor

if TYPE_CHECKING:
    from mtrans.core.records import Sample


def explain(
    run: Annotated[str, typer.Argument(help="A run folder, an adapter folder, or a backbone.")],
    data: Annotated[
        Path | None,
        typer.Option(
            help="Manifest that has the question.", show_default="what the run has answered"
        ),
    ] = None,
    clip: Annotated[str | None, typer.Option(help="Id of the question.")] = None,
    clips: Annotated[
        int | None,
        typer.Option(min=2, help="No page: on how many of so many clips each map is true."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="The HTML file; with --clips a folder.",
            show_default="explain-ID.html; RUN/explain",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the random orders maps are held against.")] = 0,
    device: Device = None,
) -> None:
    """Show what an answer rests on: frames, places, words and routes, in one HTML file.

    Every map stands beside curves that say whether it is any better than random; one that is not
    says so. With --clips the maps of one question about each of so many clips are tested, which
    tells whether to trust maps of this model at all; the result stands in the run's report.html.
    docs/explain.md says how each map is made.
    """
    from mtrans.app.commands_robustness import answered
    from mtrans.app.data import as_samples, check_model
    from mtrans.core.errors import SettingsError, did_you_mean

    check_model(run)
    if (clip is None) == (clips is None):
        raise SettingsError("give --clip ID for one page, or --clips N to test the maps on N clips")
    asked = as_samples(data) if data is not None else answered(Path(run))
    if clips is not None:
        _test_maps(run, asked, clips, out, seed, device)
        return
    assert clip is not None
    samples = {s.id: s for s in asked}
    if clip not in samples:
        near = did_you_mean(clip, samples) if len(samples) < 2000 else ""
        raise SettingsError(
            f"--clip {clip}: no such id among {len(samples)} in '{data or run}'{near[:200]}"
        )
    sample = samples[clip]
    output.quiet_libraries()
    from mtrans.infer.explain import explain as run_explain
    from mtrans.report.explain import write_explanation
    from mtrans.video.clip import load_clip

    predictor = open_predictor(run, device, None)
    output.say("asking with cells, frames and words left out")
    found = run_explain(predictor, sample, seed=seed)
    assert sample.video is not None  # explain has said so otherwise
    shown = load_clip(sample.video, predictor.settings.frames, sample.start, sample.end)
    name = "".join(c if c.isalnum() or c in "-_." else "_" for c in clip)
    path = out or Path(f"explain-{name}.html")
    radii = predictor.settings.model.temporal_radii
    write_explanation(path, vars(found), shown.pixels, radii)
    print(f"answer: {found.prediction.answer} ({output.percent(found.score)} %)")
    for one in found.maps:
        print(f"{one.name}: {one.faith['says']}")
    print(f"page: {path}")


def _test_maps(
    run: str, samples: list[Sample], clips: int, out: Path | None, seed: int, device: str | None
) -> None:
    from mtrans.core.errors import SettingsError

    output.quiet_libraries()
    from mtrans.measure.faith import FAITHFULNESS
    from mtrans.study.explain_many import drawn, explain_many

    predictor = open_predictor(run, device, None)
    folder = out or (None if predictor.run is None else predictor.run.path / "explain")
    if folder is None:
        raise SettingsError(f"'{run}' has no run folder to write to; give --out")
    with output.progress("explaining") as step:
        found = explain_many(
            predictor, drawn(samples, clips, seed), folder, seed=seed, progress=step
        )
    for line in found["says"]:
        print(line)
    print(f"maps:   {folder / FAITHFULNESS}")
    if predictor.run is not None and out is None:
        from mtrans.report.build import build

        print(f"report: {build(predictor.run.path)}")
