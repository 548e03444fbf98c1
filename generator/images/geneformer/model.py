"""Geneformer as a container: a cell is the list of its genes, ranked, and its embedding the mean over them.

Theodoris et al. (2023), doi 10.1038/s41586-023-06139-9. Ranking and layer are those of the authors' tokenizer
(special_token=True) and of their extractor of embeddings (emb_mode="cell", emb_layer=-1, which is the last layer but
one); both are written anew here, since their package is in no registry.
"""

import functools
import pickle

import numpy as np
import torch
from adapter import WeightsUnavailable, need_form, need_human, need_known_genes, progress, run, use_torch, weights
from scipy import sparse
from transformers import BertModel

BATCH_SIZE = 16


def embed(adata, request):
    """Return cells × width of the network."""
    params = request["params"]
    need_human(request)
    need_form(request, "counts", "Ensembl genes", "counts of Ensembl genes")
    device = use_torch(request)
    torch.manual_seed(request["seed"])
    network = _network(params["variant"]).to(device)
    cells = _ranked(adata, network.config.max_position_embeddings)
    return _means(network, cells, int(params.get("batch_size", BATCH_SIZE)), device)


def genes(adata):
    """Count the genes of the vocabulary, and those of them that the cells have."""
    known = _vocabulary()
    return len(known), len(known & set(_current_names(adata)))


def _network(variant):
    folder = weights(f"{variant}/model.safetensors").parent
    weights(f"{variant}/config.json")
    progress(f"loading {variant}")
    network, loaded = BertModel.from_pretrained(
        folder, add_pooling_layer=False, output_hidden_states=True, output_loading_info=True, local_files_only=True
    )
    # What a file lacks would be drawn at random, with a warning only.
    if loaded["missing_keys"]:
        raise WeightsUnavailable(f"{variant}/model.safetensors lacks {', '.join(sorted(loaded['missing_keys'])[:3])}")
    return network.eval()


@functools.cache
def _dictionary(name):
    """Return one of the authors' dictionaries."""
    with weights(f"gene_dictionaries/{name}_gc95M.pkl").open("rb") as file:
        return pickle.load(file)  # noqa: S301 (the container holds whatever it may do)


def _vocabulary():
    return {name for name in _dictionary("token_dictionary") if not name.startswith("<")}


def _current_names(adata):
    """Return for each gene the id by which the vocabulary knows it, None for one that is not in there.

    Several ids may be names of one gene.
    """
    current, known = _dictionary("ensembl_mapping_dict"), _vocabulary()
    names = [current.get(name.split(".")[0].upper()) for name in adata.var_names]
    return [name if name in known else None for name in names]


def _ranked(adata, most):
    """Return the tokens of each cell, from the gene that is highest for a cell to the lowest, at most so many.

    What makes a gene high is its count beside its median over all cells of the corpus in which it is not zero. The
    authors divide by the total of the cell as well, which changes no rank. Genes with equal values follow their tokens.
    """
    tokens, medians = _dictionary("token_dictionary"), _dictionary("gene_median_dictionary")
    names = _current_names(adata)
    kept = sorted({name for name in names if name is not None}, key=tokens.__getitem__)
    place = {name: position for position, name in enumerate(kept)}
    pairs = [(column, place[name]) for column, name in enumerate(names) if name is not None]
    rows, columns = np.array(pairs, dtype=np.intp).reshape(-1, 2).T
    sums = sparse.csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(len(names), len(kept)))
    scales = sparse.diags(1 / np.array([medians[name] for name in kept], dtype=float))
    scaled = sparse.csr_matrix(sparse.csr_matrix(adata.X, dtype=np.float64) @ sums @ scales)
    scaled.eliminate_zeros()
    scaled.sort_indices()
    of_gene = np.array([tokens[name] for name in kept], dtype=np.int64)
    is_framed = "<cls>" in tokens and "<eos>" in tokens
    cells = []
    for start, end in zip(scaled.indptr[:-1], scaled.indptr[1:], strict=True):
        order = np.argsort(-scaled.data[start:end], kind="stable")
        cell = of_gene[scaled.indices[start:end][order]][: most - 2 * is_framed]
        cells.append(np.concatenate([[tokens["<cls>"]], cell, [tokens["<eos>"]]]) if is_framed else cell)
    need_known_genes(sum(len(cell) <= 2 * is_framed for cell in cells), len(cells))
    return cells


@torch.no_grad()
def _means(network, cells, batch_size, device):
    """Return the mean over the genes of each cell, without what frames and fills them."""
    tokens = _dictionary("token_dictionary")
    not_genes = torch.tensor([tokens[name] for name in tokens if name.startswith("<")], device=device)
    means = np.empty((len(cells), network.config.hidden_size), dtype=np.float32)
    # The longest first: what does not fit into memory shows at once, and little is filled up.
    order = np.argsort([-len(cell) for cell in cells], kind="stable")
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        ids = torch.full((len(batch), len(cells[batch[0]])), tokens["<pad>"], dtype=torch.long)
        for row, cell in enumerate(batch):
            ids[row, : len(cells[cell])] = torch.from_numpy(cells[cell])
        ids = ids.to(device)
        layer = network(input_ids=ids, attention_mask=(ids != tokens["<pad>"]).long()).hidden_states[-2]
        is_gene = (~torch.isin(ids, not_genes)).unsqueeze(-1)
        means[batch] = ((layer * is_gene).sum(dim=1) / is_gene.sum(dim=1)).cpu().numpy()
        progress(f"{min(start + batch_size, len(order)):,} of {len(order):,} cells")
    return means


if __name__ == "__main__":
    run(embed, packages=("torch", "transformers", "numpy", "scipy", "anndata"), genes=genes)
