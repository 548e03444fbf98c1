"""scGenePT as a container: what a cell that is not perturbed would express, were these genes perturbed.

Istrate et al. (2024), doi 10.1101/2024.10.23.619972. Loading and prediction are the authors' own functions, from their
repository: load_trained_scgenept_model, and pred_perturb_from_ctrl of what it returns. For each perturbation control
cells are drawn with replacement, as many as there are unless the card says how many (pool_size); the mean of what is
predicted for them is the prediction. The draws of a perturbation hang on the seed and its name alone.
"""

import hashlib
import importlib
import json
import sys
import tarfile
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from adapter import BadInput, WeightsUnavailable, need_form, need_human, progress, run, use_torch, weights
from scipy import sparse

VOCABULARY = "pretrained/scgpt/vocab.json"
FOLDERS = {
    "scgenept_ncbi_gpt": "scgenept_ncbi",
    "scgenept_ncbi+uniprot_gpt": "scgenept_ncbi-uniprot",
    "scgenept_go_c_gpt_concat": "scgenept_go_c",
    "scgenept_go_f_gpt_concat": "scgenept_go_f",
    "scgenept_go_p_gpt_concat": "scgenept_go_p",
    "scgenept_go_all_gpt_concat": "scgenept_go_all",
}
"""Where the tuned weights of a variant lie below finetuned/."""
TEXTS = {
    "scgenept_ncbi_gpt": "NCBI_gene_embeddings-gpt3.5-ada.pickle",
    "scgenept_ncbi+uniprot_gpt": "NCBI+UniProt_embeddings-gpt3.5-ada.pkl",
    "scgenept_go_c_gpt_concat": "GO_C_gene_embeddings-gpt3.5-ada-concat.pickle",
    "scgenept_go_f_gpt_concat": "GO_F_gene_embeddings-gpt3.5-ada-concat.pickle",
    "scgenept_go_p_gpt_concat": "GO_P_gene_embeddings-gpt3.5-ada-concat.pickle",
    "scgenept_go_all_gpt_concat": "GO_all_gene_embeddings-gpt3.5-ada-concat.pickle",
}
"""The file of gene texts that a variant was tuned with; a plus is a dash in the name that a card gives it."""


def _upstream():
    """Import the authors' loading code, which is in no registry: its archive lies with the weights."""
    try:
        return importlib.import_module("utils.data_loading")
    except ModuleNotFoundError:
        folder = tempfile.mkdtemp()
        with tarfile.open(weights("scGenePT.tar.gz")) as archive:
            archive.extractall(folder, filter="data")
        sys.path.insert(0, str(next(Path(folder).iterdir())))
        return importlib.import_module("utils.data_loading")


def predict(adata, request):
    """Return mean profiles, perturbations × genes; what has a gene that the cells lack has no row."""
    params = request["params"]
    need_human(request)
    need_form(request, "log-normalised", "gene symbols", "log-normalised expression by gene symbol")
    device = torch.device(use_torch(request))
    # By id, so that the order of cells is nothing that a draw hangs on.
    control = adata[np.sort(adata.obs_names[adata.obs["perturbation"] == adata.uns["control"]])].copy()
    control.X = sparse.csr_matrix(control.X)
    names = control.var_names.to_list()
    asked = {str(name): str(name).split(adata.uns["joined_by"]) for name in adata.uns["predict"]}
    possible = {name: targets for name, targets in asked.items() if set(targets) <= set(names)}
    if len(possible) < len(asked):
        progress(f"{len(asked) - len(possible):,} of {len(asked):,} perturbations have genes that the cells lack")
    if not possible:
        raise BadInput(f"none of the {len(asked):,} perturbations has its genes among those of the cells")
    network, tokens = _network(control, params["variant"], params["dataset_name"], request["seed"], device)
    pool_size = int(params["pool_size"]) if "pool_size" in params else None
    profiles = {}
    for done, (name, targets) in enumerate(possible.items(), start=1):
        _seed(request["seed"], name)
        # They write a gene that is perturbed alone as GENE+ctrl.
        written = "+".join(targets if len(targets) > 1 else [*targets, "ctrl"])
        profile = network.pred_perturb_from_ctrl(
            control, written, names, device, tokens, pool_size=pool_size, return_mean=True
        )
        profiles[name] = np.asarray(profile, dtype=np.float32).reshape(len(names))
        progress(f"{done:,} of {len(possible):,} perturbations")
    return pd.DataFrame.from_dict(profiles, orient="index", columns=names)


def genes(adata):
    """Count the genes of scGPT's vocabulary, and those of them that the cells have."""
    known = {name for name in json.loads(weights(VOCABULARY).read_text(encoding="utf-8")) if not name.startswith("<")}
    return len(known), len(known & set(adata.var_names))


def _network(control, variant, dataset_name, seed, device):
    """Return the network, and the token of each gene."""
    tuned = weights(f"finetuned/{FOLDERS[variant]}/{dataset_name}")
    files = sorted(tuned.glob("*.pt"))
    if len(files) != 1:
        raise WeightsUnavailable(
            f"expected one .pt file in finetuned/{FOLDERS[variant]}/{dataset_name}, found {len(files)}"
        )
    control.var["gene_name"] = control.var_names
    with tempfile.TemporaryDirectory() as folder:
        # Their functions look for the files where their bucket has them.
        for name in (VOCABULARY, f"gene_embeddings/{TEXTS[variant]}"):
            link = Path(folder) / name
            link.parent.mkdir(parents=True)
            link.symlink_to(weights(name.replace("+", "-")))
        progress(f"loading {files[0].name}")
        _seed(seed, "loading")
        return _upstream().load_trained_scgenept_model(control, variant, f"{folder}/", str(files[0]), device)


def _seed(seed, name):
    drawn = hashlib.sha256(f"{seed}\0{name}".encode()).digest()
    np.random.seed(int.from_bytes(drawn[:4], "little"))  # noqa: NPY002 (the authors draw from numpy's own state)
    torch.manual_seed(int.from_bytes(drawn[4:8], "little"))


if __name__ == "__main__":
    run(predict, packages=("scgpt", "cell-gears", "torch_geometric", "torch", "numpy", "anndata"), genes=genes)
