/* SPDX-License-Identifier: BSD-3-Clause */
/* Turns bytes into calls, right and wrong ones, and proves for each of them:
 *  - it returns, and with a status that the header knows;
 *  - a call that fails has written nothing, and says why;
 *  - a call that succeeds has written to the elements of its outputs alone, and no two of those share a place;
 *  - info is NONFINITE exactly where the input has a NaN or Inf, and otherwise S is descending and not negative;
 *  - moderate input gives a finite gradient under the DEFAULT policy. */
#include <svdgrad/svdgrad.h>

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CANARY = 0xA5, ALIGNMENT = 256, MARGIN = 64, MOST_ELEMENTS = 1 << 16, MOST_EXTENT = 20, MOST_BATCH = 4 };

#define PROPERTY(holds, ...)                                                                                           \
  do {                                                                                                                 \
    if (!(holds)) {                                                                                                    \
      fprintf(stderr, "%s:%d: property violated: %s: ", __FILE__, __LINE__, #holds);                                   \
      fprintf(stderr, __VA_ARGS__);                                                                                    \
      fprintf(stderr, "\n");                                                                                           \
      abort();                                                                                                         \
    }                                                                                                                  \
  } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- the input, byte by byte; zeros after its end ---- */

typedef struct reader {
  const uint8_t *at;
  size_t left;
} reader_t;

static unsigned take_byte(reader_t *reader) {
  if (reader->left == 0)
    return 0;
  reader->left--;
  return *reader->at++;
}

static int take_below(reader_t *reader, unsigned count) { return (int)(take_byte(reader) % count); }

static uint64_t take_bits(reader_t *reader) {
  uint64_t bits = 0;
  for (int i = 0; i < 8; i++)
    bits = bits << 8 | take_byte(reader);
  return bits;
}

static int64_t take_wild_integer(reader_t *reader) {
  static const int64_t values[] = {0, 1, -1, 2, INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN, 1 << 20, INT64_C(1) << 40};
  const unsigned choice = take_byte(reader) % 16;
  return choice < sizeof values / sizeof *values ? values[choice] : (int64_t)take_bits(reader);
}

/* Moderate: 0 or 1e-3 <= |x| <= 1e3. */
static double take_moderate(reader_t *reader) {
  const unsigned byte = take_byte(reader), exponent = byte >> 4 & 7, fraction = byte & 15;
  const double size = fmin(fmax(ldexp(1 + fraction / 16.0, (int)exponent * 3 - 10), 1e-3), 1e3);
  return byte == 0 ? 0 : byte & 128 ? -size : size;
}

static double take_wild_real(reader_t *reader) {
  static const double values[] = {0,      -0.0,     1,      -1,    NAN,    INFINITY, -INFINITY, 5e-324,
                                  1e-310, 2.3e-308, 1e-45f, 1e300, -1e308, 3e38,     1e-300,    1e-38};
  double value;
  const unsigned choice = take_byte(reader) % 20;
  const uint64_t bits = choice < sizeof values / sizeof *values ? 0 : take_bits(reader);
  memcpy(&value, &bits, sizeof value);
  return choice < sizeof values / sizeof *values ? values[choice] : value;
}

/* ---- descriptor ---- */

static svdgrad_desc_t take_desc(reader_t *reader) {
  const unsigned kind = take_byte(reader), limit = kind % 16 == 1 ? MOST_EXTENT + 1 : 10;
  svdgrad_desc_t desc = SVDGRAD_DESC_INIT;
  desc.dtype = (svdgrad_dtype_t)take_below(reader, 4);
  desc.m = take_below(reader, limit);
  desc.n = take_below(reader, limit);
  desc.batch_count = take_below(reader, MOST_BATCH + 1);
  const unsigned shape = take_byte(reader), policy = take_byte(reader);
  desc.full_matrices = (shape & 3) == 1;
  if ((shape & 3) == 2)
    desc.rank = take_below(reader, 10);
  desc.positive_gauge = shape >> 2 & 1;
  desc.max_sweeps = (shape & 0x38) == 8 ? take_below(reader, 3) : 0;
  desc.algo = (svdgrad_algo_t)((shape >> 6) % 3);
  desc.gap_policy = (svdgrad_gap_policy_t)(policy % 5);
  desc.gap_param = policy & 128 ? 0 : 1e-6;
  return desc;
}

static void make_wild(reader_t *reader, svdgrad_desc_t *desc, svdgrad_op_t *op) {
  switch (take_below(reader, 13)) {
  case 0: desc->struct_size = (size_t)take_wild_integer(reader); break;
  case 1: desc->dtype = (svdgrad_dtype_t)take_wild_integer(reader); break;
  case 2: desc->algo = (svdgrad_algo_t)take_wild_integer(reader); break;
  case 3: desc->m = take_wild_integer(reader); break;
  case 4: desc->n = take_wild_integer(reader); break;
  case 5: desc->batch_count = take_wild_integer(reader); break;
  case 6: desc->rank = take_wild_integer(reader); break;
  case 7: desc->full_matrices = (int32_t)take_wild_integer(reader); break;
  case 8: desc->positive_gauge = (int32_t)take_wild_integer(reader); break;
  case 9: desc->max_sweeps = (int32_t)take_wild_integer(reader); break;
  case 10: desc->gap_policy = (svdgrad_gap_policy_t)take_wild_integer(reader); break;
  case 11: desc->gap_param = take_wild_real(reader); break;
  case 12: *op = (svdgrad_op_t)take_wild_integer(reader); break;
  }
}

/* ---- operands ---- */

static int is_single(svdgrad_dtype_t dtype) { return dtype == SVDGRAD_F32 || dtype == SVDGRAD_C64; }
static int is_complex(svdgrad_dtype_t dtype) { return dtype == SVDGRAD_C64 || dtype == SVDGRAD_C128; }

/* Element (b, i, j) lies at memory + origin + parts * real_size * (b stride[2] + i stride[0] + j stride[1]). */
typedef struct operand {
  int64_t extent[3], stride[3];
  size_t real_size, parts; /* a complex element has two parts */
  unsigned char *memory, *before;
  size_t bytes, origin;
  int addressable; /* the memory holds every element; else data is NULL */
  svdgrad_matrix_t matrix;
  svdgrad_vector_t vector;
} operand_t;

static void take_strides(reader_t *reader, operand_t *x) {
  const int64_t rows = x->extent[0], cols = x->extent[1], batch = x->extent[2];
  const int choice = take_below(reader, 16), pad = choice & 1 ? 3 : 0;
  switch (choice >> 1) {
  default:
  case 0: x->stride[0] = 1, x->stride[1] = rows + pad, x->stride[2] = (rows + pad) * cols + pad; break;
  case 1: x->stride[0] = cols + pad, x->stride[1] = 1, x->stride[2] = (cols + pad) * rows + pad; break;
  case 2: x->stride[0] = batch, x->stride[1] = batch * rows + pad, x->stride[2] = 1; break;
  case 3: x->stride[0] = 1, x->stride[1] = rows, x->stride[2] = 0; break;
  case 4:
    for (int d = 0; d < 3; d++)
      x->stride[d] = take_below(reader, 32) - 2;
    break;
  case 5:
    x->stride[0] = 1, x->stride[1] = rows, x->stride[2] = rows * cols;
    x->stride[take_below(reader, 3)] = take_wild_integer(reader);
    break;
  }
}

/* Elements from the lowest to the highest one's end; a stride of a dimension that is not walked does not count. */
static int64_t span_of(const operand_t *x, int64_t *below) {
  int64_t span = 1;
  *below = 0;
  for (int d = 0; d < 3; d++) {
    const int64_t steps = x->extent[d] - 1;
    if (steps < 0)
      return 0;
    if (steps == 0)
      continue;
    if (x->stride[d] > MOST_ELEMENTS || x->stride[d] < -MOST_ELEMENTS)
      return MOST_ELEMENTS + 1;
    span += steps * (x->stride[d] < 0 ? -x->stride[d] : x->stride[d]);
    *below -= x->stride[d] < 0 ? steps * x->stride[d] : 0;
  }
  return span;
}

static void *checked(void *pointer) {
  if (!pointer)
    abort();
  return pointer;
}

static operand_t operand_take(reader_t *reader, svdgrad_dtype_t dtype, int parts, int64_t rows, int64_t cols,
                              int64_t batch) {
  operand_t x = {.extent = {rows, cols, batch}, .real_size = is_single(dtype) ? sizeof(float) : sizeof(double)};
  x.parts = (size_t)parts;
  take_strides(reader, &x);
  int64_t below;
  const int64_t span = span_of(&x, &below);
  x.addressable = span <= MOST_ELEMENTS;
  x.origin = MARGIN + (x.addressable && span > 0 ? (size_t)below * x.parts * x.real_size : 0);
  x.bytes = 2 * MARGIN + (x.addressable ? (size_t)span * x.parts * x.real_size : 0);
  x.memory = checked(malloc(x.bytes));
  x.before = checked(malloc(x.bytes));
  memset(x.memory, CANARY, x.bytes);
  void *start = x.addressable && take_below(reader, 64) != 63 ? x.memory + x.origin : NULL;
  x.matrix = (svdgrad_matrix_t){start, x.stride[0], x.stride[1], x.stride[2]};
  x.vector = (svdgrad_vector_t){start, x.stride[0], x.stride[2]};
  return x;
}

static void operand_free(operand_t *x) {
  free(x->memory);
  free(x->before);
}

static size_t offset_of(const operand_t *x, int64_t b, int64_t i, int64_t j) {
  const int64_t at[3] = {i, j, b};
  int64_t offset = 0;
  for (int d = 0; d < 3; d++)
    offset += x->extent[d] > 1 ? at[d] * x->stride[d] : 0;
  return (size_t)((int64_t)x->origin + offset * (int64_t)(x->parts * x->real_size));
}

static double part_get(const operand_t *x, int64_t b, int64_t i, int64_t j, size_t part) {
  const unsigned char *from = x->memory + offset_of(x, b, i, j) + part * x->real_size;
  float narrow;
  double wide;
  memcpy(&narrow, from, sizeof narrow);
  if (x->real_size == sizeof narrow)
    return (double)narrow;
  memcpy(&wide, from, sizeof wide);
  return wide;
}

static void part_set(const operand_t *x, int64_t b, int64_t i, int64_t j, size_t part, double value) {
  unsigned char *to = x->memory + offset_of(x, b, i, j) + part * x->real_size;
  const float narrow = fabs(value) > 3.4e38 ? (float)copysign(INFINITY, value) : (float)value;
  memcpy(to, x->real_size == sizeof narrow ? (const void *)&narrow : (const void *)&value, x->real_size);
}

/* Whether it holds for every part of matrix b. */
static int all_parts(const operand_t *x, int64_t b, int (*holds)(double value)) {
  int all = 1;
  for (int64_t i = 0; i < x->extent[0] && x->addressable; i++)
    for (int64_t j = 0; j < x->extent[1]; j++)
      for (size_t part = 0; part < x->parts; part++)
        all &= holds(part_get(x, b, i, j, part));
  return all;
}

static int is_finite(double value) { return isfinite(value); }
static int is_moderate(double value) { return value == 0 || (fabs(value) >= 0.99e-3 && fabs(value) <= 1.01e3); }

static void fill(reader_t *reader, const operand_t *x) {
  const int wild = take_below(reader, 4) == 3, sparse = take_below(reader, 4) == 3;
  for (int64_t b = 0; b < x->extent[2] && x->addressable; b++)
    for (int64_t i = 0; i < x->extent[0]; i++)
      for (int64_t j = 0; j < x->extent[1]; j++)
        for (size_t part = 0; part < x->parts; part++) {
          /* What the input does not say any more is not all zero. */
          const double rest = (double)((b * 31 + i * 7 + j * 3 + (int64_t)part * 5) % 11 - 5);
          const double value = reader->left == 0  ? rest
                               : wild             ? take_wild_real(reader)
                               : sparse && i != j ? 0
                                                  : take_moderate(reader);
          part_set(x, b, i, j, part, value);
        }
}

static void remember(operand_t *x) { memcpy(x->before, x->memory, x->bytes); }
static int unchanged(const operand_t *x) { return memcmp(x->before, x->memory, x->bytes) == 0; }

/* After success: bytes outside the elements are as before, and no two elements share one. */
static void check_written(const operand_t *x, const char *name) {
  if (!x->matrix.data) { /* a quick return */
    PROPERTY(unchanged(x), "%s: written where it has no memory", name);
    return;
  }
  unsigned char *owned = checked(calloc(x->bytes, 1));
  for (int64_t b = 0; b < x->extent[2]; b++)
    for (int64_t i = 0; i < x->extent[0]; i++)
      for (int64_t j = 0; j < x->extent[1]; j++) {
        unsigned char *element = owned + offset_of(x, b, i, j);
        PROPERTY(*element == 0, "%s: elements share a place", name);
        memset(element, 1, x->parts * x->real_size);
      }
  for (size_t i = 0; i < x->bytes; i++)
    PROPERTY(owned[i] || x->before[i] == x->memory[i], "%s: written outside its elements", name);
  free(owned);
}

/* ---- a problem ---- */

typedef struct problem {
  svdgrad_handle_t handle;
  svdgrad_op_t op;
  svdgrad_desc_t desc;
  operand_t A, S, U, Vh, gS, gU, gVh, gA;
  int32_t info[MOST_BATCH + 1];
  svdgrad_report_t report[MOST_BATCH + 1];
  unsigned char *workspace, *work;
  size_t work_bytes, room;
  unsigned absent; /* bits: operands handed over as NULL */
  double alpha, beta;
} problem_t;

enum { NO_A = 1, NO_S = 2, NO_U = 4, NO_VH = 8, NO_GS = 16, NO_GU = 32, NO_GVH = 64, NO_GA = 128 };

static int64_t clamp(int64_t value, int64_t most) { return value < 0 ? 0 : value > most ? most : value; }

static int is_small(const svdgrad_desc_t *desc) {
  return desc->m <= MOST_EXTENT && desc->n <= MOST_EXTENT && desc->batch_count <= MOST_BATCH &&
         desc->max_sweeps <= 1000;
}

static void take_operands(reader_t *reader, problem_t *p) {
  const svdgrad_desc_t *d = &p->desc;
  const int parts = is_complex(d->dtype) ? 2 : 1;
  const int64_t m = clamp(d->m, MOST_EXTENT), n = clamp(d->n, MOST_EXTENT), mn = m < n ? m : n;
  const int64_t batch = clamp(d->batch_count, MOST_BATCH);
  const int64_t k = d->rank > 0 && d->rank < mn ? d->rank : mn;
  const int64_t u_cols = d->full_matrices ? m : k, vh_rows = d->full_matrices ? n : k;
  p->A = operand_take(reader, d->dtype, parts, m, n, batch);
  p->S = operand_take(reader, d->dtype, 1, k, 1, batch);
  p->U = operand_take(reader, d->dtype, parts, m, u_cols, batch);
  p->Vh = operand_take(reader, d->dtype, parts, vh_rows, n, batch);
  p->gS = operand_take(reader, d->dtype, 1, k, 1, batch);
  p->gU = operand_take(reader, d->dtype, parts, m, u_cols, batch);
  p->gVh = operand_take(reader, d->dtype, parts, vh_rows, n, batch);
  p->gA = operand_take(reader, d->dtype, parts, m, n, batch);
  fill(reader, &p->A);
  fill(reader, &p->gS);
  fill(reader, &p->gU);
  fill(reader, &p->gVh);
}

static void free_operands(problem_t *p) {
  operand_t *const all[] = {&p->A, &p->S, &p->U, &p->Vh, &p->gS, &p->gU, &p->gVh, &p->gA};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    operand_free(all[i]);
}

/* Exactly the workspace asked for with canaries around, or one that is wrong. */
static void workspace_take(reader_t *reader, problem_t *p, svdgrad_op_t op) {
  size_t need = 0;
  (void)svdgrad_workspace_size(p->handle, op, &p->desc, &need);
  p->room = need < ((size_t)1 << 24) ? need : 0;
  p->workspace = checked(aligned_alloc(ALIGNMENT, (p->room / ALIGNMENT + 3) * ALIGNMENT));
  memset(p->workspace, CANARY, (p->room / ALIGNMENT + 3) * ALIGNMENT);
  p->work = p->workspace + ALIGNMENT;
  p->work_bytes = p->room;
  switch (take_below(reader, 16)) {
  case 13: p->work_bytes -= p->work_bytes > 0; break;
  case 14: p->work = NULL; break;
  case 15: p->work += 8; break;
  default: break;
  }
}

static void workspace_free(problem_t *p, int failed) {
  const size_t all = (p->room / ALIGNMENT + 3) * ALIGNMENT;
  for (size_t i = 0; i < all; i++)
    PROPERTY((i >= ALIGNMENT && i < ALIGNMENT + p->room && !failed) || p->workspace[i] == CANARY,
             "workspace written at %zu of %zu", i, p->room);
  free(p->workspace);
}

static void check_status(svdgrad_status_t status, const char *function) {
  PROPERTY(status >= SVDGRAD_STATUS_SUCCESS && status <= SVDGRAD_STATUS_WORKSPACE_TOO_SMALL, "%s returned %d", function,
           (int)status);
  if (status)
    PROPERTY(strncmp(svdgrad_last_error_message(), function, strlen(function)) == 0, "\"%s\"",
             svdgrad_last_error_message());
}

static void check_queries(const problem_t *p) {
  size_t bytes = 12345;
  const svdgrad_status_t status = svdgrad_workspace_size(p->handle, p->op, &p->desc, &bytes);
  check_status(status, "svdgrad_workspace_size");
  PROPERTY(!status || bytes == 12345, "%zu", bytes);
  const char *name = svdgrad_algorithm_name(p->handle, p->op, &p->desc);
  PROPERTY(status || name, "a workspace but no algorithm");
  PROPERTY(name || status != SVDGRAD_STATUS_SUCCESS, "no algorithm but a workspace");
  PROPERTY(!svdgrad_is_capturable(p->handle, p->op, &p->desc), "no CUDA graph on a CPU");
}

/* ---- forward ---- */

static void check_info(const problem_t *p, int64_t b) {
  const int finite = all_parts(&p->A, b, is_finite);
  PROPERTY(p->info[b] >= SVDGRAD_INFO_OK && p->info[b] <= SVDGRAD_INFO_OVERFLOW, "info %d", (int)p->info[b]);
  PROPERTY((p->info[b] == SVDGRAD_INFO_NONFINITE) == !finite, "info %d, finite %d", (int)p->info[b], finite);
  for (int64_t i = 0; i < p->S.extent[0] && finite; i++) {
    const double s = part_get(&p->S, b, i, 0, 0);
    PROPERTY(s >= 0, "s_%d = %g", (int)i, s);
    PROPERTY(i == 0 || s <= part_get(&p->S, b, i - 1, 0, 0), "s_%d = %g is not descending", (int)i, s);
  }
}

static void check_forward(const problem_t *p, svdgrad_status_t status, int with_U, int with_Vh) {
  PROPERTY(unchanged(&p->A), "input written");
  if (status || !with_U)
    PROPERTY(unchanged(&p->U), "U written");
  if (status || !with_Vh)
    PROPERTY(unchanged(&p->Vh), "Vh written");
  if (status) {
    PROPERTY(unchanged(&p->S), "S written");
    for (size_t i = 0; i < sizeof p->info; i++)
      PROPERTY(((const unsigned char *)p->info)[i] == CANARY, "info written");
    return;
  }
  check_written(&p->S, "S");
  if (with_U)
    check_written(&p->U, "U");
  if (with_Vh)
    check_written(&p->Vh, "Vh");
  for (int64_t b = 0; b < p->desc.batch_count && p->desc.m && p->desc.n; b++)
    check_info(p, b);
}

static svdgrad_status_t forward(reader_t *reader, problem_t *p) {
  const int with_U = !(p->absent & NO_U), with_Vh = !(p->absent & NO_VH);
  workspace_take(reader, p, with_U || with_Vh ? SVDGRAD_OP_SVD : SVDGRAD_OP_SVDVALS);
  memset(p->info, CANARY, sizeof p->info);
  remember(&p->A), remember(&p->S), remember(&p->U), remember(&p->Vh);
  const svdgrad_status_t status =
      svdgrad_svd(p->handle, NULL, &p->desc, p->absent & NO_A ? NULL : &p->A.matrix,
                  p->absent & NO_S ? NULL : &p->S.vector, with_U ? &p->U.matrix : NULL, with_Vh ? &p->Vh.matrix : NULL,
                  take_below(reader, 32) == 31 ? NULL : p->info, p->work, p->work_bytes);
  check_status(status, "svdgrad_svd");
  check_forward(p, status, with_U, with_Vh);
  workspace_free(p, status != SVDGRAD_STATUS_SUCCESS);
  return status;
}

/* ---- backward ---- */

static int is_moderate_problem(const problem_t *p, int64_t b) {
  return p->info[b] == SVDGRAD_INFO_OK && !(p->absent & (NO_U | NO_VH)) && p->desc.gap_policy == SVDGRAD_GAP_DEFAULT &&
         fabs(p->alpha) <= 1e3 && p->beta == 0 && all_parts(&p->A, b, is_moderate) &&
         all_parts(&p->gS, b, is_moderate) && all_parts(&p->gU, b, is_moderate) && all_parts(&p->gVh, b, is_moderate);
}

static void check_backward(const problem_t *p, svdgrad_status_t status, int factors_known) {
  const operand_t *const inputs[] = {&p->A, &p->S, &p->U, &p->Vh, &p->gS, &p->gU, &p->gVh};
  for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++)
    PROPERTY(unchanged(inputs[i]), "input %zu written", i);
  if (status) {
    PROPERTY(unchanged(&p->gA), "gA written");
    for (size_t i = 0; i < sizeof p->report; i++)
      PROPERTY(((const unsigned char *)p->report)[i] == CANARY, "report written");
    return;
  }
  check_written(&p->gA, "gA");
  for (int64_t b = 0; b < p->desc.batch_count && factors_known && p->desc.m && p->desc.n; b++)
    PROPERTY(!is_moderate_problem(p, b) || all_parts(&p->gA, b, is_finite), "matrix %d", (int)b);
}

static void backward(reader_t *reader, problem_t *p, int factors_known) {
  operand_t *const all[] = {&p->A, &p->S, &p->U, &p->Vh, &p->gS, &p->gU, &p->gVh, &p->gA};
  const int wild = take_below(reader, 8) == 7, with_report = take_below(reader, 8) != 7;
  workspace_take(reader, p, SVDGRAD_OP_SVD_BACKWARD);
  p->alpha = wild ? take_wild_real(reader) : take_moderate(reader);
  p->beta = wild ? take_wild_real(reader) : 0;
  memset(p->report, CANARY, sizeof p->report);
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    remember(all[i]);
  const svdgrad_status_t status = svdgrad_svd_backward(
      p->handle, NULL, &p->desc, p->absent & NO_A ? NULL : &p->A.matrix, p->absent & NO_S ? NULL : &p->S.vector,
      p->absent & NO_U ? NULL : &p->U.matrix, p->absent & NO_VH ? NULL : &p->Vh.matrix,
      p->absent & NO_GS ? NULL : &p->gS.vector, p->absent & NO_GU ? NULL : &p->gU.matrix,
      p->absent & NO_GVH ? NULL : &p->gVh.matrix, p->alpha, p->beta, p->absent & NO_GA ? NULL : &p->gA.matrix,
      with_report ? p->report : NULL, p->work, p->work_bytes);
  check_status(status, "svdgrad_svd_backward");
  check_backward(p, status, factors_known);
  workspace_free(p, status != SVDGRAD_STATUS_SUCCESS);
}

/* ---- functions of the singular values ---- */

/* Mostly a right one.  V f(S) Vh is n-by-n, which must lie within the m-by-n of gA. */
static svdgrad_function_t take_function(reader_t *reader, const problem_t *p) {
  svdgrad_function_t function = SVDGRAD_FUNCTION_INIT;
  const unsigned byte = take_byte(reader);
  function.kind = (svdgrad_function_kind_t)(byte % 10);
  function.form = (svdgrad_form_t)(p->desc.m >= p->desc.n && byte & 16 ? SVDGRAD_FORM_VVH : SVDGRAD_FORM_UVH);
  function.param = byte & 32 ? take_wild_real(reader) : byte & 64 ? take_below(reader, 8) : take_moderate(reader);
  function.struct_size -= byte >> 5 == 7;
  function.f = p->S.vector;
  function.df = p->gS.vector;
  return function;
}

/* What a call that has written to `output` alone, its first rows, or failed, leaves. */
static void check_output(const problem_t *p, svdgrad_status_t status, const char *function, const operand_t *output,
                         int64_t rows, const char *name) {
  operand_t written = *output;
  written.extent[0] = rows;
  const operand_t *const all[] = {&p->A, &p->S, &p->U, &p->Vh, &p->gS, &p->gA};
  check_status(status, function);
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    PROPERTY(all[i] == output || unchanged(all[i]), "%s: operand %zu written", function, i);
  if (status)
    PROPERTY(unchanged(output), "%s: %s written", function, name);
  else
    check_written(&written, name);
}

static void remember_all(problem_t *p) {
  operand_t *const all[] = {&p->A, &p->S, &p->U, &p->Vh, &p->gS, &p->gA};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    remember(all[i]);
}

/* Y in place of gA, and then gA with A as the cotangent. */
static void functions(reader_t *reader, problem_t *p) {
  const svdgrad_function_t f = take_function(reader, p);
  remember_all(p);
  workspace_take(reader, p, SVDGRAD_OP_MATRIX_FUNCTION);
  svdgrad_status_t status = svdgrad_matrix_function(p->handle, NULL, &p->desc, &f, &p->S.vector, &p->U.matrix,
                                                    &p->Vh.matrix, &p->gA.matrix, p->work, p->work_bytes);
  check_output(p, status, "svdgrad_matrix_function", &p->gA, f.form == SVDGRAD_FORM_VVH ? p->desc.n : p->gA.extent[0],
               "Y");
  workspace_free(p, status != SVDGRAD_STATUS_SUCCESS);
  remember_all(p);
  workspace_take(reader, p, SVDGRAD_OP_MATRIX_FUNCTION_BACKWARD);
  status =
      svdgrad_matrix_function_backward(p->handle, NULL, &p->desc, &f, &p->S.vector, &p->U.matrix, &p->Vh.matrix,
                                       &p->A.matrix, p->alpha, p->beta, &p->gA.matrix, NULL, p->work, p->work_bytes);
  check_output(p, status, "svdgrad_matrix_function_backward", &p->gA, p->gA.extent[0], "gA");
  workspace_free(p, status != SVDGRAD_STATUS_SUCCESS);
}

/* Values alone, in the first places of S, if it has any. */
static void norms(reader_t *reader, problem_t *p) {
  if (p->S.extent[0] == 0)
    return;
  const svdgrad_norm_kind_t kind = (svdgrad_norm_kind_t)take_below(reader, 5);
  const double exponent = take_below(reader, 4) == 3 ? take_wild_real(reader) : take_moderate(reader);
  remember_all(p);
  workspace_take(reader, p, SVDGRAD_OP_NORM);
  const svdgrad_status_t status = svdgrad_norm(p->handle, NULL, &p->desc, kind, exponent, &p->A.matrix, &p->S.vector,
                                               &p->gS.vector, p->alpha, p->beta, NULL, p->info, p->work, p->work_bytes);
  check_output(p, status, "svdgrad_norm", &p->S, 1, "value");
  workspace_free(p, status != SVDGRAD_STATUS_SUCCESS);
}

/* det in the first place of U, if it has any, with both gradients of which A can be one. */
static void determinants(reader_t *reader, problem_t *p) {
  const svdgrad_vector_t det = {p->U.matrix.data, 1, p->U.stride[2]},
                         g_log_abs = {p->gS.matrix.data, 1, p->gS.stride[2]};
  if (p->U.extent[0] == 0 || p->U.extent[1] == 0)
    return;
  remember_all(p);
  workspace_take(reader, p, SVDGRAD_OP_DETERMINANT);
  svdgrad_status_t status = svdgrad_determinant(p->handle, NULL, &p->desc, &p->A.matrix, &det, NULL, NULL, NULL, NULL,
                                                NULL, p->alpha, p->beta, NULL, p->info, p->work, p->work_bytes);
  operand_t first = p->U;
  first.extent[0] = first.extent[1] = 1;
  check_status(status, "svdgrad_determinant");
  PROPERTY(unchanged(&p->A) && unchanged(&p->gA), "svdgrad_determinant: an operand written");
  if (status)
    PROPERTY(unchanged(&p->U), "svdgrad_determinant: det written");
  else
    check_written(&first, "det");
  workspace_free(p, status != SVDGRAD_STATUS_SUCCESS);
  remember_all(p);
  workspace_take(reader, p, SVDGRAD_OP_DETERMINANT_GRADIENT);
  status = svdgrad_determinant(p->handle, NULL, &p->desc, &p->A.matrix, NULL, NULL, NULL, &det, NULL, &g_log_abs,
                               p->alpha, p->beta, &p->gA.matrix, p->info, p->work, p->work_bytes);
  check_output(p, status, "svdgrad_determinant", &p->gA, p->gA.extent[0], "gA");
  workspace_free(p, status != SVDGRAD_STATUS_SUCCESS);
}

/* ---- entry ---- */

static svdgrad_handle_t handle_of(int backend) {
  static svdgrad_handle_t handles[2];
  if (!handles[backend] && svdgrad_create((svdgrad_backend_t)backend, 0, &handles[backend]))
    abort();
  return handles[backend];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  reader_t reader = {data, size};
  const unsigned first = take_byte(&reader);
  problem_t p = {.handle = handle_of((int)(first & 1)), .op = (svdgrad_op_t)(first >> 1 & 3)};
  p.desc = take_desc(&reader);
  for (int wild = (first & 0x38) == 0x38 ? 1 + (int)(first >> 6) : 0; wild > 0; wild--)
    make_wild(&reader, &p.desc, &p.op);
  check_queries(&p);
  if (!is_small(&p.desc))
    return 0;
  /* Each operand is absent once in a while: two bytes must agree. */
  p.absent = take_byte(&reader);
  p.absent &= take_byte(&reader);
  take_operands(&reader, &p);
  const svdgrad_status_t status = forward(&reader, &p);
  backward(&reader, &p, status == SVDGRAD_STATUS_SUCCESS);
  functions(&reader, &p);
  norms(&reader, &p);
  determinants(&reader, &p);
  free_operands(&p);
  p.op = (svdgrad_op_t)take_below(&reader, 14);
  check_queries(&p);
  return 0;
}
