/* The operation vocabulary in plain C: 4 lanes of 32 bits, 2 of 64, one loop an operation.  Runs
 * anywhere, and says what each name means on every other ISA:
 *   F, D   float32 and float64 lanes          I, L   32- and 64-bit words, two's complement
 *   MF, MD truth per lane of F or I, of D or L: only f_select, i_select and d_select look inside
 *   merge(even, odd)   the low words of the 64-bit lanes of `even` and `odd`, alternating: even[0],
 *       odd[0], even[1], ...
 *   l_mul32            low 32 bits times low 32 bits; the high halves may hold anything
 *   i_mulhi            the high half of the unsigned product
 *   f_raise(y, low)    y < low ? low : y          f_lower(y, high)   high < y ? high : y
 *   f_flip(a, w)       a with its sign changed where the top bit of w is set
 *   i_store16, i_store8   the low bits of each lane (values that fit)
 * Every F and D operation is one IEEE operation, rounded to nearest even. */
#define LANES 4
#define TILES_IN_FLIGHT 1
#define F16_BY_INTEGERS 1

typedef struct { float v[4]; } F;
typedef struct { double v[2]; } D;
typedef struct { uint32_t v[4]; } I;
typedef struct { uint64_t v[2]; } L;
typedef struct { uint32_t v[4]; } MF;
typedef struct { uint64_t v[2]; } MD;

#define EACH(T, n, expression) \
    do { \
        T r; \
        for (int k = 0; k < n; k++) r.v[k] = (expression); \
        return r; \
    } while (0)

OP L l_set1(uint64_t a) { EACH(L, 2, a); }
OP L l_load(const uint64_t *a) { EACH(L, 2, a[k]); }
OP L l_add(L a, L b) { EACH(L, 2, a.v[k] + b.v[k]); }
OP L l_sub(L a, L b) { EACH(L, 2, a.v[k] - b.v[k]); }
OP L l_mul32(L a, L b) { EACH(L, 2, (uint64_t)(uint32_t)a.v[k] * (uint32_t)b.v[k]); }
OP L l_and(L a, L b) { EACH(L, 2, a.v[k] & b.v[k]); }
OP L l_or(L a, L b) { EACH(L, 2, a.v[k] | b.v[k]); }
OP L l_xor(L a, L b) { EACH(L, 2, a.v[k] ^ b.v[k]); }
OP L l_xor3(L a, L b, L c) { EACH(L, 2, a.v[k] ^ b.v[k] ^ c.v[k]); }
OP L l_shr(L a, int n) { EACH(L, 2, a.v[k] >> n); }
OP L l_shl(L a, int n) { EACH(L, 2, a.v[k] << n); }
OP L l_sign(L a) { EACH(L, 2, 0 - (a.v[k] >> 63)); }
OP MD l_negative(L a) { EACH(MD, 2, a.v[k] >> 63); }
OP void l_store(void *p, L a) { memcpy(p, a.v, 16); }
OP I merge(L even, L odd) {
    I r = {{(uint32_t)even.v[0], (uint32_t)odd.v[0], (uint32_t)even.v[1], (uint32_t)odd.v[1]}};
    return r;
}

OP I i_set1(uint32_t a) { EACH(I, 4, a); }
OP I i_add(I a, I b) { EACH(I, 4, a.v[k] + b.v[k]); }
OP I i_sub(I a, I b) { EACH(I, 4, a.v[k] - b.v[k]); }
OP I i_and(I a, I b) { EACH(I, 4, a.v[k] & b.v[k]); }
OP I i_or(I a, I b) { EACH(I, 4, a.v[k] | b.v[k]); }
OP I i_andnot(I a, I b) { EACH(I, 4, ~a.v[k] & b.v[k]); }
OP I i_xor(I a, I b) { EACH(I, 4, a.v[k] ^ b.v[k]); }
OP I i_shr(I a, int n) { EACH(I, 4, a.v[k] >> n); }
OP I i_sar(I a, int n) { EACH(I, 4, (a.v[k] >> n) | (0 - (a.v[k] >> 31)) << (31 - n) << 1); }
OP I i_shl(I a, int n) { EACH(I, 4, a.v[k] << n); }
OP MF i_negative(I a) { EACH(MF, 4, a.v[k] >> 31); }
OP MF i_less(I a, I b) { EACH(MF, 4, (a.v[k] ^ 0x80000000u) < (b.v[k] ^ 0x80000000u)); }
OP I i_select(MF m, I a, I b) { EACH(I, 4, m.v[k] ? a.v[k] : b.v[k]); }
OP I i_mulhi(I a, I b) { EACH(I, 4, (uint32_t)((uint64_t)a.v[k] * b.v[k] >> 32)); }
OP F i_to_f(I a) { EACH(F, 4, (float)(int32_t)a.v[k]); }
OP F i_as_f(I a) { F r; memcpy(r.v, a.v, 16); return r; }
OP I f_as_i(F a) { I r; memcpy(r.v, a.v, 16); return r; }
OP void i_store32(void *p, I a) { memcpy(p, a.v, 16); }
OP void i_store16(void *p, I a) {
    uint16_t r[4];
    for (int k = 0; k < 4; k++) r[k] = (uint16_t)a.v[k];
    memcpy(p, r, 8);
}
OP void i_store8(void *p, I a) {
    uint8_t r[4];
    for (int k = 0; k < 4; k++) r[k] = (uint8_t)a.v[k];
    memcpy(p, r, 4);
}

OP F f_set1(float a) { EACH(F, 4, a); }
OP F f_add(F a, F b) { EACH(F, 4, a.v[k] + b.v[k]); }
OP F f_sub(F a, F b) { EACH(F, 4, a.v[k] - b.v[k]); }
OP F f_mul(F a, F b) { EACH(F, 4, a.v[k] * b.v[k]); }
OP F f_div(F a, F b) { EACH(F, 4, a.v[k] / b.v[k]); }
OP F f_sqrt(F a) { EACH(F, 4, sqrtf(a.v[k])); }
OP MF f_less(F a, F b) { EACH(MF, 4, a.v[k] < b.v[k]); }
OP F f_select(MF m, F a, F b) { EACH(F, 4, m.v[k] ? a.v[k] : b.v[k]); }
OP F f_flip(F a, I w) { return i_as_f(i_xor(f_as_i(a), i_and(w, i_set1(0x80000000u)))); }
OP F f_raise(F y, F low) { EACH(F, 4, y.v[k] < low.v[k] ? low.v[k] : y.v[k]); }
OP F f_lower(F y, F high) { EACH(F, 4, high.v[k] < y.v[k] ? high.v[k] : y.v[k]); }

OP D d_set1(double a) { EACH(D, 2, a); }
OP D d_add(D a, D b) { EACH(D, 2, a.v[k] + b.v[k]); }
OP D d_sub(D a, D b) { EACH(D, 2, a.v[k] - b.v[k]); }
OP D d_mul(D a, D b) { EACH(D, 2, a.v[k] * b.v[k]); }
OP D d_div(D a, D b) { EACH(D, 2, a.v[k] / b.v[k]); }
OP D d_sqrt(D a) { EACH(D, 2, sqrt(a.v[k])); }
OP MD d_less(D a, D b) { EACH(MD, 2, a.v[k] < b.v[k]); }
OP D d_select(MD m, D a, D b) { EACH(D, 2, m.v[k] ? a.v[k] : b.v[k]); }
OP D d_raise(D y, D low) { EACH(D, 2, y.v[k] < low.v[k] ? low.v[k] : y.v[k]); }
OP D d_lower(D y, D high) { EACH(D, 2, high.v[k] < y.v[k] ? high.v[k] : y.v[k]); }
OP D l_as_d(L a) { D r; memcpy(r.v, a.v, 16); return r; }
OP L d_as_l(D a) { L r; memcpy(r.v, a.v, 16); return r; }
OP D d_flip(D a, L w) { return l_as_d(l_xor(d_as_l(a), l_and(w, l_set1(0x8000000000000000u)))); }

#define EXPONENT_SCALE 1.0f
