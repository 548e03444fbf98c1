"""UCE as a container: genes of a cell, drawn by their counts, each as the vector of its protein, and a cell token.

Rosen et al. (2023), doi 10.1101/2023.11.28.568918. The network, the sentence of a cell and every setting come from the
authors' package uce-model 0.1.4; what their script does around them is written anew:

- No cell and no gene is filtered out (their script does that unless told otherwise).
- The draws of a cell hang on the seed and its id alone, not on the cells before it.
- Cells are batched with others whose sentences are as long. Their padding is a mask of 0 and 1 that torch 2 adds to
  the attention instead of closing it, so that a shorter sentence would see the tokens that fill it up.
"""

import functools
import hashlib
import io
import json
import pickle
import tarfile
from collections import defaultdict

import numpy as np
import torch
from adapter import (
    INPUT,
    NotApplicable,
    WeightsUnavailable,
    need_form,
    need_known_genes,
    progress,
    run,
    use_torch,
    weights,
)
from scipy import sparse
from uce.data_proc.data_utils import get_spec_chrom_csv
from uce.eval_data import MultiDatasetSentenceCollator, sample_cell_sentences
from uce.eval_single_anndata import parser
from uce.model import TransformerModel

SPECIES = {
    9606: "human",
    10090: "mouse",
    8364: "frog",
    7955: "zebrafish",
    30608: "mouse_lemur",
    9823: "pig",
    9541: "macaca_fascicularis",
    9544: "macaca_mulatta",
}
FILES = {
    "human": "Homo_sapiens.GRCh38.gene_symbol_to_embedding_ESM2.pt",
    "mouse": "Mus_musculus.GRCm39.gene_symbol_to_embedding_ESM2.pt",
    "frog": "Xenopus_tropicalis.Xenopus_tropicalis_v9.1.gene_symbol_to_embedding_ESM2.pt",
    "zebrafish": "Danio_rerio.GRCz11.gene_symbol_to_embedding_ESM2.pt",
    "mouse_lemur": "Microcebus_murinus.Mmur_3.0.gene_symbol_to_embedding_ESM2.pt",
    "pig": "Sus_scrofa.Sscrofa11.1.gene_symbol_to_embedding_ESM2.pt",
    "macaca_fascicularis": "Macaca_fascicularis.Macaca_fascicularis_6.0.gene_symbol_to_embedding_ESM2.pt",
    "macaca_mulatta": "Macaca_mulatta.Mmul_10.gene_symbol_to_embedding_ESM2.pt",
}
VARIANTS = {"33l": "33l_8ep_1024t_1280.torch", "4l": "4layer_model.torch"}
HEADS = 20
BATCH_SIZE = 25
AT_ONCE = 4096
"""Cells whose sentences are held in memory, to be batched by length."""


def embed(adata, request):
    """Return cells × width of the output; each row has length one."""
    params = request["params"]
    need_form(request, "counts", "gene symbols", "counts of genes by symbol")
    device = torch.device(use_torch(request))
    settings = parser.parse_args([])
    cells = _Cells(adata, _species(request["taxa"]), request["seed"], settings)
    network = _network(VARIANTS[params["variant"]]).to(device)
    if cells.highest_token >= network.pe_embedding.num_embeddings:
        raise WeightsUnavailable(
            f"species_offsets.pkl and species_chrom.csv give tokens up to {cells.highest_token:,}, but "
            f"{VARIANTS[params['variant']]} has {network.pe_embedding.num_embeddings:,}"
        )
    return _cell_tokens(network, cells, int(params.get("batch_size", BATCH_SIZE)), settings, device)


def genes(adata):
    """Count the genes of the species with a protein's vector and a place, and those of them that the cells have."""
    request = json.loads((INPUT / "request.json").read_text(encoding="utf-8"))
    known = set(_gene_table(_species(request["taxa"])).index)
    return len(known), len(known & {name.upper() for name in adata.var_names})


def _species(taxa):
    if len(taxa) != 1 or taxa[0] not in SPECIES:
        raise NotApplicable(
            f"takes cells of one species among {', '.join(SPECIES.values())}, not of taxon {', '.join(map(str, taxa))}"
        )
    return SPECIES[taxa[0]]


@functools.cache
def _gene_table(species):
    """Return for each gene of a species its token, and the code of its chromosome and its start on it."""
    symbols = _symbols(species)
    with weights("species_offsets.pkl").open("rb") as file:
        offset = pickle.load(file)[species]  # noqa: S301 (the container holds whatever it may do)
    # Over all species, since the codes count through all their chromosomes.
    places = get_spec_chrom_csv(weights("species_chrom.csv"))
    places["chromosome_code"] = places["spec_chrom"].cat.codes.astype(int)
    places = places[places["species"] == species].drop_duplicates("gene_symbol").set_index("gene_symbol")
    table = places.loc[[symbol for symbol in symbols if symbol in places.index], ["chromosome_code", "start"]].copy()
    token = {symbol: position + offset for position, symbol in enumerate(symbols)}
    table["token"] = [token[symbol] for symbol in table.index]
    return table


def _symbols(species):
    """Return the genes that have a protein's vector, in the order of the tokens."""
    progress(f"reading the genes of {species}")
    with tarfile.open(weights("protein_embeddings.tar.gz")) as archive:
        for member in archive:
            if member.name.rsplit("/", 1)[-1] == FILES[species]:
                vectors = torch.load(io.BytesIO(archive.extractfile(member).read()), weights_only=True)
                return list({symbol.upper(): None for symbol in vectors})
    raise WeightsUnavailable(f"protein_embeddings.tar.gz holds no {FILES[species]}")


def _network(file):
    progress(f"loading {file}")
    state = torch.load(weights(file), map_location="cpu", weights_only=True)
    n_layers = len({name.split(".")[2] for name in state if name.startswith("transformer_encoder.layers.")})
    try:
        network = TransformerModel(
            token_dim=state["encoder.0.weight"].shape[1],
            d_model=state["encoder.0.weight"].shape[0],
            nhead=HEADS,
            d_hid=state["transformer_encoder.layers.0.linear1.weight"].shape[0],
            nlayers=n_layers,
            output_dim=state["decoder.3.weight"].shape[0],
        )
        # The vectors of the proteins are in the file, those of chromosomes too: all_tokens.torch holds nothing more.
        network.pe_embedding = torch.nn.Embedding.from_pretrained(torch.empty(state["pe_embedding.weight"].shape))
        network.load_state_dict(state, strict=True)
    except (KeyError, RuntimeError) as error:
        raise WeightsUnavailable(f"{file} is not the network of uce-model: {str(error).splitlines()[0]}") from error
    return network.eval()


class _Cells:
    """The sentence of each cell."""

    def __init__(self, adata, species, seed, settings):
        table = _gene_table(species)
        names = adata.var_names.str.upper()
        known = names.isin(table.index)
        table = table.loc[names[known]]
        self.counts = sparse.csr_matrix(sparse.csr_matrix(adata.X)[:, known])
        need_known_genes(int((self.counts.sum(axis=1) == 0).sum()), adata.n_obs)
        # In the order of the tokens, so that the order of genes in a file is nothing that a draw hangs on.
        order = np.argsort(table["token"].to_numpy(), kind="stable")
        self.counts, table = self.counts[:, order], table.iloc[order]
        self.tokens = {"cells": torch.from_numpy(table["token"].to_numpy())}
        self.chromosomes = {"cells": table["chromosome_code"].to_numpy()}
        self.starts = {"cells": table["start"].to_numpy()}
        self.highest_token = int(
            max(table["token"].max(), settings.CHROM_TOKEN_OFFSET + table["chromosome_code"].max())
        )
        self.ids, self.seed, self.settings = adata.obs_names, seed, settings

    def __len__(self):
        return self.counts.shape[0]

    def sentence(self, position):
        """Return what the authors' dataset returns for a cell."""
        # They keep counts as whole numbers.
        counts = torch.from_numpy(self.counts[position].toarray().astype(np.int64))
        shares = torch.log1p(counts)
        drawn = hashlib.sha256(f"{self.seed}\0{self.ids[position]}".encode()).digest()
        np.random.seed(int.from_bytes(drawn[:4], "little"))  # noqa: NPY002 (uce draws from numpy's own state)
        tokens, mask, length, sentence = sample_cell_sentences(
            counts,
            shares / shares.sum(),
            "cells",
            self.settings,
            dataset_to_protein_embeddings=self.tokens,
            dataset_to_chroms=self.chromosomes,
            dataset_to_starts=self.starts,
        )
        return tokens, mask, position, length, sentence


@torch.no_grad()
def _cell_tokens(network, cells, batch_size, settings, device):
    found = np.empty((len(cells), network.decoder[-1].out_features), dtype=np.float32)
    collate = MultiDatasetSentenceCollator(settings)
    for start in range(0, len(cells), AT_ONCE):
        stop = min(start + AT_ONCE, len(cells))
        by_length = defaultdict(list)
        for position in range(start, stop):
            by_length[(one := cells.sentence(position))[3]].append(one)
        for alike in by_length.values():
            for first in range(0, len(alike), batch_size):
                batch = alike[first : first + batch_size]
                tokens, mask, _, _ = collate(batch)
                vectors = network.pe_embedding(tokens.permute(1, 0).long().to(device))
                vectors = torch.nn.functional.normalize(vectors, dim=2)
                _, embedding = network(vectors, mask=mask.to(device))
                found[[one[2] for one in batch]] = embedding.cpu().numpy()
        progress(f"{stop:,} of {len(cells):,} cells")
    return found


if __name__ == "__main__":
    run(embed, packages=("uce-model", "torch", "numpy", "scipy", "pandas", "anndata"), genes=genes)
