"""scGPT as a container: the state of the cell token, after genes and their binned counts went through the transformer.

Cui et al. (2024), doi 10.1038/s41592-024-02201-0. The steps are those of scgpt.tasks.embed_data in scgpt 0.2.4, with
the package's own vocabulary, collator and network. One thing differs: binning and the choice of genes are drawn for
each cell apart, from the seed and its id. There they hang on the cells before it and on how many processors load them.
"""

import hashlib
import json

import numpy as np
import torch
from adapter import WeightsUnavailable, need_form, need_human, need_known_genes, progress, run, use_torch, weights
from scgpt.data_collator import DataCollator
from scgpt.model import TransformerModel
from scgpt.tokenizer import GeneVocab
from scgpt.utils import load_pretrained
from scipy import sparse
from torch.nn.utils.rnn import pad_sequence

SPECIAL = ("<pad>", "<cls>", "<eoc>")
BATCH_SIZE, MAX_LENGTH = 64, 1200


def embed(adata, request):
    """Return cells × width of the network; each row has length one."""
    params = request["params"]
    need_human(request)
    need_form(request, "counts", "gene symbols", "counts of genes by symbol")
    device = torch.device(use_torch(request))
    vocabulary = _vocabulary()
    config = json.loads(weights("args.json").read_text(encoding="utf-8"))
    network = _network(vocabulary, config, device)
    cells = _Cells(adata, vocabulary, config, request["seed"], int(params.get("max_length", MAX_LENGTH)))
    return _cell_tokens(network, cells, int(params.get("batch_size", BATCH_SIZE)), device)


def genes(adata):
    """Count the genes of the vocabulary, and those of them that the cells have."""
    vocabulary = _vocabulary()
    known = {name for name in vocabulary.get_stoi() if not name.startswith("<")}
    return len(known), len(known & set(adata.var_names))


def _vocabulary():
    vocabulary = GeneVocab.from_file(weights("vocab.json"))
    for token in SPECIAL:
        if token not in vocabulary:
            vocabulary.append_token(token)
    return vocabulary


def _network(vocabulary, config, device):
    progress("loading best_model.pt")
    state = torch.load(weights("best_model.pt"), map_location="cpu", weights_only=True)
    network = TransformerModel(
        ntoken=len(vocabulary),
        d_model=config["embsize"],
        nhead=config["nheads"],
        d_hid=config["d_hid"],
        nlayers=config["nlayers"],
        nlayers_cls=config["n_layers_cls"],
        n_cls=1,
        vocab=vocabulary,
        dropout=config["dropout"],
        pad_token=config["pad_token"],
        pad_value=config["pad_value"],
        do_mvc=True,
        use_fast_transformer=False,
        pre_norm=False,
    )
    # What a file lacks, or has in another shape, would stay as it was drawn at random.
    in_file = {name.replace("Wqkv.", "in_proj_"): tensor.shape for name, tensor in state.items()}
    needed = {
        name: tensor.shape
        for name, tensor in network.state_dict().items()
        if name.startswith(("encoder.", "value_encoder.", "transformer_encoder."))
    }
    if wrong := [name for name, shape in needed.items() if in_file.get(name) != shape]:
        raise WeightsUnavailable(
            f"best_model.pt lacks {', '.join(sorted(wrong)[:3])} in the shape that args.json gives"
        )
    load_pretrained(network, state, verbose=False)
    return network.to(device).eval()


class _Cells(torch.utils.data.Dataset):
    """The tokens and binned counts of each cell."""

    def __init__(self, adata, vocabulary, config, seed, max_length):
        known = np.array([name in vocabulary and not name.startswith("<") for name in adata.var_names])
        self.counts = sparse.csr_matrix(adata.X)[:, known].astype(np.float32)
        self.counts.eliminate_zeros()
        need_known_genes(int((np.diff(self.counts.indptr) == 0).sum()), adata.n_obs)
        self.tokens = np.array([vocabulary[name] for name in adata.var_names[known]], dtype=np.int64)
        self.cell_token, self.pad_token = vocabulary["<cls>"], vocabulary[config["pad_token"]]
        self.pad_value = config["pad_value"]
        self.ids, self.seed = adata.obs_names, seed
        self.collator = DataCollator(
            pad_token_id=self.pad_token,
            pad_value=self.pad_value,
            do_mlm=False,
            do_binning=True,
            max_length=max_length,
            sampling=True,
            keep_first_n_tokens=1,
        )

    def __len__(self):
        return self.counts.shape[0]

    def __getitem__(self, position):
        row = slice(*self.counts.indptr[position : position + 2])
        # In the order of the tokens, so that the order of genes in a file is nothing that a draw hangs on.
        tokens = self.tokens[self.counts.indices[row]]
        order = np.argsort(tokens, kind="stable")
        drawn = hashlib.sha256(f"{self.seed}\0{self.ids[position]}".encode()).digest()
        np.random.seed(int.from_bytes(drawn[:4], "little"))  # noqa: NPY002 (scgpt draws from numpy's own state)
        torch.manual_seed(int.from_bytes(drawn[4:8], "little"))
        tokens = torch.from_numpy(np.insert(tokens[order], 0, self.cell_token))
        values = torch.from_numpy(np.insert(self.counts.data[row][order], 0, self.pad_value))
        ready = self.collator([{"genes": tokens, "expressions": values}])
        return ready["gene"][0], ready["expr"][0]


@torch.no_grad()
def _cell_tokens(network, cells, batch_size, device):
    found = np.empty((len(cells), network.d_model), dtype=np.float32)
    for start in range(0, len(cells), batch_size):
        stop = min(start + batch_size, len(cells))
        tokens, values = zip(*(cells[position] for position in range(start, stop)), strict=True)
        tokens = pad_sequence(tokens, batch_first=True, padding_value=cells.pad_token).to(device)
        values = pad_sequence(values, batch_first=True, padding_value=cells.pad_value).to(device)
        with torch.autocast("cuda", enabled=device.type == "cuda"):
            states = network._encode(tokens, values, src_key_padding_mask=tokens.eq(cells.pad_token))
        found[start:stop] = states[:, 0].float().cpu().numpy()
        progress(f"{stop:,} of {len(cells):,} cells")
    return found / np.linalg.norm(found, axis=1, keepdims=True)


if __name__ == "__main__":
    run(embed, packages=("scgpt", "torch", "torchtext", "numpy", "scipy", "anndata"), genes=genes)
