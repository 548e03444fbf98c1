"""TranscriptFormer as a container: what the package's ``transcriptformer inference`` gives, averaged over a cell.

Pearce et al. (2025), doi 10.1101/2025.04.25.650731. The settings are put together as that command does, and run by the
same function; only attention is not compiled, since compiled code cannot be written to disk and run in the sandbox.
"""

import functools
import json
import os
import tarfile
import tempfile
from pathlib import Path

import h5py
import pandas as pd
import torch
from adapter import INPUT, BadInput, NotApplicable, WeightsUnavailable, progress, run, use_torch, weights
from omegaconf import OmegaConf
from transcriptformer import cli
from transcriptformer.model.inference import run_inference

# Species with ready-made vectors, by the names of their files.
SPECIES = {
    9606: "homo_sapiens",
    10090: "mus_musculus",
    10116: "rattus_norvegicus",
    9986: "oryctolagus_cuniculus",
    10181: "heterocephalus_glaber",
    9823: "sus_scrofa",
    9544: "macaca_mulatta",
    9483: "callithrix_jacchus",
    9593: "gorilla_gorilla",
    9598: "pan_troglodytes",
    13616: "monodelphis_domestica",
    9258: "ornithorhynchus_anatinus",
    9031: "gallus_gallus",
    8355: "xenopus_laevis",
    8364: "xenopus_tropicalis",
    7955: "danio_rerio",
    7757: "petromyzon_marinus",
    7654: "lytechinus_variegatus",
    7227: "drosophila_melanogaster",
    6239: "caenorhabditis_elegans",
    50429: "stylophora_pistillata",
    6055: "spongilla_lacustris",
    4932: "saccharomyces_cerevisiae",
    5833: "plasmodium_falciparum",
}
BATCH_SIZE = 8
CELLS_AT_ONCE = 2000  # that are dense in memory while they become tokens


def embed(adata, request):
    """Return cells × width of the network, by cell id."""
    params = request["params"]
    if request["values"] != "counts":
        raise BadInput(f"takes counts, not {request['values']} values")
    use_torch(request)
    known, found = genes(adata)
    if not found:
        raise BadInput(f"the cells have none of the {known:,} genes that the model knows of their species")
    torch.manual_seed(request["seed"])
    settings = _settings(request)
    cells = _as_expected(adata, settings.model.data_config.aux_cols)
    parts = [cells[start : start + CELLS_AT_ONCE].copy() for start in range(0, cells.n_obs, CELLS_AT_ONCE)]
    progress(f"running {params['variant']} on {cells.n_obs:,} cells")
    # It writes a log to where it runs.
    os.chdir(_folder())
    done = run_inference(settings, data_files=parts)
    return pd.DataFrame(done.obsm["embeddings"], index=done.obs["cell_id"].astype(str))


def genes(adata):
    """Count the genes of the species that have a vector, and those of them that the cells have."""
    path = _vectors(json.loads((INPUT / "request.json").read_text(encoding="utf-8")))
    with h5py.File(path, "r") as file:
        known = {name.decode("utf-8") for name in file["keys"][:]}
    return len(known), len(known & set(_plain(adata.var_names)))


def _settings(request):
    """Put the settings of the package over those stored with the weights, and what was asked for over both."""
    params, checkpoint = request["params"], _checkpoint(request["params"]["variant"])
    stored = OmegaConf.create(json.loads((checkpoint / "config.json").read_text(encoding="utf-8")))
    given = OmegaConf.load(Path(cli.__file__).parent / "conf" / "inference_config.yaml")
    settings = OmegaConf.merge(stored, given)
    model = settings.model
    model.checkpoint_path = str(checkpoint)
    model.inference_config.load_checkpoint = str(checkpoint / "model_weights.pt")
    model.data_config.aux_vocab_path = model.data_config.esm2_mappings_path = str(checkpoint / "vocabs")
    model.data_config.use_raw = False
    model.model_config.compile_block_mask = False
    model.inference_config.obs_keys = ["cell_id"]
    model.inference_config.batch_size = int(params.get("batch_size", BATCH_SIZE))
    model.inference_config.device = "cuda" if request["gpu"] else "cpu"
    # Half precision is the package's own choice, for a GPU.
    model.inference_config.precision = "16-mixed" if request["gpu"] else "32"
    vectors = _vectors(request)
    is_trained_on = vectors.parent == checkpoint / "vocabs"
    model.inference_config.pretrained_embedding = None if is_trained_on else str(vectors)
    return settings


def _vectors(request):
    """Return the file with the vectors of the species' genes: of the checkpoint when it was trained on the species."""
    if len(request["taxa"]) != 1 or request["taxa"][0] not in SPECIES:
        asked = ", ".join(map(str, request["taxa"]))
        raise NotApplicable(f"takes cells of one species that it has gene vectors for, not of taxon {asked}")
    name = f"{SPECIES[request['taxa'][0]]}_gene.h5"
    own = _checkpoint(request["params"]["variant"]) / "vocabs" / name
    return own if own.is_file() else _unpacked("all_embeddings", name) / name


def _checkpoint(variant):
    folder = _unpacked(variant)
    for needed in ("config.json", "model_weights.pt", "vocabs"):
        if not (folder / needed).exists():
            raise WeightsUnavailable(f"{variant}.tar.gz holds no {variant}/{needed}")
    return folder


@functools.cache
def _unpacked(name, wanted=""):
    """Unpack an archive of the authors, or of its files only those that are wanted, and return its folder."""
    archive = weights(f"{name}.tar.gz")
    progress(f"unpacking {name}.tar.gz")
    with tarfile.open(archive, "r:gz") as packed:
        for member in packed:
            if member.name.removeprefix("./").startswith(f"{name}/{wanted}"):
                packed.extract(member, _folder(), filter="data")
    folder = _folder() / name
    if not (folder / wanted).exists():
        raise WeightsUnavailable(f"{name}.tar.gz holds no {name}/{wanted}")
    return folder


@functools.cache
def _folder():
    return Path(tempfile.mkdtemp(prefix="transcriptformer-"))


def _plain(names):
    """Return Ensembl ids without the version that may follow a dot."""
    return names.str.split(".").str[0]


def _as_expected(adata, aux_columns):
    """Return a copy of the cells with the columns that the package reads.

    Of genes that share an id but for its version, the first stays. What is not known of a cell, such as its assay, is
    "unknown", a word that the model leaves out.
    """
    names = _plain(adata.var_names)
    kept = adata[:, ~names.duplicated()].copy()
    kept.var["ensembl_id"] = names[~names.duplicated()]
    kept.obs["cell_id"] = kept.obs_names
    for column in (aux_columns or "").split(","):
        if column and column not in kept.obs:
            kept.obs[column] = "unknown"
    return kept


if __name__ == "__main__":
    run(embed, packages=("transcriptformer", "torch", "pytorch-lightning", "numpy", "anndata"), genes=genes)
