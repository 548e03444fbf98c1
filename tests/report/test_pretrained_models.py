"""What the pages of pretrained models say of adapters that never saw real weights."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cellgauge.cards import Project, load_cards
from cellgauge.report.pages import model_page

REPOSITORY = Path(__file__).parents[2]
UNVERIFIED = "The adapter is not yet verified with real weights."
CARDS = load_cards(Project(REPOSITORY, REPOSITORY)).models
PRETRAINED = [id_ for id_, card in CARDS.items() if card.pretrained]


def test_the_fifteen_models_of_the_field_have_cards() -> None:
    kinds = [re.split(r"-", id_)[0] for id_ in PRETRAINED]
    counts = {kind: kinds.count(kind) for kind in kinds}
    assert counts == {"aido": 1, "geneformer": 1, "scgenept": 6, "scgpt": 1, "scvi": 1, "transcriptformer": 3, "uce": 2}


@pytest.mark.parametrize("id_", PRETRAINED)
def test_an_adapter_that_never_saw_real_weights_says_so(id_: str, render, tmp_path: Path) -> None:
    card = CARDS[id_]
    assert card.obtain.weights, "a pretrained model without declared weights cannot be run by anybody"
    page = model_page(render(Project(REPOSITORY, tmp_path)), card)
    assert (UNVERIFIED in page.fragment) == (card.obtain.tried_with in ("random weights", "stand-in"))


@pytest.mark.parametrize("tried_with", ["real weights", "random weights", "stand-in"])
def test_the_sentence_goes_with_what_the_card_says(tried_with: str, render, tmp_path: Path) -> None:
    card = CARDS["uce-4l"]
    other = card.model_copy(update={"obtain": card.obtain.model_copy(update={"tried_with": tried_with})})
    page = model_page(render(Project(REPOSITORY, tmp_path)), other)
    assert (UNVERIFIED in page.fragment) == (tried_with != "real weights")
