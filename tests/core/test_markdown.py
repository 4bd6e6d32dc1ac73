from __future__ import annotations

from mtrans.core.markdown import deeper, table


def test_a_table_sets_numbers_to_the_right_and_keeps_its_columns() -> None:
    made = table(["what", "n"], [("a|b", 3), ("two\nlines", None)], text=1)
    assert made == ["| what | n |", "|---|---:|", "| a\\|b | 3 |", "| two lines | None |"]
    assert table(["what", "n"], []) == ["| what | n |", "|---|---|"]


def test_headings_go_deeper_and_code_stays() -> None:
    text = "# a\n\n```\n# code\n```\n## b\n"
    assert deeper(text, 2) == "### a\n\n```\n# code\n```\n#### b"
