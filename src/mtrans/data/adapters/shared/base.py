"""The contract of a data set: what is known of it, and `read`, which turns its files into samples.

    official files --read--> Prepared(samples with split, files, notes) --data.prepare--> manifests

An adapter is one file with one class; see ``mustard.py`` for a complete one. It states as class
attributes what `mtrans data list` shows and checks what it finds against what was published.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal, NoReturn

from mtrans.core.errors import DatasetError, SettingsError, did_you_mean
from mtrans.core.records import Sample
from mtrans.data.adapters.shared.files import Wanted, describe, find
from mtrans.data.adapters.shared.questions import Question

Kind = Literal["choice", "open", "caption"]
"""A question with candidates, one answered freely, or a description of a clip."""


@dataclass(frozen=True)
class Scheme:
    """One way of splitting a data set.

    Attributes:
        about: Whose split it is and how it is made, in one sentence.
        sizes: Split -> samples as published, under default options. Empty: nothing was published.
        folds: Whether the splits are folds of a cross-validation (each is the test set once).
    """

    about: str
    sizes: Mapping[str, int] = field(default_factory=dict)
    folds: bool = False


@dataclass(frozen=True)
class Option:
    """A switch of one data set: ``--option NAME=VALUE``.

    Attributes:
        about: What it does, in one sentence.
        default: Its value if not given; None: it must be asked for, or is not used.
        values: What it may be; empty: any text.
    """

    about: str
    default: str | None = None
    values: tuple[str, ...] = ()


@dataclass(frozen=True)
class Request:
    """What is asked of `Adapter.read`.

    Attributes:
        scheme: Name of the split scheme.
        options: Value of each of the adapter's options; None where not given.
        seed: For whatever an adapter draws.
        allow_partial: Whether fewer records than published are acceptable.
    """

    scheme: str
    options: Mapping[str, str | None] = field(default_factory=dict)
    seed: int = 0
    allow_partial: bool = False


@dataclass(frozen=True)
class Prepared:
    """What `Adapter.read` returns.

    Attributes:
        samples: All samples, each with its split; `video` is where the clip is, or, if it is not
            there, where it was expected.
        files: The annotation files that were read; their hashes are kept.
        notes: What the user should know about what was found, a sentence each.
    """

    samples: Sequence[Sample]
    files: Sequence[Path]
    notes: Sequence[str] = ()


class Adapter(ABC):
    """A data set.

    Attributes:
        name: As it is typed; the module's name.
        title: As people write it.
        about: What it is, in a paragraph.
        source: Address of its page.
        citation: The paper, in one line.
        licence: Under which terms annotations and videos are given out.
        get: How to get annotations and videos, in a sentence or two.
        version: Raised by one whenever the samples change that equal files give.
        kinds: What sort of questions it asks.
        metrics: Names of `mtrans.measure` metrics, the published one first.
        chance: Question type -> accuracy of guessing, where it is the same for all questions of
            the type; ``"*"``: the only type, or all. Empty: open answers, or it depends on the
            data, and `mtrans data prepare` computes it.
        schemes: Split schemes; the first is the default.
        options: Its switches.
        questions: The wordings it uses.
        files: The annotation files it looks for.
        videos: Where in the video folder a clip is looked for, in words.
        settings: Run settings that the set's own protocol asks for, e.g. a prompt template.
        size: What there is, in a few words.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    about: ClassVar[str]
    source: ClassVar[str]
    citation: ClassVar[str]
    licence: ClassVar[str]
    get: ClassVar[str]
    size: ClassVar[str]
    version: ClassVar[int] = 1
    kinds: ClassVar[tuple[Kind, ...]]
    metrics: ClassVar[tuple[str, ...]]
    chance: ClassVar[Mapping[str, float]] = {}
    schemes: ClassVar[Mapping[str, Scheme]]
    options: ClassVar[Mapping[str, Option]] = {}
    questions: ClassVar[tuple[Question, ...]] = ()
    files: ClassVar[tuple[Wanted, ...]] = ()
    videos: ClassVar[str]
    settings: ClassVar[Mapping[str, str]] = {}

    @abstractmethod
    def read(self, annotations: Path, videos: Path | None, request: Request) -> Prepared:
        """Reads the official files.

        Args:
            annotations: The folder that holds the annotation files, or the file itself.
            videos: The folder that holds the videos; None: there are none.
            request: Split scheme, options, seed.

        Returns:
            The samples.

        Raises:
            DatasetError: A file is missing, damaged, or holds something else.
        """

    def request(
        self,
        scheme: str | None = None,
        options: Mapping[str, str] | None = None,
        seed: int = 0,
        allow_partial: bool = False,
    ) -> Request:
        """Returns a checked request, with defaults for what is not given.

        Raises:
            SettingsError: The scheme, an option or its value is unknown.
        """
        scheme = scheme or next(iter(self.schemes))
        if scheme not in self.schemes:
            raise SettingsError(
                f"{self.name} has no split scheme '{scheme}'{did_you_mean(scheme, self.schemes)}"
            )
        given = dict(options or {})
        for name, value in given.items():
            if name not in self.options:
                known = did_you_mean(name, self.options) or "; it has none"
                raise SettingsError(f"{self.name} has no option '{name}'{known}")
            values = self.options[name].values
            if values and value not in values:
                raise SettingsError(
                    f"{self.name}: option {name}={value}{did_you_mean(value, values)}"
                )
        filled = {name: given.get(name, option.default) for name, option in self.options.items()}
        return Request(scheme=scheme, options=filled, seed=seed, allow_partial=allow_partial)

    def looked_for(self) -> str:
        """Returns what was looked for and where to get it, for the end of an error message."""
        what = describe(self.files) if self.files else self.videos
        return f"looked for {what}; {self.get}"

    def fail(self, reason: str) -> NoReturn:
        """Raises the one error about files that are missing or not what they should be.

        Args:
            reason: What came, what was wanted.

        Raises:
            DatasetError: Always.
        """
        raise DatasetError(" ".join(f"{self.name}: {reason}; {self.looked_for()}".split()))

    def find(self, annotations: Path, name: str) -> Path:
        """Returns where the annotation file `name` (one of `files`) is.

        Raises:
            DatasetError: It is not there.
        """
        found = self.find_if_there(annotations, name)
        if found is None:
            self.fail(f"no {name} in '{annotations}'")
        return found

    def find_if_there(self, annotations: Path, name: str) -> Path | None:
        """Like `find`, but None where the file is not there.

        Raises:
            DatasetError: The folder is not there, or holds several files of the name.
        """
        wanted = next(w for w in self.files if w.name == name)
        if not annotations.exists():
            self.fail(f"there is no '{annotations}'")
        return find(annotations, wanted, self.fail)

    def find_parts(
        self, annotations: Path, names: Mapping[str, str], request: Request
    ) -> dict[str, Path]:
        """Returns where the files of a set that comes in parts are.

        Args:
            annotations: The folder that holds them, or one of them.
            names: Part -> the annotation file (one of `files`) that holds it.
            request: Says whether some of them are enough.

        Raises:
            DatasetError: None is there, or some are not and that was not allowed.
        """
        found = {part: self.find_if_there(annotations, name) for part, name in names.items()}
        there = {part: path for part, path in found.items() if path is not None}
        missing = [names[part] for part in names if part not in there]
        if not there:
            all_of = f"none of its {len(names)} annotation files"
            what = all_of if len(names) > 3 else f"no {' or '.join(names.values())}"
            self.fail(f"{what} in '{annotations}'")
        if missing and not request.allow_partial:
            files = f"{len(there)} annotation file{'s' if len(there) > 1 else ''}"
            self.fail(
                f"no {', '.join(missing)} in '{annotations}': {files},"
                f" {len(names)} are published; get the others, or pass --allow-partial to go on"
                " with what is there"
            )
        return there

    def check_count(self, what: str, found: int, published: int, request: Request) -> str | None:
        """Holds a count against the published one.

        Args:
            what: What was counted, with its place: ``"clips in sarcasm_data.json"``.
            found: How many there are.
            published: How many there should be.
            request: Says whether another number is acceptable.

        Returns:
            A note where the number differs and that is acceptable; else None.

        Raises:
            DatasetError: The number differs.
        """
        if found == published:
            return None
        reason = f"{found} {what}, {published} are published"
        if not request.allow_partial:
            self.fail(
                f"{reason}: half-downloaded or another version? Get it again, or pass"
                " --allow-partial to go on with what is there"
            )
        return f"{reason}; went on as asked (--allow-partial)."

    def check_sizes(self, samples: Iterable[Sample], request: Request) -> list[str]:
        """Holds the size of every split against `Scheme.sizes`; see `check_count`.

        Returns:
            The notes.

        Raises:
            DatasetError: A size differs and that was not allowed.
        """
        found = Counter(s.split or "" for s in samples)
        sizes = self.schemes[request.scheme].sizes
        notes = [
            self.check_count(f"questions in split '{split}'", found[split], size, request)
            for split, size in sizes.items()
        ]
        return [note for note in notes if note is not None]
