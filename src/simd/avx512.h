/* The operation vocabulary for AVX-512: 16 lanes of 32 bits, 8 of 64.  Each name is one operation
 * on every ISA; see scalar.h for its meaning.  Included inside a target region, after
 * <immintrin.h>. */
#define LANES 16
#define TILES_IN_FLIGHT 2

typedef __m512 F;
typedef __m512d D;
typedef __m512i I;
typedef __m512i L;
typedef __mmask16 MF;
typedef __mmask8 MD;

OP L l_set1(uint64_t a) { return _mm512_set1_epi64((long long)a); }
OP L l_load(const uint64_t *a) { return _mm512_loadu_si512(a); }
OP L l_add(L a, L b) { return _mm512_add_epi64(a, b); }
OP L l_sub(L a, L b) { return _mm512_sub_epi64(a, b); }
OP L l_mul32(L a, L b) { return _mm512_mul_epu32(a, b); }
OP L l_and(L a, L b) { return _mm512_and_si512(a, b); }
OP L l_or(L a, L b) { return _mm512_or_si512(a, b); }
OP L l_xor(L a, L b) { return _mm512_xor_si512(a, b); }
OP L l_xor3(L a, L b, L c) { return _mm512_ternarylogic_epi64(a, b, c, 0x96); }
#define l_shr(a, n) _mm512_srli_epi64(a, n)
#define l_shl(a, n) _mm512_slli_epi64(a, n)
OP L l_sign(L a) { return _mm512_srai_epi64(a, 63); }
OP MD l_negative(L a) { return _mm512_movepi64_mask(a); }
OP void l_store(void *p, L a) { _mm512_storeu_si512(p, a); }
OP I merge(L even, L odd) { return _mm512_mask_shuffle_epi32(even, 0xAAAA, odd, _MM_PERM_CCAA); }

OP I i_set1(uint32_t a) { return _mm512_set1_epi32((int)a); }
OP I i_add(I a, I b) { return _mm512_add_epi32(a, b); }
OP I i_sub(I a, I b) { return _mm512_sub_epi32(a, b); }
OP I i_and(I a, I b) { return _mm512_and_si512(a, b); }
OP I i_or(I a, I b) { return _mm512_or_si512(a, b); }
OP I i_andnot(I a, I b) { return _mm512_andnot_si512(a, b); }
OP I i_xor(I a, I b) { return _mm512_xor_si512(a, b); }
#define i_shr(a, n) _mm512_srli_epi32(a, n)
#define i_sar(a, n) _mm512_srai_epi32(a, n)
#define i_shl(a, n) _mm512_slli_epi32(a, n)
OP MF i_negative(I a) { return _mm512_movepi32_mask(a); }
OP MF i_less(I a, I b) { return _mm512_cmplt_epi32_mask(a, b); }
OP I i_select(MF m, I a, I b) { return _mm512_mask_mov_epi32(b, m, a); }
OP I i_mulhi(I a, I b) {
    I even = _mm512_srli_epi64(_mm512_mul_epu32(a, b), 32);
    I odd = _mm512_mul_epu32(_mm512_srli_epi64(a, 32), _mm512_srli_epi64(b, 32));
    return _mm512_mask_mov_epi32(even, 0xAAAA, odd);
}
OP F i_to_f(I a) { return _mm512_cvtepi32_ps(a); }
OP F i_as_f(I a) { return _mm512_castsi512_ps(a); }
OP I f_as_i(F a) { return _mm512_castps_si512(a); }
OP void i_store32(void *p, I a) { _mm512_storeu_si512(p, a); }
/* Non-temporal, to multiples of 64 bytes.  Tested at every store although it holds: GCC then
 * keeps the values in registers; without the test it collects eight vectors on the stack first, and
 * uniform takes 16.3 ms in place of 14.5. */
#define HAS_NON_TEMPORAL_STORE 1
OP void i_store32_non_temporal(void *p, I a) {
    if ((uintptr_t)p % 64) _mm512_storeu_si512(p, a);
    else _mm512_stream_si512((__m512i *)p, a);
}
OP void store_fence(void) { _mm_sfence(); }
OP void i_store16(void *p, I a) { _mm256_storeu_si256((__m256i *)p, _mm512_cvtepi32_epi16(a)); }
OP void i_store8(void *p, I a) { _mm_storeu_si128((__m128i *)p, _mm512_cvtepi32_epi8(a)); }

OP F f_set1(float a) { return _mm512_set1_ps(a); }
OP F f_add(F a, F b) { return _mm512_add_ps(a, b); }
OP F f_sub(F a, F b) { return _mm512_sub_ps(a, b); }
OP F f_mul(F a, F b) { return _mm512_mul_ps(a, b); }
OP F f_div(F a, F b) { return _mm512_div_ps(a, b); }
OP F f_sqrt(F a) { return _mm512_sqrt_ps(a); }
OP MF f_less(F a, F b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
OP F f_select(MF m, F a, F b) { return _mm512_mask_mov_ps(b, m, a); }
OP F f_flip(F a, I w) {
    return _mm512_castsi512_ps(_mm512_ternarylogic_epi32(_mm512_castps_si512(a), w,
        _mm512_set1_epi32((int)0x80000000u), 0x78));
}
OP F f_raise(F y, F low) { return _mm512_max_ps(low, y); }
OP F f_lower(F y, F high) { return _mm512_min_ps(high, y); }
OP void f_store_f16(void *p, F a) {
    _mm256_storeu_si256((__m256i *)p, _mm512_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT));
}

OP D d_set1(double a) { return _mm512_set1_pd(a); }
OP D d_add(D a, D b) { return _mm512_add_pd(a, b); }
OP D d_sub(D a, D b) { return _mm512_sub_pd(a, b); }
OP D d_mul(D a, D b) { return _mm512_mul_pd(a, b); }
OP D d_div(D a, D b) { return _mm512_div_pd(a, b); }
OP D d_sqrt(D a) { return _mm512_sqrt_pd(a); }
OP MD d_less(D a, D b) { return _mm512_cmp_pd_mask(a, b, _CMP_LT_OQ); }
OP D d_select(MD m, D a, D b) { return _mm512_mask_mov_pd(b, m, a); }
OP D d_raise(D y, D low) { return _mm512_max_pd(low, y); }
OP D d_lower(D y, D high) { return _mm512_min_pd(high, y); }
OP D l_as_d(L a) { return _mm512_castsi512_pd(a); }
OP L d_as_l(D a) { return _mm512_castpd_si512(a); }
OP D d_flip(D a, L w) {
    return l_as_d(_mm512_ternarylogic_epi64(d_as_l(a), w, l_set1(0x8000000000000000u), 0x78));
}

/* AVX-512 takes exponent and mantissa apart in one instruction each: the same e and g as
 * radius_f32's integers give. */
#define HAS_GETEXP 1
#define EXPONENT_SCALE 0x1p23f
OP void split(F n, I a, F *e, F *g) {
    MF near0 = (MF)~_mm512_movepi32_mask(a);
    *e = _mm512_maskz_getexp_ps(near0, n);
    *g = _mm512_mask_sub_ps(n, near0, _mm512_getmant_ps(n, _MM_MANT_NORM_1_2, _MM_MANT_SIGN_zero),
        _mm512_set1_ps(2.0f));
}
OP void split64(D n, L a, D *e, D *g) {
    MD near0 = (MD)~_mm512_movepi64_mask(a);
    *e = _mm512_maskz_getexp_pd(near0, n);
    *g = _mm512_mask_sub_pd(n, near0, _mm512_getmant_pd(n, _MM_MANT_NORM_1_2, _MM_MANT_SIGN_zero),
        _mm512_set1_pd(2.0));
}

/* bfloat16 of two vectors at once: half the narrowing, one full store.  0x7FFF, or 0x8000 where the
 * kept part is odd, rounds to even. */
#define HAS_BF16_PAIR 1
OP I bf16_rounded(F y) {
    I bits = f_as_i(y);
    MF odd = _mm512_test_epi32_mask(bits, _mm512_set1_epi32(0x10000));
    return _mm512_mask_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7FFF)), odd, bits,
        _mm512_set1_epi32(0x8000));
}
OP void store_bf16_pair(void *p, F first, F second) {
    const I high_halves = _mm512_set_epi16(63, 61, 59, 57, 55, 53, 51, 49, 47, 45, 43, 41, 39, 37,
        35, 33, 31, 29, 27, 25, 23, 21, 19, 17, 15, 13, 11, 9, 7, 5, 3, 1);
    _mm512_storeu_si512(p,
        _mm512_permutex2var_epi16(bf16_rounded(first), high_halves, bf16_rounded(second)));
}
