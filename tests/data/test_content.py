"""What tells a folder of pictures from another one."""

from __future__ import annotations

import shutil

from PIL import Image

from mtrans.data.content import ContentIndex


def test_a_folder_of_pictures_has_its_own_hash(tmp_path):
    folder = tmp_path / "clip"
    folder.mkdir()
    for number in (1, 2):
        Image.new("RGB", (4, 4), (number, 0, 0)).save(folder / f"{number}.png")
    index = ContentIndex(tmp_path / "i" / "contents.jsonl")
    fresh = index.digest(folder)
    (folder / "notes.txt").write_text("not a picture")
    assert index.digest(folder) == fresh
    copy = shutil.copytree(folder, tmp_path / "copy")
    assert ContentIndex(tmp_path / "j.jsonl").digest(copy) == fresh
    (copy / "fps.txt").write_text("6")  # the same pictures, shown faster
    assert index.digest(copy) != fresh
    (folder / "2.png").rename(folder / "3.png")
    assert index.digest(folder) != fresh
    (folder / "3.png").rename(folder / "2.png")
    Image.new("RGB", (4, 4), (9, 0, 0)).save(folder / "2.png")
    assert index.digest(folder) != fresh
