"""PCA, truncated SVD and NMF as containers: the very functions that run without one."""

import linear
from adapter import run

MODELS = {"pca": linear.pca, "svd": linear.truncated_svd, "nmf": linear.nmf}


def embed(adata, request):
    """Call the function that the card names."""
    params = dict(request["params"])
    adata.uns["values"] = request["values"]
    return MODELS[params.pop("model")](adata, seed=request["seed"], **params)


if __name__ == "__main__":
    run(embed, packages=("numpy", "scipy", "scikit-learn", "scanpy", "anndata"))
