# SPDX-License-Identifier: BSD-3-Clause
"""svdgrad.dask: every function over chunks is what it is on the whole array; on processes, with a file larger than a chunk."""

import numpy as np
import pytest

import svdgrad

da = pytest.importorskip("dask.array")
cloudpickle = pytest.importorskip("cloudpickle")  # Dask needs it
sd = pytest.importorskip("svdgrad.dask")

CALLS = {
    "svd": [((), {}), ((False,), {}), ((), {"rank": 2}), ((), {"compute_uv": False}), ((False,), {"report": True, "errors": "info"})],
    "svdvals": [((), {}), ((), {"rank": 2})], "low_rank": [((1,), {})], "polar": [((), {}), ((), {"errors": "info"})],
    "nearest_rotation": [((), {})], "soft_threshold": [((0.5,), {}), ((0.5,), {"relative": True})], "hard_threshold": [((0.5,), {})],
    "clip": [((0.5,), {})], "power": [((1.5,), {})], "pinv": [((), {}), ((0.1,), {})], "whitening": [((), {})],
    "sqrtm_gram": [((), {})], "nuclear_norm": [((), {}), ((), {"report": True})], "spectral_norm": [((), {})],
    "schatten_norm": [((3.0,), {})], "logabsdet": [((), {})], "slogdet": [((), {})],
}  # fmt: skip
FUNCTIONS = [name for name in sd.__all__ if name != "from_npy"]
SQUARE = ("nearest_rotation", "slogdet")


def matrices(*shape, dtype="float64"):
    a = np.random.default_rng(0).standard_normal(shape)
    return (a + 1j * a[::-1]).astype(dtype) if np.dtype(dtype).kind == "c" else a.astype(dtype)


def test_every_function_is_called():
    assert set(CALLS) == set(FUNCTIONS)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("dtype", ["float32", "complex128"])
def test_chunks_give_what_the_whole_gives(name, dtype):
    whole = matrices(7, 3, 5, 3, dtype=dtype)[..., : 3 if name in SQUARE else 5, :]
    chunked = da.from_array(whole, chunks=(3, 2, 2, 2))
    for arguments, options in CALLS[name]:
        options = {**options, "batch_invariant": True}
        result = getattr(sd, name)(chunked, *arguments, **options)
        expected = getattr(svdgrad, name)(whole, *arguments, **options)
        assert type(result).__name__ == type(expected).__name__ or not isinstance(expected, tuple)
        for x, y in zip(sd._leaves(result), sd._leaves(expected), strict=True):
            assert isinstance(x, da.Array) and x.shape == y.shape and x.dtype == y.dtype
            assert np.array_equal(x.compute(), y)


def test_one_bad_matrix_and_errors():
    whole = matrices(6, 4, 3)
    whole[4, 1, 1] = np.nan
    chunked = da.from_array(whole, chunks=(2, 4, 3))
    found = sd.svd(chunked, False, errors="info")
    assert found.info.compute().tolist() == [0, 0, 0, 0, 2, 0]
    assert np.isnan(found.S[4].compute()).all() and np.isfinite(found.S[5].compute()).all()
    with pytest.raises(np.linalg.LinAlgError, match="NaN"):
        sd.svdvals(chunked, errors="raise").compute()
    with pytest.raises(np.linalg.LinAlgError, match="two-dimensional"):
        sd.svd(da.zeros(3))
    with pytest.raises(ValueError, match="unknown"):
        sd.svd(chunked[:, chunked[0, :, 0] > 0])
    with pytest.raises(ValueError, match="rank"):
        sd.low_rank(chunked, 9)


def test_a_file_does_not_travel_with_the_graph(tmp_path, monkeypatch):
    whole = matrices(4000, 3, 5, 4)
    np.save(tmp_path / "a.npy", whole)
    monkeypatch.chdir(tmp_path)
    for chunks in ((1000, -1, -1, -1), (1500, 2, 3, 4), "auto"):
        chunked = sd.from_npy("a.npy", chunks)
        assert chunked.shape == whole.shape and chunked.dtype == whole.dtype
        assert len(cloudpickle.dumps(chunked.__dask_graph__())) < 100_000 < whole.nbytes
        assert np.array_equal(chunked.compute(), whole)
        assert np.array_equal(chunked[7:1600:3].compute(), whole[7:1600:3])


def test_on_processes_from_a_file(tmp_path):
    distributed = pytest.importorskip("distributed")
    file = np.lib.format.open_memmap(tmp_path / "a.npy", mode="w+", dtype="float32", shape=(4000, 6, 4))
    file[:] = matrices(4000, 6, 4, dtype="float32")
    file.flush()
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
        with distributed.Client(cluster):
            chunked = sd.from_npy(tmp_path / "a.npy", chunks=(500, 6, 4))
            S = sd.svdvals(chunked, batch_invariant=True).persist()
            distributed.progress(S, notebook=False)
            assert np.array_equal(S.compute(), svdgrad.svdvals(np.asarray(file), batch_invariant=True))
            mean = sd.polar(chunked).mean(axis=0).compute()
            assert np.allclose(mean, svdgrad.polar(np.asarray(file)).mean(axis=0), atol=1e-5)
