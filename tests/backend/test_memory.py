"""Budgets as users write them, and what a machine and its control groups leave."""

import inspect

import pytest

import vcmetrics as vcm
from vcmetrics.backend import memory

GIB = 1 << 30


@pytest.fixture
def machine(tmp_path):
    """Writes files as /proc and /sys have them."""

    def write(**files):
        for name, text in {"proc/meminfo": "MemTotal: 99 kB\nMemAvailable:   8388608 kB\n", **files}.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return write


def test_sizes(monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda: 8 * GIB)
    for given, wanted in {
        "4GiB": 4 * GIB,
        "4 gib": 4 * GIB,
        "500MB": 500_000_000,
        "1.5g": 1_500_000_000,
        "2048 KiB": 2 << 20,
        "5000000": 5_000_000,
        5_000_000: 5_000_000,
        5e9: 5_000_000_000,
        0.25: 2 * GIB,
        "0.25": 2 * GIB,
        "25%": 2 * GIB,
        1.0: 8 * GIB,
        None: 4 * GIB,
    }.items():
        assert memory.resolve_budget(given) == wanted, given


@pytest.mark.parametrize(
    "wrong",
    ["", "much", "4 GiB of it", "-1GB", "0", 0, 1, -5, 0.0, float("nan"), float("inf"), "9" * 400, "120%", "1KB"],
)
def test_wrong_sizes(wrong):
    with pytest.raises(ValueError, match="memory_budget"):
        memory.resolve_budget(wrong)


@pytest.mark.parametrize("wrong", [True, [1], b"4GiB"])
def test_wrong_kinds(wrong):
    with pytest.raises(TypeError, match="memory_budget"):
        memory.resolve_budget(wrong)


def test_no_control_group(machine):
    assert memory.available_memory(machine()) == 8 * GIB


def test_version_2(machine):
    group = "sys/fs/cgroup/a/b"
    files = {"proc/self/cgroup": "0::/a/b/c\n"}
    # the group itself has no limit, the one above has; pages that can be dropped are free
    files |= {"sys/fs/cgroup/a/b/c/memory.max": "max\n", "sys/fs/cgroup/a/b/c/memory.current": "5\n"}
    files |= {f"{group}/memory.max": f"{3 * GIB}\n", f"{group}/memory.current": f"{2 * GIB}\n"}
    files |= {f"{group}/memory.stat": f"anon 1\ninactive_file {GIB}\n"}
    assert memory.available_memory(machine(**files)) == 2 * GIB


def test_version_2_slows_down_before_its_limit(machine):
    group = "sys/fs/cgroup/a"
    files = {"proc/self/cgroup": "0::/a\n", f"{group}/memory.current": f"{GIB}\n", f"{group}/memory.stat": "anon 1\n"}
    for most, high, left in (("max", 3 * GIB, 2 * GIB), (4 * GIB, "max", 3 * GIB), (4 * GIB, 2 * GIB, GIB)):
        files |= {f"{group}/memory.max": f"{most}\n", f"{group}/memory.high": f"{high}\n"}
        assert memory.available_memory(machine(**files)) == left


def test_version_1(machine):
    group = "sys/fs/cgroup/memory"  # inside a container the path is the host's
    files = {"proc/self/cgroup": "5:cpu,cpuacct:/x\n4:memory:/docker/abc\n"}
    files |= {f"{group}/memory.limit_in_bytes": f"{2 * GIB}\n", f"{group}/memory.usage_in_bytes": f"{GIB}\n"}
    files |= {f"{group}/memory.stat": "total_inactive_file 4096\n"}
    assert memory.available_memory(machine(**files)) == GIB + 4096
    files |= {f"{group}/memory.limit_in_bytes": "9223372036854771712\n"}
    assert memory.available_memory(machine(**files)) == 8 * GIB


def test_nested_calls_share_a_budget():
    with memory.spending("1GiB") as outer:
        with memory.spending(None) as inner:
            assert inner is outer
        with memory.spending("2MiB") as inner:
            assert memory.current_budget().bytes == 2 << 20
        assert memory.current_budget() is outer


def test_every_function_of_cells_takes_a_budget():
    for name in vcm.__all__:
        thing = getattr(vcm, name)
        if inspect.isfunction(thing) and {"pert_col", "n_threads"} <= set(inspect.signature(thing).parameters):
            assert "memory_budget" in inspect.signature(thing).parameters, name


def test_command_line(capsys):
    from vcmetrics.cli.entry import run

    assert run(["de", "x.h5ad", "--pert-col", "p", "-o", "x.csv", "--memory-budget", "much"]) == 2
    assert "memory_budget" in capsys.readouterr().err
