"""The findings that stand on collected analyses: order, seeing, routes, disturbance, maps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mtrans.measure.sayings import above, axes_apart, below, ends, pc

Found = Mapping[str, Any]

Entry = tuple[str, Sequence[str], Sequence[Sequence[str]], str]
"""Title, sentences, table, command."""

ORDER_COMMAND = (
    "mtrans robustness RUN --data TEST.jsonl --only reverse shuffle still --severities 5"
    " --limit 800 --out RUN/order"
)

DECIDED = 0.35
"""Entropy, in nats, below which a router is said to decide: half of an even choice of two."""

DEPENDS = 0.1
"""Difference of a mask's probability between types of question that shows a router to look."""

FIRST = "mtrans"
"""The contender whose routes, maps and strange clips are told."""


def order(document: Found) -> Iterator[Entry]:
    """Is the line of motion seen, and its sense? Does order change the answers it should?"""
    rows = document["contenders"]
    seen = {name: c["directions"] for name, c in rows.items() if c.get("directions")}
    if seen:
        lines = []
        floor = max(0.5, seen["text"]["sense"] if "text" in seen else 0.5)
        for name, d in seen.items():
            line = f"{pc(d['line'])}{ends(d['line_low'], d['line_high'])}"
            sense = f"{pc(d['sense'])}{ends(d['sense_low'], d['sense_high'])}"
            each = ", ".join(f"{100 * v:.0f}" for v in rows[name].get("senses", {}).values())
            lines.append(
                f"`{name}`: line {line}, sense {sense} of those (by seed {each});"
                f" {_order(d, floor)}.{_split(d)}"
            )
        lines.insert(0, _intro(seen, floor))
        title = f"Seeing motion, and knowing which frame came first (`{document['data']}`)"
        yield title, lines, (), "mtrans analyze RUN --only directions"
    known = {name: c["temporal"] for name, c in rows.items() if c.get("temporal")}
    if known:
        table = [["contender", "seeds", "clip", "should change: do", "should stay: change"]]
        table[0] += ["difference in points", "followed"]
        lines = []
        for name, t in known.items():
            table += [_order_row(name, t, row) for row in t["rows"]]
            back = next((r for r in t["rows"] if r["name"] == "reverse"), None)
            if back is not None and back["low"] is not None:
                word = "uses" if above(back["low"], 0) else "is not shown to use"
                size = f"{100 * back['sensitivity']:+.1f} points{ends(back['low'], back['high'])}"
                each = ", ".join(f"seed {s} {100 * v:+.1f}" for s, v in t["by_seed"].items())
                lines.append(
                    f"`{name}` {word} the order of frames: reversed, {size} more changes where it"
                    f" should change than where it should not ({each})."
                )
        title = f"Frames reversed or shuffled: which answers change (`{document['data']}`)"
        yield title, lines, table, ORDER_COMMAND


def _intro(seen: Mapping[str, Found], floor: float) -> str:
    line = "The line of motion can be had without order, its sense can not; guessing gives 50 %."
    if "text" not in seen or floor <= 0.5:
        return line
    return (
        f"{line} `text` sees no frame and has {pc(floor)} of senses on these clips; a sense counts"
        " as seen where the interval lies above that."
    )


def _order(d: Found, floor: float) -> str:
    if not above(d["line_low"], d["line_chance"]):
        return "it is not shown to see motion"
    if not above(d["sense_low"], floor):
        return "it sees motion, not its sense"
    return "it sees motion and something of its sense"


def _split(d: Found) -> str:
    told = axes_apart(d) if above(d["line_low"], d["line_chance"]) else ""
    return f" {told}." if told else ""


def _order_row(name: str, found: Found, row: Found) -> list[str]:
    size = f"{100 * row['sensitivity']:+.1f}{ends(row['low'], row['high'])}"
    followed = ""
    if row.get("followed") is not None:
        reach = ends(row["followed_low"], row["followed_high"])
        followed = f"{pc(row['followed'])}{reach} of {row['asked']}"
    seeds = ", ".join(map(str, found["seeds"]))
    change, stay = (f"{pc(row[f'flips_{k}'])} of {row[f'should_{k}']}" for k in ("change", "stay"))
    return [name, seeds, row["name"], change, stay, size, followed]


def seeing(document: Found) -> Iterator[Entry]:
    """Do mistakes come from not seeing, or from what is made of it?"""
    found = document["contenders"].get(FIRST, {}).get("perception")
    if not found:
        return
    image = next(iter(found.values()))["image_model"]["stills"]
    own = [each["own"]["stills"] for each in found.values()]
    wrong = sum(sum(each["own"]["errors"].values()) for each in found.values())
    reasoned = sum(each["image_model"]["errors"]["reasoning"] for each in found.values())
    lines = [
        "Asked what there is to see in the same clips, the image model is right in"
        f" {_accuracy(image)} of {image['n']} answers; adapted, by seed, in"
        f" {', '.join(map(_accuracy, own))}."
    ]
    if image["low"] is not None and all(below(o["high"], image["low"]) for o in own):
        lines.append("Training on questions about motion unlearns answers about stills.")
    lines.append(
        f"Of {wrong} mistakes {reasoned} ({pc(reasoned / max(1, wrong))}) are about clips of which"
        " the image model tells every object rightly."
    )
    matters = [above(each["image_model"]["low"], 0) for each in found.values()]
    if all(matters):
        lines.append("Seeing matters: right answers are more often about such clips than mistakes.")
    elif any(matters):
        lines.append("Whether mistakes come from not seeing differs between seeds.")
    else:
        lines.append("That mistakes come from not seeing is not shown in any seed.")
    table = [["seed", "mistakes", "mistakes about such clips", "right answers", "difference"]]
    for seed, each in found.items():
        by = each["image_model"]
        told = [pc(by["seen_when_wrong"]), pc(by["seen_when_right"])]
        gap = f"{100 * by['difference']:+.1f} points{ends(by['low'], by['high'])}"
        table.append([str(seed), str(sum(by["errors"].values())), *told, gap])
    title = f"Seeing or reasoning: where mistakes come from (`{FIRST}`, `{document['data']}`)"
    yield title, lines, table, "mtrans analyze RUN --only perception"


def _accuracy(score: Found) -> str:
    return f"{pc(score['accuracy'])}{ends(score['low'], score['high'])}"


def routes(document: Found) -> Iterator[Entry]:
    """Does the router of DAR decide, and did it learn to?"""
    for name, contender in document["contenders"].items():
        found = contender.get("routing")
        if name != FIRST or not found:
            continue
        first, last = (_mean([pair[k] for pair in found.values()]) for k in (0, 1))
        told = [f"{a:.2f} and {b:.2f}" for a, b in zip(first, last, strict=True)]
        lines = [
            "Entropy of the routing probabilities at the first and the last logged step, in nats,"
            f" router by router, mean over {len(found)} seeds: {', '.join(told)}. An even choice"
            " between two masks has 0.69, among four 1.39."
        ]
        if max(first) < DECIDED:
            lines.append(
                "Routers are near a single mask, the unbounded one, at the first logged step."
            )
        elif max(last) < DECIDED:
            lines.append("Routers learn to decide for a mask.")
        else:
            lines.append("Some routers stay with a mixture of masks.")
        lines += _which(contender.get("masks") or [])
        lines.append("What routing is worth is the ablation's question, not this one's.")
        title = f"Whether routes are decided (`{document['data']}`)"
        yield (
            title,
            lines,
            (),
            "mtrans adapt (routing_entropy in log.jsonl); mtrans study routing STUDY",
        )


def _which(routers: Sequence[Found]) -> list[str]:
    """Says whether a router's choice depends on what is asked, and whether seeds choose alike."""
    lines = []
    for router in routers:
        first = {kind: shares[0] for kind, shares in router["shares"].items()}
        low, high = min(first, key=lambda k: first[k]), max(first, key=lambda k: first[k])
        if first[high] - first[low] < DEPENDS:
            continue
        alike = (
            ""
            if router["agreement"] is None
            else f"; seeds agree by {router['agreement']:.2f} (1: alike)"
        )
        lines.append(
            f"Router {router['family']} {router['layer']} depends on what is asked: it takes"
            f" {router['masks'][0]} with {pc(first[low])} for {low.replace('_', ' ')} and with"
            f" {pc(first[high])} for {high.replace('_', ' ')}{alike}."
        )
    if routers and not lines:
        lines.append("No router's choice depends on what is asked.")
    return lines


def worn(document: Found) -> Iterator[Entry]:
    """What disturbs it, at medium strength and at the most severe."""
    for name, contender in document["contenders"].items():
        found = contender.get("robustness")
        if name != FIRST or not found:
            continue
        clean = found["clean"]
        by_name: dict[str, list[Found]] = {}
        for row in found["rows"]:
            if row["drop"] is not None:  # of no right answers nothing can be lost
                by_name.setdefault(row["name"], []).append(row)
        shown = [max(rows, key=lambda r: -abs(r["severity"] - 3)) for rows in by_name.values()]
        shown.sort(key=lambda r: -r["drop"])
        hurt = [r for r in shown if above(r["drop_low"], 0.1)]
        calm = [r for r in shown if below(r["drop_high"], 0.1)]
        lines = [
            f"Undisturbed {pc(clean['accuracy'])}{ends(clean['low'], clean['high'])} of"
            f" {clean['n']} answers about {clean['clusters']} clips are right (seed"
            f" {found['seed']}).",
            f"Shown to take more than a tenth of them: {_list(hurt)}.",
            f"Shown to take less than a tenth: {_list(calm)}.",
        ]
        table = [["perturbation", "severity", "right", "share of right answers lost"]]
        for r in shown:
            lost = f"{pc(r['drop'])}{ends(r['drop_low'], r['drop_high'])}"
            right = f"{pc(r['accuracy'])}{ends(r['low'], r['high'])}"
            table.append([r["name"], str(r["severity"]), right, lost])
        title = f"What disturbs `{name}` on `{document['data']}`"
        yield title, lines, table, "mtrans robustness RUN --data TEST.jsonl"


def true_maps(document: Found) -> Iterator[Entry]:
    """Is a map any better than a random one?"""
    for name, contender in document["contenders"].items():
        found = contender.get("maps")
        if not found:
            continue
        table = [["map", "better by both curves", "by deletion", "by insertion"]]
        lines = []
        for r in found["maps"]:
            share = f"{pc(r['better'])}{ends(r['low'], r['high'])}"
            table.append([r["name"], share, pc(r["deletion"]), pc(r["insertion"])])
            word = "beats" if above(r["low"], found["chance"]) else "is not shown to beat"
            lines.append(
                f"{r['name']} {word} chance ({pc(found['chance'])}): on {share} of {r['n']} clips."
            )
        title = f"Which maps show what an answer rests on (`{name}`, `{document['data']}`)"
        command = f"mtrans explain RUN --data TEST.jsonl --clips {found['n']}"
        yield title, lines, table, command


def strange(document: Found) -> Iterator[Entry]:
    """Are clips of other worlds noticed?"""
    for name, contender in document["contenders"].items():
        found = contender.get("ood")
        if not found:
            continue
        table = [["strange clips", "score", "AUROC", "warned of: strange", "known"]]
        lines = []
        for row in found["rows"]:
            for score, told in row["scores"].items():
                cells = [
                    row["name"],
                    score,
                    f"{pc(told['auroc'])}{ends(told['low'], told['high'])}",
                ]
                warned = [
                    pc(told[k]) if k in told else "" for k in ("warned_strange", "warned_known")
                ]
                table.append([*cells, *warned])
            distance, sure = row["scores"]["distance"], row["scores"].get("confidence")
            apart, doubted = (s is not None and above(s["low"], 0.5) for s in (distance, sure))
            word = "are told apart" if apart else "are not shown to be told apart"
            line = f"Clips of `{row['name']}` {word} by distance"
            if sure is not None:
                more = "and" if doubted == apart else "but"
                told_by = "too" if doubted else "not shown"
                line += f", {more} by low confidence {told_by}"
            lines.append(f"{line}; a warning comes with {pc(distance['warned_strange'])}.")
        title = (
            f"Whether clips of another world are noticed (`{name}` trained on `{document['data']}`)"
        )
        command = "mtrans ood RUN --fit TRAIN.jsonl --known TEST.jsonl --strange OTHER.jsonl"
        yield title, lines, table, command


def _list(rows: Sequence[Found]) -> str:
    if not rows:
        return "none"
    return ", ".join(f"{r['name']} at {r['severity']} ({pc(r['drop'])})" for r in rows)


def _mean(lists: Sequence[Sequence[float]]) -> list[float]:
    return [sum(values) / len(values) for values in zip(*lists, strict=True)]
