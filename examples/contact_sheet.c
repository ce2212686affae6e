/* SPDX-License-Identifier: BSD-3-Clause */
#include "contact_sheet.h"

#include <math.h>
#include <png.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
  ZOOM = 8,       /* screen pixels per image pixel */
  GAP = 6,        /* between tiles */
  GROUP_GAP = 20, /* between groups of rows */
  MARGIN = 16,
  TEXT_ZOOM = 2,
  GLYPH_W = 5,
  GLYPH_H = 7,
  CHAR_W = (GLYPH_W + 1) * TEXT_ZOOM,
  LINE_H = (GLYPH_H + 4) * TEXT_ZOOM
};

typedef struct color {
  uint8_t r, g, b;
} color_t;

static const color_t BACKGROUND = {214, 219, 226}, TEXT = {30, 34, 42}, HOLE = {240, 120, 20};

typedef struct canvas {
  int width, height;
  uint8_t *rgb;
} canvas_t;

/* 5x7 bitmap font: one byte per line from the top, bit 4 is the leftmost dot. */
static const char GLYPHS[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ.:%";
static const uint8_t FONT[][GLYPH_H] = {
    {14, 17, 19, 21, 25, 17, 14}, {4, 12, 4, 4, 4, 4, 14},      {14, 17, 1, 2, 4, 8, 31},
    {31, 2, 4, 2, 1, 17, 14},     {2, 6, 10, 18, 31, 2, 2},     {31, 16, 30, 1, 1, 17, 14},
    {6, 8, 16, 30, 17, 17, 14},   {31, 1, 2, 4, 8, 8, 8},       {14, 17, 17, 14, 17, 17, 14},
    {14, 17, 17, 15, 1, 2, 12},   {14, 17, 17, 31, 17, 17, 17}, {30, 17, 17, 30, 17, 17, 30},
    {14, 17, 16, 16, 16, 17, 14}, {30, 17, 17, 17, 17, 17, 30}, {31, 16, 16, 30, 16, 16, 31},
    {31, 16, 16, 30, 16, 16, 16}, {14, 17, 16, 23, 17, 17, 15}, {17, 17, 17, 31, 17, 17, 17},
    {14, 4, 4, 4, 4, 4, 14},      {7, 2, 2, 2, 2, 18, 12},      {17, 18, 20, 24, 20, 18, 17},
    {16, 16, 16, 16, 16, 16, 31}, {17, 27, 21, 21, 17, 17, 17}, {17, 17, 25, 21, 19, 17, 17},
    {14, 17, 17, 17, 17, 17, 14}, {30, 17, 17, 30, 16, 16, 16}, {14, 17, 17, 17, 21, 18, 13},
    {30, 17, 17, 30, 20, 18, 17}, {15, 16, 16, 14, 1, 1, 30},   {31, 4, 4, 4, 4, 4, 4},
    {17, 17, 17, 17, 17, 17, 14}, {17, 17, 17, 17, 17, 10, 4},  {17, 17, 17, 21, 21, 21, 10},
    {17, 17, 10, 4, 10, 17, 17},  {17, 17, 17, 10, 4, 4, 4},    {31, 1, 2, 4, 8, 16, 31},
    {0, 0, 0, 0, 0, 12, 12},      {0, 12, 12, 0, 12, 12, 0},    {24, 25, 2, 4, 8, 19, 3}};

static void fill_rect(canvas_t *canvas, int x, int y, int width, int height, color_t color) {
  for (int row = y; row < y + height; row++)
    for (int col = x; col < x + width; col++) {
      uint8_t *dot = canvas->rgb + 3 * ((size_t)row * (size_t)canvas->width + (size_t)col);
      dot[0] = color.r;
      dot[1] = color.g;
      dot[2] = color.b;
    }
}

static int text_width(const char *text) { return (int)strlen(text) * CHAR_W; }

static void draw_text(canvas_t *canvas, int x, int y, const char *text) {
  for (; *text; text++, x += CHAR_W) {
    const char *glyph = strchr(GLYPHS, *text);
    if (!glyph)
      continue; /* a blank */
    for (int row = 0; row < GLYPH_H; row++)
      for (int col = 0; col < GLYPH_W; col++)
        if (FONT[glyph - GLYPHS][row] >> (GLYPH_W - 1 - col) & 1)
          fill_rect(canvas, x + col * TEXT_ZOOM, y + row * TEXT_ZOOM, TEXT_ZOOM, TEXT_ZOOM, TEXT);
  }
}

static color_t ink_color(float ink) {
  if (isnan(ink))
    return HOLE;
  uint8_t grey = (uint8_t)lrintf(255.0f * (1.0f - fminf(fmaxf(ink, 0.0f), 1.0f)));
  return (color_t){grey, grey, grey};
}

static void draw_tile(canvas_t *canvas, int x, int y, int side, const float *tile) {
  for (int row = 0; row < side; row++)
    for (int col = 0; col < side; col++)
      fill_rect(canvas, x + col * ZOOM, y + row * ZOOM, ZOOM, ZOOM, ink_color(tile[row * side + col]));
}

/* Width of the column that holds the row labels. */
static int label_width(const contact_sheet_t *sheet) {
  int width = 0;
  for (int i = 0; i < sheet->rows_per_group; i++) {
    int w = text_width(sheet->row_labels[i]);
    width = w > width ? w : width;
  }
  return width + GAP;
}

/* Where tile (row, col) begins; tile (rows, cols) would begin where the grid has ended. */
static int tile_x(const contact_sheet_t *sheet, int col) {
  return MARGIN + label_width(sheet) + col * (sheet->side * ZOOM + GAP);
}

static int tile_y(const contact_sheet_t *sheet, int row) {
  return MARGIN + LINE_H + row * (sheet->side * ZOOM + GAP) + row / sheet->rows_per_group * (GROUP_GAP - GAP);
}

static void draw_grid(canvas_t *canvas, const contact_sheet_t *sheet) {
  const int size = sheet->side * ZOOM, pixels = sheet->side * sheet->side;
  for (int col = 0; col < sheet->cols; col++) {
    const char *label = sheet->col_labels[col];
    draw_text(canvas, tile_x(sheet, col) + (size - text_width(label)) / 2, MARGIN, label);
  }
  for (int row = 0; row < sheet->rows; row++) {
    draw_text(canvas, MARGIN, tile_y(sheet, row) + (size - GLYPH_H * TEXT_ZOOM) / 2,
              sheet->row_labels[row % sheet->rows_per_group]);
    for (int col = 0; col < sheet->cols; col++)
      draw_tile(canvas, tile_x(sheet, col), tile_y(sheet, row), sheet->side,
                sheet->tiles + (size_t)(row * sheet->cols + col) * (size_t)pixels);
  }
  for (int line = 0; sheet->captions[line]; line++)
    draw_text(canvas, MARGIN, tile_y(sheet, sheet->rows) + line * LINE_H, sheet->captions[line]);
}

static canvas_t canvas_for(const contact_sheet_t *sheet) {
  int lines = 0, width = tile_x(sheet, sheet->cols) - GAP;
  for (; sheet->captions[lines]; lines++) {
    int w = MARGIN + text_width(sheet->captions[lines]);
    width = w > width ? w : width;
  }
  canvas_t canvas = {width + MARGIN, tile_y(sheet, sheet->rows) + lines * LINE_H + MARGIN, NULL};
  canvas.rgb = malloc(3 * (size_t)canvas.width * (size_t)canvas.height);
  return canvas;
}

const char *contact_sheet_write(const contact_sheet_t *sheet, const char *path) {
  static png_image image; /* static: the message in it outlives this call */
  canvas_t canvas = canvas_for(sheet);
  if (!canvas.rgb)
    return "out of memory";
  fill_rect(&canvas, 0, 0, canvas.width, canvas.height, BACKGROUND);
  draw_grid(&canvas, sheet);

  memset(&image, 0, sizeof image);
  image.version = PNG_IMAGE_VERSION;
  image.width = (png_uint_32)canvas.width;
  image.height = (png_uint_32)canvas.height;
  image.format = PNG_FORMAT_RGB;
  int written = png_image_write_to_file(&image, path, 0, canvas.rgb, 0, NULL);
  free(canvas.rgb);
  return written ? NULL : image.message;
}
