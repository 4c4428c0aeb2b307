"""One worker and two, of one thread each, on the same files: seconds, and how much sooner two are done.

The results are compared with those of one process first, byte by byte.

usage: python -m bench.cluster_speed FILE... [--pert-col target_gene] [--control non-targeting] [--rounds 3]
"""

from __future__ import annotations

import argparse
import logging
import os
import time
from typing import Any

import vcmetrics as vcm


def main() -> None:
    """Command line."""
    from distributed import Client, LocalCluster

    import vcmetrics.dask as vcd

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+")
    parser.add_argument("--pert-col", default="target_gene")
    parser.add_argument("--control", default="non-targeting")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    both = {"pert_col": given.pert_col, "control": given.control}
    works: dict[str, dict[str, Any]] = {
        "rank sums": {"fields": ("sum", "linear", "rank"), "keep_control": False},
        "sums of logs": {"fields": ("log1p",)},
        "sums of counts": {"fields": ("sum", "nonzero")},
    }
    expected = {name: vcm.summarize(given.files, **both, **how) for name, how in works.items()}
    least: dict[tuple[str, int], float] = {}
    for n in (1, 2):
        cluster = LocalCluster(n_workers=n, threads_per_worker=1, dashboard_address=":0", silence_logs=logging.ERROR)
        with cluster, Client(cluster) as client:
            for name, how in works.items():
                for k in range(given.rounds):
                    begin = time.perf_counter()
                    found = vcd.summarize(given.files, client=client, **both, **how)
                    taken = time.perf_counter() - begin
                    least[name, n] = min(least.get((name, n), taken), taken)
                    if k == 0:
                        for key, tables in expected[name].tables.items():
                            for table, values in tables.items():
                                assert values.tobytes() == found.tables[key][table].tobytes(), (name, table)
    print(f"load {os.getloadavg()[0]:.1f}; seconds of one worker, of two, and their ratio")
    for name in works:
        one, two = least[name, 1], least[name, 2]
        print(f"{name:16} {one:7.2f} {two:7.2f} {one / two:6.2f}")


if __name__ == "__main__":
    main()
