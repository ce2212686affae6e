/* SPDX-License-Identifier: BSD-3-Clause */
/* The tables that the typed files of this folder define for each other: everything else in them is static. */
#ifndef SVDGRAD_SIMD_EXPORTED_H
#define SVDGRAD_SIMD_EXPORTED_H
#include "kernels.h"
#include "register.h"

extern const lane_kernels_t EXPORTED(svdgrad_lanes); /* kernels.c */

extern const svd_ops_t EXPORTED(svdgrad_svd_ops);             /* many/svd.c */
extern const svd_ops_t EXPORTED(svdgrad_value_ops);           /* many/values.c */
extern const svd_ops_t EXPORTED(svdgrad_vector_ops);          /* many/vectors.c */
extern const backward_ops_t EXPORTED(svdgrad_backward_ops);   /* many/backward.c */
extern const norm_ops_t EXPORTED(svdgrad_norm_ops);           /* many/small_norm.c */
extern const group_ops_t EXPORTED(svdgrad_program_ops);       /* many/programs.c */
extern const power_ops_t EXPORTED(svdgrad_power_ops);         /* many/power.c */
extern const row_ops_t EXPORTED(svdgrad_row_ops);             /* one/rows.c */
extern const reflector_ops_t EXPORTED(svdgrad_reflector_ops); /* one/reflectors.c */
extern const conquer_ops_t EXPORTED(svdgrad_conquer_ops);     /* one/secular.c */
extern const product_ops_t EXPORTED(svdgrad_product_ops);     /* one/product.c */
#if IS_COMPLEX
extern const product_ops_t REAL_EXPORTED(svdgrad_product_ops);
#endif

/* The same kernel with registers half as wide, whose lanes get the same bits; NULL: there is none. */
#ifdef NARROW_ISA
#define NARROW_EXPORTED(name) TYPED(TYPE_PASTE(name, NARROW_ISA))
#define NARROW(name)          (&NARROW_EXPORTED(name))
extern const svd_ops_t NARROW_EXPORTED(svdgrad_svd_ops), NARROW_EXPORTED(svdgrad_value_ops);
extern const svd_ops_t NARROW_EXPORTED(svdgrad_vector_ops);
extern const backward_ops_t NARROW_EXPORTED(svdgrad_backward_ops);
#else
#define NARROW(name) NULL
#endif

/* The SVD of a group of n-by-n matrices, by n; NULL where svd.c has no kernel for that n alone. */
typedef void (*square_svd_t)(const svd_call_t *call, int64_t first, int count, arena_t scratch);
enum { SMALL_SIZES = 5, FIXED_SIZES = 10 };
extern const square_svd_t EXPORTED(svdgrad_small_svds)[SMALL_SIZES]; /* many/small_sizes.c */
extern const square_svd_t EXPORTED(svdgrad_fixed_svds)[FIXED_SIZES]; /* many/fixed_sizes.c */

#endif
