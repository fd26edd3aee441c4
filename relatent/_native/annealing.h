/* The loop of annealing.py for one small problem on the CPU, where calling an operation costs more than the operation.
   Names and order are those of annealing.py, which says why; plans are (k, n). */

/* annealing.Schedule */
typedef struct {
    double max_iter, tol, first_epsilon, last_epsilon, cooling, reheating, settled, momentum, marginal_error,
        newton_steps, longest_step;
} Schedule;

/* annealing.Annealed without the plan */
typedef struct {
    double marginal_error, residual, iterations, converged;
} Outcome;

/* ---- marginals.py ---- */

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

/* Marginals.match: the logits in p->S and the potentials become the plan and the potentials that fit; returns the
   marginal error, or -1 where no potentials were found. */
static double match(const Problem *p, const Schedule *s, double tol) {
    const int64_t k = p->k, w = p->w;
    real *base = p->S, *most = p->ratios;
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
        if (error < tol) {
            for (int64_t j = 0; j < k; j++) {
                p->potential[j] += p->steps[j];
                for (int64_t c = 0; c < w; c++) p->S[j * w + c] = p->powers[j * w + c] * p->ratios[c];
            }
            return error;
        }
        longest = error > 1.001 * last_error ? longest / 2 : fmin(2 * longest, s->longest_step);
        last_error = error;
        newton(p, longest);
    }
    return -1;
}

/* PotentialPath.append; an epsilon of 0 is none. */
static void append(const Problem *p, double epsilon, double last_epsilon, int smooth) {
    const int secant = smooth && last_epsilon > 0 && last_epsilon != epsilon;
    const real run = secant ? epsilon - last_epsilon : 1;
    for (int64_t j = 0; j < p->k; j++) {
        const real value = p->potential[j] * (real)epsilon;
        p->slope[j] = secant ? (value - p->last[j]) / run : 0;
        p->limit[j] = value - p->slope[j] * (real)epsilon;
        p->last[j] = value;
    }
}

/* Takes the potentials' limit from the rows' means of D - Q(T); returns marginals.largest_difference of what is left. */
static double largest_difference(const Problem *p) {
    const int64_t k = p->k, w = p->w;
    real *centred = p->powers, *means = p->ratios, largest = 0;
    memset(means, 0, w * sizeof(real));
    for (int64_t j = 0; j < k; j++) {
        const real *D = p->D + j * w, *Q_T = p->Q_T + j * w;
        real mean = 0;
#pragma omp simd reduction(+ : mean)
        for (int64_t c = 0; c < w; c++) mean += p->a[c] * (D[c] - Q_T[c]);
        p->limit[j] = mean;
        for (int64_t c = 0; c < w; c++) means[c] += centred[j * w + c] = D[c] - Q_T[c] - mean;
    }
    for (int64_t j = 0; j < k; j++)
#pragma omp simd reduction(max : largest)
        for (int64_t c = 0; c < w; c++) {
            const real size = fabs(centred[j * w + c] - means[c] / k);
            largest = size > largest ? size : largest;
        }
    return largest > 0 ? fmax(largest, SMALLEST) : 1;
}

/* ---- annealing.py ---- */

static double distance(const Problem *p) {
    const real *restrict plan = p->plan, *restrict S = p->S;
    real sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < p->k * p->w; i++) sum += fabs(S[i] - plan[i]);
    return sum;
}

/* Steps 7 and 8: goes towards S; returns the step size, less than one only if the objective is convex on that way. */
static double take_step(Problem *p, int *concave) {
    const real *restrict plan = p->plan, *restrict Q_T = p->Q_T, *restrict D = p->D;
    real *restrict S = p->S, *restrict Q_S = p->Q_S, curvature = 0, slope = 0;
#pragma omp simd reduction(+ : curvature, slope)
    for (int64_t i = 0; i < p->k * p->w; i++) {
        const real way = S[i] - plan[i];
        curvature += way * (Q_S[i] - Q_T[i]);
        slope += way * (D[i] - Q_T[i]);
    }
    *concave = !(curvature < 0);
    const real step_size = *concave ? 1 : fmin(1, fmax(.1, slope / fmin(curvature, -1e-37)));
    if (step_size < 1)
        for (int64_t i = 0; i < p->k * p->w; i++) {
            S[i] = plan[i] + step_size * (S[i] - plan[i]);
            Q_S[i] = Q_T[i] + step_size * (Q_S[i] - Q_T[i]);
        }
    real *spare = p->Q_before, *spare_plan = p->plan;
    p->Q_before = p->Q_T, p->Q_T = p->Q_S, p->Q_S = spare;
    p->plan = p->S, p->S = spare_plan;
    return step_size;
}

/* annealing.anneal, from the plan b a^T, whose Q(T) is zero, or from the plan in p. */
static Outcome anneal(Problem *p, const Schedule *s, int has_start) {
    const int64_t k = p->k, w = p->w;
    Outcome out = {2, 2, 0, 0};
    /* Step 1 */
    memset(p->slope, 0, k * sizeof(real));
    memset(p->Q_T, 0, k * w * sizeof(real));
    memset(p->Q_before, 0, k * w * sizeof(real));
    if (has_start) apply_Q(p, p->Q_T, p->plan);
    else
        for (int64_t j = 0; j < k; j++)
            for (int64_t c = 0; c < w; c++) p->plan[j * w + c] = p->a[c] * p->b[j];
    double epsilon = s->first_epsilon, last_epsilon = 0;
    const double unit = largest_difference(p);
    real momentum = 0;
    while (out.iterations < s->max_iter) { /* Step 2 */
        out.iterations++;
        const int is_last = epsilon <= s->last_epsilon;
        const double absolute = epsilon * unit;
        const real inverse = 1 / absolute;
        for (int64_t i = 0; i < k * w; i++) /* Step 3 */
            p->S[i] = (p->Q_T[i] - p->D[i] + momentum * (p->Q_T[i] - p->Q_before[i])) * inverse;
        for (int64_t j = 0; j < k; j++) p->potential[j] = p->limit[j] * inverse + p->slope[j];
        /* Step 4 */
        const double error = match(p, s, fmin(s->marginal_error, is_last ? s->tol / 100 : s->tol));
        if (error < 0) { /* Step 5 */
            epsilon *= s->reheating;
            momentum = 0;
            continue;
        }
        out.marginal_error = error;
        out.residual = distance(p);
        if (is_last && out.residual <= s->tol) { /* Step 6 */
            real *spare = p->plan;
            p->plan = p->S, p->S = spare;
            out.converged = 1;
            break;
        }
        apply_Q(p, p->Q_S, p->S);
        int concave;
        out.residual *= take_step(p, &concave);
        momentum = concave ? s->momentum : 0;                                    /* Step 9 */
        append(p, absolute, last_epsilon, out.residual < 2 * s->settled); /* Step 10 */
        last_epsilon = absolute;
        if (out.residual < s->settled || out.iterations == 1) /* Step 11 */
            epsilon = fmax(epsilon / s->cooling, s->last_epsilon);
    }
    return out; /* Step 12 */
}

/* quadratic.Problem.solve: from first_epsilon and, unless it is zero, from second_epsilon, whichever plan is better. */
static Outcome find(Problem *p, const Schedule *schedule, double second_epsilon, int has_start) {
    const Outcome out = anneal(p, schedule, has_start);
    round_to_marginals(p);
    if (!(second_epsilon > 0)) return out;
    const double first = objective(p);
    memcpy(p->best, p->plan, p->k * p->w * sizeof(real));
    Schedule second = *schedule;
    second.first_epsilon = second_epsilon;
    const Outcome again = anneal(p, &second, 0);
    round_to_marginals(p);
    if (objective(p) < first) return again;
    memcpy(p->plan, p->best, p->k * p->w * sizeof(real));
    return out;
}
