"""Two processes that share every batch compute what one process computes."""

from __future__ import annotations

from typing import Any

import pytest
import two_ranks

from vaelab import launchers
from vaelab.errors import UserError
from vaelab.models.batch import everyone, over_batch
from vaelab.recipes import Train, table
from vaelab.training import ranks
from vaelab.workflows.launch import launch


@pytest.fixture(scope="module")
def together() -> Any:
    """What two processes found (one start for all tests of the file)."""
    return launch(two_ranks.everything, (), {}, Train(devices=2, batch=2))


def test_nobody_can_take_the_port_at_which_the_ranks_meet(
    together: dict[str, Any],
) -> None:
    assert together["port"]


def test_the_gradient_of_every_row_is_that_of_one_process(together: dict[str, Any]) -> None:
    """In float64; the code book of a quantiser is updated in float32."""
    deviations = together["gradients"]
    assert deviations.keys() == table.ROWS.keys() | two_ranks.OTHERS.keys()
    for name, deviation in deviations.items():
        assert deviation < (1e-7 if name == "vq-vae" else 1e-13), name


@pytest.mark.parametrize("variant", ["ae", "vae"])
def test_the_loss_curve_is_that_of_one_process(together: dict[str, Any], variant: str) -> None:
    """An autoencoder has no noise; a VAE has that of each rank's stream. The last batch of an epoch
    is smaller, and its parts differ in size."""
    losses, expected = together["curves"][variant]
    assert len(losses) == len(expected) == 50
    assert losses == pytest.approx(expected, rel=1e-4)
    assert losses[:5] == pytest.approx(expected[:5], rel=1e-6)


def test_an_epoch_goes_on_bit_for_bit_in_as_many_processes(together: dict[str, Any]) -> None:
    resumed = together["resumed"]
    assert resumed["step"] > 0
    assert resumed["equal"]
    assert resumed["apart"] == 0
    assert resumed["streams"], "the ranks draw different noise"
    assert resumed["generators"] == [
        f"generator.{name}" for name in ("cpu", "cpu.1", "data", "data.1")
    ]


def test_held_out_images_have_the_numbers_of_one_process(together: dict[str, Any]) -> None:
    measured, expected = together["resumed"]["validation"]
    assert measured == expected


def test_a_rank_without_an_image_counts_for_nothing(together: dict[str, Any]) -> None:
    assert together["tiny"] < 1e-6


# ---------------------------------------------------------------- one process


def test_a_single_process_takes_batches_as_they_are() -> None:
    index, mean = two_ranks.torch.arange(3), two_ranks.torch.tensor(2.0)
    assert ranks.join() is ranks.ALONE
    assert ranks.ALONE.part(index) is everyone(index) is index
    assert over_batch(mean) is mean


VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR")


def test_the_place_of_a_process_is_read_from_torchrun_and_slurm(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert launchers.place() is None
    for name, value in zip(VARIABLES, ("3", "4", "1", "2", "gpu01"), strict=True):
        monkeypatch.setenv(name, value)
    assert launchers.place() == launchers.Place("torchrun", 3, 4, 1, 2, "gpu01")
    assert launchers.place().nodes == 2
    monkeypatch.delenv("LOCAL_WORLD_SIZE")
    with pytest.raises(UserError, match=r"incomplete \('LOCAL_WORLD_SIZE'\); start the training"):
        launchers.place()
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    step = {"NUM_TASKS": "8", "NUM_NODES": "2", "NODELIST": "gpu[07-08],cpu3"}
    for name, value in step.items():
        monkeypatch.setenv(f"SLURM_STEP_{name}", value)
    monkeypatch.setenv("SLURM_PROCID", "5")
    monkeypatch.setenv("SLURM_LOCALID", "1")
    assert launchers.place() == launchers.Place("SLURM", 5, 8, 1, 4, "gpu07")


def test_other_processes_than_those_that_are_set_are_refused_by_both_numbers() -> None:
    group = ranks.Group(launchers.Place("torchrun", 0, 4, 0, 2, "gpu01"))
    group.check(2, 2)
    with pytest.raises(UserError) as error:
        group.check(1, 1)
    assert str(error.value) == (
        "train.devices: the settings ask for 1 process on 1 machine, torchrun started 2 processes "
        "on each of 2 machines; set train.devices to 2 and train.nodes to 2"
    )
    with pytest.raises(UserError, match="this is a process by itself; start it with torchrun"):
        ranks.ALONE.check(2, 1)


def test_parts_of_a_batch_are_contiguous_and_of_equal_sizes() -> None:
    index = two_ranks.torch.arange(7) + 10
    parts = []
    for rank in range(3):
        group = ranks.Group(launchers.Place("torchrun", rank, 3, rank, 3, ""))
        parts.append(group.part(index).tolist())
        group.begin(len(index))
        assert group.parts == ([3, 2, 2], rank)
    assert parts == [[10, 11, 12], [13, 14], [15, 16]]
