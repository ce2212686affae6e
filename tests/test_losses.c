/* SPDX-License-Identifier: BSD-3-Clause */
/* Gradients of gauge-invariant losses of |U|, |Vh|, U Vh and S, with every subset of the cotangents absent, against
 * central differences through the SVD, in double precision.  First order: svdgrad_svd_backward().  Second order: the
 * derivative of the gradient along D, by svdgrad_svd_jvp(), the derivatives of the cotangents, and
 * svdgrad_svd_backward_backward(). */
#include "functions.h"
#include "random.h"
#include "settings.h"

#include <criterion/criterion.h>
#include <math.h>

enum { OF_S = 1, OF_U = 2, OF_VH = 4, OF_UVH = 8 };

/* The loss: sum of w_i s_i^2 / 2, of W_ij |U_ij|^2 / 2, of Z_ij |Vh_ij|^2 / 2, and Re <G, U Vh>, those that `parts`
 * names. */
typedef struct loss {
  int parts;
  dense_t w, W, Z, G; /* owned; the first three real */
} loss_t;

static loss_t loss_make(const functions_t *x, int parts) {
  random_t random = random_seed(17);
  const int64_t m = x->f.desc.m, n = x->f.desc.n, k = x->f.S.rows;
  return (loss_t){parts, random_matrix(&random, k, 1, 0), random_matrix(&random, m, k, 0),
                  random_matrix(&random, k, n, 0), random_matrix(&random, m, n, dtype_is_complex(x->f.desc.dtype))};
}

static void loss_free(loss_t *loss) {
  dense_t *const all[] = {&loss->w, &loss->W, &loss->Z, &loss->G};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    dense_free(all[i]);
}

static long double weighted(const dense_t *weight, const dense_t *X) {
  long double sum = 0;
  for (int64_t i = 0; i < X->m * X->n; i++)
    sum += creall(weight->at[i]) * creall(X->at[i] * conjl(X->at[i])) / 2;
  return sum;
}

static long double value_of(const loss_t *loss, const functions_t *x) {
  LOCAL(dense) S = buffer_load(&x->f.S, 0);
  LOCAL(dense) U = buffer_load(&x->f.U, 0);
  LOCAL(dense) Vh = buffer_load(&x->f.Vh, 0);
  LOCAL(dense) UVh = dense_product(&U, &Vh);
  return (loss->parts & OF_S ? weighted(&loss->w, &S) : 0) + (loss->parts & OF_U ? weighted(&loss->W, &U) : 0) +
         (loss->parts & OF_VH ? weighted(&loss->Z, &Vh) : 0) + (loss->parts & OF_UVH ? dense_inner(&loss->G, &UVh) : 0);
}

/* to <- weight X elementwise, and, with U Vh in the loss, `other`. */
static void set_cotangent(const buffer_t *to, int weighs, const dense_t *weight, const dense_t *X, int adds,
                          const dense_t *other) {
  LOCAL(dense) sum = dense_zero(X->m, X->n);
  for (int64_t i = 0; i < X->m * X->n; i++)
    sum.at[i] = (weighs ? weight->at[i] * X->at[i] : 0) + (adds ? other->at[i] : 0);
  buffer_store(to, 0, &sum);
}

/* Cotangents of the loss at (S, U, Vh): they are linear in that, so that tangents in its place give their tangents. */
static void set_cotangents(const loss_t *loss, const functions_t *x, const buffer_t *S_, const buffer_t *U_,
                           const buffer_t *Vh_) {
  LOCAL(dense) S = buffer_load(S_, 0);
  LOCAL(dense) U = buffer_load(U_, 0);
  LOCAL(dense) Vh = buffer_load(Vh_, 0);
  LOCAL(dense) GV = dense_product_h(&loss->G, &Vh);
  LOCAL(dense) UhG = dense_h_product(&U, &loss->G);
  set_cotangent(&x->f.gS, loss->parts & OF_S, &loss->w, &S, 0, NULL);
  set_cotangent(&x->f.gU, loss->parts & OF_U, &loss->W, &U, loss->parts & OF_UVH, &GV);
  set_cotangent(&x->f.gVh, loss->parts & OF_VH, &loss->Z, &Vh, loss->parts & OF_UVH, &UhG);
}

static int cotangents_of(int parts) {
  return (parts & OF_S ? WITH_GS : 0) | (parts & (OF_U | OF_UVH) ? WITH_GU : 0) |
         (parts & (OF_VH | OF_UVH) ? WITH_GVH : 0);
}

static unsigned absent_of(int parts) {
  const int with = cotangents_of(parts);
  return (with & WITH_GS ? 0 : ABSENT(OPERAND_GS)) | (with & WITH_GU ? 0 : ABSENT(OPERAND_GU)) |
         (with & WITH_GVH ? 0 : ABSENT(OPERAND_GVH));
}

/* ---- through the library ---- */

static void forward(functions_t *x, const dense_t *A) {
  buffer_store(&x->f.A, 0, A);
  cr_assert_eq(fixture_forward(&x->f, WITH_VECTORS), SVDGRAD_STATUS_SUCCESS, "%s", svdgrad_last_error_message());
  cr_assert_eq(x->f.info[0], SVDGRAD_INFO_OK);
}

/* From the factors in x; the memory of absent cotangents holds NaN. */
static dense_t backward(functions_t *x, int parts) {
  const int with = cotangents_of(parts);
  const buffer_t *const all[] = {&x->f.gS, &x->f.gU, &x->f.gVh};
  const int bits[] = {WITH_GS, WITH_GU, WITH_GVH};
  for (int i = 0; i < 3; i++)
    for (int64_t e = 0; e < all[i]->rows * all[i]->cols && !(with & bits[i]); e++)
      buffer_set(all[i], 0, e % all[i]->rows, e / all[i]->rows, (long double)NAN);
  cr_assert_eq(fixture_backward(&x->f, with, 1, 0), SVDGRAD_STATUS_SUCCESS, "%s", svdgrad_last_error_message());
  cr_assert(x->f.intact);
  return buffer_load(&x->f.gA, 0);
}

static dense_t gradient_at(functions_t *x, const loss_t *loss, const dense_t *A) {
  forward(x, A);
  set_cotangents(loss, x, &x->f.S, &x->f.U, &x->f.Vh);
  return backward(x, loss->parts);
}

static void run(functions_t *x, svdgrad_op_t op, unsigned absent) {
  cr_assert_eq(functions_run(x, op, absent, 1, 0), SVDGRAD_STATUS_SUCCESS, "%s", svdgrad_last_error_message());
  cr_assert(x->f.intact);
}

/* The derivative of gradient_at() along D. */
static dense_t second_along(functions_t *x, const loss_t *loss, const dense_t *A, const dense_t *D) {
  LOCAL(dense) first = gradient_at(x, loss, A);
  buffer_store(&x->dA, 0, D);
  run(x, SVDGRAD_OP_SVD_BACKWARD_BACKWARD, absent_of(loss->parts));
  LOCAL(dense) through_factors = buffer_load(&x->f.gA, 0);
  run(x, SVDGRAD_OP_SVD_JVP, 0);
  set_cotangents(loss, x, &x->dS, &x->dU, &x->dVh);
  LOCAL(dense) through_loss = backward(x, loss->parts);
  return dense_sum(1, &through_factors, 1, &through_loss);
}

/* ---- differences ---- */

static const long double step = 0x1p-15L;

static void check_first(const setting_t *s, functions_t *x, const loss_t *loss, const dense_t *A, const dense_t *D,
                        worst_t *worst) {
  LOCAL(dense) above = dense_sum(1, A, step, D);
  LOCAL(dense) below = dense_sum(1, A, -step, D);
  LOCAL(dense) gA = gradient_at(x, loss, A);
  forward(x, &above);
  const long double up = value_of(loss, x);
  forward(x, &below);
  const long double slope = (up - value_of(loss, x)) / (2 * step);
  settings_note(worst, s, ratio_of(fabsl(slope - dense_inner(&gA, D)), (dense_norm(&gA) + 1) * dense_norm(D)), "first");
}

static void check_second(const setting_t *s, functions_t *x, const loss_t *loss, const dense_t *A, const dense_t *D,
                         worst_t *worst) {
  LOCAL(dense) above = dense_sum(1, A, step, D);
  LOCAL(dense) below = dense_sum(1, A, -step, D);
  LOCAL(dense) second = second_along(x, loss, A, D);
  LOCAL(dense) up = gradient_at(x, loss, &above);
  LOCAL(dense) down = gradient_at(x, loss, &below);
  LOCAL(dense) slope = dense_sum(1 / (2 * step), &up, -1 / (2 * step), &down);
  LOCAL(dense) error = dense_sum(1, &slope, -1, &second);
  settings_note(worst, s, ratio_of(dense_norm(&error), dense_norm(&second) + dense_norm(D)), "second");
}

static void check_losses(const setting_t *s, worst_t *worst) {
  static const int sets[] = {
      OF_S, OF_U, OF_VH, OF_S | OF_U, OF_S | OF_VH, OF_U | OF_VH, OF_UVH, OF_S | OF_UVH, OF_S | OF_U | OF_VH | OF_UVH};
  const svdgrad_desc_t desc = make_desc(s->dtype, s->m, s->n, 1);
  LOCAL(functions) x = functions_make(s->backend, &desc, SVDGRAD_FORM_UVH, LAYOUT_COLUMN_MAJOR);
  LOCAL(dense) A = settings_matrix(s);
  random_t random = random_seed(3);
  LOCAL(dense) D = random_matrix(&random, s->m, s->n, dtype_is_complex(s->dtype));
  for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
    LOCAL(loss) loss = loss_make(&x, sets[i]);
    check_first(s, &x, &loss, &A, &D, worst);
    check_second(s, &x, &loss, &A, &D, worst);
  }
}

/* The error of central differences: (step / smallest gap)^2, plus rounding / step. */
Test(losses, gauge_invariant_to_second_order) {
  static const test_shape_t shapes[] = {{1, 1}, {2, 2}, {3, 3}, {4, 4}, {5, 3}, {3, 5}, {6, 6}, {9, 4}, {4, 11}};
  worst_t worst = worst_make("losses, relative");
  for (int i = 0; i < test_backend_count; i++)
    for (svdgrad_dtype_t dtype = SVDGRAD_F64; dtype <= SVDGRAD_C128; dtype += 2)
      for (size_t shape = 0; shape < sizeof shapes / sizeof *shapes; shape++) {
        const setting_t s = {test_backends[i], dtype, SPECTRUM_LINEAR, shapes[shape].m, shapes[shape].n};
        check_losses(&s, &worst);
      }
  cr_assert(worst_within(&worst, 1e-5));
}
