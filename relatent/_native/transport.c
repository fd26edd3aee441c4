/* What __init__.py calls. Compiled once per type: -DREAL=float, -DREAL=double. */

#include "products.h"
#include "problem.h"
#include "annealing.h"
#include "clouds.h"

/* From costs: D (k, n); x: points (n, d) or, with d = 0, a symmetric (n, n); y: left, (k, k). */
static void solve_costs(Problem *p, const real *D, const real *x, const real *y, const real *a, const real *b,
                        const real *start, const Schedule *schedule, double second_epsilon, Outcome *out) {
    const int64_t n = p->n, k = p->k, d = p->d, w = p->w;
    p->left = y, p->b = b;
    weigh(p, a);
    pad(p->D, D, k, n, w);
    d ? transpose(p->right, x, n, d, w) : pad(p->right, x, n, n, w);
    if (start) {
        memset(p->plan, 0, k * w * sizeof(real));
        for (int64_t j = 0; j < k; j++) memcpy(p->plan + j * w, start + j * n, n * sizeof(real));
    }
    *out = find(p, schedule, second_epsilon, start != NULL);
}

/* From clouds x (n, d) and y (k, e), e = d unless beta is 1: also value and slopes, see point_clouds._solve. */
static void solve_clouds(Fgw *q, const real *x, const real *y, const real *a, const real *b, const Schedule *schedule,
                         double second_epsilon, real *value, real *slope_x, real *slope_y, Outcome *out) {
    Problem *p = &q->p;
    q->f.weights = a, q->g.weights = b;
    pose(q, x, y);
    *out = find(p, schedule, second_epsilon, 0);
    *value = moments(q);
    const double direct = 2 * q->direct, tilt = 8 * q->relational * q->gap;
    dots(q->right_f + q->m_f * p->v, p->v, q->G, q->S, p->k, p->d, q->u, 0);
    slopes(slope_x, &q->f, q->right_f, q->m_f, p->plan, p->k, p->w, 1, direct + tilt, q);
    slopes(slope_y, &q->g, q->right_g, q->m_g, p->moved, p->d, p->v, 0, direct - tilt, q);
}

/* Solves a problem of n >= k points: between clouds, with value and slopes, or, if D is not NULL, from costs alone. From
   the plan `start` unless that is NULL, and again from second_epsilon unless that is zero. Also the plan (k, n), which
   may be the start, unless that is NULL. False without memory. */
int relatent_solve(int64_t n, int64_t k, int64_t d, int64_t e, const real *D, const real *x, const real *y,
                   const real *a, const real *b, double beta, const real *start, const Schedule *schedule,
                   double second_epsilon, real *plan, real *value, real *slope_x, real *slope_y, Outcome *out) {
    Fgw q;
    real *rest, *const memory = D ? reserve(&q.p, n, k, d, 0, &rest) : reserve_clouds(&q, n, k, d, e, beta);
    if (!memory) return 0;
    if (D) solve_costs(&q.p, D, x, y, a, b, start, schedule, second_epsilon, out);
    else solve_clouds(&q, x, y, a, b, schedule, second_epsilon, value, slope_x, slope_y, out);
    if (plan)
        for (int64_t j = 0; j < k; j++) memcpy(plan + j * n, q.p.plan + j * q.p.w, n * sizeof(real));
    free(memory);
    return 1;
}
