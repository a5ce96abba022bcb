/* Truncated normal: one word to z = inverse Phi of (Phi(alpha) + p (Phi(beta) - Phi(alpha))), by
 * one of three forms that the bounds choose. No include guards.  Lines marked bits: are
 * fastinit/stream-v1.md's numbered operations, one each, in its order.  z never decreases as the
 * word grows: every step is monotone, or adds to its own argument something so small that its
 * roundings cannot turn the order. The numbers k come from fastinit/_core/truncated.py, the
 * constants from tests/derivation/fit_truncated.py; tests/derivation measures both. Parameters:
 * form, mean, std, low, high, then the form's own. */
#define FORMS 16 /* draw codes FORMS + 0, 1, 2 inside fill.h */
enum { CENTRAL, WIDE, FAR };

/* ((c0 x + c1) x + c2) ...: product and sum rounded apart. */
OP F horner_f(F x, const float *c, const int count) {
    F y = f_mul(x, f_set1(c[0])); /* bits: */
#pragma GCC unroll 24
    for (int j = 1; j < count - 1; j++) y = f_mul(f_add(y, f_set1(c[j])), x); /* bits: */
    return f_add(y, f_set1(c[count - 1])); /* bits: */
}
OP D horner_d(D x, const double *c, const int count) {
    D y = d_mul(x, d_set1(c[0])); /* bits: */
#pragma GCC unroll 24
    for (int j = 1; j < count - 1; j++) y = d_mul(d_add(y, d_set1(c[j])), x); /* bits: */
    return d_add(y, d_set1(c[count - 1])); /* bits: */
}
static const float central_odd[] = {CENTRAL_ODD}, central_even[] = {CENTRAL_EVEN},
    log_f32[] = {LOG_F32}, near_f32[] = {NEAR_F32}, tail_f32[] = {TAIL_F32}, low_f32[] = {LOW_F32};
static const double log_f64[] = {LOG_F64}, near_f64[] = {NEAR_F64}, tail_f64[] = {TAIL_F64},
    low_f64[] = {LOW_F64};
#define LIST(list) list, (int)(sizeof list / sizeof *list)

typedef struct {
    F mean, std, low, high, k[24];
    I first, flip; /* the first word on the positive side; all ones where the words run backwards */
    float correction[8];
} truncated_f32;

typedef struct {
    D mean, std, low, high, k[24];
    L first, flip;
    double correction[16];
} truncated_f64;

enum { CORRECTION_F32 = 7, CORRECTION_F64 = 13 };

OP truncated_f32 make_truncated_f32(const double *p) {
    truncated_f32 t;
    /* WIDE: p[5] is the first word; FAR: p[5] tells the direction */
    const int form = (int)p[0], own = form == CENTRAL ? 5 : 6;
    t.mean = f_set1((float)p[1]), t.std = f_set1((float)p[2]), t.low = f_set1((float)p[3]),
        t.high = f_set1((float)p[4]);
    t.first = i_set1(form == WIDE ? (uint32_t)p[5] : 0);
    t.flip = i_set1(form == FAR && p[5] != 0 ? 0xFFFFFFFFu : 0);
    for (int j = 0; j < 24; j++) t.k[j] = f_set1((float)p[own + j]);
    for (int j = 0; j < CORRECTION_F32; j++)
        t.correction[j] = (float)p[13 + CORRECTION_F32 - 1 - j];
    return t;
}

OP truncated_f64 make_truncated_f64(const double *p) {
    truncated_f64 t;
    const int form = (int)p[0], own = form == WIDE ? 8 : 6;
    t.mean = d_set1(p[1]), t.std = d_set1(p[2]), t.low = d_set1(p[3]), t.high = d_set1(p[4]);
    t.first = l_set1(form == WIDE ? ((uint64_t)p[6] << 32) + (uint64_t)p[7] : 0);
    t.flip = l_set1(p[5] != 0 ? ~(uint64_t)0 : 0);
    for (int j = 0; j < 24; j++) t.k[j] = d_set1(p[own + j]);
    for (int j = 0; j < CORRECTION_F64; j++) t.correction[j] = p[13 + CORRECTION_F64 - 1 - j];
    return t;
}

/* ------------------ form 0: bounds symmetric about the mean, at most 2 sigma off; float32 alone */

/* z = (d + 1/2) K F, F an increasing function of d^2 that integers form exactly where it is
 * steep. */
OP F central_f32(const F *k, I w) {
    I d = i_xor(w, i_set1(0x80000000u));
    I m = i_xor(d, i_sar(d, 31));
    F g = f_add(i_to_f(i_sub(i_set1(0x40000000u), i_mulhi(m, m))), k[2]); /* bits: two roundings */
    /* bits: two; roughly F, all below depends on it alone */
    F a = f_add(f_div_near(k[1], g), f_set1(CENTRAL_H0));
    F t = f_sub(a, f_set1(CENTRAL_A0));                                   /* bits: */
    F u = f_mul(t, t);                                                    /* bits: */
    F o = f_mul(horner_f(u, LIST(central_odd)), t);                       /* bits: */
    o = f_add(o, horner_f(u, LIST(central_even)));                        /* bits: */
    o = f_mul(o, u);                                                      /* bits: */
    F f = f_add(i_to_f(d), f_set1(0.5f));                                 /* bits: two */
    return f_mul(f_mul(f, k[0]), f_add(a, o));                            /* bits: q, F, z */
}

/* --------------------------------------------------------------------- what forms 1 and 2 share */

/* w + fraction: the low half takes the fraction, then one sum. */
OP F place_f32(I w, F fraction) {
    F high = f_mul(i_to_f(i_shr(w, 16)), f_set1(65536.0f)); /* exact */
    F low = f_add(i_to_f(i_and(w, i_set1(0xFFFF))), fraction); /* bits: */
    return f_add(high, low); /* bits: */
}
OP D place_f64(L w, D fraction) {
    D high = d_mul(small_l_to_d(l_shr(w, 32)), d_set1(0x1p32)); /* exact */
    D low = d_add(small_l_to_d(l_and(w, l_set1(0xFFFFFFFFu))), fraction); /* bits: */
    return d_add(high, low); /* bits: */
}

/* -ln v of positive normal v: v = 2^k m, m in [sqrt(1/2), sqrt(2)), f = m - 1 and s = f / (2 +
 * f). */
OP F minus_log_f32(F v) {
    I k = i_sar(i_sub(f_as_i(v), i_set1(0x3F3504F3u)), 23);
    F f = f_sub(i_as_f(i_sub(f_as_i(v), i_shl(k, 23))), f_set1(1.0f)); /* bits: */
    F e = i_to_f(k);
    F s = f_div(f, f_add(f, f_set1(2.0f)));                            /* bits: two */
    F z = f_mul(s, s);                                                 /* bits: */
    F r = f_mul(horner_f(z, LIST(log_f32)), z);                        /* bits: */
    F h = f_mul(f_mul(f, f), f_set1(0.5f));                            /* bits: two */
    r = f_mul(f_add(r, h), s);                                         /* bits: two */
    r = f_add(r, f_mul(e, f_set1(LN2_LOW_F32)));                       /* bits: two */
    h = f_sub(f_sub(h, r), f);                                         /* bits: two */
    /* bits: two, the product exact */
    return f_sub(h, f_mul(e, f_set1(LN2_HIGH_F32)));
}
OP D minus_log_f64(D v) {
    /* k + 2048 stays positive, so that a logical shift does and no ISA needs an arithmetic one of
     * 64 bits. */
    L raised = l_shr(l_add(l_sub(d_as_l(v), l_set1(0x3FE6A09E667F3BCDu)),
        l_set1((uint64_t)2048 << 52)), 52);
    /* bits: */
    D f = d_sub(l_as_d(l_sub(d_as_l(v), l_shl(l_sub(raised, l_set1(2048)), 52))), d_set1(1.0));
    D e = d_sub(small_l_to_d(raised), d_set1(2048.0)); /* exact: k */
    D s = d_div(f, d_add(f, d_set1(2.0)));             /* bits: two */
    D z = d_mul(s, s);                                 /* bits: */
    D r = d_mul(horner_d(z, LIST(log_f64)), z);        /* bits: */
    D h = d_mul(d_mul(f, f), d_set1(0.5));             /* bits: two */
    r = d_mul(d_add(r, h), s);                         /* bits: two */
    r = d_add(r, d_mul(e, d_set1(LN2_LOW_F64)));       /* bits: two */
    h = d_sub(d_sub(h, r), f);                         /* bits: two */
    return d_sub(h, d_mul(e, d_set1(LN2_HIGH_F64)));   /* bits: two, the product exact */
}

/* --------------------- form 1: bounds around zero (float64: also any that begin within 4 sigma) */

/* |z| of the distances m from the zero crossing and e from the bound, in words; `tail` lies outside
 * that bound. */
OP F wide_tail_f32(F m, F e, F tail, F step, F slope) {
    /* bits: two: the probability beyond z */
    F t = f_add(f_mul(e, step), tail);
    /* bits: sqrt(2 pi) times that between 0 and z */
    F x = f_mul(m, slope);
    F s = f_mul(x, x);                                                   /* bits: */
    F c = f_add(f_mul(f_mul(horner_f(s, LIST(near_f32)), s), x), x);     /* bits: three */
    F r = minus_log_f32(t);
    r = f_sqrt(f_add(r, r));                                             /* bits: */
    /* bits: three */
    F v = f_sub(f_div(f_set1(1.0f), f_add(r, f_set1(TAIL_SHIFT_F32))), f_set1(TAIL_MIDDLE_F32));
    r = f_sub(r, horner_f(v, LIST(tail_f32)));                           /* bits: */
    F end = f_set1(NEAR_END_F32);
    return f_select(f_less(f_set1(0.25f), t), f_lower(c, end), f_raise(r, end));
}
OP D wide_tail_f64(D m, D e, D tail, D step, D slope) {
    D t = d_add(d_mul(e, step), tail);
    D x = d_mul(m, slope);
    D s = d_mul(x, x);
    D c = d_add(d_mul(d_mul(horner_d(s, LIST(near_f64)), s), x), x);
    D r = minus_log_f64(t);
    r = d_sqrt(d_add(r, r));
    D v = d_sub(d_div(d_set1(1.0), d_add(r, d_set1(TAIL_SHIFT_F64))), d_set1(TAIL_MIDDLE_F64));
    r = d_sub(r, horner_d(v, LIST(tail_f64)));
    D end = d_set1(NEAR_END_F64);
    return d_select(d_less(d_set1(0.25), t), d_lower(c, end), d_raise(r, end));
}

OP F wide_f32(const truncated_f32 *p, I w) {
    I top = i_set1(0x80000000u);
    MF negative = i_less(i_xor(w, top), i_xor(p->first, top)); /* unsigned w < first */
    I mask = i_select(negative, i_set1(0xFFFFFFFFu), i_set1(0));
    F m = place_f32(i_xor(i_sub(w, p->first), mask), f_select(negative, p->k[0], p->k[1]));
    F e = place_f32(i_xor(i_xor(w, mask), i_set1(0xFFFFFFFFu)), f_set1(0.5f));
    F z = wide_tail_f32(m, e, f_select(negative, p->k[2], p->k[3]),
        f_select(negative, p->k[4], p->k[5]), f_select(negative, p->k[6], p->k[7]));
    return f_flip(z, mask);
}
OP D wide_f64(const truncated_f64 *p, L w) {
    const L ones = l_set1(~(uint64_t)0);
    w = l_xor(w, p->flip);
    /* unsigned w < first: the borrow of the subtraction */
    L difference = l_sub(w, p->first), unlike = l_xor(w, p->first);
    L mask = l_sign(l_or(l_and(l_xor(w, ones), p->first), l_and(l_xor(unlike, ones), difference)));
    MD negative = l_negative(mask);
    D m = place_f64(l_xor(difference, mask), d_select(negative, p->k[0], p->k[1]));
    D e = place_f64(l_xor(l_xor(w, mask), ones), d_set1(0.5));
    D z = wide_tail_f64(m, e, d_select(negative, p->k[2], p->k[3]),
        d_select(negative, p->k[4], p->k[5]), d_select(negative, p->k[6], p->k[7]));
    return d_flip(d_flip(z, mask), p->flip);
}

/* -------------------------------------------------------------- form 2: both bounds on one side */

/* |z| from the distances from the nearer and the farther bound, in words. */
OP F far_f32(const truncated_f32 *p, I w) {
    w = i_xor(w, p->flip);
    F near = place_f32(w, f_set1(0.5f)),
        away = place_f32(i_xor(w, i_set1(0xFFFFFFFFu)), f_set1(0.5f));
    const F *k = p->k; /* step, left, bound, scale, hazard, slope, shift */
    /* bits: of the near bound's tail, the share between it and z */
    F u = f_mul(near, k[0]);
    F l = f_mul(horner_f(u, LIST(low_f32)), f_mul(u, u));           /* bits: two */
    l = f_add(l, u);                                                /* bits: */
    F v = f_add(f_mul(away, k[0]), k[1]);                           /* bits: two: 1 - u */
    F end = f_set1(LOW_END_F32);
    F e = f_select(f_less(u, f_set1(0.25f)), f_lower(l, end), f_raise(minus_log_f32(v), end));
    F y = f_div(k[3], e);                                           /* bits: */
    F a = f_mul(y, k[4]);                                           /* bits: */
    F b = f_add(f_mul(a, a), f_mul(y, k[5]));                       /* bits: three */
    F x = f_div(k[3], f_add(a, f_sqrt(b)));
        /* bits: three: e = hazard x + slope x^2 / 2, solved so that no
                                                                       rounding turns the order */
    v = f_div(x, f_add(x, k[6]));                                   /* bits: two */
    F c = f_mul(horner_f(v, p->correction, CORRECTION_F32), f_mul(v, v)); /* bits: two */
    x = f_add(x, f_mul(c, x));                                      /* bits: two */
    return f_flip(f_add(x, k[2]), p->flip);                         /* bits: */
}
OP D far_f64(const truncated_f64 *p, L w) {
    w = l_xor(w, p->flip);
    D near = place_f64(w, d_set1(0.5)),
        away = place_f64(l_xor(w, l_set1(~(uint64_t)0)), d_set1(0.5));
    const D *k = p->k;
    D u = d_mul(near, k[0]);
    D l = d_mul(horner_d(u, LIST(low_f64)), d_mul(u, u));
    l = d_add(l, u);
    D v = d_add(d_mul(away, k[0]), k[1]);
    D end = d_set1(LOW_END_F64);
    D e = d_select(d_less(u, d_set1(0.25)), d_lower(l, end), d_raise(minus_log_f64(v), end));
    D y = d_div(k[3], e);
    D a = d_mul(y, k[4]);
    D b = d_add(d_mul(a, a), d_mul(y, k[5]));
    D x = d_div(k[3], d_add(a, d_sqrt(b)));
    v = d_div(x, d_add(x, k[6]));
    D c = d_mul(horner_d(v, p->correction, CORRECTION_F64), d_mul(v, v));
    x = d_add(x, d_mul(c, x));
    return d_flip(d_add(x, k[2]), p->flip);
}

/* ------------------------------------------------------------------------------------ the draws */

OP F draw_truncated_f32(const int form, const truncated_f32 *p, I w) {
    F z = form == CENTRAL ? central_f32(p->k, w) : form == WIDE ? wide_f32(p, w) : far_f32(p, w);
    F y = f_add(p->mean, f_mul(p->std, z)); /* bits: two roundings */
    return f_lower(f_raise(y, p->low), p->high);
}

OP D draw_truncated_f64(const int form, const truncated_f64 *p, L w) {
    D z = form == WIDE ? wide_f64(p, w) : far_f64(p, w);
    D y = d_add(p->mean, d_mul(p->std, z)); /* bits: two roundings */
    return d_lower(d_raise(y, p->low), p->high);
}
