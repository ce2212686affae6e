/* SPDX-License-Identifier: BSD-3-Clause */
/* Tangents of the factors and second derivatives are right.  They are compared with the product rule and the textbook
 * tangent, the adjoint of the backward pass, the reference backend in double precision, and central differences of the
 * backward pass.  Errors are in units of eps / (smallest gap or singular value in the formula). */
#include "functions.h"
#include "jvp.h"
#include "random.h"
#include "settings.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static void forward(functions_t *x) {
  cr_assert_eq(fixture_forward(&x->f, WITH_VECTORS), SVDGRAD_STATUS_SUCCESS, "%s", svdgrad_last_error_message());
  cr_assert_eq(x->f.info[0], SVDGRAD_INFO_OK);
}

/* A of the setting, its factors, and a random tangent and random cotangents. */
static functions_t start(const setting_t *s, int64_t rank, int full_matrices) {
  svdgrad_desc_t desc = make_desc(s->dtype, s->m, s->n, 1);
  desc.rank = rank;
  desc.full_matrices = full_matrices;
  functions_t x = functions_make(s->backend, &desc, SVDGRAD_FORM_UVH, LAYOUT_COLUMN_MAJOR);
  LOCAL(dense) A = settings_matrix(s);
  functions_fill(&x, 0, 7);
  buffer_store(&x.f.A, 0, &A);
  forward(&x);
  return x;
}

static void run(functions_t *x, svdgrad_op_t op, unsigned absent) {
  cr_assert_eq(functions_run(x, op, absent, 1, 0), SVDGRAD_STATUS_SUCCESS, "%s", svdgrad_last_error_message());
  cr_assert(x->f.intact);
}

static void run_jvp(functions_t *x) { run(x, SVDGRAD_OP_SVD_JVP, 0); }

/* The smallest singular value, difference or sum of singular values that is not rounding noise. */
static long double smallest_divisor(const functions_t *x) {
  long double *s = load_S(&x->f, 0), smallest = s[0];
  const long double noise = 4 * dtype_epsilon(x->f.desc.dtype) * s[0];
  for (int64_t i = 0; i < x->f.S.rows; i++)
    for (int64_t j = 0; j <= i; j++) {
      const long double difference = j < i ? s[j] - s[i] : s[i], sum = s[j] + s[i];
      smallest = difference > noise ? fminl(smallest, difference) : smallest;
      smallest = sum > noise ? fminl(smallest, sum) : smallest;
    }
  free(s);
  return smallest > 0 ? smallest : 1;
}

/* |computed - exact|_F / (scale eps) */
static void note(worst_t *worst, const setting_t *s, const dense_t *computed, const dense_t *exact, long double scale,
                 const char *what) {
  settings_note(worst, s, ratio_of(dense_distance(computed, exact), scale * dtype_epsilon(s->dtype)), what);
}

static dense_t load_dV(const functions_t *x) {
  LOCAL(dense) dVh = buffer_load(&x->dVh, 0);
  return dense_conjugate_transpose(&dVh);
}

/* X diag(s) */
static dense_t scaled(const dense_t *X, const long double *s) {
  dense_t scaled = dense_copy(X);
  dense_scale_columns(&scaled, s);
  return scaled;
}

/* X^H dX + dX^H X, which is 0 if the columns of X stay orthonormal. */
static dense_t not_skew(const dense_t *X, const dense_t *dX) {
  LOCAL(dense) inner = dense_h_product(X, dX);
  LOCAL(dense) inner_h = dense_conjugate_transpose(&inner);
  return dense_sum(1, &inner, 1, &inner_h);
}

/* ---- tangents ---- */

/* dU S Vh + U dS Vh + U S dVh = dA, and U and V keep orthonormal columns. */
static void check_product_rule(const setting_t *s, worst_t *worst) {
  LOCAL(functions) x = start(s, 0, 0);
  run_jvp(&x);
  LOCAL(dense) U = load_U(&x.f, 0);
  LOCAL(dense) V = load_V(&x.f, 0);
  LOCAL(dense) dU = buffer_load(&x.dU, 0);
  LOCAL(dense) dV = load_dV(&x);
  LOCAL(dense) dA = buffer_load(&x.dA, 0);
  long double *S = load_S(&x.f, 0), *dS = load_S(&x.f, 0);
  for (int64_t i = 0; i < x.dS.rows; i++)
    dS[i] = creall(buffer_get(&x.dS, 0, i, 0));
  LOCAL(dense) dUS = scaled(&dU, S);
  LOCAL(dense) UdS = scaled(&U, dS);
  LOCAL(dense) US = scaled(&U, S);
  LOCAL(dense) left = dense_sum(1, &dUS, 1, &UdS);
  LOCAL(dense) first = dense_product_h(&left, &V);
  LOCAL(dense) second = dense_product_h(&US, &dV);
  LOCAL(dense) sum = dense_sum(1, &first, 1, &second);
  const long double unit = dense_norm(&dA) / smallest_divisor(&x);
  note(worst, s, &sum, &dA, unit * S[0], "product rule");
  LOCAL(dense) zero = dense_zero(x.f.S.rows, x.f.S.rows);
  LOCAL(dense) of_U = not_skew(&U, &dU);
  LOCAL(dense) of_V = not_skew(&V, &dV);
  note(worst, s, &of_U, &zero, unit, "U");
  note(worst, s, &of_V, &zero, unit, "V");
  free(S);
  free(dS);
}

Test(derivatives, product_rule) {
  worst_t worst = worst_make("jvp product rule");
  settings_for_each_separated(check_product_rule, &worst);
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}

static void check_textbook(const setting_t *s, worst_t *worst) {
  LOCAL(functions) x = start(s, 0, 0);
  run_jvp(&x);
  LOCAL(dense) U = load_U(&x.f, 0);
  LOCAL(dense) V = load_V(&x.f, 0);
  LOCAL(dense) dA = buffer_load(&x.dA, 0);
  LOCAL(dense) dU = buffer_load(&x.dU, 0);
  LOCAL(dense) dV = load_dV(&x);
  LOCAL(dense) dS = buffer_load(&x.dS, 0);
  long double *S = load_S(&x.f, 0);
  LOCAL(tangent) t = tangent_of(&U, S, &V, &dA);
  LOCAL(dense) exact_dS = dense_zero(x.dS.rows, 1);
  for (int64_t i = 0; i < x.dS.rows; i++)
    exact_dS.at[i] = t.dS[i];
  const long double unit = dense_norm(&dA) / smallest_divisor(&x);
  note(worst, s, &dS, &exact_dS, dense_norm(&dA), "dS");
  note(worst, s, &dU, &t.dU, unit, "dU");
  note(worst, s, &dV, &t.dV, unit, "dV");
  free(S);
}

Test(derivatives, tangent_of_the_textbook) {
  worst_t worst = worst_make("jvp textbook");
  settings_for_each_separated(check_textbook, &worst);
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}

/* The leading columns (rows) of a buffer. */
static dense_t leading(const buffer_t *buffer, int64_t rows, int64_t columns) {
  dense_t X = dense_zero(rows, columns);
  for (int64_t j = 0; j < columns; j++)
    for (int64_t i = 0; i < rows; i++)
      X.at[j * rows + i] = buffer_get(buffer, 0, i, j);
  return X;
}

/* The tangents of x are the first `count` of `whole`. */
static void note_leading(worst_t *worst, const setting_t *s, functions_t *x, functions_t *whole, int64_t count,
                         long double unit, const char *what) {
  LOCAL(dense) dS = leading(&x->dS, count, 1);
  LOCAL(dense) dU = leading(&x->dU, s->m, count);
  LOCAL(dense) dVh = leading(&x->dVh, count, s->n);
  LOCAL(dense) exact_dS = leading(&whole->dS, count, 1);
  LOCAL(dense) exact_dU = leading(&whole->dU, s->m, count);
  LOCAL(dense) exact_dVh = leading(&whole->dVh, count, s->n);
  note(worst, s, &dS, &exact_dS, unit, what);
  note(worst, s, &dU, &exact_dU, unit, what);
  note(worst, s, &dVh, &exact_dVh, unit, what);
}

/* The tangents of the leading triplets are those of the whole decomposition; the discarded triplets count. */
static void check_truncated(const setting_t *s, worst_t *worst) {
  const int64_t mn = s->m < s->n ? s->m : s->n;
  LOCAL(functions) whole = start(s, 0, 0);
  run_jvp(&whole);
  LOCAL(dense) dA = buffer_load(&whole.dA, 0);
  const long double s1 = creall(buffer_get(&whole.f.S, 0, 0, 0)), divisor = smallest_divisor(&whole);
  for (int64_t rank = 1; rank < mn; rank += rank < 3 ? 1 : mn / 3) {
    LOCAL(functions) x = start(s, rank, 0);
    run_jvp(&x);
    note_leading(worst, s, &x, &whole, rank, dense_norm(&dA) / divisor * (s1 / divisor), "");
  }
}

Test(derivatives, truncated_is_the_leading_part) {
  worst_t worst = worst_make("jvp truncated");
  settings_for_each_separated(check_truncated, &worst);
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}

/* Square factors: the thin part has the tangents of thin factors, and all columns stay orthonormal. */
static void check_full(const setting_t *s, worst_t *worst) {
  LOCAL(functions) x = start(s, 0, 1);
  LOCAL(functions) thin = start(s, 0, 0);
  LOCAL(dense) U = buffer_load(&x.f.U, 0);
  LOCAL(dense) Vh = buffer_load(&x.f.Vh, 0);
  LOCAL(dense) V = dense_conjugate_transpose(&Vh);
  LOCAL(dense) dA = buffer_load(&x.dA, 0);
  LOCAL(dense) U1 = leading(&x.f.U, s->m, thin.f.S.rows);
  LOCAL(dense) V1h = leading(&x.f.Vh, thin.f.S.rows, s->n);
  buffer_store(&thin.f.U, 0, &U1);
  buffer_store(&thin.f.Vh, 0, &V1h);
  buffer_copy(&thin.f.S, &x.f.S); /* of another algorithm at some sizes */
  run_jvp(&x);
  run_jvp(&thin);
  const long double unit = dense_norm(&dA) / smallest_divisor(&x);
  note_leading(worst, s, &x, &thin, thin.f.S.rows, unit, "thin part");
  LOCAL(dense) dU = buffer_load(&x.dU, 0);
  LOCAL(dense) dV = load_dV(&x);
  LOCAL(dense) of_U = not_skew(&U, &dU);
  LOCAL(dense) of_V = not_skew(&V, &dV);
  LOCAL(dense) zero_U = dense_zero(s->m, s->m);
  LOCAL(dense) zero_V = dense_zero(s->n, s->n);
  note(worst, s, &of_U, &zero_U, unit, "U");
  note(worst, s, &of_V, &zero_V, unit, "V");
}

Test(derivatives, full_matrices) {
  worst_t worst = worst_make("jvp full");
  settings_for_each_separated(check_full, &worst);
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}

/* ---- adjoints ---- */

static long double inner(const buffer_t *x, const buffer_t *y) {
  LOCAL(dense) X = buffer_load(x, 0);
  LOCAL(dense) Y = buffer_load(y, 0);
  return dense_inner(&X, &Y);
}

static long double norm_of(const buffer_t *x) { return sqrtl(inner(x, x)); }

/* <gS, dS> + <gU, dU> + <gV, dV> = <gA, dA>, gA by svdgrad_svd_backward() under the same policy. */
static void check_adjoint_of(const setting_t *s, functions_t *x, long double condition, const char *what,
                             worst_t *worst) {
  run_jvp(x);
  cr_assert_eq(fixture_backward(&x->f, WITH_COTANGENTS, 1, 0), SVDGRAD_STATUS_SUCCESS);
  const long double through = inner(&x->f.gS, &x->dS) + inner(&x->f.gU, &x->dU) + inner(&x->f.gVh, &x->dVh);
  const long double error = fabsl(through - inner(&x->f.gA, &x->dA));
  const long double cotangents = norm_of(&x->f.gS) + norm_of(&x->f.gU) + norm_of(&x->f.gVh);
  settings_note(worst, s, ratio_of(error, cotangents * norm_of(&x->dA) * condition * dtype_epsilon(s->dtype)), what);
}

static void check_adjoint(const setting_t *s, worst_t *worst) {
  static const svdgrad_gap_policy_t policies[] = {SVDGRAD_GAP_DEFAULT, SVDGRAD_GAP_EXACT, SVDGRAD_GAP_MASK,
                                                  SVDGRAD_GAP_LORENTZ};
  static const struct {
    int64_t rank;
    int full_matrices;
  } kinds[] = {{0, 0}, {1, 0}, {2, 0}, {0, 1}};
  const int64_t mn = s->m < s->n ? s->m : s->n;
  LOCAL(functions) whole = start(s, 0, 0);
  const long double s1 = creall(buffer_get(&whole.f.S, 0, 0, 0)), divisor = smallest_divisor(&whole);
  for (size_t kind = 0; kind < sizeof kinds / sizeof *kinds; kind++) {
    if (kinds[kind].rank > mn)
      continue;
    LOCAL(functions) x = start(s, kinds[kind].rank, kinds[kind].full_matrices);
    const int truncated = kinds[kind].rank > 0 && kinds[kind].rank < mn;
    /* Under LORENTZ the truncated backward pass depends on the null vectors of A - U S Vh, which are nobody's
     * choice. */
    const size_t count = sizeof policies / sizeof *policies - (truncated ? 1 : 0);
    for (size_t i = 0; i < count; i++) {
      char what[60];
      (void)snprintf(what, sizeof what, "rank %d full %d policy %d", (int)kinds[kind].rank, kinds[kind].full_matrices,
                     (int)policies[i]);
      x.f.desc.gap_policy = policies[i];
      x.f.desc.gap_param = 0.13; /* larger than some gaps, equal to none */
      check_adjoint_of(s, &x, (truncated ? s1 / divisor : 1) / divisor, what, worst);
    }
  }
}

Test(derivatives, adjoint_of_the_backward_pass) {
  worst_t worst = worst_make("jvp adjoint");
  settings_for_each_separated(check_adjoint, &worst);
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}

/* ---- ties ---- */

static int is_finite(const buffer_t *x) { return isfinite((double)norm_of(x)); }

/* At ties and zeros the JVP is finite, drops the same terms as the backward pass, and reports them. */
static void check_ties(const setting_t *s, worst_t *worst) {
  const int64_t mn = s->m < s->n ? s->m : s->n;
  for (int full = 0; full < 2; full++) {
    LOCAL(functions) x = start(s, 0, full);
    check_adjoint_of(s, &x, 1 / smallest_divisor(&x), "", worst);
    run_jvp(&x); /* for its report */
    cr_expect(is_finite(&x.dS) && is_finite(&x.dU) && is_finite(&x.dVh));
    const int tied = s->spectrum == SPECTRUM_IDENTITY || s->spectrum == SPECTRUM_ZERO;
    const svdgrad_report_t *r = &x.f.report[0];
    cr_expect(!isnan(r->min_gap) && !isnan(r->amplification) && r->gauge_residual == 0);
    cr_expect(!tied || mn < 2 || (r->dropped_pairs > 0 && r->flags == SVDGRAD_REPORT_DROPPED && r->min_gap == 0),
              "%s %s %dx%d: dropped %d, flags %d", backend_name(s->backend), spectrum_name(s->spectrum), (int)s->m,
              (int)s->n, (int)r->dropped_pairs, (int)r->flags);
  }
  LOCAL(functions) cut = start(s, (mn + 1) / 2, 0);
  run_jvp(&cut);
  cr_expect(is_finite(&cut.dS) && is_finite(&cut.dU) && is_finite(&cut.dVh));
}

Test(derivatives, ties_are_dropped_and_reported) {
  worst_t worst = worst_make("jvp ties");
  settings_for_each_hard(check_ties, &worst);
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}

/* diag(s) with its trivial factors, and every entry of dA 1: herm(E) is 1 off the diagonal. */
static functions_t diagonal(svdgrad_backend_t backend, const double *s, int64_t rank) {
  svdgrad_desc_t desc = make_desc(SVDGRAD_F64, 3, 3, 1);
  desc.rank = rank;
  functions_t x = functions_make(backend, &desc, SVDGRAD_FORM_UVH, LAYOUT_ROW_MAJOR);
  functions_fill(&x, 0, 3);
  for (int64_t i = 0; i < 3; i++)
    for (int64_t j = 0; j < 3; j++) {
      buffer_set(&x.f.A, 0, i, j, i == j ? s[i] : 0);
      buffer_set(&x.dA, 0, i, j, 1);
    }
  for (int64_t j = 0; j < x.f.S.rows; j++) {
    buffer_set(&x.f.S, 0, j, 0, s[j]);
    for (int64_t i = 0; i < 3; i++) {
      buffer_set(&x.f.U, 0, i, j, i == j);
      buffer_set(&x.f.Vh, 0, j, i, i == j);
    }
  }
  return x;
}

typedef struct report_case {
  double s[3];
  int64_t rank;
  double min_gap, amplification; /* of the JVP: that of the second pass counts its cotangents too */
  int32_t dropped_pairs, flags;
} report_case_t;

Test(derivatives, reports) {
  static const report_case_t cases[] = {
      {{4, 3, 1}, 0, 0.25, 2, 0, 0},
      {{2, 1, 1}, 0, 0, 2, 1, 1},
      {{4, 3, 1}, 2, 0.25, 2, 0, 0},
      {{2, 1, 1}, 2, 0, 2, 1, 1 | 4},
  };
  for (int b = 0; b < test_backend_count; b++)
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
      for (svdgrad_op_t op = SVDGRAD_OP_SVD_JVP; op <= SVDGRAD_OP_SVD_BACKWARD_BACKWARD; op++) {
        const int jvp = op == SVDGRAD_OP_SVD_JVP;
        if (!jvp && cases[i].rank)
          continue;
        LOCAL(functions) x = diagonal(test_backends[b], cases[i].s, cases[i].rank);
        run(&x, op, 0);
        const svdgrad_report_t *r = &x.f.report[0];
        cr_expect(fabs(r->min_gap - cases[i].min_gap) < 1e-15, "case %d: min_gap %g", (int)i, r->min_gap);
        cr_expect(!jvp || fabs(r->amplification - cases[i].amplification) < 1e-14, "case %d: amplification %g", (int)i,
                  r->amplification);
        cr_expect(r->dropped_pairs == cases[i].dropped_pairs && r->flags == cases[i].flags,
                  "op %d case %d: dropped %d, flags %d", (int)op, (int)i, (int)r->dropped_pairs, (int)r->flags);
      }
}

/* EXACT divides by zero as the mathematics does. */
Test(derivatives, exact_policy) {
  static const double s[] = {2, 1, 1};
  for (int b = 0; b < test_backend_count; b++) {
    LOCAL(functions) x = diagonal(test_backends[b], s, 0);
    x.f.desc.gap_policy = SVDGRAD_GAP_EXACT;
    run_jvp(&x);
    cr_expect(!is_finite(&x.dU) && !is_finite(&x.dVh) && x.f.report[0].dropped_pairs == 0);
    run(&x, SVDGRAD_OP_SVD_BACKWARD_BACKWARD, 0);
    cr_expect(!is_finite(&x.dU) && !is_finite(&x.dVh) && !is_finite(&x.f.gA));
  }
}

/* ---- second derivatives ---- */

static void run_second(functions_t *x, unsigned absent) { run(x, SVDGRAD_OP_SVD_BACKWARD_BACKWARD, absent); }

/* 3-by-2 with singular values 1 and 0.  The cotangent and ggA are large along (e_3, v_2): the zero is dropped, and what
 * belongs to it must not overflow first. */
static functions_t large_beside_zero(svdgrad_backend_t backend, svdgrad_dtype_t dtype) {
  const double large = dtype_real(dtype) == SVDGRAD_F32 ? 1e20 : 1e160; /* its square is no number of the type */
  const svdgrad_desc_t desc = make_desc(dtype, 3, 2, 1);
  functions_t x = functions_make(backend, &desc, SVDGRAD_FORM_UVH, LAYOUT_COLUMN_MAJOR);
  functions_fill(&x, 0, 3);
  for (int64_t j = 0; j < 2; j++) {
    for (int64_t i = 0; i < 3; i++) {
      buffer_set(&x.f.A, 0, i, j, i == 0 && j == 0);
      buffer_set(&x.f.U, 0, i, j, i == j);
      buffer_set(&x.f.gU, 0, i, j, i == 2 && j == 1 ? large : 0);
      buffer_set(&x.dA, 0, i, j, i == 2 && j == 1 ? large : 0);
    }
    for (int64_t i = 0; i < 2; i++) {
      buffer_set(&x.f.Vh, 0, i, j, i == j);
      buffer_set(&x.f.gVh, 0, i, j, 0);
    }
    buffer_set(&x.f.S, 0, j, 0, j == 0);
    buffer_set(&x.f.gS, 0, j, 0, 0);
  }
  return x;
}

Test(derivatives, large_cotangents_of_a_dropped_value) {
  for (int b = 0; b < test_backend_count; b++)
    for (svdgrad_dtype_t dtype = SVDGRAD_F32; dtype <= SVDGRAD_C128; dtype++) {
      LOCAL(functions) x = large_beside_zero(test_backends[b], dtype);
      run_second(&x, 0);
      cr_expect(is_finite(&x.f.gA) && is_finite(&x.dU), "%s %s", backend_name(test_backends[b]), dtype_name(dtype));
    }
}

/* ggS, ggU and ggVh are the tangents along ggA. */
static void check_gradients_of_cotangents(const setting_t *s, worst_t *worst) {
  LOCAL(functions) jvp = start(s, 0, 0);
  LOCAL(functions) second = start(s, 0, 0);
  run_jvp(&jvp);
  run_second(&second, 0);
  LOCAL(dense) dA = buffer_load(&jvp.dA, 0);
  const long double unit = dense_norm(&dA) / smallest_divisor(&jvp);
  note_leading(worst, s, &second, &jvp, jvp.f.S.rows, unit, "");
  cr_expect(second.f.report[0].dropped_pairs == 0 && second.f.report[0].flags == 0);
}

Test(derivatives, gradients_of_the_cotangents_are_the_jvp) {
  worst_t worst = worst_make("second jvp");
  settings_for_each_separated(check_gradients_of_cotangents, &worst);
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}

/* |cotangents| |ggA| / divisor^2 */
static long double second_unit(const functions_t *x) {
  const long double divisor = smallest_divisor(x);
  const long double cotangents = norm_of(&x->f.gS) + norm_of(&x->f.gU) + norm_of(&x->f.gVh);
  return cotangents / divisor * (norm_of(&x->dA) / divisor);
}

/* The reference backend in double, from the same operands. */
static void check_against_double(const setting_t *s, worst_t *worst) {
  setting_t wide = *s;
  wide.backend = SVDGRAD_BACKEND_REF;
  wide.dtype = dtype_is_complex(s->dtype) ? SVDGRAD_C128 : SVDGRAD_F64;
  LOCAL(functions) x = start(s, 0, 0);
  LOCAL(functions) exact = start(&wide, 0, 0);
  static const int inputs[] = {OPERAND_S, OPERAND_U, OPERAND_VH, OPERAND_GS, OPERAND_GU, OPERAND_GVH, OPERAND_DA};
  for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++) {
    LOCAL(dense) X = buffer_load(functions_operand(&x, inputs[i]), 0);
    buffer_store(functions_operand(&exact, inputs[i]), 0, &X);
  }
  run_second(&x, 0);
  run_second(&exact, 0);
  LOCAL(dense) gA = buffer_load(&x.f.gA, 0);
  LOCAL(dense) exact_gA = buffer_load(&exact.f.gA, 0);
  note(worst, s, &gA, &exact_gA, second_unit(&x), "");
}

Test(derivatives, second_backward_pass_against_double) {
  worst_t worst = worst_make("second against double");
  settings_for_each_separated(check_against_double, &worst);
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}

/* X + step dX in place of X. */
static void move(const buffer_t *buffer, const dense_t *X, const buffer_t *tangent, long double step) {
  LOCAL(dense) dX = buffer_load(tangent, 0);
  LOCAL(dense) moved = dense_sum(1, X, step, &dX);
  buffer_store(buffer, 0, &moved);
}

/* svdgrad_svd_backward() at the factors plus `step` times their tangents. */
static dense_t gradient_after(functions_t *x, const dense_t *S, const dense_t *U, const dense_t *Vh, long double step) {
  move(&x->f.S, S, &x->dS, step);
  move(&x->f.U, U, &x->dU, step);
  move(&x->f.Vh, Vh, &x->dVh, step);
  cr_assert_eq(fixture_backward(&x->f, WITH_COTANGENTS, 1, 0), SVDGRAD_STATUS_SUCCESS);
  return buffer_load(&x->f.gA, 0);
}

/* <gA, dA> = <ggA, derivative of svdgrad_svd_backward() along dA>, by central differences. */
static void check_second_difference_under(const setting_t *s, svdgrad_gap_policy_t policy, worst_t *worst) {
  LOCAL(functions) x = start(s, 0, 0);
  x.f.desc.gap_policy = policy;
  x.f.desc.gap_param = 0.13;
  LOCAL(dense) S = buffer_load(&x.f.S, 0);
  LOCAL(dense) U = buffer_load(&x.f.U, 0);
  LOCAL(dense) Vh = buffer_load(&x.f.Vh, 0);
  LOCAL(dense) ggA = buffer_load(&x.dA, 0);
  run_second(&x, 0);
  LOCAL(dense) gA = buffer_load(&x.f.gA, 0);
  random_t random = random_seed(31);
  LOCAL(dense) dA = random_matrix(&random, s->m, s->n, dtype_is_complex(s->dtype));
  buffer_store(&x.dA, 0, &dA);
  run_jvp(&x);
  const long double h = 1e-5L * smallest_divisor(&x) / dense_norm(&dA);
  LOCAL(dense) after = gradient_after(&x, &S, &U, &Vh, h);
  LOCAL(dense) before = gradient_after(&x, &S, &U, &Vh, -h);
  LOCAL(dense) difference = dense_sum(1 / (2 * h), &after, -1 / (2 * h), &before);
  const long double error = fabsl(dense_inner(&gA, &dA) - dense_inner(&ggA, &difference));
  char what[30];
  (void)snprintf(what, sizeof what, "policy %d", (int)policy);
  settings_note(worst, s, ratio_of(error, dense_norm(&gA) * dense_norm(&dA)), what);
}

static void check_second_difference(const setting_t *s, worst_t *worst) {
  if (dtype_real(s->dtype) == SVDGRAD_F32 || s->m * s->n > 200)
    return;
  for (svdgrad_gap_policy_t policy = SVDGRAD_GAP_DEFAULT; policy <= SVDGRAD_GAP_LORENTZ; policy++)
    check_second_difference_under(s, policy, worst);
}

Test(derivatives, central_differences_of_the_backward_pass) {
  static const spectrum_t spectra[] = {SPECTRUM_LINEAR};
  worst_t worst = worst_make("second differences");
  settings_for_each(spectra, 1, check_second_difference, &worst);
  cr_assert(worst_within(&worst, 1e-6));
}

/* gA is linear in the cotangents, and an absent cotangent counts as zero; the tangents do not depend on cotangents. */
static void check_subsets(const setting_t *s, worst_t *worst) {
  static const unsigned all = ABSENT(OPERAND_GS) | ABSENT(OPERAND_GU) | ABSENT(OPERAND_GVH);
  static const int cotangents[] = {OPERAND_GS, OPERAND_GU, OPERAND_GVH};
  LOCAL(functions) x = start(s, 0, 0);
  LOCAL(functions) part = start(s, 0, 0);
  run_second(&x, 0);
  LOCAL(dense) whole = buffer_load(&x.f.gA, 0);
  LOCAL(dense) sum = dense_zero(s->m, s->n);
  for (size_t i = 0; i < sizeof cotangents / sizeof *cotangents; i++) {
    run_second(&part, all & ~ABSENT(cotangents[i]));
    LOCAL(dense) gA = buffer_load(&part.f.gA, 0);
    for (int64_t e = 0; e < s->m * s->n; e++)
      sum.at[e] += gA.at[e];
    cr_expect(buffer_same_bits(&x.dS, 0, &part.dS, 0) && buffer_same_bits(&x.dU, 0, &part.dU, 0) &&
              buffer_same_bits(&x.dVh, 0, &part.dVh, 0));
  }
  note(worst, s, &sum, &whole, second_unit(&x), "");
  run_second(&part, all);
  cr_expect(norm_of(&part.f.gA) == 0);
}

Test(derivatives, cotangents_add_up) {
  worst_t worst = worst_make("second subsets");
  settings_for_each_separated(check_subsets, &worst);
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}

static void check_scalars(const setting_t *s, worst_t *worst) {
  LOCAL(functions) x = start(s, 0, 0);
  LOCAL(dense) before = buffer_load(&x.f.gA, 0);
  run_second(&x, 0);
  LOCAL(dense) gradient = buffer_load(&x.f.gA, 0);
  LOCAL(dense) exact = dense_sum(-1.5L, &gradient, 0.25L, &before);
  buffer_store(&x.f.gA, 0, &before);
  cr_assert_eq(functions_run(&x, SVDGRAD_OP_SVD_BACKWARD_BACKWARD, 0, -1.5, 0.25), SVDGRAD_STATUS_SUCCESS);
  LOCAL(dense) gA = buffer_load(&x.f.gA, 0);
  note(worst, s, &gA, &exact, dense_norm(&gradient) + dense_norm(&before), "");
}

Test(derivatives, alpha_and_beta) {
  worst_t worst = worst_make("second alpha, beta");
  settings_for_each_separated(check_scalars, &worst);
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}

static void check_second_at_ties(const setting_t *s, worst_t *worst) {
  const int64_t mn = s->m < s->n ? s->m : s->n;
  LOCAL(functions) x = start(s, 0, 0);
  run_second(&x, 0);
  const svdgrad_report_t *r = &x.f.report[0];
  const int tied = (s->spectrum == SPECTRUM_IDENTITY || s->spectrum == SPECTRUM_ZERO) && mn > 1;
  const int finite = is_finite(&x.dS) && is_finite(&x.dU) && is_finite(&x.dVh) && is_finite(&x.f.gA);
  settings_note(worst, s, finite ? 0 : INFINITY, "");
  cr_expect(!tied || (r->dropped_pairs > 0 && r->flags & SVDGRAD_REPORT_DROPPED), "%s %dx%d: dropped %d, flags %d",
            spectrum_name(s->spectrum), (int)s->m, (int)s->n, (int)r->dropped_pairs, (int)r->flags);
}

Test(derivatives, second_backward_pass_at_ties) {
  worst_t worst = worst_make("second ties");
  settings_for_each_hard(check_second_at_ties, &worst);
  cr_assert(worst_within(&worst, 0));
}

/* ---- scale ---- */

static int is_scaled(const buffer_t *scaled, const dense_t *X, int exponent) {
  int same = 1;
  for (int64_t j = 0; j < X->n; j++)
    for (int64_t i = 0; i < X->m; i++)
      same &= X->at[j * X->m + i] * ldexpl(1, exponent) == buffer_get(scaled, 0, i, j);
  return same;
}

static void scale_values(functions_t *x, const dense_t *A, const dense_t *S, int exponent) {
  LOCAL(dense) scaled_A = dense_sum(ldexpl(1, exponent), A, 0, A);
  LOCAL(dense) scaled_S = dense_sum(ldexpl(1, exponent), S, 0, S);
  buffer_store(&x->f.A, 0, &scaled_A);
  buffer_store(&x->f.S, 0, &scaled_S);
}

/* 2^p A: dS stays, dU and dVh are 2^-p times as large, and the second gradient without gS 2^-2p times; to the bit. */
static void check_scale_of(const setting_t *s, int64_t rank, worst_t *worst) {
  const int most = dtype_real(s->dtype) == SVDGRAD_F32 ? 30 : 400;
  LOCAL(functions) x = start(s, rank, 0);
  LOCAL(dense) A = buffer_load(&x.f.A, 0);
  LOCAL(dense) S = buffer_load(&x.f.S, 0);
  run_jvp(&x);
  LOCAL(dense) dS = buffer_load(&x.dS, 0);
  LOCAL(dense) dU = buffer_load(&x.dU, 0);
  LOCAL(dense) dVh = buffer_load(&x.dVh, 0);
  if (rank == 0)
    run_second(&x, ABSENT(OPERAND_GS));
  LOCAL(dense) gA = buffer_load(&x.f.gA, 0);
  LOCAL(dense) ggU = buffer_load(&x.dU, 0);
  for (int p = -most; p <= most; p += most / 2) {
    scale_values(&x, &A, &S, p);
    run_jvp(&x);
    int same = is_scaled(&x.dS, &dS, 0) && is_scaled(&x.dU, &dU, -p) && is_scaled(&x.dVh, &dVh, -p);
    if (rank == 0) {
      run_second(&x, ABSENT(OPERAND_GS));
      same &= is_scaled(&x.f.gA, &gA, -2 * p) && is_scaled(&x.dU, &ggU, -p);
    }
    char what[40];
    (void)snprintf(what, sizeof what, "rank %d times 2^%d", (int)rank, p);
    settings_note(worst, s, same ? 0 : INFINITY, what);
  }
}

static void check_scale(const setting_t *s, worst_t *worst) {
  check_scale_of(s, 0, worst);
  if (s->m > 2 && s->n > 2)
    check_scale_of(s, 2, worst);
}

Test(derivatives, powers_of_two_are_exact) {
  static const spectrum_t spectra[] = {SPECTRUM_LINEAR};
  worst_t worst = worst_make("jvp powers of two");
  settings_for_each(spectra, 1, check_scale, &worst);
  cr_assert(worst_within(&worst, 0));
}
