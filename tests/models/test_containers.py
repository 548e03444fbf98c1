"""Calling a model that is a container: what it gives, and what every other end of it means."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from cellgauge.cards import DatasetCard, ModelCard
from cellgauge.data.store import FileStore
from cellgauge.models.containers import Called, ContainerStopped, call_container
from cellgauge.models.docker_backend import DockerBackend
from cellgauge.models.embedding import InvalidOutputError, accept_embedding
from cellgauge.models.sandbox import NoGpu
from cellgauge.models.weights import WeightsMissing, fetch_weights, weights_folder

MakeCard = Callable[..., ModelCard]
Call = Callable[..., Called]
CELLS = ad.AnnData(
    np.arange(12, dtype=np.float32).reshape(4, 3),
    obs=pd.DataFrame(index=["c0", "c1", "c2", "c3"]),
    var=pd.DataFrame(index=["g0", "g1", "g2"]),
    uns={"taxa": [9606]},
)


@pytest.fixture
def card() -> MakeCard:
    """Makes the card of a model that does what ``do`` says; other keywords are of ``obtain``."""

    def make(do: str = "embed", *, limits: dict[str, float] | None = None, **changes: Any) -> ModelCard:
        params = {"do": do, **changes.pop("params", {})}
        return ModelCard.model_validate(
            {
                "id": "misbehaving",
                "path": "misbehaving.md",
                "name": "Misbehaving",
                "summary": "Made for a test.",
                "version": 1,
                "role": "model",
                "obtain": {
                    "kind": "container",
                    "folder": "misbehaving",
                    "params": params,
                    "limits": {"memory_gb": 0.25, "minutes": 1, "processes": 64, "output_gb": 0.1, **(limits or {})},
                    "tried_with": "stand-in",
                    **changes,
                },
                "output": "embedding",
                "fit": "none",
                "pretrained": False,
                "seeded": True,
                "input": {"values": ["counts"]},
            }
        )

    return make


@pytest.fixture
def call(
    backend: DockerBackend,
    misbehaving: str,
    dataset_card: Callable[..., DatasetCard],
    card: MakeCard,
    tmp_path: Path,
) -> Call:
    """Calls the model; nothing may stay in the folder that it works in."""
    work = tmp_path / "work"

    def run(do: str, *, lines: list[str] | None = None, **changes: Any) -> Called:
        try:
            return call_container(
                card(do, **changes),
                dataset_card(),
                CELLS,
                seed=7,
                backend=backend,
                image=backend.find(misbehaving),
                weights=None,
                work=work,
                threads=1,
                on_line=(lines if lines is not None else []).append,
            )
        finally:
            left = list(work.glob("*"))
            subprocess.run(["rm", "-rf", work], check=True)
            assert left == []

    return run


def test_an_embedding_comes_back_with_what_it_took(call: Call, misbehaving: str) -> None:
    called = call("embed")
    assert called.output.index.tolist() == ["c3", "c2", "c1", "c0"]
    accepted = accept_embedding(called.output, CELLS.obs_names.to_numpy(dtype=str))
    np.testing.assert_array_equal(accepted, [[0, 7], [1, 7], [2, 7], [3, 7]])
    assert called.genes is not None
    assert (called.genes.known, called.genes.found) == (10, 3)
    assert called.environment.image == misbehaving
    assert str(called.environment.image_id).startswith("sha256:")
    assert called.environment.image_digest is None
    assert re.fullmatch(r"3\.\d+\.\d+", called.environment.python)
    assert called.environment.packages == {"misbehaving": "1"}
    assert called.cost.wall_s > 0


def test_what_it_used_is_part_of_its_cost(call: Call) -> None:
    cost = call("use_memory_and_processor", params={"mib": 50, "seconds": 0.8}).cost
    assert cost.cpu_s > 0.3
    assert cost.peak_memory_mb is not None
    assert 50 < cost.peak_memory_mb < 250
    assert cost.memory_method == "peak of the container's cgroup, page cache included"


def test_its_lines_are_shown_and_its_log_is_kept(call: Call) -> None:
    lines: list[str] = []
    called = call("talk", lines=lines)
    assert lines[0] == "plain"
    assert "to nobody in particular" not in lines
    assert "to nobody in particular" in called.log.splitlines()


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (64, "not_applicable"),
        (65, "invalid_input"),
        (66, "weights_unavailable"),
        (67, "needs_gpu"),
        (68, "out_of_memory"),
    ],
)
def test_an_exit_code_that_means_something(call: Call, code: int, status: str) -> None:
    with pytest.raises(ContainerStopped, match=r"^there is a reason$") as caught:
        call("end", params={"code": code, "reason": "there is a reason"})
    assert caught.value.status == status
    assert caught.value.log == "the last words"


@pytest.mark.parametrize(
    ("do", "params", "said"),
    [
        ("end", {"code": 3}, "the container ended with exit code 3: the last words"),
        ("end", {"code": 3, "reason": "a \x1b[31mreason"}, "the container ended with exit code 3: a [31mreason"),
        ("end", {"code": 3, "line": "x" * 1000}, f"the container ended with exit code 3: {'x' * 400}"),
        ("end", {"code": 3, "line": ""}, "the container ended with exit code 3: it printed nothing"),
        ("fail", {}, "the container ended with exit code 1: RuntimeError: the model is broken"),
    ],
)
def test_any_other_exit_code_is_a_failure_with_its_last_words(
    call: Call, do: str, params: dict[str, Any], said: str
) -> None:
    with pytest.raises(ContainerStopped) as caught:
        call(do, params=params)
    assert caught.value.status == "failed"
    assert str(caught.value) == said


def test_the_log_of_a_failure_holds_its_traceback(call: Call) -> None:
    with pytest.raises(ContainerStopped) as caught:
        call("fail")
    assert "Traceback (most recent call last):" in caught.value.log


def test_a_reason_does_not_need_a_response_that_is_in_order(call: Call) -> None:
    """The exit code counts, whatever else was written."""
    with pytest.raises(ContainerStopped, match=r"^the last words$") as caught:
        call("end", params={"code": 64, "text": "{"})
    assert caught.value.status == "not_applicable"


@pytest.mark.parametrize(
    ("do", "limits", "status", "said"),
    [
        ("sleep", {"minutes": 0.02}, "timeout", "the container was stopped after its time limit of 1.2 s"),
        ("take_memory", {"memory_gb": 0.064}, "out_of_memory", "the container used more memory than its card allows"),
        (
            "write_much",
            {"output_gb": 0.02},
            "failed",
            "the container was stopped because it wrote .* GB; 0.02 GB are allowed",
        ),
        ("write_many", {}, "failed", "the container was stopped because it wrote more than the 100 files"),
    ],
)
def test_a_container_that_exceeds_a_limit(
    call: Call, do: str, limits: dict[str, float], status: str, said: str
) -> None:
    with pytest.raises(ContainerStopped, match=said) as caught:
        call(do, limits=limits)
    assert caught.value.status == status


def test_nothing_stays_of_folders_that_lie_deep_in_each_other(call: Call) -> None:
    with pytest.raises(ContainerStopped, match="more than the 100 files"):
        call("nest", params={"depth": 3000})


def test_a_gpu_that_is_not_there(call: Call, docker: str) -> None:
    if "nvidia" in subprocess.run([docker, "info"], capture_output=True, text=True, check=True).stdout:
        pytest.skip("this machine has what hands out GPUs")
    with pytest.raises(NoGpu, match="it asks for a GPU"):
        call("embed", gpu=True)


@pytest.mark.parametrize(
    ("do", "params", "said"),
    [
        ("nothing", {}, "wrote no response.json"),
        ("write_text", {"text": "{"}, "response.json: expected JSON, found none: "),
        ("write_text", {"text": '{"contract": 2}'}, "response.json: contract: Input should be 1"),
        ("as_link", {"target": "/etc/passwd"}, "cell_ids.json: expected a plain file, found a link"),
        ("as_link", {"target": "embedding.npy"}, "cell_ids.json: expected a plain file, found a link"),
        ("as_pipe", {}, "embedding.npy: expected a plain file, found a pipe"),
    ],
)
def test_output_that_is_not_what_the_contract_says(call: Call, do: str, params: dict[str, str], said: str) -> None:
    with pytest.raises(InvalidOutputError, match=said):
        call(do, params=params)


def test_folders_are_open_to_the_container_whatever_the_umask(call: Call) -> None:
    before = os.umask(0o077)
    try:
        assert len(call("embed").output) == 4
    finally:
        os.umask(before)


# Weights.

BYTES = b"the numbers of a model"
DIGEST = f"sha256:{hashlib.sha256(BYTES).hexdigest()}"
URL = "https://example.org/model.bin"


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    """A store in which the weights at ``URL`` are."""
    made = FileStore(tmp_path / "cache")
    partial = made.partial(URL, DIGEST)
    partial.data.parent.mkdir(parents=True)
    partial.data.write_bytes(BYTES)
    made.place(partial.data, DIGEST)
    return made


def weights(**changes: Any) -> list[dict[str, Any]]:
    return [{"name": "inner/model.bin", "url": URL, "sha256": DIGEST, **changes}]


def test_a_container_reads_weights_under_their_names_and_cannot_change_them(
    ask: Callable[..., Any], card: MakeCard, store: FileStore, tmp_path: Path
) -> None:
    before = os.umask(0o077)
    try:
        folder = weights_folder(card(weights=weights()), tmp_path, store)
    finally:
        os.umask(before)
    assert folder is not None
    asked = ask("look_around", {"weights": folder})
    found = (asked.output / "found.json").read_text()
    assert '"/weights": ["inner/model.bin"]' in found
    assert '"/weights": "EROFS"' in found
    assert '"read weights": "done"' in found
    assert (folder / "inner" / "model.bin").read_bytes() == BYTES


def test_a_model_without_weights_gets_no_folder(card: MakeCard, store: FileStore, tmp_path: Path) -> None:
    assert weights_folder(card(), tmp_path, store) is None


def test_the_folder_is_made_once_and_named_by_what_is_in_it(card: MakeCard, store: FileStore, tmp_path: Path) -> None:
    first = weights_folder(card(weights=weights()), tmp_path, store)
    assert weights_folder(card(weights=weights()), tmp_path, store) == first
    other = weights_folder(card(weights=weights(name="other.bin")), tmp_path, store)
    assert other != first
    assert sorted((store.folder / "weights").iterdir()) == sorted([first, other])


def test_weights_in_the_store_are_not_kept_twice(card: MakeCard, store: FileStore, tmp_path: Path) -> None:
    folder = weights_folder(card(weights=weights()), tmp_path, store)
    assert folder is not None
    assert (folder / "inner/model.bin").samefile(store.path(DIGEST))


def test_weights_that_are_not_fetched_are_missing_with_the_command_that_fetches_them(
    card: MakeCard, tmp_path: Path
) -> None:
    with pytest.raises(WeightsMissing, match=r"^inner/model.bin is not on this machine: cellgauge model fetch misbeh"):
        weights_folder(card(weights=weights()), tmp_path, FileStore(tmp_path / "empty"))


def test_weights_without_a_digest_are_missing(card: MakeCard, store: FileStore, tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match=r"inner/model.bin .* the card names no sha256"):
        weights_folder(card(weights=weights(sha256=None)), tmp_path, store)


def test_weights_beside_the_card_are_checked_and_copied(card: MakeCard, store: FileStore, tmp_path: Path) -> None:
    beside = weights(url=None, path="model.bin")
    (tmp_path / "model.bin").write_bytes(b"others")
    with pytest.raises(WeightsMissing, match=f"model.bin: the card expects {DIGEST}, found sha256:"):
        weights_folder(card(weights=beside), tmp_path, store)
    (tmp_path / "model.bin").write_bytes(BYTES)
    assert fetch_weights(card(weights=beside), tmp_path, store) == {"inner/model.bin": tmp_path / "model.bin"}
    folder = weights_folder(card(weights=beside), tmp_path, store)
    assert folder is not None
    (tmp_path / "model.bin").write_bytes(b"changed")
    assert (folder / "inner/model.bin").read_bytes() == BYTES
