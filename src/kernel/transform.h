/* Words to working values: uniform here, Box-Muller in normal.h, truncated normal in truncated.h.
 * No include guards. Lines marked bits: are fastinit/stream-v1.md's numbered operations, one each,
 * in its order; -ffp-contract=off keeps them apart. */

/* a / b and the root of a where operands and results lie between 2^-60 and 2^80 in size.  The bits
 * are those of f_div() and f_sqrt(); an ISA may have something faster for such numbers. */
#ifndef HAS_NEAR
#define f_div_near f_div
#define f_sqrt_near f_sqrt
#endif

typedef struct { F lo, d, low, high; } uniform_f32;
typedef struct { D lo, d, low, high; } uniform_f64;

OP uniform_f32 make_uniform_f32(const double *p) {
    uniform_f32 u = {f_set1((float)p[0]), f_set1((float)p[1]), f_set1((float)p[2]),
        f_set1((float)p[3])};
    return u;
}
OP uniform_f64 make_uniform_f64(const double *p) {
    uniform_f64 u = {d_set1(p[0]), d_set1(p[1]), d_set1(p[2]), d_set1(p[3])};
    return u;
}

OP F draw_uniform_f32(const uniform_f32 *p, I w) {
    F u = f_mul(i_to_f(i_shr(w, 8)), f_set1(0x1p-24f)); /* bits: */
    F y = f_mul(p->d, u);                               /* bits: */
    y = f_add(p->lo, y);                                /* bits: */
    return f_lower(f_raise(y, p->low), p->high);
}

/* An integer below 2^52 as a double, exactly: set as the mantissa of 2^52, then 2^52 is taken
 * off. */
OP D small_l_to_d(L x) {
    return d_sub(l_as_d(l_or(x, l_set1(0x4330000000000000u))), d_set1(0x1p52));
}
/* An integer below 2^53 as a double: high part and low 32 bits, both exact, and so is their sum. */
OP D l_to_d(L x) {
    D high = d_mul(small_l_to_d(l_shr(x, 32)), d_set1(0x1p32));
    return d_add(high, small_l_to_d(l_and(x, l_set1(0xFFFFFFFFu))));
}

OP D draw_uniform_f64(const uniform_f64 *p, L x) {
    D u = d_mul(l_to_d(l_shr(x, 11)), d_set1(0x1p-53)); /* bits: */
    D y = d_mul(p->d, u);                               /* bits: */
    y = d_add(p->lo, y);                                /* bits: */
    return d_lower(d_raise(y, p->low), p->high);
}
