/* The operation vocabulary for SSE2, the x86-64 baseline: 4 lanes of 32 bits, 2 of 64.  Each name
 * is one operation on every ISA; see scalar.h for its meaning.  SSE2 has no blend, no 64-bit
 * compare and no half conversion: masks are full lanes, selected by and/andnot.  Included after
 * <emmintrin.h>. */
#define LANES 4
#define TILES_IN_FLIGHT 1
#define F16_BY_INTEGERS 1

typedef __m128 F;
typedef __m128d D;
typedef __m128i I;
typedef __m128i L;
typedef __m128 MF;
typedef __m128d MD;

OP L l_set1(uint64_t a) { return _mm_set1_epi64x((long long)a); }
OP L l_load(const uint64_t *a) { return _mm_loadu_si128((const __m128i *)a); }
OP L l_add(L a, L b) { return _mm_add_epi64(a, b); }
OP L l_sub(L a, L b) { return _mm_sub_epi64(a, b); }
OP L l_mul32(L a, L b) { return _mm_mul_epu32(a, b); }
OP L l_and(L a, L b) { return _mm_and_si128(a, b); }
OP L l_or(L a, L b) { return _mm_or_si128(a, b); }
OP L l_xor(L a, L b) { return _mm_xor_si128(a, b); }
OP L l_xor3(L a, L b, L c) { return _mm_xor_si128(a, _mm_xor_si128(b, c)); }
#define l_shr(a, n) _mm_srli_epi64(a, n)
#define l_shl(a, n) _mm_slli_epi64(a, n)
OP L l_sign(L a) { return _mm_shuffle_epi32(_mm_srai_epi32(a, 31), _MM_SHUFFLE(3, 3, 1, 1)); }
OP MD l_negative(L a) { return _mm_castsi128_pd(l_sign(a)); }
OP void l_store(void *p, L a) { _mm_storeu_si128((__m128i *)p, a); }
OP I merge(L even, L odd) {
    return _mm_or_si128(_mm_and_si128(even, _mm_set1_epi64x(0xFFFFFFFF)), _mm_slli_epi64(odd, 32));
}

OP I i_set1(uint32_t a) { return _mm_set1_epi32((int)a); }
OP I i_add(I a, I b) { return _mm_add_epi32(a, b); }
OP I i_sub(I a, I b) { return _mm_sub_epi32(a, b); }
OP I i_and(I a, I b) { return _mm_and_si128(a, b); }
OP I i_or(I a, I b) { return _mm_or_si128(a, b); }
OP I i_andnot(I a, I b) { return _mm_andnot_si128(a, b); }
OP I i_xor(I a, I b) { return _mm_xor_si128(a, b); }
#define i_shr(a, n) _mm_srli_epi32(a, n)
#define i_sar(a, n) _mm_srai_epi32(a, n)
#define i_shl(a, n) _mm_slli_epi32(a, n)
OP MF i_negative(I a) { return _mm_castsi128_ps(_mm_srai_epi32(a, 31)); }
OP MF i_less(I a, I b) { return _mm_castsi128_ps(_mm_cmplt_epi32(a, b)); }
OP I i_select(MF m, I a, I b) {
    __m128i mask = _mm_castps_si128(m);
    return _mm_or_si128(_mm_and_si128(mask, a), _mm_andnot_si128(mask, b));
}
OP I i_mulhi(I a, I b) {
    I even = _mm_srli_epi64(_mm_mul_epu32(a, b), 32);
    I odd = _mm_mul_epu32(_mm_srli_epi64(a, 32), _mm_srli_epi64(b, 32));
    return _mm_or_si128(even, _mm_andnot_si128(_mm_set1_epi64x(0xFFFFFFFF), odd));
}
OP F i_to_f(I a) { return _mm_cvtepi32_ps(a); }
OP F i_as_f(I a) { return _mm_castsi128_ps(a); }
OP I f_as_i(F a) { return _mm_castps_si128(a); }
OP void i_store32(void *p, I a) { _mm_storeu_si128((__m128i *)p, a); }
/* packs saturates signed, so the low halves are made signed first */
OP void i_store16(void *p, I a) {
    __m128i low = _mm_srai_epi32(_mm_slli_epi32(a, 16), 16);
    _mm_storel_epi64((__m128i *)p, _mm_packs_epi32(low, low));
}
OP void i_store8(void *p, I a) {
    __m128i narrow = _mm_packs_epi32(a, a); /* values up to 255 */
    int32_t four = _mm_cvtsi128_si32(_mm_packus_epi16(narrow, narrow));
    memcpy(p, &four, 4);
}

OP F f_set1(float a) { return _mm_set1_ps(a); }
OP F f_add(F a, F b) { return _mm_add_ps(a, b); }
OP F f_sub(F a, F b) { return _mm_sub_ps(a, b); }
OP F f_mul(F a, F b) { return _mm_mul_ps(a, b); }
OP F f_div(F a, F b) { return _mm_div_ps(a, b); }
OP F f_sqrt(F a) { return _mm_sqrt_ps(a); }
OP MF f_less(F a, F b) { return _mm_cmplt_ps(a, b); }
OP F f_select(MF m, F a, F b) { return _mm_or_ps(_mm_and_ps(m, a), _mm_andnot_ps(m, b)); }
OP F f_flip(F a, I w) { return i_as_f(i_xor(f_as_i(a), i_and(w, i_set1(0x80000000u)))); }
OP F f_raise(F y, F low) { return _mm_max_ps(low, y); }
OP F f_lower(F y, F high) { return _mm_min_ps(high, y); }

OP D d_set1(double a) { return _mm_set1_pd(a); }
OP D d_add(D a, D b) { return _mm_add_pd(a, b); }
OP D d_sub(D a, D b) { return _mm_sub_pd(a, b); }
OP D d_mul(D a, D b) { return _mm_mul_pd(a, b); }
OP D d_div(D a, D b) { return _mm_div_pd(a, b); }
OP D d_sqrt(D a) { return _mm_sqrt_pd(a); }
OP MD d_less(D a, D b) { return _mm_cmplt_pd(a, b); }
OP D d_select(MD m, D a, D b) { return _mm_or_pd(_mm_and_pd(m, a), _mm_andnot_pd(m, b)); }
OP D d_raise(D y, D low) { return _mm_max_pd(low, y); }
OP D d_lower(D y, D high) { return _mm_min_pd(high, y); }
OP D l_as_d(L a) { return _mm_castsi128_pd(a); }
OP L d_as_l(D a) { return _mm_castpd_si128(a); }
OP D d_flip(D a, L w) { return l_as_d(l_xor(d_as_l(a), l_and(w, l_set1(0x8000000000000000u)))); }

#define EXPONENT_SCALE 1.0f
