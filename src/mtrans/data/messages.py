"""The ``messages`` + ``videos`` form of common fine-tuning tools <-> samples.

    {"messages": [{"role": "user", "content": "<video>What is thrown?"},
                  {"role": "assistant", "content": "a ball"}], "videos": ["clips/a.mp4"]}

Read: ms-swift (``messages``, also its older ``query`` / ``response`` / ``history``), LLaMA-Factory
(``messages``, or ShareGPT's ``conversations`` with ``from`` / ``value``), a ``system`` column,
content as text or a list of parts, and MMLA's prompts (github.com/thuiar/MMLA), whose utterance,
question and candidate labels are taken apart into context, question and choices. Every assistant
turn becomes a sample; turns before it are its context. Written: ``messages`` + ``videos`` plus the
manifest's own fields as further columns, which those tools pass over, so that a file written here
reads back to the same samples; :mod:`mtrans.data.messages_file` writes whole files, dialogues as
dialogues.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from mtrans.core.records import Sample, Turn
from mtrans.data.fields import FieldError, kind_of, sample_from_json

PLACEHOLDER = "<video>"

# Manifest fields that may stand beside `messages`; the rest of the columns belongs to other tools.
COLUMNS = (
    "id",
    "choices",
    "label",
    "start",
    "end",
    "context",
    "speaker",
    "group",
    "split",
    "type",
    "facts",
)

_ROLES = {
    "human": "user",
    "gpt": "assistant",
    "user": "user",
    "assistant": "assistant",
    "system": "system",
}

_MMLA = re.compile(
    r"^You are presented with a video in which the speaker says: (?P<said>.*)"
    r" Based on the text, video, and audio content, "
    r"(?P<question>what is the (?P<type>[\w ]+?) of [^\n]*\?)\n"
    r"The candidate labels for [\w ]+ are: \[(?P<labels>[^\]]*)\]\. Respond in the format: '",
    re.DOTALL,
)


def is_messages(record: Mapping[str, Any]) -> bool:
    """Tells the messages form from a manifest line, by its keys."""
    if "question" in record:
        return False
    return any(key in record for key in ("messages", "conversations", "query", "videos"))


def samples_from_messages(record: Mapping[str, Any], name: str) -> list[Sample]:
    """Converts one record; every assistant turn becomes a sample.

    Args:
        record: The parsed JSON object.
        name: Id of the sample where the record has none; of several the later ones get ``.1`` ...

    Returns:
        At least one sample; without an answer where the record ends in a user turn.

    Raises:
        FieldError: The record holds what a sample can't (several videos, images, audio), or
            something is missing.
    """
    turns, videos = _turns(record)
    for kind in ("images", "audios"):
        if record.get(kind):
            raise FieldError(kind, f"{kind_of(record[kind])}; only videos are read")
    if len(videos) > 1:
        raise FieldError("videos", f"{len(videos)} given; wanted one video a record")
    marks = sum(text.count(PLACEHOLDER) for _, text in turns)
    if marks > len(videos):
        raise FieldError("videos", f"{marks} {PLACEHOLDER} in the text, but {len(videos)} videos")
    columns = {k: record[k] for k in COLUMNS if record.get(k) is not None}
    columns["video"] = videos[0] if videos else None
    columns.setdefault("id", name)
    turns = [(role, text.replace(PLACEHOLDER, "").strip()) for role, text in turns]

    samples: list[Sample] = []
    for place, (role, text) in enumerate(turns):
        answered = place + 1 < len(turns) and turns[place + 1][0] == "assistant"
        if role != "user" or not (answered or place + 1 == len(turns)):
            continue
        fields = dict(columns)
        if samples:
            fields["id"] = f"{columns['id']}.{len(samples)}"
        reply = turns[place + 1][1] if answered else None
        samples.append(_sample(fields, turns[:place], text, reply))
    if not samples:
        raise FieldError("messages", "no user turn that asks for an answer")
    return samples


def messages_from_sample(sample: Sample) -> dict[str, Any]:
    """Converts a sample to a record; :func:`samples_from_messages` gives the same sample back.

    Args:
        sample: A valid sample.

    Returns:
        The record: ``messages``, ``videos`` and the manifest's other fields.
    """
    mark = PLACEHOLDER if sample.video is not None else ""
    content = mark + _context_text(sample.context) + sample.question
    messages = [{"role": "user", "content": content}]
    if sample.answer is not None:
        messages.append({"role": "assistant", "content": sample.answer})
    columns = {k: v for k, v in sample.to_json().items() if k in COLUMNS}
    videos = {"videos": [sample.video]} if sample.video is not None else {}
    return {"messages": messages, **videos, **columns}


def _context_text(context: tuple[Turn, ...]) -> str:
    return "".join(f"{t.speaker}: {t.text}\n" if t.speaker else f"{t.text}\n" for t in context)


def _sample(
    fields: dict[str, Any], before: list[tuple[str, str]], text: str, reply: str | None
) -> Sample:
    """Builds the sample of one exchange from columns, earlier turns, user text and reply."""
    fields["answer"] = reply or None
    if "context" in fields:
        # Written by us: the context also stands in the text, before the question. Text that someone
        # has changed since is kept whole.
        known = _context_text(
            sample_from_json({"id": "x", "question": "x", **_only(fields, "context")}).context
        )
        text = text.removeprefix(known.lstrip())
    else:
        fields["context"] = [{"text": t, "speaker": role} for role, t in before if t]
    mmla = _MMLA.match(text)
    if mmla:
        before_it = fields["context"]
        before_it = [before_it] if isinstance(before_it, str) else before_it
        fields["context"] = [*before_it, {"text": mmla["said"]}]
        fields.setdefault("choices", [label.strip() for label in mmla["labels"].split(",")])
        fields.setdefault("type", mmla["type"])
        text = mmla["question"]
        if reply:
            fields["answer"] = reply.removeprefix(f"{mmla['type']}:").strip()
    if not text:
        raise FieldError("messages", "a user turn holds no text beside the video")
    return sample_from_json({**fields, "question": text})


def _only(fields: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {name: fields[name]} if name in fields else {}


def _turns(record: Mapping[str, Any]) -> tuple[list[tuple[str, str]], list[str]]:
    """Returns ((role, text) of every turn, video paths)."""
    videos = record.get("videos", record.get("video")) or []
    videos = [videos] if isinstance(videos, str) else videos
    if not isinstance(videos, list):
        raise FieldError("videos", "wanted a list of paths")
    videos = list(videos)
    key = next((k for k in ("messages", "conversations", "query") if k in record), None)
    if key is None:
        raise FieldError(
            "messages", "missing; wanted messages, conversations, or query and response"
        )
    if key == "query":
        turns = _history(record)
    else:
        if not isinstance(record[key], list) or not record[key]:
            raise FieldError(key, "wanted a non-empty list of turns")
        turns = [_role_and_content(turn, place, key) for place, turn in enumerate(record[key])]
    if record.get("system"):
        turns.insert(0, ("system", record["system"]))
    texts = [(role, _content(content, videos, key)) for role, content in turns]
    for video in videos:
        if not isinstance(video, str):
            raise FieldError("videos", f"{type(video).__name__}; wanted the path of a file")
    return texts, videos


def _history(record: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Returns the turns of ms-swift's older form: system, history of pairs, query, response."""
    history = record.get("history") or []
    if not isinstance(history, list) or not all(
        isinstance(p, list) and len(p) == 2 for p in history
    ):
        raise FieldError("history", "wanted a list of [query, response] pairs")
    pairs = [*history, (record["query"], record.get("response"))]
    turns: list[tuple[str, Any]] = []
    for query, response in pairs:
        turns.append(("user", query))
        if response is not None:
            turns.append(("assistant", response))
    return turns


def _role_and_content(turn: Any, place: int, key: str) -> tuple[str, Any]:
    if not isinstance(turn, dict):
        raise FieldError(key, f"turn {place} is not an object with role and content")
    role = turn.get("role", turn.get("from"))
    content = turn.get("content", turn.get("value"))
    if not isinstance(role, str) or role not in _ROLES:
        raise FieldError(key, f"turn {place}: role '{role}'; wanted user, assistant or system")
    if content is None:
        raise FieldError(key, f"turn {place}: no content")
    return _ROLES[role], content


def _content(content: Any, videos: list[Any], key: str) -> str:
    """Returns a turn's text; videos named inside a list of parts are added to `videos`."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise FieldError(
            key, f"content is {type(content).__name__}; wanted text or a list of parts"
        )
    texts = []
    for part in content:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "text" and isinstance(part.get("text"), str):
            texts.append(part["text"])
        elif kind == "video":
            videos.extend(v for v in [part.get("video", part.get("path"))] if v)
        else:
            raise FieldError(key, f"content part '{kind}'; wanted text or video")
    return " ".join(texts)
