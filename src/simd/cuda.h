/* The operation vocabulary of one GPU thread: 2 lanes of 32 bits, 1 of 64, in plain C.  Each name
 * is one operation on every ISA; see scalar.h for its meaning.  Compiled by NVRTC for the GPU, and
 * by a host compiler for the tests, where isa/cuda.cu emulates the threads. Sums and products are C
 * operators, kept apart by --fmad=false; quotients and roots are rounded to nearest by
 * --prec-div=true and --prec-sqrt=true, and subnormals are kept by --ftz=false.  Only
 * wide_product() and the stores say anything about NVIDIA. */
#define LANES 2
#define TILES_IN_FLIGHT 2 /* of a thread */

typedef struct {
    float v[2];
} F;
typedef struct {
    uint32_t v[2];
} I;
typedef struct {
    int v[2];
} MF;
typedef double D;
typedef uint64_t L;
typedef int MD;

#ifdef __CUDACC__
/* In C it would be a multiplication of two 64-bit words, of which the compiler forgets that they
 * are short. */
OP uint64_t wide_product(uint32_t a, uint32_t b) {
    uint64_t product;
    asm("mul.wide.u32 %0, %1, %2;" : "=l"(product) : "r"(a), "r"(b));
    return product;
}
#define WRITE(type, place, value) (*(type *)(place) = (value))
OP uint32_t bits_of_f(float a) { return (uint32_t)__float_as_int(a); }
OP float f_of_bits(uint32_t a) { return __int_as_float((int)a); }
OP uint64_t bits_of_d(double a) { return (uint64_t)__double_as_longlong(a); }
OP double d_of_bits(uint64_t a) { return __longlong_as_double((long long)a); }
#else
OP uint64_t wide_product(uint32_t a, uint32_t b) { return (uint64_t)a * b; }
#define WRITE(type, place, value) \
    do { \
        type written = (value); \
        memcpy(place, &written, sizeof written); \
    } while (0)
OP uint32_t bits_of_f(float a) {
    uint32_t r;
    memcpy(&r, &a, 4);
    return r;
}
OP float f_of_bits(uint32_t a) {
    float r;
    memcpy(&r, &a, 4);
    return r;
}
OP uint64_t bits_of_d(double a) {
    uint64_t r;
    memcpy(&r, &a, 8);
    return r;
}
OP double d_of_bits(uint64_t a) {
    double r;
    memcpy(&r, &a, 8);
    return r;
}
#endif

#define BOTH(T, expression) \
    do { \
        T r; \
        { \
            const int k = 0; \
            r.v[0] = (expression); \
        } \
        { \
            const int k = 1; \
            r.v[1] = (expression); \
        } \
        return r; \
    } while (0)

OP L l_set1(uint64_t a) { return a; }
OP L l_load(const uint64_t *a) { return a[0]; }
OP L l_add(L a, L b) { return a + b; }
OP L l_sub(L a, L b) { return a - b; }
OP L l_mul32(L a, L b) { return wide_product((uint32_t)a, (uint32_t)b); }
OP L l_and(L a, L b) { return a & b; }
OP L l_or(L a, L b) { return a | b; }
OP L l_xor(L a, L b) { return a ^ b; }
OP L l_xor3(L a, L b, L c) { return a ^ b ^ c; }
OP L l_shr(L a, int n) { return a >> n; }
OP L l_shl(L a, int n) { return a << n; }
OP L l_sign(L a) { return 0 - (a >> 63); }
OP MD l_negative(L a) { return (int)(a >> 63); }
OP I merge(L even, L odd) {
    I r = {{(uint32_t)even, (uint32_t)odd}};
    return r;
}

OP I i_set1(uint32_t a) {
    I r = {{a, a}};
    return r;
}
OP I i_add(I a, I b) { BOTH(I, a.v[k] + b.v[k]); }
OP I i_sub(I a, I b) { BOTH(I, a.v[k] - b.v[k]); }
OP I i_and(I a, I b) { BOTH(I, a.v[k] & b.v[k]); }
OP I i_or(I a, I b) { BOTH(I, a.v[k] | b.v[k]); }
OP I i_andnot(I a, I b) { BOTH(I, ~a.v[k] & b.v[k]); }
OP I i_xor(I a, I b) { BOTH(I, a.v[k] ^ b.v[k]); }
OP I i_shr(I a, int n) { BOTH(I, a.v[k] >> n); }
OP I i_sar(I a, int n) { BOTH(I, (uint32_t)((int32_t)a.v[k] >> n)); }
OP I i_shl(I a, int n) { BOTH(I, a.v[k] << n); }
OP MF i_negative(I a) { BOTH(MF, (int32_t)a.v[k] < 0); }
OP MF i_less(I a, I b) { BOTH(MF, (int32_t)a.v[k] < (int32_t)b.v[k]); }
OP I i_select(MF m, I a, I b) { BOTH(I, m.v[k] ? a.v[k] : b.v[k]); }
OP I i_mulhi(I a, I b) { BOTH(I, (uint32_t)(wide_product(a.v[k], b.v[k]) >> 32)); }
OP F i_to_f(I a) { BOTH(F, (float)(int32_t)a.v[k]); }
OP F i_as_f(I a) { BOTH(F, f_of_bits(a.v[k])); }
OP I f_as_i(F a) { BOTH(I, bits_of_f(a.v[k])); }
/* Two lanes as one word: the place must be aligned to it. */
OP void i_store32(void *p, I a) { WRITE(uint64_t, p, a.v[0] | (uint64_t)a.v[1] << 32); }
OP void i_store16(void *p, I a) { WRITE(uint32_t, p, (a.v[0] & 0xFFFF) | a.v[1] << 16); }
OP void i_store8(void *p, I a) { WRITE(uint16_t, p, (uint16_t)((a.v[0] & 0xFF) | a.v[1] << 8)); }

/* Both lanes rounded to nearest even at once, subnormals kept: instructions of newer GPUs, which
 * give the bits of store.h's integers (benchmarks/cuda.py compares them for every float32). */
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800 && !defined(FI_PLAIN)
#define HAS_BF16 1
OP void f_store_bf16(void *p, F a) {
    uint32_t both;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(a.v[1]), "f"(a.v[0]));
    WRITE(uint32_t, p, both);
}
OP void f_store_f16(void *p, F a) {
    uint32_t both;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(a.v[1]), "f"(a.v[0]));
    WRITE(uint32_t, p, both);
}
#else
#define F16_BY_INTEGERS 1
#endif
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 890 && !defined(FI_PLAIN)
#define HAS_F8 1
OP void f_store_e4m3(void *p, F a) {
    uint16_t both;
    asm("cvt.rn.satfinite.e4m3x2.f32 %0, %1, %2;" : "=h"(both) : "f"(a.v[1]), "f"(a.v[0]));
    WRITE(uint16_t, p, both);
}
OP void f_store_e5m2(void *p, F a) {
    uint16_t both;
    asm("cvt.rn.satfinite.e5m2x2.f32 %0, %1, %2;" : "=h"(both) : "f"(a.v[1]), "f"(a.v[0]));
    WRITE(uint16_t, p, both);
}
#endif

OP F f_set1(float a) {
    F r = {{a, a}};
    return r;
}
OP F f_add(F a, F b) { BOTH(F, a.v[k] + b.v[k]); }
OP F f_sub(F a, F b) { BOTH(F, a.v[k] - b.v[k]); }
OP F f_mul(F a, F b) { BOTH(F, a.v[k] * b.v[k]); }
OP F f_div(F a, F b) { BOTH(F, a.v[k] / b.v[k]); }
OP F f_sqrt(F a) { BOTH(F, sqrtf(a.v[k])); }
/* The steps of div.rn and sqrt.rn for numbers of middling size, without their test for others: a
 * ninth of normal's time.  The last fused step rounds the exact quotient or root, so that the bits
 * are those of f_div() and f_sqrt().  FI_PLAIN leaves them out, to compare: benchmarks/cuda.py does
 * so for all 2^32 words. */
#if defined(__CUDACC__) && !defined(FI_PLAIN)
#define HAS_NEAR 1
OP float quotient(float a, float b) {
    float r;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(b));
    r = fmaf(r, fmaf(-b, r, 1.0f), r);
    float q = a * r;
    return fmaf(r, fmaf(-b, q, a), q);
}
OP float root(float a) {
    float r;
    asm("rsqrt.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(a));
    float q = a * r;
    return fmaf(fmaf(-q, q, a), 0.5f * r, q);
}
OP F f_div_near(F a, F b) { BOTH(F, quotient(a.v[k], b.v[k])); }
OP F f_sqrt_near(F a) { BOTH(F, root(a.v[k])); }
#endif
OP MF f_less(F a, F b) { BOTH(MF, a.v[k] < b.v[k]); }
OP F f_select(MF m, F a, F b) { BOTH(F, m.v[k] ? a.v[k] : b.v[k]); }
OP F f_flip(F a, I w) { return i_as_f(i_xor(f_as_i(a), i_and(w, i_set1(0x80000000u)))); }
/* Of two zeros fmaxf() takes the positive one and the meaning takes y: no draw gives -0, since no
 * mean and no bound is -0. */
OP F f_raise(F y, F low) { BOTH(F, fmaxf(low.v[k], y.v[k])); }
OP F f_lower(F y, F high) { BOTH(F, fminf(high.v[k], y.v[k])); }

OP D d_set1(double a) { return a; }
OP D d_add(D a, D b) { return a + b; }
OP D d_sub(D a, D b) { return a - b; }
OP D d_mul(D a, D b) { return a * b; }
OP D d_div(D a, D b) { return a / b; }
OP D d_sqrt(D a) { return sqrt(a); }
OP MD d_less(D a, D b) { return a < b; }
OP D d_select(MD m, D a, D b) { return m ? a : b; }
OP D d_raise(D y, D low) { return y < low ? low : y; }
OP D d_lower(D y, D high) { return high < y ? high : y; }
OP D l_as_d(L a) { return d_of_bits(a); }
OP L d_as_l(D a) { return bits_of_d(a); }
OP D d_flip(D a, L w) { return l_as_d(l_xor(d_as_l(a), l_and(w, l_set1(0x8000000000000000u)))); }

#define EXPONENT_SCALE 1.0f
