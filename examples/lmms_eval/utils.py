"""What mtrans_physics.yaml names: where a question's clip is."""

from pathlib import Path

DATA = Path("data")


def doc_to_visual(doc):
    """Returns the clip of a manifest line; its start and end where the line has them."""
    return [{"video": str(DATA / doc["video"]), "start": doc.get("start"), "end": doc.get("end")}]
