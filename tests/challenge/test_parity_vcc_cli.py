"""The challenge's own tool accepts what we accept and refuses what we refuse, and its reader opens our archive."""

import tarfile

import anndata
import numpy as np
import pytest

from vcmetrics.challenge import pack, validate
from vcmetrics.challenge.contract import ContractError

prep = pytest.importorskip("vcc.prep")
zstandard = pytest.importorskip("zstandard")
pytestmark = pytest.mark.filterwarnings("default")


def content(path, folder):
    with tarfile.open(path) as archive, (folder / "out.h5ad").open("wb") as out:
        zstandard.ZstdDecompressor().copy_stream(archive.extractfile("pred.h5ad.zst"), out)
    return anndata.read_h5ad(folder / "out.h5ad")


def same_verdict(path, lists, folder):
    """Both tools over one file; what both wrote where both accept."""
    contract = lists["contract"]
    theirs, ours = folder / "theirs.vcc", folder / "ours.vcc"
    try:
        prep.run_prep(
            input_path=str(path),
            genes_path=str(lists["genes"]),
            perts_path=str(lists["perturbations"]),
            output_path=str(theirs),
            required_contexts=tuple(lists["contexts"]),
            cells_per_pert=contract.cells_per_pert,
            expected_gene_dim=contract.n_genes,
            max_nnz=contract.max_stored,
            max_cell_dim=contract.max_cells,
            encoding=contract.encoding,
        )
        accepted, why = True, ""
    except prep.PrepError as error:
        accepted, why = False, str(error)
    problems = validate(path, **lists)
    assert (not problems) == accepted, (why, problems)
    if not accepted:
        with pytest.raises(ContractError) as caught:
            pack(path, ours, **lists)
        assert [p.code for p in caught.value.problems] == [p.code for p in problems]
        return
    pack(path, ours, **lists)
    from vcc import vccfile

    vccfile.validate_vcc(ours)
    assert vccfile.contexts_from_vcc(ours) == vccfile.contexts_from_vcc(theirs)
    a, b = content(ours, folder), content(theirs, folder)
    assert vccfile.nnz_from_vcc(ours) == a.X.nnz
    assert a.X.dtype == b.X.dtype
    np.testing.assert_array_equal(a.X.toarray(), b.X.toarray())
    assert a.obs.astype(str).equals(b.obs.astype(str))
    assert a.var_names.tolist() == b.var_names.tolist()
    fields = ("n_obs", "n_vars", "schema", "contexts", "perts_fingerprint")
    assert {k: vccfile.read_vcc_meta(ours)[k] for k in fields} == {k: vccfile.read_vcc_meta(theirs)[k] for k in fields}


def test_memory(memory, change, submission, lists, tmp_path):
    change[memory](submission).write_h5ad(tmp_path / "pred.h5ad")
    same_verdict(tmp_path / "pred.h5ad", lists, tmp_path)


def test_stored(stored, change_file, submission, lists, tmp_path):
    submission.write_h5ad(tmp_path / "pred.h5ad")
    change_file[stored](tmp_path / "pred.h5ad")
    same_verdict(tmp_path / "pred.h5ad", lists, tmp_path)


def test_pairs(pair, change, submission, lists, tmp_path):
    change[pair[1]](change[pair[0]](submission)).write_h5ad(tmp_path / "pred.h5ad")
    same_verdict(tmp_path / "pred.h5ad", lists, tmp_path)


def test_every_two_faults_of_values_and_labels(change, submission, lists, tmp_path):
    values = ("NaN", "negative", "fraction", "label all zero", "good csc", "good explicit zeros")
    labels = ("control cell", "one cell less", "unknown context", "missing label", "good categorical")
    for first in values:
        for second in labels:
            change[second](change[first](submission.copy())).write_h5ad(tmp_path / "pred.h5ad")
            for name in ("ours.vcc", "theirs.vcc"):
                (tmp_path / name).unlink(missing_ok=True)
            same_verdict(tmp_path / "pred.h5ad", lists, tmp_path)
