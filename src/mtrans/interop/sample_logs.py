"""Predictions <-> the sample logs of lmms-eval (``*_samples_TASK.jsonl``), and other predictions.

A log names a document by its number and keeps neither clip nor candidates, so what was asked comes
from the manifest that the task was made of: document 0 is its first line. Logs that carry the
document (ours, and those of lmms-eval before 0.4) do without.

A multiple-choice question is logged as ``[loss, is_greedy]`` of each candidate, and the smallest
loss is the model's choice; an open one as text. Needs no torch.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from mtrans.core.files import file_hash, write_text
from mtrans.core.records import Prediction, Sample
from mtrans.data.fields import FieldError, sample_from_json
from mtrans.data.prompts import parse_answer
from mtrans.measure.metrics import is_right
from mtrans.measure.predictions import PredictionsError, read_predictions, write_predictions

Format = Literal["lmms-eval", "jsonl"]

_ASKED = (
    *("video", "question", "choices", "label", "start", "end"),
    *("type", "speaker", "group", "split", "facts", "context"),
)
"""Fields that a prediction takes over from its sample."""


def to_log(predictions: Iterable[Prediction]) -> list[dict[str, Any]]:
    """Converts predictions to lmms-eval's sample form.

    Args:
        predictions: Of one data set, in its order.

    Returns:
        A record each, with the document, so that `from_log` gives back what a log can hold: not
        the time an answer took, the count of its tokens by kind, or a generated answer's
        `parse` (``open`` and ``parsed`` are told apart by the candidates alone).
    """
    return [_record(number, p) for number, p in enumerate(predictions)]


def from_log(
    records: Sequence[Mapping[str, Any]], samples: Sequence[Sample] | None, name: str
) -> list[Prediction]:
    """Converts the records of a sample log.

    Args:
        records: The log's lines.
        samples: The manifest that the task was made of; None where the log has the documents.
        name: The log, for messages.

    Returns:
        The predictions in the order of the documents.

    Raises:
        PredictionsError: A record is not one of a sample log, or it was asked something else.
    """
    made: dict[int, Prediction] = {}
    for number, record in enumerate(records, 1):
        where = f"{name}:{number}"
        doc_id = record.get("doc_id")
        form = "; that is our form: --format jsonl" if {"id", "answer"} <= set(record) else ""
        if not isinstance(doc_id, int) or "filtered_resps" not in record:
            raise PredictionsError(
                f"{where}: no 'doc_id' and 'filtered_resps'; wanted a *_samples_*.jsonl of"
                f" lmms-eval (--log_samples writes it){form}"
            )
        if doc_id in made:
            raise PredictionsError(f"{where}: document {doc_id} is there twice; give one run's log")
        sample = _sample(record, doc_id, samples, where)
        made[doc_id] = _answered(sample, record, where)
    return [made[doc_id] for doc_id in sorted(made)]


def from_jsonl(
    records: Sequence[Mapping[str, Any]], samples: Sequence[Sample] | None, name: str
) -> list[Prediction]:
    """Converts lines in our own predictions form, which may leave out what a manifest says.

    Args:
        records: Objects with ``id`` and ``answer``, and any other field of a prediction. Where the
            question has candidates and ``choice`` is missing, the answer is matched to them.
        samples: The manifest that was asked; None where the lines say it all.
        name: The file, for messages.

    Returns:
        The predictions in the order of the lines; `import_predictions` has `read_predictions` check
        what they hold.

    Raises:
        PredictionsError: An unknown id or field, or no answer.
    """
    known = {s.id: s for s in samples or ()}
    fields = {f.name for f in dataclasses.fields(Prediction)}
    made = []
    for number, record in enumerate(records, 1):
        where = f"{name}:{number}"
        unknown = sorted(set(record) - fields)
        if unknown:
            form = "; that is lmms-eval's form: --format lmms-eval" if "doc_id" in record else ""
            raise PredictionsError(f"{where}: unknown field '{unknown[0]}' of a prediction{form}")
        _check_types(record, where)
        if samples is not None and record["id"] not in known:
            raise PredictionsError(f"{where}: id '{record['id']}' is not in --samples")
        line = dict(record)
        if samples is not None:
            sample = known[line["id"]]
            _check_asked(line, sample, where)
            line = {**_asked(sample), **{k: v for k, v in line.items() if k not in _ASKED}}
            line["target"] = sample.answer
        if line.get("answer") is None and line.get("error") is None:
            raise PredictionsError(f"{where}: no 'answer'")
        made.append(_parsed(line))
    return made


def import_predictions(
    file: Path, form: Format, out: Path, samples: Sequence[Sample] | None = None
) -> list[Prediction]:
    """Writes ``predictions.jsonl`` of another system's answers, and where it came from.

    Args:
        file: The sample log or predictions.
        form: Which of the two.
        out: Folder to write to; must not hold predictions.
        samples: The manifest that was asked.

    Returns:
        The predictions.

    Raises:
        PredictionsError: The file can't be read or is of another form; `out` holds predictions.
    """
    target = out / "predictions.jsonl"
    if target.exists():
        raise PredictionsError(f"'{target}' exists already; give another --out")
    records = read_objects(file)
    read = from_log if form == "lmms-eval" else from_jsonl
    predictions = read(records, samples, str(file))
    write_predictions(target, predictions)
    try:
        read_predictions(target)
    except PredictionsError as error:
        target.unlink()  # else it would stand in the way of the file put right
        reason = str(error).removeprefix(f"{target}:")
        raise PredictionsError(f"'{file}' can't be imported; answer {reason}") from None
    source = {
        "imported": {"file": str(file), "form": form, "sha256": file_hash(file)},
        "predictions": len(predictions),
        "samples": None if samples is None else len(samples),
    }
    write_text(out / "predictions.meta.json", json.dumps(source, indent=2) + "\n")
    return predictions


def read_objects(file: Path) -> list[dict[str, Any]]:
    """Reads a JSONL file of objects.

    Raises:
        PredictionsError: It can't be read, is empty, or a line is not a JSON object.
    """
    try:
        lines = file.read_bytes().split(b"\n")
    except OSError as error:
        raise PredictionsError(f"'{file}' can't be read: {error.strerror}") from error
    records = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError as error:
            raise PredictionsError(f"{file}:{number}: not JSON ({error})") from error
        if not isinstance(record, dict):
            raise PredictionsError(f"{file}:{number}: wanted a JSON object")
        records.append(record)
    if not records:
        raise PredictionsError(f"'{file}' is empty")
    return records


def _check_types(record: Mapping[str, Any], where: str) -> None:
    """Finds what would keep a line from being made into a prediction at all.

    Raises:
        PredictionsError: No id, or a field of another type.
    """
    for name in ("id", "answer", "choices", "probabilities", "log_likelihoods"):
        value = record.get(name)
        text = name in ("id", "answer")
        good = isinstance(value, str if text else list | tuple)
        if name == "choices" and good:
            good = all(isinstance(choice, str) for choice in value or ())
        if not good and (value is not None or name == "id"):
            wanted = "text" if text else "a list of texts" if name == "choices" else "a list"
            raise PredictionsError(f"{where}: field '{name}': wanted {wanted}, got {value!r:.80}")


def _check_asked(record: Mapping[str, Any], sample: Sample, where: str) -> None:
    """Finds a line whose candidates or right answer are not the manifest's.

    Raises:
        PredictionsError: They differ: its `choice` would be taken for another candidate.
    """
    for name, asked in (
        ("choices", sample.choices),
        ("label", sample.label),
        ("target", sample.answer),
    ):
        own = record.get(name)
        own = tuple(own) if name == "choices" and own is not None else own
        if own is not None and own != asked and (asked is not None or name == "choices"):
            raise PredictionsError(
                f"{where}: field '{name}' is {own!r:.80}, in --samples it is {asked!r:.80};"
                " give the manifest that was asked"
            )
    choice, choices = record.get("choice"), sample.choices or ()
    if isinstance(choice, int) and 0 <= choice < len(choices):
        answer = record.get("answer")
        if answer in choices and answer != choices[choice]:
            raise PredictionsError(
                f"{where}: 'choice' is {choice} ('{choices[choice]}'), 'answer' is '{answer}'"
            )


def _record(number: int, p: Prediction) -> dict[str, Any]:
    doc: dict[str, Any] = {k: v for k, v in p.to_json().items() if k in ("id", *_ASKED)}
    if p.target is not None:
        doc["answer"] = p.target
    if p.choices is not None and p.log_likelihoods is not None:
        resps: Any = [[x, n == p.choice] for n, x in enumerate(_own_losses(p))]
        right = float(p.choice == p.label)
    else:
        resps = p.answer
        right = float(is_right(p) if p.choices else p.answer.strip() == (p.target or "").strip())
    target = p.target if p.label is None else p.label
    counts = {"input_tokens": p.tokens.get("visual", 0) + p.tokens.get("prompt", 0)}
    counts["output_tokens"] = p.tokens.get("answer", 0)
    text = json.dumps(doc, indent=2, ensure_ascii=False)
    score = {"acc" if p.choices else "exact_match": right} if target is not None else {}
    return {
        "doc_id": number,
        "target": str(target),
        "filtered_resps": resps,
        "token_counts": [counts] if p.tokens else [None],
        "doc_hash": hashlib.sha256(text.encode("utf-8")).hexdigest(),
        **score,
        "input": p.question,
        "doc": doc,
    }


def _own_losses(p: Prediction) -> list[float]:
    """Returns the candidates' losses, the smallest of them that of the choice.

    Where a calibration moved the choice, the likelihoods are the model's as it was and the
    probabilities are calibrated: then the losses are those of the probabilities.
    """
    losses = [-x for x in p.log_likelihoods or ()]
    if p.choice is None or losses[p.choice] <= min(losses) or p.probabilities is None:
        return losses
    return [-math.log(max(x, sys.float_info.min)) for x in p.probabilities]


def _sample(
    record: Mapping[str, Any], doc_id: int, samples: Sequence[Sample] | None, where: str
) -> Sample:
    """Returns what a record was asked, from the manifest, its document, or what little it says."""
    asked = str(record.get("input", "")).strip()
    if samples is not None:
        if not 0 <= doc_id < len(samples):
            raise PredictionsError(
                f"{where}: document {doc_id}, but --samples has {len(samples)} lines; give the"
                " manifest that the task was made of"
            )
        sample = samples[doc_id]
        target = str(record.get("target"))
        if sample.answer is not None and target.strip() not in _forms(sample):
            raise PredictionsError(
                f"{where}: the right answer is '{target}', in --samples line {doc_id + 1} it is"
                f" '{sample.answer}'; give the manifest that the task was made of"
            )
        return sample
    if isinstance(record.get("doc"), Mapping):
        try:
            return sample_from_json(dict(record["doc"]))
        except FieldError as error:
            raise PredictionsError(
                f"{where}: its document is no manifest line ({error}); give --samples"
            ) from error
    known = record.get("target")
    return Sample(str(doc_id), None, asked or "?", None if known is None else str(known))


def _forms(sample: Sample) -> set[str]:
    """Returns the ways in which a task writes the right answer: text, index or letter."""
    forms = {str(sample.answer).strip()}
    if sample.label is not None:
        forms.add(str(sample.label))
        if sample.label < 26:
            small = chr(ord("a") + sample.label)
            letters = {form for x in (small, small.upper()) for form in (x, f"({x})", f"{x}.")}
            forms |= letters - set(sample.choices or ())  # a candidate's own text is no letter
    return forms


def _answered(sample: Sample, record: Mapping[str, Any], where: str) -> Prediction:
    said = record["filtered_resps"]
    line: dict[str, Any] = {**_asked(sample), "target": sample.answer}
    losses = _losses(said)
    if losses is None:
        while isinstance(said, list) and len(said) == 1:
            said = said[0]
        if not isinstance(said, str):
            raise PredictionsError(f"{where}: filtered_resps is {said!r:.80}; wanted one text")
        return _parsed({**line, "answer": said.strip()})
    if sample.choices is None:
        raise PredictionsError(
            f"{where}: has losses of candidates, but what they are is not known; give --samples"
        )
    if len(losses) != len(sample.choices):
        raise PredictionsError(
            f"{where}: {len(losses)} losses for {len(sample.choices)} candidates; give the manifest"
            " that the task was made of"
        )
    choice = losses.index(min(losses))
    scale = [math.exp(min(losses) - x) for x in losses]
    return Prediction(
        **line,
        answer=sample.choices[choice],
        choice=choice,
        log_likelihoods=tuple(-x for x in losses),
        probabilities=tuple(x / sum(scale) for x in scale),
        parse="scored",
    )


def _losses(said: Any) -> list[float] | None:
    """Returns the candidates' losses, where `said` is pairs of loss and yes/no."""
    pairs = said if isinstance(said, list) and said else []
    if not all(isinstance(p, list) and len(p) == 2 for p in pairs) or not pairs:
        return None
    try:
        losses = [float(p[0]) for p in pairs]  # lmms-eval writes numbers as text
    except (TypeError, ValueError):
        return None
    return losses if all(map(math.isfinite, losses)) else None


def _asked(sample: Sample) -> dict[str, Any]:
    return {"id": sample.id, **{name: getattr(sample, name) for name in _ASKED}}


def _parsed(line: dict[str, Any]) -> Prediction:
    """Matches an answer to the candidates, where there are some and that was not done."""
    choices = line.get("choices")
    for name in ("choices", "probabilities", "log_likelihoods"):
        if line.get(name) is not None:
            line[name] = tuple(line[name])
    if line.get("error") is not None:
        line = {**line, "answer": line.get("answer") or "", "parse": "failed"}
    elif choices and line.get("choice") is None:
        line["choice"] = parse_answer(line["answer"], choices)
        line["parse"] = "failed" if line["choice"] is None else "parsed"
    line.setdefault("parse", "parsed" if choices else "open")
    line.setdefault("video", None)
    line.setdefault("question", "")
    return Prediction(**line)
