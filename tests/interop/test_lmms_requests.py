from __future__ import annotations

import pytest

from mtrans.interop.lmms_requests import RequestError, cut, open_question, questions_from

DOCS = {("t", "test", n): {"video": f"/v/{n}.mp4", "answer": " left"} for n in range(3)}


def get_doc(task, split, doc_id):
    return DOCS[task, split, doc_id]


def visual(doc):
    return [doc["video"]]


def request(doc_id, candidate, text="which way ?", see=visual):
    return (text, candidate, see, doc_id, "t", "test")


def test_candidates_become_questions_again():
    asked = [request(0, " left"), request(1, " up"), request(0, " right"), request(1, " down")]
    first, second = questions_from(asked, get_doc)
    assert first.sample.choices == ("left", "right")
    assert first.places == (0, 2)
    assert (second.sample.video, second.sample.question) == ("/v/1.mp4", "which way ?")
    assert second.places == (1, 3)
    assert first.sample.id != second.sample.id


def test_padding_copies_and_other_texts_are_questions_of_their_own():
    asked = [request(0, " left"), request(0, " right"), request(0, " left")]
    asked += [request(0, lambda doc: doc["answer"], text="and now ?")]
    found = questions_from(asked, get_doc)
    assert [q.places for q in found] == [(0, 1), (2,), (3,)]
    assert found[2].sample.choices == ("left",)
    assert sorted(p for q in found for p in q.places) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (["/a.mp4"], ("/a.mp4", None, None)),
        ("/a.mp4", ("/a.mp4", None, None)),
        ([{"video": "/a.mp4", "start": 1.0, "end": 2.5}], ("/a.mp4", 1.0, 2.5)),
        ([], (None, None, None)),
        (None, (None, None, None)),
    ],
)
def test_clips(seen, expected):
    sample = open_question(request(0, {}, see=lambda doc: seen), get_doc, 7)
    assert (sample.video, sample.start, sample.end) == expected
    assert sample.choices is None


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("", " left"), "2 arguments.*acc_mutual_info"),
        (request(0, {}, see=lambda doc: ["/a", "/b"]), "document 0: 2 visuals"),
        (request(0, {}, see=lambda doc: [3.5]), "its visual is a float"),
        (request(0, {}, text=" "), "the question is empty"),
    ],
)
def test_what_can_not_be_asked_is_named(arguments, reason):
    with pytest.raises(RequestError, match=reason):
        open_question(arguments, get_doc, 0)


def test_stop_texts():
    assert cut("a ball\n\nQ: what", {"until": ["\n\n", "."]}) == "a ball"
    assert cut("a ball. red", {"until": "."}) == "a ball"
    assert cut(" a ball ", {}) == "a ball"
