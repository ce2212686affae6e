/* SPDX-License-Identifier: BSD-3-Clause */
/* The backward pass is right.  No reference gradient is used, but algebraic residuals that determine gA, the adjoint of
 * the textbook tangent, a second formula (dilation.h), losses with a gradient in closed form, and changes of the input
 * that must not change gA.  Errors are in units of eps * s_1 / (smallest gap or sum of singular values in the
 * formula). */
#include "cases.h"
#include "dilation.h"
#include "jvp.h"
#include "random.h"
#include "settings.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void for_each_separated(setting_check_t check, worst_t *worst) {
  settings_for_each_of_ref_too(separated_spectra, separated_spectrum_count, check, worst);
}

static void for_each_hard(setting_check_t check, worst_t *worst) {
  settings_for_each_of_ref_too(hard_spectra, hard_spectrum_count, check, worst);
}

/* A with the setting's spectrum, its factors, and random cotangents. */
static fixture_t forward(const setting_t *s, int64_t rank, int full_matrices) {
  svdgrad_desc_t desc = make_desc(s->dtype, s->m, s->n, 1);
  desc.rank = rank;
  desc.full_matrices = full_matrices;
  fixture_t f = fixture_make(s->backend, &desc, LAYOUT_COLUMN_MAJOR);
  dense_t A = settings_matrix(s);
  buffer_store(&f.A, 0, &A);
  dense_free(&A);
  cr_assert_eq(fixture_forward(&f, WITH_VECTORS), SVDGRAD_STATUS_SUCCESS, "%s", svdgrad_last_error_message());
  cr_assert_eq(f.info[0], SVDGRAD_INFO_OK);
  fixture_random_cotangents(&f, 7);
  return f;
}

static dense_t backward(fixture_t *f, int with) {
  cr_assert_eq(fixture_backward(f, with, 1, 0), SVDGRAD_STATUS_SUCCESS, "%s", svdgrad_last_error_message());
  cr_assert(f->intact);
  return buffer_load(&f->gA, 0);
}

/* s_1 / (smallest |s_i - s_j| or s_i), in eps. */
static double condition_of(const fixture_t *f) {
  long double *s = load_S(f, 0), smallest = s[f->S.rows - 1];
  for (int64_t i = 1; i < f->S.rows; i++)
    smallest = fminl(smallest, s[i - 1] - s[i]);
  const double condition = (double)(s[0] / smallest);
  free(s);
  return condition;
}

static double error_in_eps(const fixture_t *f, const dense_t *computed, const dense_t *exact, double condition) {
  dense_t error = dense_sum(1, computed, -1, exact);
  const double ratio = ratio_of(dense_norm(&error), dense_norm(exact) * dtype_epsilon(f->desc.dtype) * condition);
  dense_free(&error);
  return ratio;
}

/* Makes complex cotangents admissible: Im diag(U^H gU + V^H gV) = 0, by subtracting the imaginary part from gU. */
static void project_phases(fixture_t *f) {
  dense_t U = load_U(f, 0), V = load_V(f, 0), gU = buffer_load(&f->gU, 0), gVh = buffer_load(&f->gVh, 0);
  dense_t gV = dense_conjugate_transpose(&gVh), P = dense_h_product(&U, &gU), Q = dense_h_product(&V, &gV);
  for (int64_t j = 0; j < f->S.rows; j++) {
    const long double phase = cimagl(P.at[j * P.m + j] + Q.at[j * Q.m + j]);
    for (int64_t i = 0; i < U.m; i++)
      gU.at[j * U.m + i] -= U.at[j * U.m + i] * phase * (z_t)_Complex_I;
  }
  buffer_store(&f->gU, 0, &gU);
  dense_t *const all[] = {&U, &V, &gU, &gVh, &gV, &P, &Q};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    dense_free(all[i]);
}

/* |skew(X Y^H) - skew(Z W^H)| */
static long double skew_difference(const dense_t *X, const dense_t *Y, const dense_t *Z, const dense_t *W) {
  dense_t XY = dense_product_h(X, Y), YX = dense_product_h(Y, X), ZW = dense_product_h(Z, W),
          WZ = dense_product_h(W, Z);
  dense_t left = dense_sum(1, &XY, -1, &YX), right = dense_sum(1, &ZW, -1, &WZ);
  dense_t difference = dense_sum(0.5L, &left, -0.5L, &right);
  const long double norm = dense_norm(&difference);
  dense_t *const all[] = {&XY, &YX, &ZW, &WZ, &left, &right, &difference};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    dense_free(all[i]);
  return norm;
}

/* skew(gA A^H) = skew(gU U^H), skew(gA^H A) = skew(gV V^H), Re diag(U^H gA V) = gS: with distinct non-zero singular
 * values these determine gA. */
static void check_algebraic(const setting_t *s, worst_t *worst) {
  fixture_t f = forward(s, 0, 0);
  project_phases(&f);
  dense_t gA = backward(&f, WITH_COTANGENTS), A = buffer_load(&f.A, 0), U = load_U(&f, 0), V = load_V(&f, 0);
  dense_t gU = buffer_load(&f.gU, 0), gVh = buffer_load(&f.gVh, 0), gV = dense_conjugate_transpose(&gVh);
  dense_t gAh = dense_conjugate_transpose(&gA), Ah = dense_conjugate_transpose(&A);
  dense_t UhgA = dense_h_product(&U, &gA), M = dense_product(&UhgA, &V);
  const double eps = dtype_epsilon(s->dtype) * condition_of(&f);
  const long double scale = dense_norm(&gA) * dense_norm(&A);
  settings_note(worst, s, ratio_of(skew_difference(&gA, &A, &gU, &U), eps * scale), "gU");
  settings_note(worst, s, ratio_of(skew_difference(&gAh, &Ah, &gV, &V), eps * scale), "gV");
  for (int64_t i = 0; i < f.S.rows; i++) {
    const long double error = creall(M.at[i * M.m + i] - buffer_get(&f.gS, 0, i, 0));
    settings_note(worst, s, ratio_of(fabsl(error), dense_norm(&gA) * eps), "gS");
  }
  dense_t *const all[] = {&gA, &A, &U, &V, &gU, &gVh, &gV, &gAh, &Ah, &UhgA, &M};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    dense_free(all[i]);
  fixture_free(&f);
}

Test(backward, algebraic_residuals) {
  worst_t worst = worst_make("backward algebraic");
  for_each_separated(check_algebraic, &worst);
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}

/* <gU, dU> + gS dS + <gV, dV> = <gA, dA> for the tangent of any dA. */
static void check_adjoint(const setting_t *s, worst_t *worst) {
  fixture_t f = forward(s, 0, 0);
  project_phases(&f);
  dense_t gA = backward(&f, WITH_COTANGENTS), U = load_U(&f, 0), V = load_V(&f, 0);
  dense_t gU = buffer_load(&f.gU, 0), gVh = buffer_load(&f.gVh, 0), gV = dense_conjugate_transpose(&gVh);
  long double *S = load_S(&f, 0);
  random_t random = random_seed(11);
  dense_t dA = random_matrix(&random, s->m, s->n, dtype_is_complex(s->dtype));
  tangent_t t = tangent_of(&U, S, &V, &dA);
  long double through_factors = dense_inner(&gU, &t.dU) + dense_inner(&gV, &t.dV);
  for (int64_t i = 0; i < f.S.rows; i++)
    through_factors += creall(buffer_get(&f.gS, 0, i, 0)) * t.dS[i];
  const long double scale = dense_norm(&gA) * dense_norm(&dA) * dtype_epsilon(s->dtype) * condition_of(&f);
  settings_note(worst, s, ratio_of(fabsl(through_factors - dense_inner(&gA, &dA)), scale), "");
  dense_t *const all[] = {&gA, &U, &V, &gU, &gVh, &gV, &dA};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    dense_free(all[i]);
  tangent_free(&t);
  free(S);
  fixture_free(&f);
}

Test(backward, adjoint_of_the_tangent) {
  worst_t worst = worst_make("backward adjoint");
  for_each_separated(check_adjoint, &worst);
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}

/* Cotangents of <G, U diag(f) Vh>, f = S^power: power 1 is the reconstruction, 0 the polar factor. */
static void set_function_cotangents(fixture_t *f, const dense_t *G, int power) {
  dense_t U = load_U(f, 0), V = load_V(f, 0), gU = dense_product(G, &V), gV = dense_h_product(G, &U);
  dense_t P = dense_h_product(&U, &gU);
  long double *S = load_S(f, 0);
  for (int64_t i = 0; i < f->S.rows; i++)
    buffer_set(&f->gS, 0, i, 0, power ? creall(P.at[i * P.m + i]) : 0);
  if (power) {
    dense_scale_columns(&gU, S);
    dense_scale_columns(&gV, S);
  }
  dense_t gVh = dense_conjugate_transpose(&gV);
  buffer_store(&f->gU, 0, &gU);
  buffer_store(&f->gVh, 0, &gVh);
  dense_t *const all[] = {&U, &V, &gU, &gV, &P, &gVh};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    dense_free(all[i]);
  free(S);
}

/* L = <G, U S Vh> = <G, A>: gA = G. */
static void check_reconstruction(const setting_t *s, worst_t *worst) {
  fixture_t f = forward(s, 0, 0);
  random_t random = random_seed(3);
  dense_t G = random_matrix(&random, s->m, s->n, dtype_is_complex(s->dtype));
  set_function_cotangents(&f, &G, 1);
  dense_t gA = backward(&f, WITH_COTANGENTS);
  settings_note(worst, s, error_in_eps(&f, &gA, &G, condition_of(&f)), "");
  dense_free(&G);
  dense_free(&gA);
  fixture_free(&f);
}

Test(backward, reconstruction_gives_G) {
  worst_t worst = worst_make("backward reconstruction");
  for_each_separated(check_reconstruction, &worst);
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}

/* L = <G, U Vh>: gA = U [2 skew(P)_ij / (s_i + s_j)] Vh + (I - U U^H) G V S^-1 Vh + U S^-1 U^H G (I - V V^H), P = U^H
 * G V, also at exact ties, where every gap term must vanish. */
static dense_t polar_gradient(const fixture_t *f, const dense_t *G) {
  dense_t U = load_U(f, 0), V = load_V(f, 0), GV = dense_product(G, &V), GhU = dense_h_product(G, &U);
  dense_t P = dense_h_product(&U, &GV), M = dense_zero(P.m, P.n);
  long double *s = load_S(f, 0);
  for (int64_t j = 0; j < P.n; j++)
    for (int64_t i = 0; i < P.n; i++)
      M.at[j * P.n + i] = (P.at[j * P.n + i] - conjl(P.at[i * P.n + j])) / (s[i] + s[j]);
  dense_t UP = dense_product(&U, &P), VPh = dense_product_h(&V, &P), UM = dense_product(&U, &M);
  dense_t left = dense_sum(1, &GV, -1, &UP), right = dense_sum(1, &GhU, -1, &VPh);
  for (int64_t j = 0; j < P.n; j++) {
    for (int64_t i = 0; i < U.m; i++)
      left.at[j * U.m + i] = (U.m > U.n ? left.at[j * U.m + i] / s[j] : 0) + UM.at[j * U.m + i];
    for (int64_t i = 0; i < V.m; i++)
      right.at[j * V.m + i] = V.m > V.n ? right.at[j * V.m + i] / s[j] : 0;
  }
  dense_t first = dense_product_h(&left, &V), second = dense_product_h(&U, &right);
  dense_t gA = dense_sum(1, &first, 1, &second);
  dense_t *const all[] = {&U, &V, &GV, &GhU, &P, &M, &UP, &VPh, &UM, &left, &right, &first, &second};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    dense_free(all[i]);
  free(s);
  return gA;
}

/* Singular values that differ by rounding noise alone: a gauge-invariant loss needs the policy NOISE_FLOOR. */
static void check_polar(const setting_t *s, worst_t *worst) {
  fixture_t f = forward(s, 0, 0);
  random_t random = random_seed(3);
  dense_t G = random_matrix(&random, s->m, s->n, dtype_is_complex(s->dtype));
  set_function_cotangents(&f, &G, 0);
  f.desc.gap_policy = SVDGRAD_GAP_NOISE_FLOOR;
  dense_t gA = backward(&f, WITH_COTANGENTS), exact = polar_gradient(&f, &G);
  long double *S = load_S(&f, 0);
  settings_note(worst, s, error_in_eps(&f, &gA, &exact, (double)(S[0] / S[f.S.rows - 1])), "");
  free(S);
  dense_free(&G);
  dense_free(&gA);
  dense_free(&exact);
  fixture_free(&f);
}

Test(backward, polar_also_at_ties) {
  const spectrum_t spectra[] = {SPECTRUM_LINEAR, SPECTRUM_REPEATED, SPECTRUM_IDENTITY, SPECTRUM_CLUSTERED};
  worst_t worst = worst_make("backward polar");
  settings_for_each_of_ref_too(spectra, sizeof spectra / sizeof *spectra, check_polar, &worst);
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}

/* With gS alone, gA = U diag(gS) Vh for every spectrum and policy, and the report has no gap. */
static void check_values_of_rank(const setting_t *s, int64_t rank, worst_t *worst) {
  fixture_t f = forward(s, rank, 0);
  dense_t U = load_U(&f, 0), V = load_V(&f, 0), gS = buffer_load(&f.gS, 0);
  for (int64_t j = 0; j < U.n; j++)
    for (int64_t i = 0; i < U.m; i++)
      U.at[j * U.m + i] *= gS.at[j];
  dense_t exact = dense_product_h(&U, &V);
  for (int policy = SVDGRAD_GAP_DEFAULT; policy <= SVDGRAD_GAP_LORENTZ; policy++) {
    f.desc.gap_policy = (svdgrad_gap_policy_t)policy;
    dense_t gA = backward(&f, WITH_GS);
    settings_note(worst, s, error_in_eps(&f, &gA, &exact, 1), "");
    cr_assert(isinf(f.report[0].min_gap) && f.report[0].dropped_pairs == 0 && f.report[0].flags == 0);
    dense_free(&gA);
  }
  dense_free(&U);
  dense_free(&V);
  dense_free(&gS);
  dense_free(&exact);
  fixture_free(&f);
}

static void check_values(const setting_t *s, worst_t *worst) {
  check_values_of_rank(s, 0, worst);
  check_values_of_rank(s, (s->m < s->n ? s->m : s->n) / 2, worst); /* 0 is all */
}

Test(backward, values_alone_never_look_at_a_gap) {
  worst_t worst = worst_make("backward values");
  for_each_hard(check_values, &worst);
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}

/* An absent cotangent counts as zero, and the gradients of the single cotangents add up to that of all. */
static void check_subsets(const setting_t *s, worst_t *worst) {
  fixture_t f = forward(s, 0, 0);
  dense_t all = backward(&f, WITH_COTANGENTS), sum = dense_zero(s->m, s->n);
  const int parts[] = {WITH_GS, WITH_GU, WITH_GVH};
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
    dense_t gA = backward(&f, parts[i]), next = dense_sum(1, &sum, 1, &gA);
    dense_free(&gA);
    dense_free(&sum);
    sum = next;
  }
  settings_note(worst, s, error_in_eps(&f, &sum, &all, condition_of(&f)), "");
  dense_t none = backward(&f, 0);
  cr_assert(dense_norm(&none) == 0);
  dense_free(&all);
  dense_free(&sum);
  dense_free(&none);
  fixture_free(&f);
}

Test(backward, cotangents_add_up) {
  worst_t worst = worst_make("backward subsets");
  for_each_separated(check_subsets, &worst);
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}

/* gA = alpha * gradient + beta * gA */
static void check_scalars(const setting_t *s, worst_t *worst) {
  fixture_t f = forward(s, 0, 0);
  random_t random = random_seed(5);
  dense_t gradient = backward(&f, WITH_COTANGENTS), before = random_matrix(&random, s->m, s->n, 0);
  buffer_store(&f.gA, 0, &before);
  dense_free(&before);
  before = buffer_load(&f.gA, 0);
  dense_t exact = dense_sum(-1.5L, &gradient, 0.25L, &before);
  cr_assert_eq(fixture_backward(&f, WITH_COTANGENTS, -1.5, 0.25), SVDGRAD_STATUS_SUCCESS);
  dense_t gA = buffer_load(&f.gA, 0);
  settings_note(worst, s, error_in_eps(&f, &gA, &exact, 1), "");
  dense_free(&gradient);
  dense_free(&before);
  dense_free(&exact);
  dense_free(&gA);
  fixture_free(&f);
}

Test(backward, alpha_and_beta) {
  worst_t worst = worst_make("backward alpha, beta");
  for_each_separated(check_scalars, &worst);
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}

/* Gradients of A^H with the cotangents of U and V exchanged. */
static void check_transpose(const setting_t *s, worst_t *worst) {
  setting_t transposed = *s;
  transposed.m = s->n;
  transposed.n = s->m;
  fixture_t f = forward(s, 0, 0), g = forward(&transposed, 0, 0);
  const buffer_t *const from[] = {&f.U, &f.Vh, &f.gU, &f.gVh}, *const to[] = {&g.Vh, &g.U, &g.gVh, &g.gU};
  for (size_t i = 0; i < sizeof from / sizeof *from; i++) {
    dense_t X = buffer_load(from[i], 0), Xh = dense_conjugate_transpose(&X);
    buffer_store(to[i], 0, &Xh);
    dense_free(&X);
    dense_free(&Xh);
  }
  dense_t S = buffer_load(&f.S, 0), gS = buffer_load(&f.gS, 0);
  buffer_store(&g.S, 0, &S);
  buffer_store(&g.gS, 0, &gS);
  dense_t gA = backward(&f, WITH_COTANGENTS), gAh = backward(&g, WITH_COTANGENTS);
  dense_t back = dense_conjugate_transpose(&gAh);
  settings_note(worst, s, error_in_eps(&f, &back, &gA, condition_of(&f)), "");
  dense_t *const all[] = {&S, &gS, &gA, &gAh, &back};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    dense_free(all[i]);
  fixture_free(&f);
  fixture_free(&g);
}

Test(backward, conjugate_transpose) {
  worst_t worst = worst_make("backward transpose");
  for_each_separated(check_transpose, &worst);
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}

/* Multiplying (u_j, v_j) and their cotangents by a phase (sign) does not change gA. */
static void check_phases(const setting_t *s, worst_t *worst) {
  fixture_t f = forward(s, 0, 0);
  dense_t before = backward(&f, WITH_COTANGENTS);
  random_t random = random_seed(9);
  for (int64_t j = 0; j < f.S.rows; j++) {
    const long double angle = 6.28L * random_uniform(&random);
    const z_t phase = dtype_is_complex(s->dtype)      ? CMPLXL(cosl(angle), sinl(angle))
                      : random_uniform(&random) < 0.5 ? -1
                                                      : 1;
    for (int64_t i = 0; i < s->m; i++) {
      buffer_set(&f.U, 0, i, j, buffer_get(&f.U, 0, i, j) * phase);
      buffer_set(&f.gU, 0, i, j, buffer_get(&f.gU, 0, i, j) * phase);
    }
    for (int64_t i = 0; i < s->n; i++) {
      buffer_set(&f.Vh, 0, j, i, buffer_get(&f.Vh, 0, j, i) * conjl(phase));
      buffer_set(&f.gVh, 0, j, i, buffer_get(&f.gVh, 0, j, i) * conjl(phase));
    }
  }
  dense_t after = backward(&f, WITH_COTANGENTS);
  settings_note(worst, s, error_in_eps(&f, &after, &before, condition_of(&f)), "");
  dense_free(&before);
  dense_free(&after);
  fixture_free(&f);
}

Test(backward, gauge_invariance) {
  worst_t worst = worst_make("backward phases");
  for_each_separated(check_phases, &worst);
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}

/* S times 2^p: the gradient through U and V is exactly 2^-p times as large, that through S exactly the same. */
static void check_power_of_two(const setting_t *s, worst_t *worst) {
  const int limit = dtype_real(s->dtype) == SVDGRAD_F32 ? 60 : 500;
  fixture_t f = forward(s, 0, 0);
  dense_t vectors = backward(&f, WITH_GU | WITH_GVH), values = backward(&f, WITH_GS), S = buffer_load(&f.S, 0);
  for (int p = -limit; p <= limit; p += 2 * limit) {
    for (int64_t i = 0; i < f.S.rows; i++)
      buffer_set(&f.S, 0, i, 0, S.at[i] * ldexpl(1, p));
    dense_t scaled = backward(&f, WITH_GU | WITH_GVH), same = backward(&f, WITH_GS);
    for (int64_t i = 0; i < s->m * s->n; i++) {
      cr_assert(scaled.at[i] * ldexpl(1, p) == vectors.at[i]);
      cr_assert(same.at[i] == values.at[i]);
    }
    dense_free(&scaled);
    dense_free(&same);
  }
  settings_note(worst, s, 0, "");
  dense_free(&vectors);
  dense_free(&values);
  dense_free(&S);
  fixture_free(&f);
}

Test(backward, powers_of_two_are_exact) {
  worst_t worst = worst_make("backward powers of two");
  for_each_separated(check_power_of_two, &worst);
}

/* The gradient of the leading `rank` triplets is that of the whole decomposition with zero cotangents for the others.
 * The limit of sweeps does not apply to the SVD of the others. */
static void check_truncated(const setting_t *s, worst_t *worst) {
  const int64_t mn = s->m < s->n ? s->m : s->n;
  for (int64_t rank = 1; rank < mn; rank += rank < 3 ? 1 : mn / 3) {
    fixture_t whole = forward(s, 0, 0), f = forward(s, rank, 0);
    for (int64_t j = 0; j < mn; j++) {
      buffer_set(&whole.gS, 0, j, 0, j < rank ? buffer_get(&f.gS, 0, j, 0) : 0);
      for (int64_t i = 0; i < s->m; i++)
        buffer_set(&whole.gU, 0, i, j, j < rank ? buffer_get(&f.gU, 0, i, j) : 0);
      for (int64_t i = 0; i < s->n; i++)
        buffer_set(&whole.gVh, 0, j, i, j < rank ? buffer_get(&f.gVh, 0, j, i) : 0);
    }
    f.desc.max_sweeps = 1;
    dense_t exact = backward(&whole, WITH_COTANGENTS), gA = backward(&f, WITH_COTANGENTS);
    settings_note(worst, s, error_in_eps(&f, &gA, &exact, condition_of(&whole)), "");
    dense_free(&exact);
    dense_free(&gA);
    fixture_free(&whole);
    fixture_free(&f);
  }
}

Test(backward, truncated_is_padded) {
  worst_t worst = worst_make("backward truncated");
  for_each_separated(check_truncated, &worst);
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}

/* More triplets than A has values that are not zero: the rounding noise of A - U S Vh is no value, and what is dropped is
 * counted as in the whole, where nothing but the cut is different. */
static void check_beyond_rank(const setting_t *s, worst_t *worst) {
  const int64_t mn = s->m < s->n ? s->m : s->n, values = (mn + 1) / 2, rank = values + (mn - values + 1) / 2;
  if (s->m * s->n > 1000 || rank == mn)
    return;
  static const int given[] = {WITH_GU, WITH_GVH, WITH_COTANGENTS};
  for (int g = 0; g < 3; g++) {
    const int with = given[g];
    fixture_t whole = forward(s, 0, 0), f = forward(s, rank, 0);
    for (int64_t j = 0; j < mn; j++) {
      if (j >= values)
        buffer_set(&whole.S, 0, j, 0, 0);
      if (j < rank)
        buffer_set(&f.S, 0, j, 0, buffer_get(&whole.S, 0, j, 0));
      buffer_set(&whole.gS, 0, j, 0, j < rank ? buffer_get(&f.gS, 0, j, 0) : 0);
      for (int64_t i = 0; i < s->m; i++) {
        buffer_set(&whole.gU, 0, i, j, j < rank ? buffer_get(&f.gU, 0, i, j) : 0);
        if (j < rank)
          buffer_set(&f.U, 0, i, j, buffer_get(&whole.U, 0, i, j));
      }
      for (int64_t i = 0; i < s->n; i++) {
        buffer_set(&whole.gVh, 0, j, i, j < rank ? buffer_get(&f.gVh, 0, j, i) : 0);
        if (j < rank)
          buffer_set(&f.Vh, 0, j, i, buffer_get(&whole.Vh, 0, j, i));
      }
    }
    dense_t exact = backward(&whole, with), gA = backward(&f, with);
    const svdgrad_report_t *x = &f.report[0], *y = &whole.report[0];
    settings_note(worst, s, error_in_eps(&f, &gA, &exact, (double)mn), "gA"); /* s_1 / gap is mn */
    cr_expect(x->dropped_pairs == y->dropped_pairs && x->flags == (y->flags | SVDGRAD_REPORT_CUT) && x->min_gap == 0,
              "%s %s %dx%d rank %d with %d: dropped %d, flags %d, gap %g; of the whole %d, %d",
              backend_name(s->backend), dtype_name(s->dtype), (int)s->m, (int)s->n, (int)rank, with,
              (int)x->dropped_pairs, (int)x->flags, x->min_gap, (int)y->dropped_pairs, (int)y->flags);
    dense_free(&exact);
    dense_free(&gA);
    fixture_free(&whole);
    fixture_free(&f);
  }
}

Test(backward, truncated_beyond_the_rank_that_there_is) {
  static const spectrum_t deficient[] = {SPECTRUM_DEFICIENT};
  worst_t worst = worst_make("backward beyond rank");
  settings_for_each_of_ref_too(deficient, 1, check_beyond_rank, &worst);
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}

/* Cotangents of the leading triplets alone, against a formula that needs no other triplet (dilation.h). */
static dense_t gradient_of_leading(const fixture_t *f, int64_t rank) {
  dense_t A = buffer_load(&f->A, 0), U = load_U(f, 0), V = load_V(f, 0);
  dense_t gU = buffer_load(&f->gU, 0), gVh = buffer_load(&f->gVh, 0), gV = dense_conjugate_transpose(&gVh);
  dense_t *const thin[] = {&U, &V, &gU, &gV};
  for (size_t i = 0; i < sizeof thin / sizeof *thin; i++) {
    dense_t leading = dense_columns(thin[i], 0, rank);
    dense_free(thin[i]);
    *thin[i] = leading;
  }
  long double *s = load_S(f, 0), *gS = load_S(f, 0);
  for (int64_t i = 0; i < rank; i++)
    gS[i] = creall(buffer_get(&f->gS, 0, i, 0));
  dense_t gA = dilation_gradient(&A, s, &U, &V, gS, &gU, &gV);
  dense_t *const all[] = {&A, &U, &V, &gU, &gVh, &gV};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    dense_free(all[i]);
  free(s);
  free(gS);
  return gA;
}

static void check_dilation(const setting_t *s, worst_t *worst) {
  const int64_t mn = s->m < s->n ? s->m : s->n, ranks[] = {1, mn / 2, mn};
  if (s->m * s->n > 300)
    return; /* the formula is slow */
  for (size_t i = 0; i < sizeof ranks / sizeof *ranks; i++)
    if (ranks[i] > 0) {
      fixture_t whole = forward(s, 0, 0), f = forward(s, ranks[i], 0);
      dense_t gA = backward(&f, WITH_COTANGENTS), exact = gradient_of_leading(&f, ranks[i]);
      settings_note(worst, s, error_in_eps(&f, &gA, &exact, condition_of(&whole)),
                    ranks[i] == mn ? "whole" : "truncated");
      dense_free(&gA);
      dense_free(&exact);
      fixture_free(&whole);
      fixture_free(&f);
    }
}

Test(backward, dilation) {
  worst_t worst = worst_make("backward dilation");
  for_each_separated(check_dilation, &worst);
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}

/* A loss of the triplets with non-zero singular values, of a matrix of low rank: the others do not affect gA. */
static void check_deficient(const setting_t *s, worst_t *worst) {
  const int64_t k = s->m < s->n ? s->m : s->n, rank = (k + 1) / 2;
  if (s->m * s->n > 300)
    return;
  for (int full = 0; full < 2; full++) {
    fixture_t f = forward(s, 0, full);
    for (int64_t j = rank; j < f.gU.cols; j++)
      for (int64_t i = 0; i < s->m; i++)
        buffer_set(&f.gU, 0, i, j, 0);
    for (int64_t j = rank; j < f.gVh.rows; j++)
      for (int64_t i = 0; i < s->n; i++)
        buffer_set(&f.gVh, 0, j, i, 0);
    for (int64_t j = rank; j < k; j++)
      buffer_set(&f.gS, 0, j, 0, 0);
    dense_t gA = backward(&f, WITH_COTANGENTS), exact = gradient_of_leading(&f, rank);
    settings_note(worst, s, error_in_eps(&f, &gA, &exact, (double)k), full ? "full" : "thin"); /* s_1 / gap is k */
    dense_free(&gA);
    dense_free(&exact);
    fixture_free(&f);
  }
}

Test(backward, of_the_rank_that_there_is) {
  static const spectrum_t deficient[] = {SPECTRUM_DEFICIENT};
  worst_t worst = worst_make("backward deficient");
  settings_for_each_of_ref_too(deficient, 1, check_deficient, &worst);
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}

/* The factors of the full SVD, without its further columns: at some sizes the thin one is made by another algorithm, and
 * its columns may have other signs. */
static void take_leading(fixture_t *thin, const fixture_t *full) {
  for (int64_t j = 0; j < thin->S.rows; j++) {
    buffer_set(&thin->S, 0, j, 0, buffer_get(&full->S, 0, j, 0));
    for (int64_t i = 0; i < thin->U.rows; i++)
      buffer_set(&thin->U, 0, i, j, buffer_get(&full->U, 0, i, j));
    for (int64_t i = 0; i < thin->Vh.cols; i++)
      buffer_set(&thin->Vh, 0, j, i, buffer_get(&full->Vh, 0, j, i));
  }
}

/* full_matrices with zero cotangents for the further columns is the thin gradient; a cotangent of the further columns
 * along themselves is gauge: reported, and without effect. */
static void check_full(const setting_t *s, worst_t *worst) {
  const int64_t k = s->m < s->n ? s->m : s->n;
  fixture_t f = forward(s, 0, 1), thin = forward(s, 0, 0);
  take_leading(&thin, &f);
  for (int64_t j = 0; j < s->m; j++)
    for (int64_t i = 0; i < s->m; i++)
      buffer_set(&f.gU, 0, i, j, j < k ? buffer_get(&thin.gU, 0, i, j) : 0);
  for (int64_t j = 0; j < s->n; j++)
    for (int64_t i = 0; i < s->n; i++)
      buffer_set(&f.gVh, 0, j, i, j < k ? buffer_get(&thin.gVh, 0, j, i) : 0);
  dense_t exact = backward(&thin, WITH_COTANGENTS), gA = backward(&f, WITH_COTANGENTS);
  settings_note(worst, s, error_in_eps(&f, &gA, &exact, condition_of(&f)), "zero");
  dense_free(&gA);
  if (s->m >= k + 2) {
    for (int64_t i = 0; i < s->m; i++)
      buffer_set(&f.gU, 0, i, k, buffer_get(&f.U, 0, i, k + 1));
    gA = backward(&f, WITH_COTANGENTS);
    cr_assert(f.report[0].flags & SVDGRAD_REPORT_GAUGE);
    cr_assert(f.report[0].gauge_residual > 0);
    settings_note(worst, s, error_in_eps(&f, &gA, &exact, condition_of(&f)), "gauge");
    dense_free(&gA);
  }
  dense_free(&exact);
  fixture_free(&f);
  fixture_free(&thin);
}

Test(backward, full_matrices) {
  worst_t worst = worst_make("backward full");
  for_each_separated(check_full, &worst);
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}

/* Every backend gives the reference's gradient from the reference's factors. */
static void check_agreement(const setting_t *s, worst_t *worst) {
  setting_t ref = *s;
  ref.backend = SVDGRAD_BACKEND_REF;
  fixture_t oracle = forward(&ref, 0, 0), f = forward(s, 0, 0);
  const buffer_t *const from[] = {&oracle.S, &oracle.U, &oracle.Vh}, *const to[] = {&f.S, &f.U, &f.Vh};
  for (size_t i = 0; i < sizeof from / sizeof *from; i++) {
    dense_t X = buffer_load(from[i], 0);
    buffer_store(to[i], 0, &X);
    dense_free(&X);
  }
  dense_t exact = backward(&oracle, WITH_COTANGENTS), gA = backward(&f, WITH_COTANGENTS);
  settings_note(worst, s, error_in_eps(&f, &gA, &exact, condition_of(&f)), "");
  dense_free(&exact);
  dense_free(&gA);
  fixture_free(&oracle);
  fixture_free(&f);
}

Test(backward, backends_agree) {
  worst_t worst = worst_make("backward against ref");
  for_each_separated(check_agreement, &worst);
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}

/* AUTO may take another algorithm for each of these numbers of matrices. */
static void check_agreement_in_batches(const setting_t *s, worst_t *worst) {
  static const int64_t counts[] = {2, 5};
  if (s->spectrum != SPECTRUM_LINEAR)
    return;
  setting_t ref = *s;
  ref.backend = SVDGRAD_BACKEND_REF;
  fixture_t oracle = forward(&ref, 0, 0);
  dense_t exact = backward(&oracle, WITH_COTANGENTS);
  for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
    svdgrad_desc_t desc = make_desc(s->dtype, s->m, s->n, counts[c]);
    desc.batch_invariant = 0;
    fixture_t f = fixture_make(s->backend, &desc, LAYOUT_COLUMN_MAJOR);
    const buffer_t *const from[] = {&oracle.S, &oracle.U, &oracle.Vh, &oracle.gS, &oracle.gU, &oracle.gVh};
    const buffer_t *const to[] = {&f.S, &f.U, &f.Vh, &f.gS, &f.gU, &f.gVh};
    for (int64_t i = 0; i < 6 * counts[c]; i++) {
      dense_t X = buffer_load(from[i % 6], 0);
      buffer_store(to[i % 6], i / 6, &X);
      dense_free(&X);
    }
    cr_assert_eq(fixture_backward(&f, WITH_COTANGENTS, 1, 0), SVDGRAD_STATUS_SUCCESS);
    for (int64_t b = 0; b < counts[c]; b++) {
      dense_t gA = buffer_load(&f.gA, b);
      settings_note(worst, s, error_in_eps(&f, &gA, &exact, condition_of(&oracle)), "");
      dense_free(&gA);
    }
    fixture_free(&f);
  }
  dense_free(&exact);
  fixture_free(&oracle);
}

Test(backward, backends_agree_in_batches) {
  worst_t worst = worst_make("backward against ref, in batches");
  for_each_separated(check_agreement_in_batches, &worst);
  cr_assert(worst_within(&worst, RATIO_LIMIT));
}

/* diag(s) with its trivial factors, and cotangents gU_ij = 1 off the diagonal above, so that X+Y is 1 there. */
static fixture_t diagonal(svdgrad_backend_t backend, const double *s, int64_t n, int64_t rank) {
  svdgrad_desc_t desc = make_desc(SVDGRAD_F64, n, n, 1);
  desc.rank = rank;
  fixture_t f = fixture_make(backend, &desc, LAYOUT_ROW_MAJOR);
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < n; j++)
      buffer_set(&f.A, 0, i, j, i == j ? s[i] : 0);
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < f.S.rows; j++) {
      buffer_set(&f.U, 0, i, j, i == j);
      buffer_set(&f.Vh, 0, j, i, i == j);
      buffer_set(&f.gU, 0, i, j, i < j);
      buffer_set(&f.gVh, 0, j, i, 0);
    }
  for (int64_t j = 0; j < f.S.rows; j++) {
    buffer_set(&f.S, 0, j, 0, s[j]);
    buffer_set(&f.gS, 0, j, 0, 0);
  }
  return f;
}

Test(backward, report_of_separated_values) {
  const double s[] = {4, 3, 1};
  for (int b = 0; b < test_backend_count; b++) {
    fixture_t f = diagonal(test_backends[b], s, 3, 0);
    dense_t gA = backward(&f, WITH_COTANGENTS);
    const svdgrad_report_t *r = &f.report[0];
    cr_expect_float_eq(r->min_gap, 0.25, 1e-15);
    cr_expect_float_eq(r->amplification, 1, 1e-15);
    cr_expect(r->dropped_pairs == 0 && r->flags == 0 && r->gauge_residual == 0);
    dense_free(&gA);
    fixture_free(&f);
  }
}

Test(backward, report_of_a_tie) {
  const double s[] = {2, 1, 1};
  for (int b = 0; b < test_backend_count; b++) {
    fixture_t f = diagonal(test_backends[b], s, 3, 0);
    dense_t gA = backward(&f, WITH_COTANGENTS);
    const svdgrad_report_t *r = &f.report[0];
    cr_expect(r->min_gap == 0 && r->dropped_pairs == 1);
    cr_expect_eq(r->flags, 1 | 2); /* dropped, and X+Y = 1 at a tie: the loss depends on the gauge */
    cr_expect(isfinite((double)dense_norm(&gA)));
    dense_free(&gA);
    f.desc.gap_policy = SVDGRAD_GAP_EXACT;
    gA = backward(&f, WITH_COTANGENTS);
    cr_expect(!isfinite((double)dense_norm(&gA)));
    cr_expect_eq(f.report[0].dropped_pairs, 0);
    dense_free(&gA);
    fixture_free(&f);
  }
}

/* X+Y is exactly 0: half of the gradient, that of G + G^H within the cluster, is 0/0 and reported as dropped. */
Test(backward, report_of_a_reconstruction_at_a_tie) {
  const double s[] = {2, 1, 1};
  for (int b = 0; b < test_backend_count; b++) {
    fixture_t f = diagonal(test_backends[b], s, 3, 0);
    random_t random = random_seed(3);
    dense_t G = random_matrix(&random, 3, 3, 0);
    set_function_cotangents(&f, &G, 1);
    dense_t gA = backward(&f, WITH_COTANGENTS);
    cr_expect(f.report[0].min_gap == 0 && f.report[0].dropped_pairs == 1);
    cr_expect_eq(f.report[0].flags, SVDGRAD_REPORT_DROPPED);
    for (int64_t i = 0; i < 9; i++) {
      const int lost = i == 5 || i == 7; /* (2, 1) and (1, 2) */
      const z_t kept = lost ? (G.at[i] - G.at[12 - i]) / 2 : G.at[i];
      cr_expect(cabsl(gA.at[i] - kept) < 1e-14L);
    }
    dense_free(&G);
    dense_free(&gA);
    fixture_free(&f);
  }
}

Test(backward, report_of_a_cut_cluster) {
  const double tied[] = {2, 1, 1}, apart[] = {2, 1, 0.5};
  for (int b = 0; b < test_backend_count; b++) {
    fixture_t f = diagonal(test_backends[b], tied, 3, 2), g = diagonal(test_backends[b], apart, 3, 2);
    for (int64_t j = 0; j < 2; j++) { /* along the discarded direction */
      buffer_set(&f.gU, 0, 2, j, 1);
      buffer_set(&g.gU, 0, 2, j, 1);
    }
    dense_t cut = backward(&f, WITH_COTANGENTS), clean = backward(&g, WITH_COTANGENTS);
    cr_expect(f.report[0].flags & SVDGRAD_REPORT_CUT);
    cr_expect(f.report[0].dropped_pairs == 1);
    cr_expect(isfinite((double)dense_norm(&cut)));
    cr_expect_eq(g.report[0].flags, 0);
    cr_expect_float_eq(g.report[0].min_gap, 0.25, 1e-15);
    dense_free(&cut);
    dense_free(&clean);
    fixture_free(&f);
    fixture_free(&g);
  }
}

/* Descending singular values, of which the last is 0, with trivial factors, and random cotangents. */
static fixture_t with_a_zero(svdgrad_backend_t backend, svdgrad_dtype_t dtype, int64_t m, int64_t n) {
  svdgrad_desc_t desc = make_desc(dtype, m, n, 1);
  desc.gap_policy = SVDGRAD_GAP_EXACT;
  desc.algo = SVDGRAD_ALGO_AUTO;
  fixture_t f = fixture_make(backend, &desc, LAYOUT_ROW_MAJOR);
  const int64_t k = f.S.rows;
  for (int64_t j = 0; j < k; j++) {
    buffer_set(&f.S, 0, j, 0, (long double)(k - 1 - j));
    for (int64_t i = 0; i < m; i++)
      buffer_set(&f.U, 0, i, j, i == j);
    for (int64_t i = 0; i < n; i++)
      buffer_set(&f.Vh, 0, j, i, i == j);
  }
  fixture_random_cotangents(&f, 5);
  return f;
}

/* How many entries of the gradient are numbers; cotangents that are not given are NULL, or
 * zeros. */
static int finite_entries(fixture_t *f, int with, int zeros) {
  const int parts[] = {WITH_GU, WITH_GVH};
  buffer_t *const buffers[] = {&f->gU, &f->gVh};
  int count = 0;
  fixture_random_cotangents(f, 5);
  for (int i = 0; i < 2 && zeros; i++) {
    dense_t none = dense_zero(buffers[i]->rows, buffers[i]->cols);
    if (!(with & parts[i]))
      buffer_store(buffers[i], 0, &none);
    dense_free(&none);
  }
  dense_t gA = backward(f, zeros ? with | WITH_GU | WITH_GVH : with);
  for (int64_t e = 0; e < f->desc.m * f->desc.n; e++)
    count += isfinite((double)creall(gA.at[e])) && isfinite((double)cimagl(gA.at[e]));
  dense_free(&gA);
  return count;
}

static void check_exact(svdgrad_backend_t backend, svdgrad_dtype_t dtype, int64_t m, int64_t n, int with) {
  fixture_t oracle = with_a_zero(SVDGRAD_BACKEND_REF, dtype, m, n), f = with_a_zero(backend, dtype, m, n);
  for (int zeros = 0; zeros < 2; zeros++)
    cr_expect_eq(finite_entries(&f, with, zeros), finite_entries(&oracle, with, zeros),
                 "%s %s %dx%d, cotangents %d, zeros for the others: %d", backend_name(backend), dtype_name(dtype),
                 (int)m, (int)n, with, zeros);
  fixture_free(&oracle);
  fixture_free(&f);
}

/* A singular value is 0: under EXACT what is divided by it is no number, whichever cotangents are given.  Beside a square
 * factor nothing is divided. */
Test(backward, exact_at_a_zero_value) {
  static const int64_t shapes[][2] = {{1, 1}, {3, 3}, {4, 2},   {2, 4},   {4, 1},
                                      {9, 5}, {5, 9}, {12, 12}, {40, 20}, {20, 40}};
  static const int given[] = {WITH_GU, WITH_GVH, WITH_GU | WITH_GVH, WITH_GS | WITH_GU, WITH_GS | WITH_GVH};
  for (int b = 0; b < test_backend_count; b++)
    for (svdgrad_dtype_t dtype = SVDGRAD_F32; dtype <= SVDGRAD_C128; dtype++)
      for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (size_t g = 0; g < sizeof given / sizeof *given; g++)
          check_exact(test_backends[b], dtype, shapes[i][0], shapes[i][1], given[g]);
  fixture_t f = with_a_zero(SVDGRAD_BACKEND_REF, SVDGRAD_F64, 3, 3),
            tall = with_a_zero(SVDGRAD_BACKEND_REF, SVDGRAD_F64, 4, 2);
  cr_expect_eq(finite_entries(&f, WITH_GVH, 0), 9);
  cr_expect_eq(finite_entries(&tall, WITH_GVH, 0), 0);
  fixture_free(&f);
  fixture_free(&tall);
}

/* Re U_00 depends on the phase of a complex matrix's singular vectors; |U_00|^2 does not. */
Test(backward, report_of_a_gauge_dependent_loss) {
  for (int b = 0; b < test_backend_count; b++) {
    const setting_t s = {test_backends[b], SVDGRAD_C128, SPECTRUM_LINEAR, 4, 3};
    fixture_t f = forward(&s, 0, 0);
    for (int64_t i = 0; i < 4; i++)
      for (int64_t j = 0; j < 3; j++)
        buffer_set(&f.gU, 0, i, j, i == 0 && j == 0);
    dense_t gA = backward(&f, WITH_GU);
    cr_expect(f.report[0].flags & SVDGRAD_REPORT_GAUGE);
    cr_expect(f.report[0].gauge_residual > 1e-3);
    dense_free(&gA);
    buffer_set(&f.gU, 0, 0, 0, 2 * buffer_get(&f.U, 0, 0, 0));
    gA = backward(&f, WITH_GU);
    cr_expect_eq(f.report[0].flags, 0);
    cr_expect(f.report[0].gauge_residual < 1e-14);
    dense_free(&gA);
    fixture_free(&f);
  }
}

/* Ties among the other triplets do not affect the gradient of a loss of the first one. */
Test(backward, foreign_ties_do_not_matter) {
  for (int b = 0; b < test_backend_count; b++)
    for (int dtype = SVDGRAD_F32; dtype <= SVDGRAD_C128; dtype++) {
      const setting_t s = {test_backends[b], (svdgrad_dtype_t)dtype, SPECTRUM_ONES, 5, 5};
      fixture_t f = forward(&s, 0, 0);
      dense_t U = load_U(&f, 0);
      for (int64_t i = 0; i < 5; i++)
        for (int64_t j = 0; j < 5; j++)
          buffer_set(&f.gU, 0, i, j, j == 0 && i == 0 ? 2 * U.at[0] : 0); /* L = |U_00|^2 */
      dense_t gA = backward(&f, WITH_GU), exact = dense_zero(5, 5);
      for (int64_t i = 0; i < 5; i++) /* (I - u u^T) gU v^T / s with u = v = 1/sqrt(5) */
        for (int64_t j = 0; j < 5; j++)
          exact.at[j * 5 + i] = ((i == 0) - 0.2L) * 2 * 0.2L / 5;
      cr_expect(error_in_eps(&f, &gA, &exact, 1) < RATIO_LIMIT, "%s %s", backend_name(s.backend), dtype_name(s.dtype));
      dense_free(&U);
      dense_free(&gA);
      dense_free(&exact);
      fixture_free(&f);
    }
}
