/* SPDX-License-Identifier: BSD-3-Clause */
/* The SVD of an n-by-n matrix that is zero but for its first row and its diagonal,
 *
 *       z_0 z_1 ... z_(n-1)
 *   M =     d_1
 *               ...
 *                   d_(n-1)      0 = d_0 < d_1 < ... < d_(n-1), no z_j = 0,
 *
 * which divide and conquer is made of (M. Gu, S. C. Eisenstat, SIAM J. Matrix Anal. Appl. 16, 1995).  Its singular
 * values are the roots s_i of
 *
 *   f(s) = 1 + sum_j z_j^2 / (d_j^2 - s^2),      d_i < s_i < d_(i+1).
 *
 * s_i is kept as the pole d_k next to it, and s_i^2 - d_k^2: differences from any pole then lose no digits. */
#ifndef SVDGRAD_LANES_SECULAR_H
#define SVDGRAD_LANES_SECULAR_H
#include "base/team.h"
#include "product.h"

/* Roots, poles or vectors of one thread at a time: a multiple of all lanes. */
enum { SECULAR_PIECE = 64 };

/* Arrays of reals, with room for SECULAR_ROOM entries more than named, which kernels may write. */
enum { SECULAR_ROOM = 16 };

typedef struct secular {
  int64_t n;
  int64_t columns;           /* vectors of so many of the largest roots are wanted; a few more may be written */
  void *d, *z;               /* n */
  void *squares;             /* n: z_j^2 */
  void *origin, *offset;     /* n, of each root: d_k, and s_i^2 - d_k^2 */
  void *distance;            /* n: s_i - d_k */
  void *weights;             /* n: see weigh */
  const int64_t *place;      /* n: the row of the vectors where entry j goes */
  void *placed_d, *placed_z; /* n: d and weights at their places */
  void *left, *right;        /* n-by-n: the vectors of s_(n-1), s_(n-2), .., in columns `stride` reals apart */
  int64_t stride;            /* a multiple of the lanes */
  team_t *team;              /* threads that share roots, poles and vectors */
} secular_t;

/* X <- X G_0 G_1 .. G_(count-1), where G_i takes columns x and y, number i and i + 1, to c x + s y and c y - s x. */
typedef struct rotations {
  int64_t rows, count;       /* rows up to a multiple of the lanes are read and written */
  void *X;                   /* column 0 */
  int64_t stride;            /* reals from a column to the next; may be negative */
  const void *cosine, *sine; /* count */
} rotations_t;

typedef struct conquer_ops {
  int lanes;
  /* d and z -> squares, origin, offset, distance; n >= 2.  Returns 0 if a root did not converge. */
  int (*solve)(const secular_t *secular);
  /* -> weights: the z, with the signs of the given one, for which the computed roots are the exact ones (K. Loewner's
   * formula).  Vectors computed from these are orthogonal to the last digits, however close roots are. */
  void (*weigh)(const secular_t *secular);
  /* -> placed_d, placed_z, left, right: normalized singular vectors of M, rows permuted by `place`. */
  void (*vectors)(const secular_t *secular);
  /* For the QR iteration of small blocks (rotations.h). */
  void (*rotate)(const rotations_t *rotations);
  const product_ops_t *products; /* of reals: the vectors of a block are products of these and those of its parts */
} conquer_ops_t;

#endif
