"""Two species out of one R object, without the copies in it and on real orthologs."""

from __future__ import annotations

import copy
import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import rdata

from cellgauge.cards.problems import UserError
from cellgauge.data.recipes.baron_pancreas import baron_pancreas, human_symbols, mouse_symbols
from cellgauge.data.recipes.orthologs import one_to_one

HUMAN, MOUSE, BOTH = "baron-pancreas-human", "baron-pancreas-mouse", "baron-pancreas"


@pytest.fixture(scope="module")
def seurat(files_of):
    """The R object, read without the recipe."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return rdata.read_rda(files_of(HUMAN)["pancreas"])["pancreas"]


@pytest.fixture
def changed(seurat, monkeypatch: pytest.MonkeyPatch):
    """Have the recipe read a copy of the real object, changed by a function."""

    def change(alter) -> None:
        other = copy.deepcopy(seurat)
        alter(other)
        monkeypatch.setattr(rdata, "read_rda", lambda *_, **__: {"pancreas": other})

    return change


def table_of(files_of) -> list[tuple[str, str]]:
    with files_of(BOTH)["orthologs"].open(newline="") as file:
        return [(one, other) for one, other in csv.reader(file) if one and other]


def test_five_types_in_two_species_of_which_the_copies_are_gone(made, seurat) -> None:
    obs = made(BOTH).obs
    sizes = obs.groupby(["species", "cell_type"]).size()
    assert sizes.loc["Homo sapiens"].to_dict() == dict.fromkeys(
        ("activated_stellate", "alpha", "beta", "delta", "macrophage"), 35
    )
    assert sizes.loc["Mus musculus"].to_dict() == {**sizes.loc["Homo sapiens"].to_dict(), "activated_stellate": 13}
    assert len(vars(seurat)["meta.data"]) == 350


def test_no_two_cells_are_the_same(made) -> None:
    cells = made(BOTH).X.toarray()
    assert len(np.unique(cells, axis=0)) == len(cells) == 328


def test_both_halves_are_the_same_cells_as_the_pair(made) -> None:
    pair = made(BOTH)
    assert sorted([*made(HUMAN).obs_names, *made(MOUSE).obs_names]) == list(pair.obs_names)
    mouse = pair[pair.obs["species"] == "Mus musculus"]
    again = made(MOUSE)[mouse.obs_names, [gene.capitalize() for gene in mouse.var_names]]
    assert (mouse.X != again.X).nnz == 0


def test_donors_are_of_one_species(made) -> None:
    obs = made(BOTH).obs
    assert obs.groupby("species")["donor"].unique().map(sorted).to_dict() == {
        "Homo sapiens": ["human1", "human2", "human3", "human4"],
        "Mus musculus": ["mouse1", "mouse2"],
    }
    assert all(cell.startswith(f"{donor}_") for cell, donor in obs["donor"].items())


def test_each_cell_has_as_many_genes_and_counts_as_seurat_noted(made, seurat) -> None:
    noted = vars(seurat)["meta.data"]
    for name in (HUMAN, MOUSE):
        adata = made(name)
        rows = noted.loc[list(adata.obs_names)]
        assert np.array_equal(np.asarray(adata.X.sum(axis=1)).ravel(), rows["nCount_RNA"].to_numpy())
        assert np.array_equal(np.diff(adata.X.indptr), rows["nFeature_RNA"].to_numpy(dtype=int))
        assert list(adata.obs["cell_type"]) == list(rows["Group"].astype(str))


def test_pairs_are_one_to_one_in_the_table_and_spelt_alike(made, files_of) -> None:
    pairs = set(table_of(files_of))
    partners = Counter(one for one, _ in pairs), Counter(other for _, other in pairs)
    var = made(BOTH).var
    for human, mouse in var["mouse_gene"].items():
        assert (human, mouse) in pairs
        assert partners[0][human] == partners[1][mouse] == 1
        assert mouse.upper() == human
    assert "INS" not in var.index
    assert partners[0]["INS"] == 2


def test_mouse_symbols_are_those_of_the_table(made, files_of) -> None:
    with files_of(BOTH)["orthologs"].open(newline="") as file:
        known = {mouse.upper(): mouse for _, mouse in csv.reader(file)}
    genes = [gene for gene in made(MOUSE).var_names if gene.upper() in known]
    differing = [gene for gene in genes if known[gene.upper()] != gene]
    assert len(genes) == 11_889
    assert differing == ["Dpcd"]


def test_insulin_is_the_first_gene_of_beta_cells_in_both_species(made) -> None:
    for name, insulin in ((HUMAN, "INS"), (MOUSE, "Ins1")):
        adata = made(name)
        beta = adata[adata.obs["cell_type"] == "beta"]
        assert beta.var_names[int(np.asarray(beta.X.sum(axis=0)).argmax())] == insulin
    assert human_symbols(["INS1", "GCG"]) == ["INS", "GCG"]
    assert mouse_symbols(["INS1", "NKX6-1"]) == ["Ins1", "Nkx6-1"]


def test_types_are_recognised_across_species(made, components) -> None:
    from sklearn.metrics import silhouette_score
    from sklearn.neighbors import KNeighborsClassifier

    adata = made(BOTH)
    embedding, types = components(adata), adata.obs["cell_type"].to_numpy(dtype=str)
    human = (adata.obs["species"] == "Homo sapiens").to_numpy()
    classifier = KNeighborsClassifier(15).fit(embedding[human], types[human])
    assert classifier.score(embedding[~human], types[~human]) > 0.75
    apart = silhouette_score(embedding, human)
    for one in (human, ~human):
        embedding[one] -= embedding[one].mean(axis=0)
    assert apart > 0.08
    assert silhouette_score(embedding, human) < 0.5 * apart


def test_an_unknown_species_is_refused() -> None:
    with pytest.raises(UserError, match='expected "human", "mouse" or "both", found "rat"'):
        baron_pancreas({}, species="rat")


def test_the_pair_needs_the_table(files_of) -> None:
    with pytest.raises(UserError, match="needs the files pancreas, orthologs, but the card names: pancreas "):
        baron_pancreas(files_of(HUMAN), species="both")


@pytest.mark.parametrize("content", [b"", b"some text", b"BZh91AY&SY", b"\x1f\x8b\x08\x00damaged"])
def test_what_is_no_r_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(UserError, match=r"^pancreas: expected an \.RData file, but it cannot be read: "):
        baron_pancreas({"pancreas": tmp_path / "file"}, species="human")


def test_a_truncated_file_is_refused(files_of, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(files_of(HUMAN)["pancreas"].read_bytes()[:300_000])
    with pytest.raises(UserError, match=r"^pancreas: expected an \.RData file, but it cannot be read: "):
        baron_pancreas({"pancreas": tmp_path / "file"}, species="human")


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        ({"liver": [1.0]}, 'expected an R object "pancreas", found: liver'),
        ({"pancreas": [1.0]}, "expected a Seurat object"),
    ],
)
def test_another_r_object_is_refused(tmp_path: Path, held: dict[str, list[float]], expected: str) -> None:
    rdata.write_rda(tmp_path / "file", held)
    with pytest.raises(UserError, match=expected):
        baron_pancreas({"pancreas": tmp_path / "file"}, species="human")


def shuffle_rows(one) -> None:
    vars(one)["meta.data"] = vars(one)["meta.data"].iloc[::-1]


def change_a_count(one) -> None:
    one.assays["RNA"].counts.x[0] += 1


def change_a_copy(one) -> None:
    """One count more in a cell of which there are copies, and in its total."""
    stored, table = one.assays["RNA"].counts, vars(one)["meta.data"]
    row = list(table.index).index("mouse1_lib1.final_cell_0222.1")
    stored.x[stored.p[row]] += 1
    table.iloc[row, list(table.columns).index("nCount_RNA")] += 1


def make_a_fraction(one) -> None:
    one.assays["RNA"].counts.x[0] = 0.5


def rename_a_column(one) -> None:
    vars(one)["meta.data"] = vars(one)["meta.data"].rename(columns={"Sample": "Donor"})


def add_a_species(one) -> None:
    table = vars(one)["meta.data"]
    table["Batch"] = table["Batch"].astype(str).replace("mouse", "rat")


def drop_a_name(one) -> None:
    one.assays["RNA"].counts.Dimnames[0] = one.assays["RNA"].counts.Dimnames[0][1:]


@pytest.mark.parametrize(
    ("alter", "expected"),
    [
        (shuffle_rows, "the rows of meta.data to be the columns of the counts"),
        (change_a_count, "nCount_RNA is not the sum of each cell's counts"),
        (change_a_copy, "two cells with different counts have the id mouse1_lib1.final_cell_0222"),
        (make_a_fraction, "expected counts, found numbers that are negative or not whole"),
        (rename_a_column, "meta.data: expected the columns Sample, found: orig.ident"),
        (add_a_species, "expected the species human and mouse in Batch, found rat"),
        (drop_a_name, "there are 175 cell ids and 12,473 feature ids"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_an_object_that_does_not_agree_with_itself_is_refused(changed, files_of, alter, expected: str) -> None:
    changed(alter)
    with pytest.raises(UserError) as raised:
        baron_pancreas(files_of(HUMAN), species="human")
    assert expected in str(raised.value)


def test_a_gene_with_a_second_partner_is_no_pair(tmp_path: Path) -> None:
    lines = ["A,Aa", "A,Aa", "B,Bb", "B,Bc", "C,Cc", "D,Cc", "E,", ",Ff", "G,Gg"]
    (tmp_path / "table").write_text("\n".join(lines), encoding="utf-8")
    assert one_to_one(tmp_path / "table", "orthologs") == {"A": "Aa", "G": "Gg"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A,Aa\nB\n", "orthologs: line 2: expected two values, found 1"),
        ("A,Aa\nA,Ab\n", "orthologs: expected pairs of genes, found none that correspond one to one"),
        ("X,Xx\n", "orthologs: none of the 12,474 genes is in the table"),
    ],
)
def test_a_table_of_no_use_is_refused(files_of, tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "table").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=expected):
        baron_pancreas({**files_of(BOTH), "orthologs": tmp_path / "table"}, species="both")
