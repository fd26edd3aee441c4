/* quadratic.Problem for one small problem: what is given, what is worked on, and what is done with a plan. */

/* n columns, k rows; w and v are n and d, padded. Columns in the padding weigh nothing. `right` holds points, as
   F^T (d, w), or with d = 0 a symmetric matrix (n, w). */
typedef struct {
    int64_t n, k, d, w, v;
    const real *b, *left;
    real *D, *right, *a;
    real *plan, *S, *Q_T, *Q_before, *Q_S, *best, *powers, *ratios, *moved, *turned;
    real *hessian, *steps, *mass, *gap, *potential, *limit, *slope, *last;
} Problem;

#define TAKE(size) (at += padded(size), at - padded(size))

/* Memory for `numbers` more than a problem needs; `right` with it. NULL if there is none. */
static real *reserve(Problem *p, int64_t n, int64_t k, int64_t d, int64_t numbers, real **rest) {
    const int64_t w = padded(n), v = padded(d), inner = k * (d ? v : w), height = d ? d : n;
    const int64_t own = (8 * k + height + 2) * w + 2 * inner + padded(k * k) + 7 * padded(k);
    real *const memory = aligned_alloc(64, (own + numbers) * sizeof(real)), *at = memory;
    if (!memory) return NULL;
    *p = (Problem){.n = n, .k = k, .d = d, .w = w, .v = v};
    p->D = TAKE(k * w), p->plan = TAKE(k * w), p->S = TAKE(k * w), p->powers = TAKE(k * w), p->best = TAKE(k * w);
    p->Q_T = TAKE(k * w), p->Q_before = TAKE(k * w), p->Q_S = TAKE(k * w);
    p->right = TAKE(height * w), p->a = TAKE(w), p->ratios = TAKE(w), p->moved = TAKE(inner), p->turned = TAKE(inner);
    p->hessian = TAKE(k * k), p->steps = TAKE(k), p->mass = TAKE(k), p->gap = TAKE(k), p->potential = TAKE(k);
    p->limit = TAKE(k), p->slope = TAKE(k), p->last = TAKE(k);
    memset(p->moved, 0, inner * sizeof(real));
    *rest = at;
    return memory;
}

/* Rows of n into rows of w; columns beyond repeat the last, so that nothing is undefined there. */
static void pad(real *out, const real *in, int64_t rows, int64_t n, int64_t w) {
    for (int64_t j = 0; j < rows; j++) {
        memcpy(out + j * w, in + j * n, n * sizeof(real));
        for (int64_t c = n; c < w; c++) out[j * w + c] = in[j * n + n - 1];
    }
}

/* out (d, w) = points (n, d), transposed */
static void transpose(real *out, const real *points, int64_t n, int64_t d, int64_t w) {
    for (int64_t from = 0; from < w; from += PAD)
        for (int64_t j = 0; j < d; j++)
            for (int64_t c = from; c < from + PAD; c++) out[j * w + c] = points[(c < n ? c : n - 1) * d + j];
}

static void weigh(const Problem *p, const real *a) {
    memcpy(p->a, a, p->n * sizeof(real));
    memset(p->a + p->n, 0, (p->w - p->n) * sizeof(real));
}

/* Q(T): Q_T (k, w) = left T right, or left T F F^T with right = F^T */
static void apply_Q(const Problem *p, real *Q_T, const real *plan) {
    if (p->d) {
        dots(p->moved, p->v, plan, p->right, p->k, p->d, p->w, 0);
        product(p->turned, p->left, p->k, p->moved, p->k, p->k, p->v);
        product(Q_T, p->turned, p->v, p->right, p->k, p->d, p->w);
    } else {
        product(p->moved, plan, p->w, p->right, p->k, p->n, p->w);
        product(Q_T, p->left, p->k, p->moved, p->k, p->k, p->w);
    }
}

/* quadratic.Problem.value */
static double objective(const Problem *p) {
    double sum = 0;
    apply_Q(p, p->Q_S, p->plan);
    for (int64_t j = 0; j < p->k; j++) {
        real row = 0;
#pragma omp simd reduction(+ : row)
        for (int64_t i = j * p->w; i < (j + 1) * p->w; i++) row += (p->D[i] - p->Q_S[i] / 2) * p->plan[i];
        sum += row;
    }
    return sum;
}

static void sum_columns(const Problem *p, real *restrict sums) {
    memset(sums, 0, p->w * sizeof(real));
    for (int64_t j = 0; j < p->k; j++)
        for (int64_t c = 0; c < p->w; c++) sums[c] += p->plan[j * p->w + c];
}

/* marginals.round_to_marginals */
static void round_to_marginals(const Problem *p) {
    const int64_t k = p->k, w = p->w;
    real *restrict sums = p->ratios, *missing = p->gap, all = 0;
    sum_columns(p, sums);
    for (int64_t c = 0; c < w; c++) sums[c] = sums[c] > p->a[c] ? p->a[c] / sums[c] : 1;
    for (int64_t j = 0; j < k; j++) {
        real *restrict row = p->plan + j * w, mass = 0;
#pragma omp simd reduction(+ : mass)
        for (int64_t c = 0; c < w; c++) mass += row[c] *= sums[c];
        const real share = mass > p->b[j] ? p->b[j] / mass : 1;
        for (int64_t c = 0; c < w; c++) row[c] *= share;
        missing[j] = p->b[j] - share * mass;
        if (missing[j] < 0) missing[j] = 0;
    }
    sum_columns(p, sums);
    for (int64_t c = 0; c < w; c++) all += sums[c] = p->a[c] > sums[c] ? p->a[c] - sums[c] : 0;
    if (!(all > 0)) return;
    for (int64_t j = 0; j < k; j++)
        for (int64_t c = 0; c < w; c++) p->plan[j * w + c] += missing[j] / all * sums[c];
}
