/* SPDX-License-Identifier: BSD-3-Clause */
/* A grid of small grey images, enlarged and labelled, as a PNG file. */
#ifndef CONTACT_SHEET_H
#define CONTACT_SHEET_H

typedef struct contact_sheet {
  int rows, cols;                /* tiles in the grid */
  int side;                      /* pixels along one edge of a tile */
  int rows_per_group;            /* a wider gap follows every so many rows */
  const float *tiles;            /* [rows][cols][side][side]; 0 is paper, 1 is ink, NaN is a hole */
  const char *const *row_labels; /* [rows_per_group]; text here and below: A-Z, 0-9 and " .:%" */
  const char *const *col_labels; /* [cols] */
  const char *const *captions;   /* lines below the grid, ended by NULL */
} contact_sheet_t;

/* Returns NULL, or what went wrong. */
const char *contact_sheet_write(const contact_sheet_t *sheet, const char *path);

#endif
