"""A process of a Python that has pertpy: answers each line of input with one energy-distance matrix.

python peer_pertpy.py CELLS.npz RESULT.npy
"""

import sys
import warnings

import anndata
import numpy as np
import pandas as pd

warnings.simplefilter("ignore")


def main() -> None:
    import pertpy

    data = np.load(sys.argv[1])
    labels = pd.Categorical([f"g{c:04d}" for c in data["codes"]])
    adata = anndata.AnnData(np.zeros((len(labels), 1), np.float32), obs=pd.DataFrame({"group": labels}))
    adata.obs_names = adata.obs_names.astype(str)
    adata.obsm["X_pca"] = data["cells"]
    print("ready", flush=True)
    for _ in sys.stdin:
        fresh = adata.copy()  # distances of cells are kept in the object
        distance = pertpy.tools.Distance("edistance", obsm_key="X_pca")
        found = distance.pairwise(fresh, groupby="group", show_progressbar=False)
        order = sorted(found.index)
        np.save(sys.argv[2], found.loc[order, order].to_numpy(float))
        print("done", flush=True)


if __name__ == "__main__":
    main()
