/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fills holes in images of handwritten digits with a low-rank model.
 *
 * The images of one digit, one per row, make a matrix Y_c that is close to low rank.  A share of
 * all pixels is hidden; the rest, where mask = 1, decides X by gradient descent on
 *
 *   f(X) = 1/2 |mask (X - Y)|_F^2 + lambda sum_c |X_c|_*,   |X_c|_* = sum_i s_i(X_c),
 *
 * where the nuclear norm |.|_* is the convex stand-in for the rank (E. Candes, B. Recht, Exact
 * matrix completion via convex optimization, Found. Comput. Math. 9, 2009).  svdgrad_norm() gives
 * it and its gradient in one call; alpha = lambda and beta = 1 add that to the gradient of the first
 * term, which already lies in gA.
 *
 * The nuclear norm has a kink where a singular value is 0, so that with a fixed step and lambda X
 * ends up oscillating by about step * lambda.  Here lambda falls from one step to the next: that
 * damps the oscillation, and leads X roughly along the path from strongly to weakly regularized
 * solutions, each started from the one before (R. Mazumder, T. Hastie, R. Tibshirani, Spectral
 * regularization algorithms for learning large incomplete matrices, J. Mach. Learn. Res. 11, 2010).
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common.h"
#include "contact_sheet.h"
#include "digits.h"

enum { DEFAULT_STEPS = 200, PROGRESS_LINES = 10, SHOWN = 3, SHEET_ROWS_PER_IMAGE = 4 };

static const double HIDDEN_SHARE = 0.3;
static const float STEP = 1.0f; /* 1 / (largest curvature of the first term) */
/* For pixels from 0 to 1.  The result hardly depends on either: any end below 0.2 gives the same
   error to 1 %, since it comes close to lambda -> 0, the smallest nuclear norm that fits. */
static const double LAMBDA_FIRST = 1.0, LAMBDA_LAST = 0.1;

/* All arrays but mean are CLASSES matrices of images x PIXELS, one after the other. */
typedef struct problem {
  int images;   /* per class: that of the rarest digit, so that all matrices have one size */
  size_t count; /* CLASSES * images * PIXELS */
  float *truth, *mask;
  float *mean; /* CLASSES x PIXELS: of the visible pixels */
  float *X;    /* the estimate less the mean */
  float *gX;
} problem_t;

typedef struct solver {
  svdgrad_handle_t handle;
  svdgrad_desc_t desc;
  int32_t info[CLASSES];
  workspace_t work;
  double seconds; /* spent in the library */
} solver_t;

/* ---- the problem --------------------------------------------------------------------------- */

static int rarest_class_size(const digits_t *digits) {
  int least = digits->count;
  for (int c = 0; c < CLASSES; c++)
    least = digits->per_class[c] < least ? digits->per_class[c] : least;
  return least;
}

/* Stacks the first images of every digit into that digit's matrix. */
static void fill_truth(problem_t *problem, const digits_t *digits) {
  int used[CLASSES] = {0};
  for (int i = 0; i < digits->count; i++) {
    const int c = digits->label[i];
    if (used[c] < problem->images)
      memcpy(problem->truth + (size_t)(c * problem->images + used[c]++) * PIXELS, digits->pixel[i],
             sizeof digits->pixel[i]);
  }
}

static void hide_pixels(problem_t *problem) {
  uint64_t state = 20090402;
  for (size_t i = 0; i < problem->count; i++)
    problem->mask[i] = uniform(&state) < HIDDEN_SHARE ? 0.0f : 1.0f;
}

/* The mean of element i's column, which is pixel i % PIXELS in the images of i's class. */
static float *mean_at(const problem_t *problem, size_t i) {
  const size_t c = i / ((size_t)problem->images * PIXELS);
  return problem->mean + c * PIXELS + i % PIXELS;
}

static void average_visible_pixels(problem_t *problem) {
  float *seen = allocate(CLASSES * PIXELS, sizeof *seen);
  for (size_t i = 0; i < problem->count; i++) {
    *mean_at(problem, i) += problem->mask[i] * problem->truth[i];
    seen[mean_at(problem, i) - problem->mean] += problem->mask[i];
  }
  for (int i = 0; i < CLASSES * PIXELS; i++)
    problem->mean[i] /= fmaxf(seen[i], 1.0f);
  free(seen);
}

/* Starts from the baseline: hidden pixels have the column mean.  Without the mean the first
   singular value would be spent, and shrunk, on it. */
static problem_t create_problem(const digits_t *digits) {
  problem_t problem = {.images = rarest_class_size(digits)};
  if (problem.images < SHOWN)
    die("every digit needs at least %d images", SHOWN);
  problem.count = (size_t)CLASSES * (size_t)problem.images * PIXELS;
  problem.truth = allocate(problem.count, sizeof(float));
  problem.mask = allocate(problem.count, sizeof(float));
  problem.mean = allocate(CLASSES * PIXELS, sizeof(float));
  problem.X = allocate(problem.count, sizeof(float));
  problem.gX = allocate(problem.count, sizeof(float));
  fill_truth(&problem, digits);
  hide_pixels(&problem);
  average_visible_pixels(&problem);
  for (size_t i = 0; i < problem.count; i++)
    problem.X[i] = problem.mask[i] * (problem.truth[i] - *mean_at(&problem, i));
  return problem;
}

static void destroy_problem(problem_t *problem) {
  free(problem->truth);
  free(problem->mask);
  free(problem->mean);
  free(problem->X);
  free(problem->gX);
}

static float recovered(const problem_t *problem, size_t i) {
  return fminf(fmaxf(problem->X[i] + *mean_at(problem, i), 0.0f), 1.0f);
}

static float column_mean(const problem_t *problem, size_t i) { return *mean_at(problem, i); }

typedef float prediction_fn(const problem_t *problem, size_t i);

/* Root of the mean squared error over the hidden pixels; they are never used otherwise. */
static double hidden_rmse(const problem_t *problem, prediction_fn *predict) {
  double sum = 0.0, hidden = 0.0;
  for (size_t i = 0; i < problem->count; i++)
    if (problem->mask[i] == 0.0f) {
      const double error = (double)predict(problem, i) - (double)problem->truth[i];
      sum += error * error;
      hidden += 1.0;
    }
  return sqrt(sum / fmax(hidden, 1.0));
}

/* ---- value and gradient through the library ------------------------------------------------- */

static solver_t create_solver(int images) {
  solver_t solver = {.desc = SVDGRAD_DESC_INIT};
  solver.desc.dtype = SVDGRAD_F32;
  solver.desc.m = images;
  solver.desc.n = PIXELS;
  solver.desc.batch_count = CLASSES;
  check(svdgrad_create(SVDGRAD_BACKEND_CPU, 0, &solver.handle));
  reserve(&solver.work, solver.handle, SVDGRAD_OP_NORM_GRADIENT, &solver.desc);
  return solver;
}

static void destroy_solver(solver_t *solver) {
  check(svdgrad_destroy(solver->handle));
  free(solver->work.data);
}

/* gX += lambda * (gradient of the nuclear norms of X).  Returns the sum of these norms. */
static double add_nuclear_norm_gradient(solver_t *solver, problem_t *problem, double lambda) {
  const svdgrad_matrix_t X = row_major(problem->X, problem->images, PIXELS);
  const svdgrad_matrix_t gX = row_major(problem->gX, problem->images, PIXELS);
  float norm[CLASSES];
  const svdgrad_vector_t value = {norm, 1, 1};
  const double start = now();
  check(svdgrad_norm(solver->handle, NULL, &solver->desc, SVDGRAD_NORM_NUCLEAR, 0.0, &X, &value, NULL, lambda, 1.0, &gX,
                     solver->info, solver->work.data, solver->work.bytes));
  solver->seconds += now() - start;
  check_info(solver->info, CLASSES);

  double sum = 0.0;
  for (int c = 0; c < CLASSES; c++)
    sum += (double)norm[c];
  return sum;
}

/* One step of gradient descent.  Returns f(X) from before the step. */
static double descend(solver_t *solver, problem_t *problem, double lambda) {
  double misfit = 0.0;
  for (size_t i = 0; i < problem->count; i++) {
    const float target = problem->truth[i] - *mean_at(problem, i);
    problem->gX[i] = problem->mask[i] * (problem->X[i] - target);
    misfit += 0.5 * (double)problem->gX[i] * (double)problem->gX[i];
  }
  const double norm = add_nuclear_norm_gradient(solver, problem, lambda);
  for (size_t i = 0; i < problem->count; i++)
    problem->X[i] -= STEP * problem->gX[i];
  return misfit + lambda * norm;
}

static double lambda_at(int step, int steps) {
  const double t = steps > 1 ? (double)step / (steps - 1) : 1.0;
  return LAMBDA_FIRST * pow(LAMBDA_LAST / LAMBDA_FIRST, t);
}

/* Returns the seconds that it took. */
static double complete(solver_t *solver, problem_t *problem, int steps) {
  const int interval = steps > PROGRESS_LINES ? steps / PROGRESS_LINES : 1;
  const double start = now();
  puts("  step   lambda  objective  hidden RMSE  seconds");
  for (int step = 0; step < steps; step++) {
    const double lambda = lambda_at(step, steps);
    const double objective = descend(solver, problem, lambda);
    if ((step + 1) % interval == 0 || step + 1 == steps) {
      printf("%6d  %7.4f  %9.2f  %11.4f  %7.2f\n", step + 1, lambda, objective, hidden_rmse(problem, recovered),
             now() - start);
      fflush(stdout);
    }
  }
  return now() - start;
}

/* ---- output -------------------------------------------------------------------------------- */

/* Four tiles for image `image` of digit `c`, one below the other from tile row `row` on. */
static void fill_tiles(float *tiles, int row, const problem_t *problem, int c, int image) {
  const size_t first = (size_t)(c * problem->images + image) * PIXELS;
  for (size_t p = 0; p < PIXELS; p++) {
    const size_t i = first + p;
    const float truth = problem->truth[i];
    const int visible = problem->mask[i] != 0.0f;
    const float shown[SHEET_ROWS_PER_IMAGE] = {truth, visible ? truth : NAN, visible ? truth : column_mean(problem, i),
                                               visible ? truth : recovered(problem, i)};
    for (int r = 0; r < SHEET_ROWS_PER_IMAGE; r++)
      tiles[(size_t)((row + r) * CLASSES + c) * PIXELS + p] = shown[r];
  }
}

static void write_sheet(const problem_t *problem, double baseline, double rmse, const char *path) {
  static const char *const row_labels[] = {"ORIGINAL", "WITH HOLES", "COLUMN MEAN", "RECOVERED"};
  static const char *const digits[] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
  char holes[100], errors[100];
  const char *const captions[] = {holes, errors, NULL};
  snprintf(holes, sizeof holes, "ORANGE: THE HIDDEN %.0f%% OF THE PIXELS", 100.0 * HIDDEN_SHARE);
  snprintf(errors, sizeof errors, "RMSE OF HIDDEN PIXELS: COLUMN MEAN %.3f  RECOVERED %.3f", baseline, rmse);
  float *tiles = allocate(SHOWN * SHEET_ROWS_PER_IMAGE * CLASSES * PIXELS, sizeof *tiles);
  /* Evenly spaced images rather than chosen ones. */
  for (int i = 0; i < SHOWN; i++)
    for (int c = 0; c < CLASSES; c++)
      fill_tiles(tiles, i * SHEET_ROWS_PER_IMAGE, problem, c, i * problem->images / SHOWN);
  const contact_sheet_t sheet = {.rows = SHOWN * SHEET_ROWS_PER_IMAGE,
                                 .cols = CLASSES,
                                 .side = SIDE,
                                 .rows_per_group = SHEET_ROWS_PER_IMAGE,
                                 .tiles = tiles,
                                 .row_labels = row_labels,
                                 .col_labels = digits,
                                 .captions = captions};
  const char *error = contact_sheet_write(&sheet, path);
  if (error)
    die("cannot write %s: %s", path, error);
  free(tiles);
}

static int parse_steps(const char *text) {
  char *end;
  const long steps = strtol(text, &end, 10);
  if (*end || end == text || steps < 1 || steps > 1000000)
    die("steps must be an integer from 1 to 1000000, not \"%s\"", text);
  return (int)steps;
}

int main(int argc, char **argv) {
  if (argc < 3 || argc > 4) {
    fprintf(stderr, "usage: digits_completion DATA_FILE OUTPUT.png [steps]\n");
    return EXIT_FAILURE;
  }
  const int steps = argc > 3 ? parse_steps(argv[3]) : DEFAULT_STEPS;
  digits_t *digits = digits_read(argv[1]);
  problem_t problem = create_problem(digits);
  solver_t solver = create_solver(problem.images);
  printf("%d matrices of %d images x %d pixels, %.0f %% of the pixels hidden; SVD by %s\n", CLASSES, problem.images,
         PIXELS, 100.0 * HIDDEN_SHARE, svdgrad_algorithm_name(solver.handle, SVDGRAD_OP_SVD, &solver.desc));

  const double seconds = complete(&solver, &problem, steps);
  const double baseline = hidden_rmse(&problem, column_mean);
  const double rmse = hidden_rmse(&problem, recovered);
  printf("hidden-pixel RMSE %.4f, column-mean baseline %.4f: %.1f %% lower\n", rmse, baseline,
         100.0 * (1.0 - rmse / baseline));
  printf("%.1f steps/s, %.0f %% of the time in svdgrad\n", steps / seconds, 100.0 * solver.seconds / seconds);
  write_sheet(&problem, baseline, rmse, argv[2]);
  printf("wrote %s\n", argv[2]);

  destroy_solver(&solver);
  destroy_problem(&problem);
  free(digits);
  if (rmse >= baseline)
    die("the completion is no better than the column mean");
  return EXIT_SUCCESS;
}
