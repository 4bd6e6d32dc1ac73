"""lmms-eval's requests <-> samples; plain data, so that it is tested without lmms-eval.

A request's arguments are ``(text, continuation or settings, doc_to_visual, doc_id, task, split)``.
Of a multiple-choice question lmms-eval makes one request a candidate; here they become one sample
again, so that the clip is read and encoded once.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mtrans.core.errors import MTransError
from mtrans.core.records import Sample

GetDoc = Callable[[str, str, Any], Any]
"""(task, split, doc_id) -> the document."""


class RequestError(MTransError):
    """A request of lmms-eval asks for what this model can't do."""


@dataclass(frozen=True)
class Question:
    """One multiple-choice question.

    Attributes:
        sample: The question with its candidates.
        places: Where the request of each candidate stands in the list of requests.
    """

    sample: Sample
    places: tuple[int, ...]


def questions_from(requests: Sequence[tuple[Any, ...]], get_doc: GetDoc) -> list[Question]:
    """Puts the requests of each question together.

    Args:
        requests: Arguments of the ``loglikelihood`` requests.
        get_doc: Finds a document.

    Returns:
        The questions in the order of their first request; each request is in exactly one. A request
        that comes twice (lmms-eval pads with copies) makes a question of its own.

    Raises:
        RequestError: A request without a clip or of another form.
    """
    groups: list[tuple[tuple[Any, ...], list[str], list[int]]] = []
    latest: dict[tuple[Any, ...], int] = {}
    for place, arguments in enumerate(requests):
        text, continuation, _, doc_id, task, split = _six(arguments)
        if callable(continuation):
            continuation = continuation(get_doc(task, split, doc_id))
        candidate = str(continuation).strip()
        key = (task, split, doc_id, text)
        if key not in latest or candidate in groups[latest[key]][1]:
            latest[key] = len(groups)
            groups.append((key, [], []))
        groups[latest[key]][1].append(candidate)
        groups[latest[key]][2].append(place)
    made = []
    for number, (_, candidates, places) in enumerate(groups):
        sample = _sample(requests[places[0]], get_doc, number, tuple(candidates))
        made.append(Question(sample, tuple(places)))
    return made


def open_question(arguments: tuple[Any, ...], get_doc: GetDoc, number: int) -> Sample:
    """Converts a ``generate_until`` request.

    Args:
        arguments: The request's arguments.
        get_doc: Finds its document.
        number: Makes the sample's id unique.

    Returns:
        The question, without candidates.

    Raises:
        RequestError: A request without a clip or of another form.
    """
    return _sample(_six(arguments), get_doc, number, None)


def cut(text: str, settings: Mapping[str, Any]) -> str:
    """Cuts an answer at the first of the request's stop texts (``until``)."""
    until = settings.get("until") or []
    for stop in [until] if isinstance(until, str) else until:
        if stop:
            text = text.split(stop, 1)[0]
    return text.strip()


def _six(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(arguments) != 6:
        raise RequestError(
            f"a request has {len(arguments)} arguments; wanted text, continuation, doc_to_visual,"
            " doc_id, task and split (acc_mutual_info asks without a clip and is not supported)"
        )
    return arguments


def _sample(
    arguments: tuple[Any, ...], get_doc: GetDoc, number: int, choices: tuple[str, ...] | None
) -> Sample:
    text, _, doc_to_visual, doc_id, task, split = arguments
    visuals = doc_to_visual(get_doc(task, split, doc_id))
    where = f"task '{task}', document {doc_id}"
    video, start, end = _clip(visuals, where)
    if not text.strip():
        raise RequestError(f"{where}: the question is empty")
    return Sample(
        id=f"{number}:{task}/{split}/{doc_id}",
        video=video,
        question=text.strip(),
        choices=choices,
        start=start,
        end=end,
    )


def _clip(visuals: Any, where: str) -> tuple[str | None, float | None, float | None]:
    """Returns file, start and end of the one clip a document has."""
    visuals = visuals if isinstance(visuals, list | tuple) else [visuals]
    visuals = [v for v in visuals if v is not None]
    if not visuals:
        return None, None, None
    if len(visuals) > 1:
        raise RequestError(f"{where}: {len(visuals)} visuals; wanted the path of one video")
    visual = visuals[0]
    if isinstance(visual, str | os.PathLike):
        return os.path.abspath(visual), None, None
    if isinstance(visual, Mapping) and isinstance(visual.get("video"), str | os.PathLike):
        return os.path.abspath(visual["video"]), visual.get("start"), visual.get("end")
    raise RequestError(
        f"{where}: its visual is a {type(visual).__name__}; wanted the path of a video, or"
        " {'video': path, 'start': seconds, 'end': seconds}"
    )
