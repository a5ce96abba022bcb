/* Box-Muller: a radius word and an angle word give two normals.  No include guards. Lines marked
 * bits: are fastinit/stream-v1.md's numbered operations, one each, in its order.  The constants are
 * minimax fits of tests/derivation/fit_normal.py; tests/derivation/sweep_normal.c measures every
 * one of the 2^32 words. */

typedef struct { F mean, std; } normal_f32;
typedef struct { D mean, std; } normal_f64;

OP normal_f32 make_normal_f32(const double *p) {
    normal_f32 n = {f_set1((float)p[0]), f_set1((float)p[1])};
    return n;
}
OP normal_f64 make_normal_f64(const double *p) {
    normal_f64 n = {d_set1(p[0]), d_set1(p[1])};
    return n;
}

/* r = sqrt(-2 ln u).  The sign s of the word tells which end of (0, 1) u is nearer to: near 0, u =
 * v = 2^e m / 2 with m in [1, 2) and ln u = e ln 2 + ln(1 + g / 2) with g = m - 2; near 1, u = 1 -
 * v is never formed and ln u = ln(1 + g / 2) with g = -2v. */
OP F radius_f32(I a) {
    I s = i_sar(a, 31);
    /* bits: -2v, in [-1, -2^-32] */
    F n = f_mul(f_add(i_to_f(i_xor(a, s)), f_set1(0.5f)), f_set1(-0x1p-31f));
    F e, g;
#ifdef HAS_GETEXP
    split(n, a, &e, &g);
#else
    I i = i_and(i_sub(f_as_i(n), i_set1(0xBF800000u)), i_set1(0xFF800000u));
    F m = i_as_f(i_sub(f_as_i(n), i)); /* with the sign of n: in (-2, -1] */
    g = f_select(i_negative(a), n, f_sub(f_set1(-2.0f), m));
    e = i_to_f(i_andnot(s, i)); /* 2^23 times the exponent: the scale is in RADIUS_E */
#endif
    F d = f_add(g, f_set1(RADIUS_D1));                 /* bits: */
    d = f_mul(d, g);                                   /* bits: */
    d = f_add(d, f_set1(RADIUS_D0));                   /* bits: */
    F q = f_div_near(f_set1(RADIUS_N), d);                  /* bits: */
    q = f_add(q, f_set1(RADIUS_Q1));                   /* bits: */
    F w = f_add(g, f_set1(RADIUS_W));                  /* bits: */
    q = f_mul(q, w);                                   /* bits: */
    q = f_add(q, f_set1(RADIUS_Q0));                   /* bits: */
    q = f_mul(q, g);                                   /* bits: */
    F t = f_mul(e, f_set1(RADIUS_E * EXPONENT_SCALE)); /* bits: */
    return f_sqrt_near(f_add(t, q));                        /* bits: */
}

/* Cosine and sine of the angle b / 2^32 turns: over an eighth of a turn on either side of the
 * nearest quarter, then swapped and signed. */
OP void sincos_f32(I b, F *cosine, F *sine) {
    F y = i_to_f(i_shl(b, 2));            /* signed: 4 (b - the nearest quarter) */
    F h = f_mul(y, f_set1(ANGLE_K));      /* bits: */
    F z = f_mul(h, y);                    /* bits: */
    F c = f_sub(f_set1(ANGLE_C2), z);     /* bits: */
    F g = f_mul(c, z);                    /* bits: shared with the sine */
    c = f_add(g, f_set1(ANGLE_C1));       /* bits: */
    c = f_mul(c, z);                      /* bits: */
    c = f_add(c, f_set1(1.0f));           /* bits: */
    F o = f_mul(z, f_set1(ANGLE_S3));     /* bits: */
    o = f_add(o, f_set1(ANGLE_S2));       /* bits: */
    F w = f_add(g, f_set1(ANGLE_S1));     /* bits: */
    o = f_mul(o, w);                      /* bits: */
    o = f_mul(o, y);                      /* bits: */
    /* The nearest quarter turn q is in the top bits of b + 2^29: odd swaps, q = 1, 2 turns the
     * cosine's sign and q = 2, 3 the sine's. */
    I quarter = i_add(b, i_set1(0x20000000u));
    MF odd = i_negative(i_shl(quarter, 1));
    *cosine = f_flip(f_select(odd, o, c), i_add(b, i_set1(0x60000000u)));
    *sine = f_flip(f_select(odd, c, o), quarter);
}

OP void draw_normal_f32(const normal_f32 *p, I a, I b, F *y) {
    F c, s, r = radius_f32(a);
    sincos_f32(b, &c, &s);
    y[0] = f_add(p->mean, f_mul(p->std, f_mul(r, c))); /* bits: three roundings */
    y[1] = f_add(p->mean, f_mul(p->std, f_mul(r, s))); /* bits: */
}

/* The same in float64, from 64-bit words. */
OP D radius_f64(L a) {
    L x = l_xor(a, l_sign(a));
    D high = d_mul(small_l_to_d(l_shr(x, 32)), d_set1(0x1p32)),
        low = d_add(small_l_to_d(l_and(x, l_set1(0xFFFFFFFFu))), d_set1(0.5));
    D n = d_mul(d_add(high, low), d_set1(-0x1p-63)); /* bits: -2v: one rounding, in the sum */
    D e, g;
#ifdef HAS_GETEXP
    split64(n, a, &e, &g);
#else
    L i = l_and(l_sub(d_as_l(n), l_set1(0xBFF0000000000000u)), l_set1(0xFFF0000000000000u));
    D m = l_as_d(l_sub(d_as_l(n), i));
    MD near1 = l_negative(a);
    g = d_select(near1, n, d_sub(d_set1(-2.0), m));
    /* sign and exponent bits of n as a number, 0xBFF for -1 */
    e = d_sub(l_as_d(l_or(l_shr(d_as_l(n), 52), l_set1(0x4330000000000000u))),
        d_set1(0x1p52 + 0xBFF));
    e = d_select(near1, d_set1(0.0), e);
#endif
    D y = d_div(g, d_add(g, d_set1(4.0))); /* bits: ln(1 + g / 2) = 2 artanh(y) */
    D z = d_mul(y, y);                     /* bits: */
    D p = d_mul(z, d_set1(LOG64_9));       /* bits: and so on down, a product and a sum each */
    p = d_mul(d_add(p, d_set1(LOG64_8)), z);
    p = d_mul(d_add(p, d_set1(LOG64_7)), z);
    p = d_mul(d_add(p, d_set1(LOG64_6)), z);
    p = d_mul(d_add(p, d_set1(LOG64_5)), z);
    p = d_mul(d_add(p, d_set1(LOG64_4)), z);
    p = d_mul(d_add(p, d_set1(LOG64_3)), z);
    p = d_mul(d_add(p, d_set1(LOG64_2)), z);
    p = d_mul(d_add(p, d_set1(LOG64_1)), z);
    p = d_mul(d_add(p, d_set1(LOG64_0)), y);
    return d_sqrt(d_add(d_mul(e, d_set1(LOG64_E)), p)); /* bits: */
}

OP void sincos_f64(L b, D *cosine, D *sine) {
    /* float64 of 4 b as a signed integer, rounded once: the halves are exact and so is their
     * scaling. */
    L x = l_shl(b, 2);
    D high = d_sub(small_l_to_d(l_xor(l_shr(x, 32), l_set1(0x80000000u))), d_set1(0x1p31));
    /* bits: */
    D y = d_add(d_mul(high, d_set1(0x1p32)), small_l_to_d(l_and(x, l_set1(0xFFFFFFFFu))));
    D z = d_mul(d_mul(y, d_set1(ANGLE64_K)), y);  /* bits: y K first */
    D g = d_mul(d_add(z, d_set1(ANGLE64_C5)), z); /* bits: shared with the sine */
    D c = d_mul(d_add(g, d_set1(ANGLE64_C4)), z); /* bits: and so on down */
    c = d_mul(d_add(c, d_set1(ANGLE64_C3)), z);
    c = d_mul(d_add(c, d_set1(ANGLE64_C2)), z);
    c = d_mul(d_add(c, d_set1(ANGLE64_C1)), z);
    c = d_add(c, d_set1(1.0));
    D o = d_add(d_mul(z, d_set1(ANGLE64_S6)), d_set1(ANGLE64_S5)); /* bits: */
    o = d_mul(o, d_add(g, d_set1(ANGLE64_S4)));
    o = d_mul(d_add(o, d_set1(ANGLE64_S3)), z);
    o = d_mul(d_add(o, d_set1(ANGLE64_S2)), z);
    o = d_mul(d_add(o, d_set1(ANGLE64_S1)), z);
    o = d_mul(d_add(o, d_set1(ANGLE64_S0)), y);
    L quarter = l_add(b, l_set1(0x2000000000000000u));
    MD odd = l_negative(l_shl(quarter, 1));
    *cosine = d_flip(d_select(odd, o, c), l_add(b, l_set1(0x6000000000000000u)));
    *sine = d_flip(d_select(odd, c, o), quarter);
}

OP void draw_normal_f64(const normal_f64 *p, L a, L b, D *y) {
    D c, s, r = radius_f64(a);
    sincos_f64(b, &c, &s);
    y[0] = d_add(p->mean, d_mul(p->std, d_mul(r, c))); /* bits: three roundings */
    y[1] = d_add(p->mean, d_mul(p->std, d_mul(r, s))); /* bits: */
}
