"""The floor from words alone learns words, and nothing but words."""

from __future__ import annotations

from mtrans.core.records import Sample, Turn
from mtrans.data.manifest import write_manifest
from mtrans.measure.predictions import read_predictions
from mtrans.study.svm_text import main, pooled_text, svm_text


def sample(i: int, words: str, answer: str | None, **more) -> Sample:
    common = {"question": "is it sarcastic ?", "choices": ("no", "yes"), "type": "sarcasm"}
    label = None if answer is None else ("no", "yes").index(answer)
    turns = (Turn(words, "ann"),)
    return Sample(
        id=str(i), video=f"{i}.mp4", context=turns, answer=answer, label=label, **{**common, **more}
    )


GLAD, CROSS = "what a lovely day", "oh great another bill"


def test_words_that_tell_are_learnt_and_frames_are_not_looked_at():
    train = [sample(i, (GLAD, CROSS)[i % 2], ("no", "yes")[i % 2]) for i in range(8)]
    found = svm_text(train, [sample(10, GLAD, "no"), sample(11, CROSS, "yes")])
    assert [p.answer for p in found] == ["no", "yes"]
    assert all(abs(sum(p.probabilities or ()) - 1) < 1e-9 for p in found)
    assert (found[0].probabilities or (0,))[0] > 0.6


def test_the_same_words_everywhere_are_no_better_than_the_balance():
    train = [sample(i, GLAD, "yes" if i < 6 else "no") for i in range(8)]
    found = svm_text(train, [sample(10, GLAD, "no"), sample(11, CROSS, "no")])
    assert [p.answer for p in found] == ["yes", "yes"]


def test_one_class_no_words_and_open_questions():
    single = [sample(i, GLAD, "no") for i in range(3)]
    assert svm_text(single, [sample(9, CROSS, "yes")])[0].answer == "no"
    bare = {"question": "?"}
    wordless = [sample(i, "!", ("no", "yes")[i % 2], **bare) for i in range(4)]
    wordless = [Sample(**{**vars(s), "context": ()}) for s in wordless]
    assert svm_text(wordless, wordless)[0].probabilities == (0.5, 0.5)
    train = [sample(i, (GLAD, CROSS)[i % 2], ("no", "yes")[i % 2]) for i in range(6)]
    opened = [Sample(**{**vars(s), "choices": None, "label": None}) for s in train]
    assert [p.answer for p in svm_text(opened, opened[:2])] == ["no", "yes"]


def test_all_words_take_part():
    assert pooled_text(sample(1, GLAD, "no")) == "ann what a lovely day is it sarcastic ?"


def test_the_command_writes_predictions(tmp_path, capsys):
    train = [sample(i, (GLAD, CROSS)[i % 2], ("no", "yes")[i % 2]) for i in range(8)]
    write_manifest(tmp_path / "train.jsonl", train)
    files = [str(tmp_path / name) for name in ("train.jsonl", "train.jsonl", "out.jsonl")]
    main(files)
    assert "8 answers" in capsys.readouterr().out
    assert [p.answer for p in read_predictions(files[-1])] == [s.answer for s in train]
