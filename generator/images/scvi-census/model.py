"""The scVI models of CELLxGENE Census as a container: cells are placed into the space of a Census release.

Lopez et al. (2018), doi 10.1038/s41592-018-0229-2. The calls are those of the Census notebook on these models: genes
that the cells lack become zeros, nothing is trained, and the means of the latent distributions are returned.
"""

import functools

import pandas as pd
import scvi
import torch
from adapter import BadInput, NotApplicable, need_form, progress, run, use_torch, weights

TAXA = {"homo_sapiens": 9606, "mus_musculus": 10090}
BATCH_SIZE = 1024


def embed(adata, request):
    """Return cells × latent dimensions."""
    params = request["params"]
    if request["taxa"] != [TAXA[params["variant"]]]:
        asked = ", ".join(map(str, request["taxa"]))
        raise NotApplicable(f"the model {params['variant']} does not know genes of taxon {asked}")
    need_form(request, "counts", "Ensembl genes", "counts of Ensembl genes")
    device = use_torch(request)
    torch.manual_seed(request["seed"])
    adata = _with_plain_ids(adata)
    if not _known().isin(adata.var_names).any():
        raise BadInput("the cells have none of the genes that the model knows")
    # The encoder of these models does not see the batch (encode_covariates=False): any word gives the same embedding.
    adata.obs["batch"] = "unassigned"
    folder = str(weights("model.pt").parent)
    progress(f"placing {adata.n_obs:,} cells")
    scvi.model.SCVI.prepare_query_anndata(adata, folder)
    model = scvi.model.SCVI.load_query_data(adata, folder, accelerator="gpu" if device == "cuda" else "cpu")
    # Or it would ask to be trained on these cells.
    model.is_trained = True
    return model.get_latent_representation(batch_size=int(params.get("batch_size", BATCH_SIZE)))


def genes(adata):
    """Count the genes that the model was trained on, and those of them that the cells have."""
    known = _known()
    return len(known), int(known.isin(_plain(adata.var_names)).sum())


@functools.cache
def _known():
    folder = str(weights("model.pt").parent)
    return pd.Index(scvi.model.SCVI.prepare_query_anndata(None, folder, return_reference_var_names=True))


def _plain(names):
    """Return Ensembl ids without the version that may follow a dot."""
    return names.str.split(".").str[0]


def _with_plain_ids(adata):
    """Return a copy of the cells; of genes that share an id but for its version, the first stays."""
    names = _plain(adata.var_names)
    first = ~names.duplicated()
    kept = adata[:, first].copy()
    kept.var_names = names[first]
    return kept


if __name__ == "__main__":
    run(embed, packages=("scvi-tools", "torch", "numpy", "scipy", "anndata"), genes=genes)
