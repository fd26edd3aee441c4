/* Products of matrices that lie by rows, and the exponential, written so that compilers vectorise them.

   Compiled once per type: -DREAL=float, -DREAL=double. Widths are padded to a multiple of PAD, so that no loop has a
   remainder. Called for matrices so small or slim that calling a library costs more than the arithmetic. */

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef REAL real;

#define LEAST (sizeof(real) == 4 ? FLT_MIN : DBL_MIN)
#define LARGEST (sizeof(real) == 4 ? FLT_MAX : DBL_MAX)
/* marginals.largest_difference */
#define SMALLEST (1e8 * LEAST)

typedef real vec __attribute__((vector_size(32), may_alias));
typedef real half __attribute__((vector_size(16), may_alias));

enum { LANES = sizeof(vec) / sizeof(real), PAD = 2 * LANES, ROWS = 5, TILE = 4096 / sizeof(real) };

#define INLINE static inline __attribute__((always_inline))

static int64_t padded(int64_t width) { return (width + PAD - 1) / PAD * PAD; }

INLINE void some_rows(int rows, real *out, const real *left, int64_t stride, const real *right, int64_t m, int64_t w) {
    vec sums[ROWS][2] = {{{0}}};
    for (int64_t c = 0; c < m; c++) {
        const vec *r = (const vec *)(right + c * w);
        for (int j = 0; j < rows; j++) {
            sums[j][0] += left[j * stride + c] * r[0];
            sums[j][1] += left[j * stride + c] * r[1];
        }
    }
    for (int j = 0; j < rows; j++) memcpy(out + j * w, sums[j], sizeof sums[j]);
}

/* out (k, w) = left (k, m; rows `stride` apart) right (m, w) */
static void product(real *out, const real *left, int64_t stride, const real *right, int64_t k, int64_t m, int64_t w) {
    for (int64_t c = 0; c < w; c += PAD)
        for (int64_t j = 0; j < k; j += ROWS) {
            real *o = out + j * w + c;
            const real *l = left + j * stride, *r = right + c;
            switch (k - j) {
                case 1: some_rows(1, o, l, stride, r, m, w); break;
                case 2: some_rows(2, o, l, stride, r, m, w); break;
                case 3: some_rows(3, o, l, stride, r, m, w); break;
                case 4: some_rows(4, o, l, stride, r, m, w); break;
                default: some_rows(ROWS, o, l, stride, r, m, w);
            }
        }
}

INLINE real sum_of(vec lanes) {
    half halves[2];
    memcpy(halves, &lanes, sizeof lanes);
    const half sums = halves[0] + halves[1];
    real sum = 0;
    for (int lane = 0; lane < LANES / 2; lane++) sum += sums[lane];
    return sum;
}

INLINE void some_dots(int rows, int others, real *out, int64_t stride, const real *x, const real *y, int64_t w,
                      int64_t tile) {
    vec sums[ROWS][2] = {{{0}}};
    for (int64_t c = 0; c < tile; c += LANES)
        for (int j = 0; j < rows; j++)
            for (int l = 0; l < others; l++) sums[j][l] += *(vec *)(x + j * w + c) * *(vec *)(y + l * w + c);
    for (int j = 0; j < rows; j++)
        for (int l = 0; l < others; l++) out[j * stride + l] += sum_of(sums[j][l]);
}

/* out (k, m; rows `stride` apart) = x (k, w) y (m, w)^T; if symmetric, at least what lies on and above the diagonal */
static void dots(real *out, int64_t stride, const real *x, const real *y, int64_t k, int64_t m, int64_t w,
                 int symmetric) {
    for (int64_t j = 0; j < k; j++) memset(out + j * stride, 0, m * sizeof(real));
    for (int64_t from = 0; from < w; from += TILE)
        for (int64_t j = 0; j < k; j += ROWS)
            for (int64_t l = symmetric ? j / 2 * 2 : 0; l < m; l += 2) {
                const int64_t tile = w - from < TILE ? w - from : TILE;
                real *o = out + j * stride + l;
                const real *p = x + j * w + from, *q = y + l * w + from;
#define DOTS(r) m - l > 1 ? some_dots(r, 2, o, stride, p, q, w, tile) : some_dots(r, 1, o, stride, p, q, w, tile)
                switch (k - j) {
                    case 1: DOTS(1); break;
                    case 2: DOTS(2); break;
                    case 3: DOTS(3); break;
                    case 4: DOTS(4); break;
                    default: DOTS(ROWS);
                }
            }
}

enum { SINGLE = sizeof(real) == 4, DIGITS = SINGLE ? 23 : 52, BIAS = SINGLE ? 127 : 1023 };
typedef __typeof__(__builtin_choose_expr(SINGLE, (int32_t)0, (int64_t)0)) bits;

/* e^x for x < 88: 2^whole times the exponential series of what is left, or zero where products would be subnormal. */
INLINE real power(real x) {
    const real least = SINGLE ? -65 : -640, nothing = SINGLE ? -88 : -709;
    const real magic = SINGLE ? 12582912. : 6755399441055744.; /* adding it rounds to a whole number */
    const real high = SINGLE ? .693359375 : 6.93147180369123816490e-1; /* ln 2, in two parts */
    const real low = SINGLE ? -2.12194440054690583e-4 : 1.90821492927058770002e-10;
    x = x > least ? x : nothing;
    const real shifted = x * (real)1.4426950408889634 + magic, whole = shifted - magic;
    const real r = (x - whole * high) - whole * low;
    real sum = SINGLE ? 1. / 5040 : 1. / 6227020800;
    if (!SINGLE) {
        sum = sum * r + (real)(1. / 479001600);
        sum = sum * r + (real)(1. / 39916800);
        sum = sum * r + (real)(1. / 3628800);
        sum = sum * r + (real)(1. / 362880);
        sum = sum * r + (real)(1. / 40320);
        sum = sum * r + (real)(1. / 5040);
    }
    sum = sum * r + (real)(1. / 720);
    sum = sum * r + (real)(1. / 120);
    sum = sum * r + (real)(1. / 24);
    sum = sum * r + (real)(1. / 6);
    sum = (sum * r + (real).5) * r * r + r + 1;
    bits exponent;
    real scale;
    memcpy(&exponent, &shifted, sizeof exponent);
    exponent = (bits)(((uint64_t)exponent << DIGITS) + ((uint64_t)BIAS << DIGITS));
    memcpy(&scale, &exponent, sizeof scale);
    return sum * scale;
}

/* Solves matrix x = right in place of right, by Cholesky; reads the upper triangle. */
static void solve(real *matrix, real *right, int64_t k) {
    for (int64_t i = 0; i < k; i++) {
        real *row = matrix + i * k;
        const real root = sqrt(row[i] > 1e-30 ? row[i] : 1e-30);
        for (int64_t j = i; j < k; j++) row[j] /= root;
        right[i] /= root;
        for (int64_t l = i + 1; l < k; l++) {
            for (int64_t j = l; j < k; j++) matrix[l * k + j] -= row[l] * row[j];
            right[l] -= row[l] * right[i];
        }
    }
    for (int64_t i = k - 1; i >= 0; i--) {
        for (int64_t j = i + 1; j < k; j++) right[i] -= matrix[i * k + j] * right[j];
        right[i] /= matrix[i * k + i];
    }
}
