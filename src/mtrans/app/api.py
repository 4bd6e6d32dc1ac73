"""The Python front door: :func:`load` gives a :class:`VideoModel`: adapt, evaluate, ask.

    >>> import mtrans
    >>> model = mtrans.load("tiny", train={"max_steps": 1000})
    >>> adapted = model.adapt("train.jsonl", "val.jsonl", out="runs/mine")
    >>> adapted.ask("clip.mp4", "Which way does it move?", choices=["left", "right"]).text
    'left'

The command line does the same through the same functions. Importing this module imports no torch.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mtrans.app.data import as_samples, check_model, has_answers, predictions_file
from mtrans.core.errors import CheckpointError, SettingsError
from mtrans.core.records import Sample, Score
from mtrans.core.settings import (
    BASELINES,
    RunSettings,
    flatten,
    load_settings,
    settings_from_dict,
    settings_to_dict,
)

if TYPE_CHECKING:
    from mtrans.core.calibration import Calibration, Method
    from mtrans.infer.answers import Answer, Said
    from mtrans.infer.predictor import Predictor

Data = str | Path | Sequence[Sample]
"""A manifest's path, or samples."""


@dataclass(frozen=True)
class Result:
    """What an evaluation found.

    Attributes:
        predictions: The predictions' file; everything here can be measured again from it alone.
        scores: Scores over all questions (empty `slice`) and by question type and every fact; none
            where no right answer is known.
        answered: Questions answered now.
        reused: Questions answered before, by the same model on the same data.
        failed: Questions without an answer because their clip can't be read; they count as wrong.
    """

    predictions: Path
    scores: list[Score]
    answered: int
    reused: int
    failed: int

    def score(self, metric: str = "accuracy", **slice_: Any) -> Score:
        """Returns one score.

        Args:
            metric: The metric's name.
            **slice_: Which part, e.g. ``type="moving_count"``; all without.

        Returns:
            The score, with its interval and chance level.

        Raises:
            SettingsError: It was not measured.
        """
        for score in self.scores:
            if score.metric == metric and dict(score.slice) == slice_:
                return score
        known = ", ".join(dict.fromkeys(s.metric for s in self.scores))
        part = f" on {slice_}" if slice_ else ""
        raise SettingsError(f"no score '{metric}'{part} was measured; measured: {known}")


class VideoModel:
    """A backbone or a run, ready to adapt, evaluate and ask. Weights are loaded when needed.

    Args:
        name: A run folder, an adapter folder, ``tiny``, a backbone's folder, or the name of a
            published checkpoint.
        settings: Settings of what `adapt` trains, and how a backbone without adapter looks at a
            clip.
        adapted: Whether `name` holds an adapter.
        calibrated: Give calibrated probabilities where the run has a ``calibration.json``.
    """

    def __init__(
        self, name: str | Path, settings: RunSettings, *, adapted: bool, calibrated: bool = True
    ):
        self.calibrated = calibrated
        self.name = str(name)
        self.settings = settings
        self.adapted = adapted
        self._predictor: Predictor | None = None

    def __repr__(self) -> str:
        what = "adapted" if self.adapted else "image model"
        return f"<VideoModel '{self.name}' ({what})>"

    def adapt(
        self,
        train: Data,
        val: Data | None = None,
        *,
        out: str | Path,
        baseline: str | None = None,
        resume: bool = True,
        progress: bool = True,
        **settings: Any,
    ) -> VideoModel:
        """Trains a new adapter on labelled clips.

        A stopped run with the same settings and data goes on; a finished one is loaded. On a model
        that is adapted already, the backbone gets a new adapter under the same settings.

        Args:
            train: Training clips.
            val: Validation clips, for early stopping and the choice of the best adapter.
            out: The run folder to write.
            baseline: A contender in place of the method: text, single, mean, concat, or a connector
                such as memory_bank (docs/connectors.md).
            resume: Go on with the run that is there; otherwise it is moved to ``<out>.old-<n>``
                and a new one starts.
            progress: Show progress on standard error.
            **settings: Settings to change, as for :func:`load`; those of training by their dotted
                names, since `train` is the data here.

        Returns:
            The adapted model.

        Raises:
            MTransError: Data, settings or `out` are not usable; the message says why.

        Example:
            >>> model = mtrans.load("tiny")
            >>> run = model.adapt("train.jsonl", out="runs/a", **{"train.max_steps": 500})
        """
        from mtrans.interop.cards import write_card
        from mtrans.train.adapt import adapt

        if baseline is not None:
            if baseline not in BASELINES:
                load_settings(baseline=baseline)  # raises with the names there are
            settings = {**BASELINES[baseline], **settings}
        chosen = change(self.settings, settings)
        held_out = as_samples(val) if val is not None else None
        run = adapt(chosen, as_samples(train), held_out, out, resume=resume, progress=progress)
        write_card(run.path)
        return VideoModel(run.path, chosen, adapted=True)

    def evaluate(
        self,
        data: Data,
        out: str | Path | None = None,
        *,
        batch_size: int = 32,
        overwrite: bool = False,
        progress: bool = True,
    ) -> Result:
        """Answers and measures questions.

        Args:
            data: The questions, with their right answers.
            out: The predictions' file to write, or a folder for it; None is the run folder's
                ``predictions.jsonl``.
            batch_size: Questions answered together.
            overwrite: Replace predictions of other data or another model.
            progress: Show progress on standard error.

        Returns:
            The scores and where the predictions are.

        Raises:
            MTransError: The data can't be used, or `out` holds other predictions.

        Example:
            >>> result = mtrans.load("runs/a").evaluate("test.jsonl")
            >>> result.score("accuracy", type="moving_direction").value
            0.61
        """
        from mtrans.infer.evaluate import evaluate
        from mtrans.measure.score import score_predictions

        samples = as_samples(data)
        done = evaluate(
            self.predictor,
            samples,
            predictions_file(out),
            batch_size=batch_size,
            overwrite=overwrite,
            progress=progress,
        )
        scores = score_predictions(done.predictions) if has_answers(samples) else []
        return Result(done.predictions, scores, done.answered, done.reused, done.failed)

    def ask(
        self,
        video: str | Path | None,
        question: str,
        choices: Sequence[str] | None = None,
        context: Said | None = None,
        *,
        start: float | None = None,
        end: float | None = None,
        abstain_below: float | None = None,
    ) -> Answer:
        """Answers one question.

        Args:
            video: The file; None asks without a video.
            question: The question.
            choices: Candidates, which get probabilities; None generates an answer.
            context: Dialogue before the question, oldest turn first: `mtrans.Turn` records,
                texts, or objects with ``text`` and ``speaker``.
            start: Start of the clip in seconds.
            end: End of the clip in seconds.
            abstain_below: Give no answer (``abstained``) where the likeliest candidate is less
                likely than this.

        Returns:
            The answer: ``text``, ``choice``, ``probabilities``, ``times`` of the frames seen.

        Raises:
            VideoError: The clip can't be read.
            ManifestError: The question is empty, or candidates or dialogue are not usable.
            SettingsError: `abstain_below` is no probability, or there are no candidates.

        Example:
            >>> mtrans.load("tiny").ask("clip.mp4", "what colour is the circle ?").text
            'red'
        """
        return self.predictor.ask(
            video, question, choices, context, start, end, abstain_below=abstain_below
        )

    def calibrate(
        self, val: Data, method: Method = "temperature", *, progress: bool = True
    ) -> Calibration:
        """Fits calibrated probabilities on validation clips and keeps them with the run.

        Args:
            val: Validation clips with right answers; 20 questions with candidates at least.
            method: ``temperature`` keeps every answer; ``platt`` also moves answers given too
                often.
            progress: Show progress on standard error.

        Returns:
            What was fitted; `ask` and `evaluate` use it from now on.

        Raises:
            CheckpointError: The model is no run, so there is nowhere to keep it.
            MTransError: The data can't be used, or is too little.

        Example:
            >>> mtrans.load("runs/a").calibrate("val.jsonl").slope
            0.76
        """
        from mtrans.core.calibration import write_calibration
        from mtrans.infer.evaluate import evaluate
        from mtrans.measure.rescale import fit_file

        run = self.predictor.run
        if run is None:
            raise CheckpointError(f"'{self.name}' is no run folder to keep a calibration in")
        path = run.predictions("val")
        evaluate(self.predictor, as_samples(val), path, progress=progress, overwrite=True)
        found = fit_file(path, method)
        write_calibration(run.path, found)
        self._predictor = None  # loaded anew with it
        return found

    @property
    def predictor(self) -> Predictor:
        """The loaded model; loads it at first use."""
        if self._predictor is None:
            from mtrans.infer.predictor import load_predictor

            self._predictor = load_predictor(
                self.name,
                settings=None if self.adapted else self.settings,
                device=self.settings.device,
                calibrated=self.calibrated,
            )
        return self._predictor


def load(
    name: str | Path, preset: str | None = None, *, calibrated: bool = True, **settings: Any
) -> VideoModel:
    """Loads a backbone or a run.

    Args:
        name: ``tiny``, a run folder, an adapter folder, a backbone's folder, or the name of a
            published InstructBLIP or BLIP-2 checkpoint.
        preset: ``mtrans`` (the default) or ``paper``; a run has its own.
        calibrated: Give calibrated probabilities where the run has a ``calibration.json``; False
            gives those of the model.
        **settings: Settings to change: groups as dictionaries, ``train={"max_steps": 500}``, or
            dotted names, ``**{"train.max_steps": 500}``. A run takes where it is computed only
            (``device``).

    Returns:
        The model. Weights are loaded when first needed.

    Raises:
        SettingsError: Unknown or contradicting settings, or settings that a run can't take.
        CheckpointError: No such folder, or a run that is not finished or damaged.

    Example:
        >>> import mtrans
        >>> mtrans.load("tiny").ask("clip.mp4", "how many shapes are there ?").text
        'two'
        >>> mtrans.load("Salesforce/instructblip-vicuna-7b", preset="paper", device="cuda")
        <VideoModel 'Salesforce/instructblip-vicuna-7b' (image model)>
    """
    check_model(name)
    folder = _adapter_folder(Path(name))
    if folder is None:
        chosen = change(load_settings(preset=preset or "mtrans"), {**settings, "backbone": name})
        return VideoModel(name, chosen, adapted=False)
    if preset is not None or set(settings) - {"device"}:
        what = "preset" if preset is not None else sorted(set(settings) - {"device"})[0]
        raise SettingsError(
            f"'{name}' is adapted and keeps its settings; give '{what}' to .adapt(), or load its"
            " backbone"
        )
    from mtrans.train.run_folder import read_settings

    chosen = change(read_settings(folder), settings)
    return VideoModel(name, chosen, adapted=True, calibrated=calibrated)


def change(settings: RunSettings, values: Mapping[str, Any]) -> RunSettings:
    """Returns settings with some of them changed.

    Args:
        settings: What to start from.
        values: Dotted names or nested dictionaries.

    Returns:
        The checked settings.

    Raises:
        SettingsError: Unknown name, wrong type, or contradiction.
    """
    flat = {k: str(v) if isinstance(v, Path) else v for k, v in values.items()}
    if not flat:
        return dataclasses.replace(settings)
    return settings_from_dict({**flatten(settings_to_dict(settings)), **flatten(flat)})


def _adapter_folder(path: Path) -> Path | None:
    """Returns the adapter behind a path; None for a backbone. Light where nothing is there."""
    if not path.is_dir():
        return None
    from mtrans.infer.predictor import find_adapter

    return find_adapter(path)[0]
