/* The operation vocabulary for AVX2: 8 lanes of 32 bits, 4 of 64.  Each name is one operation on
 * every ISA; see scalar.h for its meaning.  Included inside a target region (avx2 and f16c, never
 * fma), after <immintrin.h>. */
#define LANES 8
#define TILES_IN_FLIGHT 1

typedef __m256 F;
typedef __m256d D;
typedef __m256i I;
typedef __m256i L;
typedef __m256 MF;
typedef __m256d MD;

OP L l_set1(uint64_t a) { return _mm256_set1_epi64x((long long)a); }
OP L l_load(const uint64_t *a) { return _mm256_loadu_si256((const __m256i *)a); }
OP L l_add(L a, L b) { return _mm256_add_epi64(a, b); }
OP L l_sub(L a, L b) { return _mm256_sub_epi64(a, b); }
OP L l_mul32(L a, L b) { return _mm256_mul_epu32(a, b); }
OP L l_and(L a, L b) { return _mm256_and_si256(a, b); }
OP L l_or(L a, L b) { return _mm256_or_si256(a, b); }
OP L l_xor(L a, L b) { return _mm256_xor_si256(a, b); }
OP L l_xor3(L a, L b, L c) { return _mm256_xor_si256(a, _mm256_xor_si256(b, c)); }
#define l_shr(a, n) _mm256_srli_epi64(a, n)
#define l_shl(a, n) _mm256_slli_epi64(a, n)
OP L l_sign(L a) { return _mm256_cmpgt_epi64(_mm256_setzero_si256(), a); }
OP MD l_negative(L a) { return _mm256_castsi256_pd(a); }
OP void l_store(void *p, L a) { _mm256_storeu_si256((__m256i *)p, a); }
OP I merge(L even, L odd) { return _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xAA); }

OP I i_set1(uint32_t a) { return _mm256_set1_epi32((int)a); }
OP I i_add(I a, I b) { return _mm256_add_epi32(a, b); }
OP I i_sub(I a, I b) { return _mm256_sub_epi32(a, b); }
OP I i_and(I a, I b) { return _mm256_and_si256(a, b); }
OP I i_or(I a, I b) { return _mm256_or_si256(a, b); }
OP I i_andnot(I a, I b) { return _mm256_andnot_si256(a, b); }
OP I i_xor(I a, I b) { return _mm256_xor_si256(a, b); }
#define i_shr(a, n) _mm256_srli_epi32(a, n)
#define i_sar(a, n) _mm256_srai_epi32(a, n)
#define i_shl(a, n) _mm256_slli_epi32(a, n)
/* A mask holds its truth in every bit of a lane, or only in the sign (i_negative): blendv reads the
 * sign alone. */
OP MF i_negative(I a) { return _mm256_castsi256_ps(a); }
OP MF i_less(I a, I b) { return _mm256_castsi256_ps(_mm256_cmpgt_epi32(b, a)); }
OP I i_select(MF m, I a, I b) {
    return _mm256_castps_si256(_mm256_blendv_ps(_mm256_castsi256_ps(b), _mm256_castsi256_ps(a), m));
}
OP I i_mulhi(I a, I b) {
    I even = _mm256_srli_epi64(_mm256_mul_epu32(a, b), 32);
    I odd = _mm256_mul_epu32(_mm256_srli_epi64(a, 32), _mm256_srli_epi64(b, 32));
    return _mm256_blend_epi32(even, odd, 0xAA);
}
OP F i_to_f(I a) { return _mm256_cvtepi32_ps(a); }
OP F i_as_f(I a) { return _mm256_castsi256_ps(a); }
OP I f_as_i(F a) { return _mm256_castps_si256(a); }
OP void i_store32(void *p, I a) { _mm256_storeu_si256((__m256i *)p, a); }
OP void i_store16(void *p, I a) {
    __m256i narrow = _mm256_permute4x64_epi64(_mm256_packus_epi32(a, a), 0x08);
    _mm_storeu_si128((__m128i *)p, _mm256_castsi256_si128(narrow));
}
OP void i_store8(void *p, I a) {
    __m256i narrow = _mm256_permute4x64_epi64(_mm256_packus_epi32(a, a), 0x08);
    _mm_storel_epi64((__m128i *)p,
        _mm_packus_epi16(_mm256_castsi256_si128(narrow), _mm_setzero_si128()));
}

OP F f_set1(float a) { return _mm256_set1_ps(a); }
OP F f_add(F a, F b) { return _mm256_add_ps(a, b); }
OP F f_sub(F a, F b) { return _mm256_sub_ps(a, b); }
OP F f_mul(F a, F b) { return _mm256_mul_ps(a, b); }
OP F f_div(F a, F b) { return _mm256_div_ps(a, b); }
OP F f_sqrt(F a) { return _mm256_sqrt_ps(a); }
OP MF f_less(F a, F b) { return _mm256_cmp_ps(a, b, _CMP_LT_OQ); }
OP F f_select(MF m, F a, F b) { return _mm256_blendv_ps(b, a, m); }
OP F f_flip(F a, I w) { return i_as_f(i_xor(f_as_i(a), i_and(w, i_set1(0x80000000u)))); }
OP F f_raise(F y, F low) { return _mm256_max_ps(low, y); }
OP F f_lower(F y, F high) { return _mm256_min_ps(high, y); }
OP void f_store_f16(void *p, F a) {
    _mm_storeu_si128((__m128i *)p, _mm256_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT));
}

OP D d_set1(double a) { return _mm256_set1_pd(a); }
OP D d_add(D a, D b) { return _mm256_add_pd(a, b); }
OP D d_sub(D a, D b) { return _mm256_sub_pd(a, b); }
OP D d_mul(D a, D b) { return _mm256_mul_pd(a, b); }
OP D d_div(D a, D b) { return _mm256_div_pd(a, b); }
OP D d_sqrt(D a) { return _mm256_sqrt_pd(a); }
OP MD d_less(D a, D b) { return _mm256_cmp_pd(a, b, _CMP_LT_OQ); }
OP D d_select(MD m, D a, D b) { return _mm256_blendv_pd(b, a, m); }
OP D d_raise(D y, D low) { return _mm256_max_pd(low, y); }
OP D d_lower(D y, D high) { return _mm256_min_pd(high, y); }
OP D l_as_d(L a) { return _mm256_castsi256_pd(a); }
OP L d_as_l(D a) { return _mm256_castpd_si256(a); }
OP D d_flip(D a, L w) { return l_as_d(l_xor(d_as_l(a), l_and(w, l_set1(0x8000000000000000u)))); }

#define EXPONENT_SCALE 1.0f
