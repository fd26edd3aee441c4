/* point_clouds.py for one pair of clouds with few points on one side: from points to value and slopes.
   Names are those of point_clouds.py, which says what is computed. */

/* A cloud of n points (n, d), centred and in units, and what point_clouds._moments knows of it. */
typedef struct {
    int64_t n, d, v;
    const real *weights;
    real *points, *mean, *radius, *lean, *drift, *pull;
    real spread;
} Cloud;

/* Two clouds, the problem between them and room for its moments. */
typedef struct {
    Problem p;
    Cloud f, g;
    int64_t u, m_f, m_g; /* width of g's matrices; rows of S_f and S_g, none if beta is 0 */
    double beta, gap;
    double unit, larger, direct, relational; /* see units.py */
    real *G, *left, *turned, *right_f, *right_g, *S, *chunk, *sums;
} Fgw;

/* Takes the points, half as far from their mean as they are, so that nothing overflows; returns the farthest. */
static real centre(Cloud *x, const real *points) {
    const int64_t d = x->d;
    real *restrict mean = x->mean, farthest = 0;
    memset(mean, 0, x->v * sizeof(real));
    for (int64_t i = 0; i < x->n; i++) {
        const real weight = x->weights[i], *restrict point = points + i * d;
        for (int64_t c = 0; c < d; c++) mean[c] += weight * point[c];
    }
    for (int64_t i = 0; i < x->n; i++) {
        const real *restrict point = points + i * d;
        real *restrict own = x->points + i * d;
        for (int64_t c = 0; c < d; c++) own[c] = point[c] / 2 - mean[c] / 2;
    }
    const real *restrict all = x->points;
#pragma omp simd reduction(max : farthest)
    for (int64_t i = 0; i < x->n * d; i++) {
        const real size = fabs(all[i]);
        farthest = size > farthest ? size : farthest;
    }
    return farthest;
}

/* Points over a unit, and their radii. */
static void measure(Cloud *x, real unit) {
    const real inverse = 1 / unit;
    x->spread = 0;
    for (int64_t i = 0; i < x->n; i++) {
        real *restrict point = x->points + i * x->d, sum = 0;
#pragma omp simd reduction(+ : sum)
        for (int64_t c = 0; c < x->d; c++) {
            point[c] *= inverse;
            sum += point[c] * point[c];
        }
        x->radius[i] = sum;
        x->spread += x->weights[i] * sum;
    }
}

/* out (n, d) = [weights f | -others] right + (lean + scale weights) f + weights drift, f the points, back in the
   caller's units, + weights pull; `right` (m + o + 1, v) with room for the drift, m = d or, without the first part, 0;
   `others` (n, o) or (o, n) if transposed, rows `stride` apart. */
enum { CHUNK = 10 * ROWS };

static void slopes(real *out, const Cloud *x, real *right, int64_t m, const real *others, int64_t o, int64_t stride,
                   int transposed, real scale, const Fgw *q) {
    const int64_t width = m + o + 1, d = x->d;
    const real first = fmin(q->unit * q->larger, LARGEST), second = q->larger, *restrict pull = x->pull;
    memcpy(right + (m + o) * x->v, x->drift, x->v * sizeof(real));
    for (int64_t from = 0; from < x->n; from += CHUNK) {
        const int64_t rows = x->n - from < CHUNK ? x->n - from : CHUNK;
        for (int64_t i = from; i < from + rows; i++) {
            const real weight = x->weights[i], *restrict point = x->points + i * d;
            real *restrict row = q->chunk + (i - from) * width;
            for (int64_t c = 0; c < m; c++) row[c] = weight * point[c];
            for (int64_t j = 0; j < o; j++) row[m + j] = -others[transposed ? j * stride + i : i * stride + j];
            row[m + o] = weight;
        }
        product(q->sums, q->chunk, width, right, rows, width, x->v);
        for (int64_t i = from; i < from + rows; i++) {
            const real weight = x->weights[i], lean = x->lean[i] + scale * weight;
            const real *restrict point = x->points + i * d, *restrict sum = q->sums + (i - from) * x->v;
            real *restrict to = out + i * d;
            for (int64_t c = 0; c < d; c++)
                to[c] = (sum[c] + lean * point[c]) * first * second + weight * pull[c];
        }
    }
}

static double energy(real *matrix, int64_t rows, int64_t columns, int64_t stride, real scale) {
    double sum = 0;
    for (int64_t i = 0; i < rows; i++) {
        real row = 0;
#pragma omp simd reduction(+ : row)
        for (int64_t c = 0; c < columns; c++) row += matrix[i * stride + c] * matrix[i * stride + c];
        for (int64_t c = 0; c < columns; c++) matrix[i * stride + c] *= scale;
        sum += row;
    }
    return sum;
}

static real *reserve_clouds(Fgw *q, int64_t n, int64_t k, int64_t d, int64_t e, double beta) {
    const int64_t w = padded(n), v = padded(d), u = padded(e), m_f = beta > 0 ? d : 0, m_g = beta > 0 ? e : 0;
    const int64_t tall_f = (m_f + k + 1) * v, tall_g = (m_g + d + 1) * u, widest = CHUNK * (d + e + k + 1);
    const int64_t vectors = 3 * (v + u) + 2 * (w + padded(k)) + padded(k * k) + padded(k * (d + e));
    const int64_t matrices = k * u + tall_f + tall_g + padded(widest) + CHUNK * (v + u) + padded(n * d) + padded(k * e);
    real *at, *const memory = reserve(&q->p, n, k, d, vectors + matrices, &at);
    if (!memory) return NULL;
    q->u = u, q->m_f = m_f, q->m_g = m_g, q->beta = beta;
    q->f = (Cloud){.n = n, .d = d, .v = v, .mean = TAKE(v), .radius = TAKE(w), .lean = TAKE(w), .drift = TAKE(v)};
    q->f.points = TAKE(n * d), q->f.pull = TAKE(v);
    q->g = (Cloud){.n = k, .d = e, .v = u, .mean = TAKE(u), .radius = TAKE(k), .lean = TAKE(k), .drift = TAKE(u)};
    q->g.points = TAKE(k * e), q->g.pull = TAKE(u);
    q->G = TAKE(k * u), q->left = TAKE(k * k), q->turned = TAKE(k * (d + e));
    q->right_f = TAKE(tall_f), q->right_g = TAKE(tall_g), q->S = q->right_g + m_g * u;
    q->chunk = TAKE(widest), q->sums = TAKE(CHUNK * (v + u));
    memset(q->right_f, 0, tall_f * sizeof(real));
    memset(q->right_g, 0, tall_g * sizeof(real));
    memset(q->G, 0, k * u * sizeof(real));
    return memory;
}

/* units.unit_of, units.balance and units.larger, from half the largest size there is. */
static real weigh_terms(Fgw *q, real half) {
    int exponent;
    frexp(half, &exponent);
    const double below = half > 0 ? ldexp(1, exponent - 1) : .5, unit = fmax(LEAST, fmin(below, LARGEST / 4));
    q->unit = 2 * unit;
    q->larger = q->beta == 1 ? q->unit : q->beta > 0 ? fmax(q->unit, 1) : 1;
    q->direct = q->beta < 1 ? (1 - q->beta) / q->larger / q->larger : 0;
    q->relational = q->beta > 0 ? q->beta * (q->unit / q->larger) * (q->unit / q->larger) : 0;
    return unit;
}

/* Costs between the clouds and within the smaller one. */
static void pose(Fgw *q, const real *x, const real *y) {
    Problem *p = &q->p;
    const int64_t k = p->k, d = p->d, e = q->g.d, w = p->w;
    const real farthest_x = centre(&q->f, x), farthest_y = centre(&q->g, y);
    const real unit = weigh_terms(q, farthest_x > farthest_y ? farthest_x : farthest_y);
    measure(&q->f, unit), measure(&q->g, unit);
    for (int64_t c = p->n; c < w; c++) q->f.radius[c] = q->f.radius[p->n - 1];
    for (int64_t j = 0; j < k; j++) memcpy(q->G + j * q->u, q->g.points + j * e, e * sizeof(real));
    weigh(p, q->f.weights);
    transpose(p->right, q->f.points, p->n, d, w);
    dots(q->left, k, q->G, q->G, k, k, q->u, 0);
    for (int64_t i = 0; i < k * k; i++) q->left[i] *= 16 * q->relational;
    p->left = q->left, p->b = q->g.weights;
    const int is_direct = q->beta < 1;
    const real direct = -2 * q->direct;
    if (is_direct) product(p->D, q->G, q->u, p->right, k, d, w);
    for (int64_t j = 0; j < k; j++) {
        const real lean = -4 * q->relational * q->g.radius[j];
        for (int64_t c = 0; c < w; c++)
            p->D[j * w + c] = (is_direct ? direct * p->D[j * w + c] : 0) + lean * q->f.radius[c];
    }
}

/* The terms of value and gradient that hold the radii; returns 2 sum T (r - t)^2. */
static double weigh_radii(Fgw *q) {
    const Problem *p = &q->p;
    const int64_t w = p->w;
    double total = 0;
    memset(q->f.lean, 0, w * sizeof(real));
    memset(q->g.drift, 0, q->u * sizeof(real));
    memset(q->f.drift, 0, p->v * sizeof(real));
    for (int64_t j = 0; j < p->k; j++) {
        const real *restrict T = p->plan + j * w, *restrict radius = q->f.radius;
        real *restrict leans = q->f.lean, lean = 0, square = 0;
#pragma omp simd reduction(+ : lean, square)
        for (int64_t c = 0; c < w; c++) {
            const real apart = radius[c] - q->g.radius[j], share = T[c] * apart;
            leans[c] += (real)(8 * q->relational) * share;
            lean += share;
            square += share * apart;
        }
        q->g.lean[j] = (real)(-8 * q->relational) * lean;
        total += 2 * square;
        for (int64_t c = 0; c < q->g.d; c++) q->g.drift[c] -= q->g.lean[j] * q->G[j * q->u + c];
    }
    for (int64_t j = 0; j < p->d; j++) {
        real drift = 0;
#pragma omp simd reduction(+ : drift)
        for (int64_t c = 0; c < w; c++) drift += q->f.lean[c] * p->right[j * w + c];
        q->f.drift[j] = -drift;
    }
    return total;
}

/* S_f and S_g, times 16 times the relational weight; returns the sum of their squares before that. The problem's points are spent. */
static double square(Fgw *q) {
    Problem *p = &q->p;
    const int64_t k = p->k, d = p->d, e = q->g.d, w = p->w, v = p->v;
    for (int64_t c = 0; c < w; c++) p->ratios[c] = sqrt(p->a[c]);
    for (int64_t j = 0; j < d; j++)
        for (int64_t c = 0; c < w; c++) p->right[j * w + c] *= p->ratios[c];
    dots(q->right_f, v, p->right, p->right, d, d, w, 1);
    for (int64_t j = 0; j < d; j++)
        for (int64_t c = 0; c < j; c++) q->right_f[j * v + c] = q->right_f[c * v + j];
    for (int64_t j = 0; j < k; j++)
        for (int64_t c = 0; c < e; c++) q->turned[c * k + j] = p->b[j] * q->G[j * q->u + c];
    product(q->right_g, q->turned, k, q->G, e, k, q->u);
    return energy(q->right_f, d, d, v, 16 * q->relational) + energy(q->right_g, e, e, q->u, 16 * q->relational);
}

/* point_clouds._moments but for the slopes; returns the value. */
static double moments(Fgw *q) {
    Problem *p = &q->p;
    const int64_t k = p->k, d = p->d, v = p->v, u = q->u;
    const double beta = q->beta;
    dots(p->moved, v, p->plan, p->right, k, d, p->w, 0);
    for (int64_t j = 0; j < k; j++)
        for (int64_t c = 0; c < d; c++) q->turned[c * k + j] = p->moved[j * v + c];
    product(q->S, q->turned, k, q->G, d, k, u);
    q->gap = q->f.spread - q->g.spread;
    double direct = 0, shifted = 0, relational = weigh_radii(q) + 2 * q->gap * q->gap;
    if (beta < 1) {
        direct = q->f.spread + q->g.spread;
        for (int64_t c = 0; c < d; c++) {
            const double shift = (double)q->f.mean[c] - q->g.mean[c];
            direct -= 2 * q->S[c * u + c];
            shifted += shift * shift;
            q->f.pull[c] = 2 * (1 - beta) * shift;
            q->g.pull[c] = -2 * (1 - beta) * shift;
        }
    } else {
        memset(q->f.pull, 0, v * sizeof(real));
        memset(q->g.pull, 0, u * sizeof(real));
    }
    if (beta > 0) relational += 4 * square(q);
    relational -= 8 * energy(q->S, d, q->g.d, u, 16 * q->relational);
    if (beta < 1)
        for (int64_t c = 0; c < d; c++) q->S[c * u + c] += 2 * q->direct; /* now what point_clouds._moments calls pull */
    if (direct < 0) direct = 0; /* but for rounding neither is */
    if (relational < 0) relational = 0;
    /* Factor by factor: the fourth power alone may overflow, and infinity times zero is NaN. */
    return (1 - beta) * (direct * q->unit * q->unit + shifted) +
           beta * relational * q->unit * q->unit * q->unit * q->unit;
}
