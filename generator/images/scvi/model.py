"""scVI and its linear kind as containers: the very functions that run without one."""

from adapter import run

from cellgauge.models import variational

MODELS = {"scvi": variational.scvi, "linear": variational.linear_scvi}


def embed(adata, request):
    """Call the function that the card names."""
    params = dict(request["params"])
    adata.uns["values"] = request["values"]
    return MODELS[params.pop("model")](adata, seed=request["seed"], **params)


if __name__ == "__main__":
    run(embed, packages=("scvi-tools", "torch", "lightning", "numpy", "scipy", "scikit-learn", "scanpy", "anndata"))
