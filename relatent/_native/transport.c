/* What compiled.py calls. Compiled once per type: -DREAL=float, -DREAL=double. */

#include "products.h"
#include "problem.h"
#include "annealing.h"
#include "clouds.h"

/* linear (k, n); right: points (n, d) or, with d = 0, a symmetric (n, n); left (k, k), a (n), b (k); plan (k, n), the
   start if has_start, and the result. False without memory. */
int relatent_anneal(int64_t n, int64_t k, int64_t d, const real *linear, const real *right, const real *left,
                    const real *a, const real *b, real *plan, int has_start, const Schedule *schedule, Outcome *out) {
    Problem p;
    real *at, *const memory = reserve(&p, n, k, d, 0, &at);
    if (!memory) return 0;
    const int64_t w = p.w;
    p.left = left, p.b = b;
    weigh(&p, a);
    pad(p.linear, linear, k, n, w);
    d ? transpose(p.right, right, n, d, w) : pad(p.right, right, n, n, w);
    if (has_start) {
        memset(p.plan, 0, k * w * sizeof(real));
        for (int64_t j = 0; j < k; j++) memcpy(p.plan + j * w, plan + j * n, n * sizeof(real));
    }
    *out = anneal(&p, schedule, has_start);
    for (int64_t j = 0; j < k; j++) memcpy(plan + j * n, p.plan + j * w, n * sizeof(real));
    free(memory);
    return 1;
}

/* clouds._value_and_slopes with n >= k: x (n, d), y (k, e); e = d unless beta is 1. Looks from `second_sharpness` too
   unless that is zero. Also the plan (k, n), unless that is NULL. False without memory. */
int relatent_clouds(int64_t n, int64_t k, int64_t d, int64_t e, const real *x, const real *y, const real *a,
                    const real *b, double beta, const Schedule *schedule, double second_sharpness, real *value,
                    real *slope_x, real *slope_y, real *plan) {
    Fgw q;
    real *const memory = reserve_clouds(&q, n, k, d, e, beta);
    if (!memory) return 0;
    q.f.weights = a, q.g.weights = b;
    pose(&q, x, y);
    find(&q, schedule, second_sharpness);
    *value = moments(&q);
    if (plan)
        for (int64_t j = 0; j < k; j++) memcpy(plan + j * n, q.p.plan + j * q.p.w, n * sizeof(real));
    const double direct = 2 * q.direct, tilt = 8 * q.relational * q.gap;
    dots(q.right_f + q.m_f * q.p.v, q.p.v, q.G, q.S, k, d, q.u, 0);
    slopes(slope_x, &q.f, q.right_f, q.m_f, q.p.plan, k, q.p.w, 1, direct + tilt, &q);
    slopes(slope_y, &q.g, q.right_g, q.m_g, q.p.moved, d, q.p.v, 0, direct - tilt, &q);
    free(memory);
    return 1;
}
