"""AIDO.Cell as a container: every gene of its list goes through the encoder, and the mean over genes is the embedding.

doi 10.1101/2024.11.28.625303 (2024). The network is that of the package modelgenerator 0.1.3.post0, and counts are
prepared as its GenBioCellFoundation does: logarithms of counts per 10,000, two tokens for the depth, clipped at 20. The
mean is taken over the genes that the cells have, as the authors' embed.py does, but without the two depth tokens.
"""

import functools
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from adapter import WeightsUnavailable, need_form, need_human, need_known_genes, progress, run, use_torch, weights
from modelgenerator.huggingface_models.cellfoundation import modeling_cellfoundation
from modelgenerator.huggingface_models.cellfoundation.configuration_cellfoundation import CellFoundationConfig
from scipy import sparse

VARIANTS = {
    "aido_cell_3m": "AIDO.Cell-3M",
    "aido_cell_10m": "AIDO.Cell-10M",
    "aido_cell_100m": "AIDO.Cell-100M",
}
BATCH_SIZE = 8
LOWEST_DEPTH, HIGHEST_VALUE = 5.0, 20.0


def embed(adata, request):
    """Return cells × width of the network."""
    params = request["params"]
    need_human(request)
    need_form(request, "counts", "gene symbols", "counts of genes by symbol")
    device = use_torch(request)
    counts, is_there = _aligned(adata)
    network = _network(VARIANTS[params["variant"]])
    # As the authors do: half the size on a GPU, full precision on a CPU.
    network = network.to(device, torch.bfloat16) if request["gpu"] else network
    return _means(network, counts, is_there, int(params.get("batch_size", BATCH_SIZE)))


def genes(adata):
    """Count the genes of the model's list, and those of them that the cells have."""
    known = _gene_list()
    return len(known), int(known.isin(adata.var_names).sum())


@functools.cache
def _gene_list():
    # Found without importing modelgenerator.cell, which needs much else.
    package = Path(find_spec("modelgenerator").origin).parent
    table = pd.read_csv(package / "cell" / "gene_lists" / "OS_scRNA_gene_index.19264.tsv", sep="\t")
    return pd.Index(table["gene_name"])


def _aligned(adata):
    """Return the counts with a column for each gene of the list, and which of these genes the cells have.

    Of columns with the same name the first counts.
    """
    known = _gene_list()
    names = pd.Index(adata.var_names)
    first = ~names.duplicated()
    columns = pd.Series(np.flatnonzero(first), index=names[first]).reindex(known)
    is_there = columns.notna().to_numpy()
    counts = sparse.csr_matrix(adata.X)[:, columns[is_there].to_numpy(dtype=np.intp)]
    need_known_genes(int((counts.sum(axis=1) == 0).sum()), adata.n_obs)
    place = sparse.csr_matrix(
        (np.ones(is_there.sum()), (np.arange(is_there.sum()), np.flatnonzero(is_there))),
        shape=(is_there.sum(), len(known)),
    )
    return sparse.csr_matrix(counts @ place), is_there


def _network(folder):
    weights(f"{folder}/config.json")
    if not any((weights(folder) / name).exists() for name in ("model.safetensors", "pytorch_model.bin")):
        raise WeightsUnavailable(f"{folder}/model.safetensors is not among the weights")
    progress(f"loading {folder}")
    modeling_cellfoundation.flash_attn_varlen_func = _attention
    config = CellFoundationConfig.from_pretrained(weights(folder), local_files_only=True)
    # The class of attention that calls the function above; the package has no other.
    config._use_flash_attention_2 = True
    network, loaded = modeling_cellfoundation.CellFoundationModel.from_pretrained(
        weights(folder), config=config, local_files_only=True, output_loading_info=True
    )
    # What a file lacks would be drawn at random, with a warning only.
    if loaded["missing_keys"]:
        raise WeightsUnavailable(f"the weights of {folder} lack {', '.join(sorted(loaded['missing_keys'])[:3])}")
    return network.eval()


def _attention(query, key, value, cu_seqlens_q, _cu_k, longest, _longest_k, dropout_p, softmax_scale, causal):
    """Attend as ``flash_attn_varlen_func`` does, with what torch brings, on a GPU or a CPU.

    Sequences are laid end to end, (n_cells · length) × heads × width of a head, and all of one length. Without
    flash-attn the package would let the heads of a single position attend to each other, and no position to another.
    """
    n_cells = len(cu_seqlens_q) - 1
    shaped = (one.reshape(n_cells, longest, *one.shape[1:]).transpose(1, 2) for one in (query, key, value))
    found = torch.nn.functional.scaled_dot_product_attention(
        *shaped, dropout_p=dropout_p, scale=softmax_scale, is_causal=causal
    )
    return found.transpose(1, 2).reshape(query.shape)


def _prepared(counts):
    """Return what the network reads of a batch: (n_cells × genes + 2)."""
    totals = counts.sum(dim=1, keepdim=True)
    depth = torch.log10(totals).clamp(min=LOWEST_DEPTH)
    return torch.cat([torch.log1p(counts / totals * 10_000), depth, depth], dim=1).clamp(max=HIGHEST_VALUE)


@torch.no_grad()
def _means(network, counts, is_there, batch_size):
    device, kind = network.device, network.dtype
    found = np.empty((counts.shape[0], network.config.hidden_size), dtype=np.float32)
    kept = torch.from_numpy(np.flatnonzero(is_there)).to(device)
    for start in range(0, counts.shape[0], batch_size):
        dense = torch.from_numpy(counts[start : start + batch_size].toarray().astype(np.float32))
        # This attention takes no mask; a small one spares a matrix of genes × genes for each cell, which nothing reads.
        nothing = torch.ones(len(dense), 1, device=device)
        states = network(input_ids=_prepared(dense).to(device, kind), attention_mask=nothing).last_hidden_state
        found[start : start + len(dense)] = states[:, kept].float().mean(dim=1).cpu().numpy()
        progress(f"{start + len(dense):,} of {counts.shape[0]:,} cells")
    return found


if __name__ == "__main__":
    run(embed, packages=("modelgenerator", "transformers", "torch", "numpy", "scipy", "anndata"), genes=genes)
