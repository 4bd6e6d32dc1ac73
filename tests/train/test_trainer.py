"""The Trainer alone, on a toy model: loss scale, resumption, stopping, several processes."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from mtrans.core.files import read_jsonl
from mtrans.core.settings import TrainSettings
from mtrans.train.callbacks import TrainingDiverged
from mtrans.train.plan import best_validation, out_of_patience, plan_steps
from mtrans.train.run_folder import COMPLETE

from .toy import Toy, toy_trainer

SETTINGS = TrainSettings(max_steps=12, batch_size=4, save_every=5, learning_rate=0.05)


def weights(folder: Path, name: str) -> dict[str, torch.Tensor]:
    return load_file(folder / "checkpoints" / name / "adapter_model.safetensors")


def equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def test_a_run_resumed_from_a_checkpoint_ends_with_the_same_weights(tmp_path: Path) -> None:
    toy_trainer(tmp_path / "whole", SETTINGS).train()
    expected = weights(tmp_path / "whole", "checkpoint-12")

    part = toy_trainer(tmp_path / "part", SETTINGS)

    class Stop(Exception): ...

    def stop_after_seven(*args: object, **kwargs: object) -> None:
        if part.state.global_step == 7:
            raise Stop

    part.callback_handler.callbacks[-1].on_step_begin = stop_after_seven  # type: ignore[method-assign]
    with pytest.raises(Stop):
        part.train()
    again = toy_trainer(tmp_path / "part", SETTINGS)
    last = again.run.last_checkpoint()
    assert last is not None
    assert last.name == "checkpoint-5"
    again.train(resume_from_checkpoint=str(last))
    assert equal(weights(tmp_path / "part", "checkpoint-12"), expected)
    logs = [read_jsonl(tmp_path / name / "log.jsonl") for name in ("whole", "part")]
    for line in (*logs[0], *logs[1]):
        assert line.pop("seconds") > 0
    assert logs[0] == logs[1]
    assert [line["step"] for line in logs[0]] == list(range(1, 13))
    assert {"loss", "learning_rate", "grad_norm", "gate", "epoch"} <= logs[0][0].keys()


def test_another_seed_gives_other_weights(tmp_path: Path) -> None:
    """The equality above would mean nothing if weights did not depend on order and dropout."""
    results = []
    for seed in (0, 1):
        settings = TrainSettings(max_steps=3, batch_size=4, learning_rate=0.05, seed=seed)
        toy_trainer(tmp_path / str(seed), settings).train()
        results.append(weights(tmp_path / str(seed), "checkpoint-3"))
    assert not equal(*results)


def test_a_half_written_checkpoint_is_ignored(tmp_path: Path) -> None:
    trainer = toy_trainer(tmp_path, SETTINGS)
    trainer.train()
    (tmp_path / "checkpoints" / "checkpoint-99").mkdir()
    assert trainer.run.checkpoint_steps() == [12]
    (tmp_path / "checkpoints" / "checkpoint-12" / COMPLETE).unlink()
    assert trainer.run.last_checkpoint() is None


def test_a_checkpoint_holds_what_was_trained_only(tmp_path: Path) -> None:
    toy_trainer(tmp_path, SETTINGS).train()
    folder = tmp_path / "checkpoints" / "checkpoint-12"
    assert not any("frozen" in name for name in load_file(folder / "adapter_model.safetensors"))
    assert sorted(p.name for p in (tmp_path / "checkpoints").iterdir()) == ["checkpoint-12"]
    assert not (folder / "training_args.bin").exists()


def test_accumulated_micro_batches_equal_one_batch(tmp_path: Path) -> None:
    results = []
    for micro in (None, 2):
        settings = TrainSettings(
            max_steps=6, batch_size=8, micro_batch_size=micro, learning_rate=0.05
        )
        toy_trainer(tmp_path / str(micro), settings, dropout=0.0).train()
        results.append(weights(tmp_path / str(micro), "checkpoint-6"))
    for name, value in results[0].items():
        torch.testing.assert_close(results[1][name], value, atol=1e-5, rtol=1e-5)


def test_early_stopping_keeps_the_best_adapter(tmp_path: Path) -> None:
    accuracies = iter([0.25, 0.5, 0.5, 0.5, 0.25, 0.25])
    losses = iter([1.0, 0.9, 0.8, 0.9, 0.1, 0.1])
    settings = TrainSettings(
        max_steps=60, batch_size=4, evaluate_every=2, save_every=20, patience=2
    )
    trainer = toy_trainer(
        tmp_path, settings, validate=lambda: {"accuracy": next(accuracies), "loss": next(losses)}
    )
    trainer.train()
    best = best_validation(trainer.state.log_history)
    assert best is not None
    # 0.5 at step 4; the same accuracy with a lower loss at step 6; two worse ones follow
    assert (best.step, best.accuracy, best.loss, best.since) == (6, 0.5, 0.8, 2)
    assert out_of_patience(trainer.state.log_history, 2)
    assert trainer.state.global_step == 10
    assert sorted(p.name for p in trainer.run.checkpoints.iterdir()) == ["best-6", "checkpoint-10"]
    lines = [r for r in read_jsonl(tmp_path / "log.jsonl") if "val_accuracy" in r]
    assert [line["val_accuracy"] for line in lines] == [0.25, 0.5, 0.5, 0.5, 0.25]


def test_a_loss_that_is_no_number_stops_the_run(tmp_path: Path) -> None:
    settings = TrainSettings(max_steps=30, batch_size=4, learning_rate=0.01)
    model = Toy()
    with torch.no_grad():
        model.up.weight.fill_(float("nan"))
    with pytest.raises(TrainingDiverged, match=r"lower train\.learning_rate"):
        toy_trainer(tmp_path, settings, model=model).train()


def test_steps_are_planned_from_epochs() -> None:
    plan = plan_steps(2400, TrainSettings(epochs=2.5, batch_size=32), validate=True)
    assert (plan.total, plan.evaluate_every, plan.save_every) == (188, 75, 75)
    few = plan_steps(5, TrainSettings(epochs=3, batch_size=32), validate=True)
    assert (few.total, few.evaluate_every) == (1, 1)
    fixed = TrainSettings(epochs=3, max_steps=40, batch_size=32, evaluate_every=7, save_every=9)
    plan = plan_steps(2400, fixed, validate=False)
    assert (plan.total, plan.evaluate_every, plan.save_every) == (40, 0, 9)


def test_the_optimizer_keeps_states_of_what_is_trained_only(tmp_path: Path) -> None:
    trainer = toy_trainer(tmp_path, SETTINGS)
    trainer.train()
    trained = [p for p in trainer.net.parameters() if p.requires_grad]
    frozen = [p for p in trainer.net.parameters() if not p.requires_grad]
    inner = trainer.optimizer.optimizer  # type: ignore[union-attr]
    assert {id(p) for p in inner.state} == {id(p) for p in trained}
    assert all(p.grad is None for p in frozen)
    moments = [t for state in inner.state.values() for t in state.values() if t.ndim]
    single = sum(p.ndim == 0 for p in trained)  # a gate's moments are numbers
    assert sum(t.numel() for t in moments) == 2 * sum(p.numel() for p in trained) - 2 * single
    saved = torch.load(tmp_path / "checkpoints" / "checkpoint-12" / "optimizer.pt")
    assert len(saved["state"]) == len(trained)


def run_processes(
    folder: Path, processes: int, *, steps: int = 6, stop: int | None = None, resume: bool = False
) -> None:
    """Trains the toy in real processes that talk through gloo, as torchrun would start them."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    base = os.environ | {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": str(processes),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(Path(__file__).resolve().parents[1]),
    }
    code = (
        "from pathlib import Path; import sys;"
        "from mtrans.core.settings import TrainSettings; from train.toy import toy_trainer;"
        f"s = TrainSettings(max_steps={steps}, batch_size=8, learning_rate=0.05, save_every=3);"
        f"t = toy_trainer(Path({str(folder)!r}), s, processes={processes}, dropout=0, stop={stop});"
        f"t.train(resume_from_checkpoint=str(t.run.last_checkpoint()) if {resume} else None);"
        # gloo's threads can abort a process that ends beside another on a busy machine
        "import os, torch; torch.distributed.barrier(); os._exit(0)"
    )
    children = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env=base | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(processes)
    ]
    for child in children:
        _, errors = child.communicate(timeout=600)
        assert child.returncode == 0, errors


def test_two_processes_give_the_result_of_one(tmp_path: Path) -> None:
    settings = TrainSettings(max_steps=6, batch_size=8, learning_rate=0.05, save_every=3)
    toy_trainer(tmp_path / "one", settings, dropout=0.0).train()
    run_processes(tmp_path / "two", 2)
    one, two = (weights(tmp_path / name, "checkpoint-6") for name in ("one", "two"))
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, atol=1e-5, rtol=1e-5)
    losses = [[r["loss"] for r in read_jsonl(tmp_path / n / "log.jsonl")] for n in ("one", "two")]
    assert losses[1] == pytest.approx(losses[0], abs=1e-5)
    state = json.loads((tmp_path / "two/checkpoints/checkpoint-6/trainer_state.json").read_text())
    assert state["global_step"] == 6


@pytest.mark.slow
def test_a_run_goes_on_with_another_number_of_processes(tmp_path: Path) -> None:
    """One, then two, then one again: order and losses of a run that one process did alone."""
    settings = TrainSettings(max_steps=9, batch_size=8, learning_rate=0.05, save_every=3)
    toy_trainer(tmp_path / "whole", settings, dropout=0.0).train()
    folder = tmp_path / "moved"
    toy_trainer(folder, settings, dropout=0.0, stop=3).train()
    run_processes(folder, 2, steps=9, stop=6, resume=True)
    files = {p.name for p in (folder / "checkpoints" / "checkpoint-6").glob("rng_state*")}
    assert files == {"rng_state_0.pth", "rng_state_1.pth"}
    last = toy_trainer(folder, settings, dropout=0.0)
    last.train(resume_from_checkpoint=str(last.run.last_checkpoint()))
    whole, moved = (read_jsonl(tmp_path / name / "log.jsonl") for name in ("whole", "moved"))
    assert [line["step"] for line in moved] == list(range(1, 10))
    for name in ("loss", "learning_rate", "grad_norm"):
        assert [r[name] for r in moved] == pytest.approx([r[name] for r in whole], abs=1e-5)
    one, other = (weights(tmp_path / name, "checkpoint-9") for name in ("whole", "moved"))
    for name, value in one.items():
        torch.testing.assert_close(other[name], value, atol=1e-5, rtol=1e-5)


def test_random_numbers_after_a_change_of_processes_depend_on_seed_step_and_process(
    tmp_path: Path,
) -> None:
    trainer = toy_trainer(tmp_path, SETTINGS, stop=5)
    trainer.train()
    checkpoint = tmp_path / "checkpoints" / "checkpoint-5"
    trainer._load_rng_state(str(checkpoint))
    own = torch.rand(4)
    (checkpoint / "rng_state.pth").rename(checkpoint / "rng_state_0.pth")
    drawn = []
    for step in (5, 5, 6):
        trainer.state.global_step = step
        trainer._load_rng_state(str(checkpoint))
        drawn.append(torch.rand(4))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    assert not torch.equal(drawn[0], own)
