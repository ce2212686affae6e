/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file svdgrad.h
 * @brief Batched, differentiable singular value decomposition on CPU and CUDA.
 *
 * For every matrix of a batch, A = U diag(S) Vh with k = min(m, n) (or the leading
 * `rank` triplets), and the derivatives of that map.  Names follow numpy.linalg.svd:
 * `Vh` is returned, never `V`.  `gX` is the gradient (cotangent) of X, `dX` a tangent.
 *
 * Rules that hold for every compute function:
 *  - Work is enqueued on `stream` and the call returns.  It never synchronizes, allocates,
 *    frees, or copies to the host; every CUDA path can be captured in a CUDA graph unless
 *    svdgrad_is_capturable() says otherwise.  `stream` is a `cudaStream_t`; the CPU
 *    backends need NULL and have finished on return.
 *  - Pointers lie in the backend's memory (device for CUDA).  Inputs are never written.
 *    Outputs must not overlap inputs, `work` or each other (gA with beta != 0 is read).
 *  - A non-zero status means that nothing was enqueued; BACKEND_ERROR alone may leave the
 *    outputs undefined.  Numerical trouble is reported per matrix in `info`, never as a status.
 *  - m, n or batch_count of 0 is a valid quick return.
 *  - The result for one matrix is bitwise the same whatever the batch size, its place in the
 *    batch, and the number of threads.
 *  - A handle may be used by any number of threads at once.
 */
#ifndef SVDGRAD_H
#define SVDGRAD_H
#include <stddef.h>
#include <stdint.h>
#include <svdgrad/export.h>  /* generated: SVDGRAD_API */
#include <svdgrad/version.h> /* generated: SVDGRAD_VERSION_MAJOR, _MINOR, _PATCH */
#ifdef __cplusplus
extern "C" {
#endif

/** Status of a call.  Values are ABI: never renumber, only append. */
typedef enum {
  SVDGRAD_STATUS_SUCCESS = 0,
  SVDGRAD_STATUS_INVALID_ARGUMENT = 1, /**< a size, stride, pointer or enum is wrong */
  SVDGRAD_STATUS_NOT_SUPPORTED = 2,    /**< valid, but not by this backend or algorithm */
  SVDGRAD_STATUS_WORKSPACE_TOO_SMALL = 3,
  SVDGRAD_STATUS_OUT_OF_MEMORY = 4,       /**< only from svdgrad_create() */
  SVDGRAD_STATUS_BACKEND_UNAVAILABLE = 5, /**< not compiled in, or no device, or no driver */
  SVDGRAD_STATUS_BACKEND_ERROR = 6        /**< CUDA, cuSOLVER or LAPACK reported an error */
} svdgrad_status_t;

typedef enum { SVDGRAD_BACKEND_REF = 0, SVDGRAD_BACKEND_CPU = 1, SVDGRAD_BACKEND_CUDA = 2 } svdgrad_backend_t;
/** Element types; LAPACK s, d, c, z.  S, gS and tolerances are always the real type. */
typedef enum { SVDGRAD_F32 = 0, SVDGRAD_F64 = 1, SVDGRAD_C64 = 2, SVDGRAD_C128 = 3 } svdgrad_dtype_t;
/** AUTO picks from (backend, op, dtype, m, n) alone; JACOBI is our own kernels; VENDOR is LAPACK gesdd
 *  on the CPU and cuSOLVER (gesvdjBatched where it applies) on CUDA. */
typedef enum { SVDGRAD_ALGO_AUTO = 0, SVDGRAD_ALGO_JACOBI = 1, SVDGRAD_ALGO_VENDOR = 2 } svdgrad_algo_t;
/** What the backward pass does with 1/(s_j - s_i) when the gap is small; eps is that of the real type, c = 4.
 *  Every policy but EXACT also drops (minimum norm) what is divided by s_i or s_i + s_j <= c*eps*s_1. */
typedef enum {
  SVDGRAD_GAP_DEFAULT = 0,     /**< exact, except gaps <= c*eps*s_1, whose term is dropped and reported */
  SVDGRAD_GAP_EXACT = 1,       /**< never dropped; ties give Inf or NaN, as the mathematics does */
  SVDGRAD_GAP_MASK = 2,        /**< dropped at gaps <= gap_param * s_1 */
  SVDGRAD_GAP_NOISE_FLOOR = 3, /**< DEFAULT, and dropped where |X+Y|_ij <= 16 eps (max|gU_j| + max|gV_j|), that is
                                    where the gauge part is rounding noise: for gauge-invariant losses */
  SVDGRAD_GAP_LORENTZ = 4      /**< 1/x becomes x/(x^2 + (gap_param*s_1)^2): Liao et al., PRX 9, 031041 (2019) */
} svdgrad_gap_policy_t;
typedef enum {
  SVDGRAD_OP_SVD = 0,
  SVDGRAD_OP_SVDVALS = 1, /**< svdgrad_svd() with U and Vh NULL */
  SVDGRAD_OP_SVD_BACKWARD = 2,
  SVDGRAD_OP_SVD_JVP = 3
} svdgrad_op_t;

/** Values of `info[b]`, the same on every backend. */
#define SVDGRAD_INFO_OK            0
#define SVDGRAD_INFO_NOT_CONVERGED 1 /**< sweep limit reached; outputs are the last iterate */
#define SVDGRAD_INFO_NONFINITE     2 /**< NaN or Inf in the input; this matrix's outputs are NaN */

typedef struct svdgrad_context *svdgrad_handle_t; /**< opaque */

/** The problem.  Initialize with SVDGRAD_DESC_INIT, then set fields.  Append-only. */
typedef struct svdgrad_desc {
  size_t struct_size; /**< sizeof(svdgrad_desc_t) as the caller was compiled */
  svdgrad_dtype_t dtype;
  svdgrad_algo_t algo;
  int64_t m, n, batch_count;
  int64_t rank;           /**< leading triplets wanted; 0: min(m, n) */
  int32_t full_matrices;  /**< non-zero: U is m-by-m and Vh n-by-n, gU and gVh too (then rank must be 0) */
  int32_t positive_gauge; /**< non-zero: the largest |entry| of every column of U is real and positive */
  int32_t max_sweeps;     /**< Jacobi sweeps after which info says NOT_CONVERGED; 0: default */
  svdgrad_gap_policy_t gap_policy;
  double gap_param; /**< of MASK and LORENTZ, relative to s_1; finite and >= 0 */
} svdgrad_desc_t;
#define SVDGRAD_DESC_INIT                                                                                              \
  { sizeof(svdgrad_desc_t), SVDGRAD_F32, SVDGRAD_ALGO_AUTO, 0, 0, 0, 0, 0, 0, 0, SVDGRAD_GAP_DEFAULT, 0.0 }

/** Strided batch of matrices: element (b,i,j) is data[b*batch_stride + i*row_stride + j*col_stride].
 *  Strides count elements and are positive.  Row-major: {p, ld, 1, s}; column-major (LAPACK): {p, 1, ld, s}.
 *  Any nested strides will do: each at least the span of all smaller ones (those of extent 1 are ignored).
 *  An input may have batch_stride 0 (one matrix for the whole batch). */
typedef struct svdgrad_matrix {
  void *data;
  int64_t row_stride, col_stride, batch_stride;
} svdgrad_matrix_t;
/** Strided batch of vectors: element (b,i) is data[b*batch_stride + i*stride]. */
typedef struct svdgrad_vector {
  void *data;
  int64_t stride, batch_stride;
} svdgrad_vector_t;

/** How far one gradient can be trusted; one per matrix, in the backend's memory. */
typedef struct svdgrad_report {
  double min_gap;        /**< smallest |s_i - s_j| / s_1 that the gradient depended on (pairs with X+Y = 0 do not
                              count, dropped ones do); Inf if none */
  double gauge_residual; /**< largest |Im diag(U^H gU + V^H gV)|, with full_matrices also the largest entry of
                              U2^H gU2 - (U2^H gU2)^H of the extra columns U2 (V2 alike), relative to |gU|+|gV|;
                              0 for real types without extra columns */
  double amplification;  /**< largest |X+Y|_ij / |s_i - s_j| that entered gA */
  int32_t dropped_pairs; /**< pairs (i, j) of which a term was dropped, and i whose term in 1/s_i was */
  int32_t flags;         /**< bit 0: a term was dropped; 1: gauge-dependent loss (the gauge residual, or X+Y at a tie,
                              is above rounding noise); 2: the cut at `rank` splits a cluster */
} svdgrad_report_t;

SVDGRAD_API int svdgrad_version(void); /**< 10000*major + 100*minor + patch, of the library */
SVDGRAD_API const char *svdgrad_status_string(svdgrad_status_t status); /**< never NULL */
/** Text of this thread's last failure, e.g. "svdgrad_svd: U.col_stride is 3, must be >= m = 4".  Never NULL; valid
 *  until this thread's next failure. */
SVDGRAD_API const char *svdgrad_last_error_message(void);

/** Create a context; `device` is the CUDA device, and ignored by the CPU backends.  The only function that allocates
 *  or may synchronize.  @return OUT_OF_MEMORY, BACKEND_UNAVAILABLE (with the reason in the message) */
SVDGRAD_API svdgrad_status_t svdgrad_create(svdgrad_backend_t backend, int device, svdgrad_handle_t *handle);
SVDGRAD_API svdgrad_status_t svdgrad_destroy(svdgrad_handle_t handle); /**< NULL is a no-op */

/** CPU backends: run body(first, last, arg) over [0, count) in disjoint pieces, each of at least `grain` items
 *  where that many are left.  Replaces the built-in threads, so that a framework can lend its own pool.
 *  Must return only when every piece has run.  A piece needs 32 KiB of stack beside LAPACK's. */
typedef void (*svdgrad_parallel_for_t)(void *pool, int64_t count, int64_t grain,
                                       void (*body)(int64_t first, int64_t last, void *arg), void *arg);
/** `run` NULL gives the built-in threads back.  Not while another thread uses the handle. */
SVDGRAD_API svdgrad_status_t svdgrad_set_parallel_for(svdgrad_handle_t handle, svdgrad_parallel_for_t run, void *pool);
/** Built-in threads (OpenMP) of one call; 0: all cores.  Not while another thread uses the handle. */
SVDGRAD_API svdgrad_status_t svdgrad_set_num_threads(svdgrad_handle_t handle, int num_threads);

/** Bytes of workspace that `op` needs for `desc`: a pure function of its arguments, linear in
 *  batch_count, alignment 256.  @param[out] bytes may be 0 */
SVDGRAD_API svdgrad_status_t svdgrad_workspace_size(svdgrad_handle_t handle, svdgrad_op_t op,
                                                    const svdgrad_desc_t *desc, size_t *bytes);
/** Name of the algorithm that desc->algo takes (AUTO: the one chosen), e.g. "jacobi-simd-avx512", "lapack-gesdd",
 *  "cusolver-gesvdjBatched".  NULL, with a message, if an argument is wrong or the algorithm not supported. */
SVDGRAD_API const char *svdgrad_algorithm_name(svdgrad_handle_t handle, svdgrad_op_t op, const svdgrad_desc_t *desc);
/** Non-zero if the call that (op, desc) describes can be captured in a CUDA graph. */
SVDGRAD_API int svdgrad_is_capturable(svdgrad_handle_t handle, svdgrad_op_t op, const svdgrad_desc_t *desc);

/** SVD of each matrix, singular values in descending order; U and Vh have orthonormal columns and rows, also at zero
 *  singular values.  Without them a backend may take another algorithm, and S may differ in its last bits.
 *  @param[in]  A     m-by-n
 *  @param[out] S     length k (or rank), real
 *  @param[out] U     m-by-k (rank; m if full_matrices), or NULL
 *  @param[out] Vh    k-by-n (rank; n if full_matrices), or NULL;  both NULL: values only
 *  @param[out] info  batch_count status words (SVDGRAD_INFO_*)
 *  @param      work  svdgrad_workspace_size(handle, SVDGRAD_OP_SVD, ...) bytes, SVDGRAD_OP_SVDVALS if values only;
 *                    aligned to 256 bytes; NULL if that is 0
 *  @return INVALID_ARGUMENT, WORKSPACE_TOO_SMALL, NOT_SUPPORTED (desc->algo on this backend), or BACKEND_ERROR */
SVDGRAD_API svdgrad_status_t svdgrad_svd(svdgrad_handle_t handle, void *stream, const svdgrad_desc_t *desc,
                                         const svdgrad_matrix_t *A, const svdgrad_vector_t *S,
                                         const svdgrad_matrix_t *U, const svdgrad_matrix_t *Vh, int32_t *info,
                                         void *work, size_t work_bytes);

/** gA = alpha * (gradient of the loss with respect to A) + beta * gA.
 *
 *  With X = U^H gU - gU^H U, Y = V^H gV - gV^H V and
 *    M_ij = ((X+Y)_ij / (s_j - s_i) + (X-Y)_ij / (s_i + s_j)) / 2 + delta_ij gS_i   (no first term for i = j),
 *    gA = U M Vh + (I - U U^H) gU S^-1 Vh + U S^-1 gV^H (I - V V^H),
 *  which is the formula of Townsend (2016) and of Wan and Zhang (arXiv:1909.02659) with the one singular factor set
 *  apart and no s^2 ever formed.  For rank < min(m, n) the last two terms are exact for the discarded spectrum too
 *  (Francuz, Schuch, Vanhecke, Phys. Rev. Research 7, 013237).
 *
 *  Any of gU, gS, gVh may be NULL, meaning zero; with gU and gVh NULL no gap is ever looked at.
 *  Complex gradients use PyTorch's convention dL/dRe + i dL/dIm.  beta = 0: gA is not read.
 *  @param[in]  A      m-by-n, needed only when rank < min(m, n); NULL (or ignored) otherwise
 *  @param[in]  S,U,Vh factors as svdgrad_svd() returned them (same shapes); the gauge may be any
 *  @param[in]  gS     length k (or rank), real;  gU, gVh: shapes of U and Vh
 *  @param      gA     m-by-n
 *  @param[out] report batch_count reports, or NULL
 *  @param      work   svdgrad_workspace_size(handle, SVDGRAD_OP_SVD_BACKWARD, ...) bytes, aligned to 256 */
SVDGRAD_API svdgrad_status_t svdgrad_svd_backward(svdgrad_handle_t handle, void *stream, const svdgrad_desc_t *desc,
                                                  const svdgrad_matrix_t *A, const svdgrad_vector_t *S,
                                                  const svdgrad_matrix_t *U, const svdgrad_matrix_t *Vh,
                                                  const svdgrad_vector_t *gS, const svdgrad_matrix_t *gU,
                                                  const svdgrad_matrix_t *gVh, double alpha, double beta,
                                                  const svdgrad_matrix_t *gA, svdgrad_report_t *report, void *work,
                                                  size_t work_bytes);
#ifdef __cplusplus
}
#endif
#endif
