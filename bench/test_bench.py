#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What the bench decides without measuring: which BLAS is refused, which peer is the fastest, which rows are lost, who
comes first.  Needs nothing but Python; ctest runs it."""
import contextlib
import io
import math
import os
import unittest
from unittest import mock

import blas
import fastest_peer
import order
import report

PRESCOTT = {"name": "OpenBLAS", "version": "0.3.21", "kernels": "Prescott", "generation": "SSE"}
ROW = {"op": "svd", "threads": 1, "m": 3, "n": 3, "batch": 1, "dtype": "f64"}


def row(peer, us, over_ours=math.nan, **changes):
    return {**ROW, "peer": peer, "us": us, "over_ours": over_ours, "accuracy": 1, **changes}


class Kernels(unittest.TestCase):
    def test_generation_of_the_processor(self):
        avx2 = {"sse2", "avx", "avx2", "fma"}
        avx512 = {"avx512f", "avx512dq", "avx512bw", "avx512vl"}
        for flags, generation in (({"sse2", "avx"}, "SSE"), (avx2, "AVX2"), ({"asimd", "sve"}, None),
                                  (avx2 | avx512, "AVX-512")):
            self.assertEqual(blas.generation_of(flags), generation)
        for flag in avx512:  # a Knights Landing has some of them
            self.assertEqual(blas.generation_of(avx2 | avx512 - {flag}), "AVX2")

    def test_generation_of_kernels(self):
        for cores, kernels, generation in (
                (blas.OPENBLAS_CORES, "Prescott", "SSE"), (blas.OPENBLAS_CORES, "Sandybridge", "SSE"),
                (blas.OPENBLAS_CORES, "Haswell", "AVX2"), (blas.OPENBLAS_CORES, "Zen", "AVX2"),
                (blas.OPENBLAS_CORES, "SkylakeX", "AVX-512"), (blas.OPENBLAS_CORES, "Sapphirerapids", "AVX-512"),
                (blas.BLIS_CORES, "generic", "SSE"), (blas.BLIS_CORES, "zen3", "AVX2"),
                (blas.BLIS_CORES, "zen4", "AVX-512")):
            self.assertEqual(blas.belongs(cores, kernels), generation, kernels)

    @mock.patch.dict(os.environ)
    def test_old_kernels_are_refused_with_the_remedy(self):
        os.environ.pop("OPENBLAS_CORETYPE", None)
        self.assertTrue(blas.wrong(PRESCOTT, "AVX-512"))
        self.assertIn("set OPENBLAS_CORETYPE=SkylakeX", blas.refusal(PRESCOTT, "AVX-512"))
        self.assertIn("set OPENBLAS_CORETYPE=Haswell", blas.refusal(PRESCOTT, "AVX2"))
        self.assertIn("Prescott", blas.refusal(PRESCOTT, "AVX2"))

    @mock.patch.dict(os.environ)
    def test_what_is_not_refused(self):
        os.environ.pop("OPENBLAS_CORETYPE", None)
        self.assertFalse(blas.wrong(PRESCOTT, "SSE"))
        self.assertFalse(blas.wrong(PRESCOTT, None))  # no x86
        self.assertFalse(blas.wrong({**PRESCOTT, "generation": None}, "AVX-512"))
        os.environ["OPENBLAS_CORETYPE"] = "Prescott"  # somebody wants it so
        self.assertFalse(blas.wrong(PRESCOTT, "AVX-512"))


class Fastest(unittest.TestCase):
    def test_of_the_others(self):
        rows = [row("svdgrad", 2), row("svdgrad-vendor", 0.5), row("numpy", 3), row("jax", 1)]
        best, ratio = report.fastest_other(rows)
        self.assertEqual((best["peer"], ratio), ("jax", 0.5))

    def test_ratio_of_one_repetition_comes_first(self):
        self.assertEqual(report.fastest_other([row("svdgrad", 2), row("jax", 1, 0.7)])[1], 0.7)

    def test_without_others_or_ours(self):
        self.assertIsNone(report.fastest_other([row("svdgrad", 2), row("svdgrad-invariant", 1)]))
        self.assertIsNone(report.fastest_other([row("numpy", 2)]))

    def test_fastest_other_has_the_accuracy_of_lapack(self):
        rows = [row("svdgrad", 2), row("numpy", 3), row("warp", 1, accuracy=48700), row("mkl-batched", 0.5, accuracy=1)]
        self.assertEqual(report.fastest_text(rows), "numpy 1.50")
        self.assertEqual(report.fastest_text(rows[:1] + rows[2:]), "–")
        self.assertEqual(report.fastest_text([rows[0], row("warp", 1, accuracy=9)]), "warp 0.50")

    def test_picture_leaves_out_those_without_it(self):
        rows = [row(peer, us, dtype=dtype) for dtype in ("f32", "f64")
                for peer, us in (("svdgrad", 2), ("numpy", 3), ("mkl-batched", 0.5))]
        self.assertEqual(dict(fastest_peer.of_svd(rows)), {(1, 3, 3): {d: (1.5, "NumPy") for d in ("f32", "f64")}})

    def printed(self, show, rows):
        with contextlib.redirect_stdout(io.StringIO()) as text:
            show(report.problems(rows))
        return text.getvalue()

    def lost(self, *rows):
        return self.printed(report.lost, rows)

    def test_rows_where_batch_invariant_is_dear(self):
        text = self.printed(report.dear, [row("svdgrad", 1, 1), row("svdgrad-invariant", 3, 3),
                                          row("svdgrad-invariant", 1.5, 1.5, batch=8)])
        self.assertIn("1 of 2", text)
        self.assertIn("| 3.00 |", text)
        self.assertIn("In none of 1 rows", self.printed(report.dear, [row("svdgrad-invariant", 2, 2)]))

    def test_lost_rows_are_listed_the_worst_first(self):
        text = self.lost(row("svdgrad", 2), row("numpy", 1.7), row("svdgrad", 9, batch=16), row("jax", 3, batch=16),
                         row("svdgrad", 1, batch=4), row("jax", 0.95, batch=4))
        self.assertIn("2 of 3", text)
        self.assertLess(text.index("16 x 3 x 3"), text.index("| 1 x 3 x 3"))
        self.assertNotIn("4 x 3 x 3", text)

    def test_those_that_give_up_accuracy_have_a_table_of_their_own(self):
        text = self.lost(row("svdgrad", 2), row("mkl-batched", 0.2), row("numpy", 1),
                         row("svdgrad", 9, batch=16), row("mkl-batched", 10, batch=16, accuracy=1e5))
        of_lapack, careless = text.split("gives up accuracy")
        self.assertIn("| numpy | 0.50 |", of_lapack)
        self.assertNotIn("mkl-batched", of_lapack)
        self.assertIn("| mkl-batched | 0.10 |", careless)

    def test_the_gram_matrix_is_no_peer_of_lapack_on_any_matrix(self):
        text = self.lost(row("svdgrad", 2), row("mkl-batched", 0.2), row("numpy", 3))
        self.assertIn("nobody of LAPACK's accuracy is faster", text)
        self.assertIn("| mkl-batched | 0.10 |", text.split("gives up accuracy")[1])
        self.assertIn("eigenvalues of A^H A", text)

    def test_nothing_lost(self):
        self.assertIn("nobody of LAPACK's accuracy is faster", self.lost(row("svdgrad", 1), row("numpy", 0.91)))


class Order(unittest.TestCase):
    def test_everybody_takes_part_in_each_round(self):
        rounds = list(order.shuffled_rounds(list("abcdefgh"), 5))
        self.assertEqual([sorted(x) for x in rounds], [list("abcdefgh")] * 5)
        self.assertEqual(rounds, list(order.shuffled_rounds(list("abcdefgh"), 5)))

    def test_nobody_is_always_first_or_behind_the_same(self):
        rounds = list(order.shuffled_rounds(list("abcdefgh"), 5))
        self.assertGreater(len({x[0] for x in rounds}), 2)
        before_a = {x[x.index("a") - 1] for x in rounds if x[0] != "a"}
        self.assertGreater(len(before_a), 2)


if __name__ == "__main__":
    unittest.main()
