/* The loop of annealing.py for one small problem on the CPU, where calling an operation costs more than the operation.
   Names and order are those of annealing.py, which says why; plans are (k, n). */

/* annealing.Schedule */
typedef struct {
    double iterations, tolerance, first_sharpness, last_sharpness, cooling, reheating, settled, momentum, mismatch,
        newton_steps, longest_step;
} Schedule;

/* annealing.Annealed without the plan */
typedef struct {
    double mismatch, residual, iterations, converged;
} Outcome;

/* ---- Marginals ---- */

/* powers (k, w) = e^(base + steps), ratios = a / their sums by column, mass = powers ratios */
static void soften(const Problem *p, const real *restrict base) {
    const int64_t k = p->k, w = p->w;
    const real *restrict a = p->a, *restrict steps = p->steps;
    real *restrict powers = p->powers, *restrict ratios = p->ratios;
    memset(ratios, 0, w * sizeof(real));
    for (int64_t j = 0; j < k; j++) {
        const real step = steps[j];
        for (int64_t c = 0; c < w; c++) {
            const real e = power(base[j * w + c] + step);
            powers[j * w + c] = e;
            ratios[c] += e;
        }
    }
    for (int64_t c = 0; c < w; c++) ratios[c] = a[c] / ratios[c];
    for (int64_t j = 0; j < k; j++) {
        vec sum = {0};
        for (int64_t c = 0; c < w; c += LANES) sum += *(vec *)(powers + j * w + c) * *(vec *)(ratios + c);
        p->mass[j] = sum_of(sum);
    }
}

/* One step of Newton's method, at most `longest`; powers and ratios are spent. */
static void newton(const Problem *p, real longest) {
    const int64_t k = p->k, w = p->w;
    const real *restrict a = p->a;
    real *restrict ratios = p->ratios;
    for (int64_t c = 0; c < w; c++) ratios[c] = a[c] > 0 ? ratios[c] / (real)sqrt(a[c]) : 0;
    for (int64_t j = 0; j < k; j++) {
        real *restrict powers = p->powers + j * w;
        for (int64_t c = 0; c < w; c++) powers[c] *= ratios[c];
    }
    dots(p->hessian, k, p->powers, p->powers, k, k, w, 1);
    for (int64_t i = 0; i < k; i++) {
        for (int64_t j = i; j < k; j++) p->hessian[i * k + j] = (real)1 / (k * k) - p->hessian[i * k + j];
        p->hessian[i * k + i] += p->mass[i] + (real)1e-5 / k;
    }
    solve(p->hessian, p->gap, k);
    for (int64_t j = 0; j < k; j++) p->steps[j] += fmax(-longest, fmin(longest, p->gap[j]));
}

/* The logits in p->matched and the potentials become the plan and the potentials that fit; returns the mismatch,
   or -1 where Newton's method got lost. */
static double match(const Problem *p, const Schedule *s, double tolerance) {
    const int64_t k = p->k, w = p->w;
    real *base = p->matched, *most = p->ratios;
    for (int64_t c = 0; c < w; c++) most[c] = -INFINITY;
    for (int64_t j = 0; j < k; j++)
        for (int64_t c = 0; c < w; c++) {
            base[j * w + c] += p->potential[j];
            most[c] = most[c] > base[j * w + c] ? most[c] : base[j * w + c];
        }
    for (int64_t j = 0; j < k; j++)
        for (int64_t c = 0; c < w; c++) base[j * w + c] -= most[c];
    memset(p->steps, 0, k * sizeof(real));
    double longest = s->longest_step, last_error = INFINITY;
    for (int step = 0; step < s->newton_steps; step++) {
        soften(p, base);
        real largest = 0;
        for (int64_t j = 0; j < k; j++) {
            p->gap[j] = p->b[j] - p->mass[j];
            largest = fabs(p->gap[j]) > largest ? fabs(p->gap[j]) : largest;
        }
        const double error = (double)largest * k;
        if (error < tolerance) {
            for (int64_t j = 0; j < k; j++) {
                p->potential[j] += p->steps[j];
                for (int64_t c = 0; c < w; c++) p->matched[j * w + c] = p->powers[j * w + c] * p->ratios[c];
            }
            return error;
        }
        longest = error > 1.001 * last_error ? longest / 2 : fmin(2 * longest, s->longest_step);
        last_error = error;
        newton(p, longest);
    }
    return -1;
}

/* ---- Annealing ---- */

static void append(const Problem *p, double coldness, double last_coldness, int smooth) {
    const int secant = smooth && last_coldness > 0 && last_coldness != coldness;
    const real run = secant ? 1 / coldness - 1 / last_coldness : 1;
    for (int64_t j = 0; j < p->k; j++) {
        const real value = p->potential[j] / (real)coldness;
        p->slope[j] = secant ? (value - p->last[j]) / run : 0;
        p->limit[j] = value - p->slope[j] / (real)coldness;
        p->last[j] = value;
    }
}

/* Takes the potentials' limit from the rows' means of linear - bend; returns the largest entry of what is left after
   removing those and the columns' means. */
static double spread(const Problem *p) {
    const int64_t k = p->k, w = p->w;
    real *centred = p->powers, *means = p->ratios, largest = 0;
    memset(means, 0, w * sizeof(real));
    for (int64_t j = 0; j < k; j++) {
        const real *linear = p->linear + j * w, *bend = p->bend + j * w;
        real mean = 0;
#pragma omp simd reduction(+ : mean)
        for (int64_t c = 0; c < w; c++) mean += p->a[c] * (linear[c] - bend[c]);
        p->limit[j] = mean;
        for (int64_t c = 0; c < w; c++) means[c] += centred[j * w + c] = linear[c] - bend[c] - mean;
    }
    for (int64_t j = 0; j < k; j++)
#pragma omp simd reduction(max : largest)
        for (int64_t c = 0; c < w; c++) {
            const real size = fabs(centred[j * w + c] - means[c] / k);
            largest = size > largest ? size : largest;
        }
    return largest;
}

static double distance(const Problem *p) {
    const real *restrict plan = p->plan, *restrict matched = p->matched;
    real sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < p->k * p->w; i++) sum += fabs(matched[i] - plan[i]);
    return sum;
}

/* Goes towards the matched plan; returns the share of the way gone, less than one if the objective is convex there. */
static double step(Problem *p, int *concave) {
    const real *restrict plan = p->plan, *restrict bend = p->bend, *restrict linear = p->linear;
    real *restrict matched = p->matched, *restrict bend_matched = p->bend_matched, curvature = 0, slope = 0;
#pragma omp simd reduction(+ : curvature, slope)
    for (int64_t i = 0; i < p->k * p->w; i++) {
        const real way = matched[i] - plan[i];
        curvature += way * (bend_matched[i] - bend[i]);
        slope += way * (linear[i] - bend[i]);
    }
    *concave = !(curvature < 0);
    const real share = *concave ? 1 : fmin(1, fmax(.1, slope / fmin(curvature, -1e-37)));
    if (share < 1)
        for (int64_t i = 0; i < p->k * p->w; i++) {
            matched[i] = plan[i] + share * (matched[i] - plan[i]);
            bend_matched[i] = bend[i] + share * (bend_matched[i] - bend[i]);
        }
    real *spare = p->bend_before, *spare_plan = p->plan;
    p->bend_before = p->bend, p->bend = p->bend_matched, p->bend_matched = spare;
    p->plan = p->matched, p->matched = spare_plan;
    return share;
}

/* From the plan b a^T, whose bend is zero, or from the plan in p. */
static Outcome anneal(Problem *p, const Schedule *s, int has_start) {
    const int64_t k = p->k, w = p->w;
    Outcome out = {2, 2, 0, 0};
    memset(p->slope, 0, k * sizeof(real));
    memset(p->bend, 0, k * w * sizeof(real));
    memset(p->bend_before, 0, k * w * sizeof(real));
    if (has_start) curve(p, p->bend, p->plan);
    else
        for (int64_t j = 0; j < k; j++)
            for (int64_t c = 0; c < w; c++) p->plan[j * w + c] = p->a[c] * p->b[j];
    double sharpness = s->first_sharpness, width = spread(p), last_coldness = 0;
    const double unit = 1 / (width > 0 ? fmax(width, SMALLEST) : 1);
    real momentum = 0;
    while (out.iterations < s->iterations) {
        out.iterations++;
        const int coldest = sharpness >= s->last_sharpness;
        const double coldness = sharpness * unit;
        for (int64_t i = 0; i < k * w; i++)
            p->matched[i] = (p->bend[i] - p->linear[i] + momentum * (p->bend[i] - p->bend_before[i])) * (real)coldness;
        for (int64_t j = 0; j < k; j++) p->potential[j] = p->limit[j] * (real)coldness + p->slope[j];
        const double error = match(p, s, fmin(s->mismatch, coldest ? s->tolerance / 100 : s->tolerance));
        if (error < 0) {
            sharpness *= s->reheating;
            momentum = 0;
            continue;
        }
        out.mismatch = error;
        out.residual = distance(p);
        if (coldest && out.residual <= s->tolerance) {
            real *spare = p->plan;
            p->plan = p->matched, p->matched = spare;
            out.converged = 1;
            break;
        }
        curve(p, p->bend_matched, p->matched);
        int concave;
        out.residual *= step(p, &concave);
        momentum = concave ? s->momentum : 0;
        append(p, coldness, last_coldness, out.residual < 2 * s->settled);
        last_coldness = coldness;
        if (out.residual < s->settled || out.iterations == 1)
            sharpness = fmin(sharpness * s->cooling, s->last_sharpness);
    }
    return out;
}
