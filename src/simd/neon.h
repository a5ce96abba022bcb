/* The operation vocabulary for NEON (AArch64): 4 lanes of 32 bits, 2 of 64.  Each name is one
 * operation on every ISA; see scalar.h for its meaning.  Included after <arm_neon.h>.  Fused
 * multiply-add is part of the ARM baseline: only -ffp-contract=off keeps it out. */
#define LANES 4
#define TILES_IN_FLIGHT 1

typedef float32x4_t F;
typedef float64x2_t D;
typedef uint32x4_t I;
typedef uint64x2_t L;
typedef uint32x4_t MF;
typedef uint64x2_t MD;

OP L l_set1(uint64_t a) { return vdupq_n_u64(a); }
OP L l_load(const uint64_t *a) { return vld1q_u64(a); }
OP L l_add(L a, L b) { return vaddq_u64(a, b); }
OP L l_sub(L a, L b) { return vsubq_u64(a, b); }
OP L l_mul32(L a, L b) { return vmull_u32(vmovn_u64(a), vmovn_u64(b)); }
OP L l_and(L a, L b) { return vandq_u64(a, b); }
OP L l_or(L a, L b) { return vorrq_u64(a, b); }
OP L l_xor(L a, L b) { return veorq_u64(a, b); }
OP L l_xor3(L a, L b, L c) { return veorq_u64(a, veorq_u64(b, c)); }
#define l_shr(a, n) vshrq_n_u64(a, n)
#define l_shl(a, n) vshlq_n_u64(a, n)
OP L l_sign(L a) { return vreinterpretq_u64_s64(vshrq_n_s64(vreinterpretq_s64_u64(a), 63)); }
OP MD l_negative(L a) { return l_sign(a); }
OP void l_store(void *p, L a) { vst1q_u8((uint8_t *)p, vreinterpretq_u8_u64(a)); }
OP I merge(L even, L odd) {
    return vtrn1q_u32(vreinterpretq_u32_u64(even), vreinterpretq_u32_u64(odd));
}

OP I i_set1(uint32_t a) { return vdupq_n_u32(a); }
OP I i_add(I a, I b) { return vaddq_u32(a, b); }
OP I i_sub(I a, I b) { return vsubq_u32(a, b); }
OP I i_and(I a, I b) { return vandq_u32(a, b); }
OP I i_or(I a, I b) { return vorrq_u32(a, b); }
OP I i_andnot(I a, I b) { return vbicq_u32(b, a); }
OP I i_xor(I a, I b) { return veorq_u32(a, b); }
#define i_shr(a, n) vshrq_n_u32(a, n)
#define i_sar(a, n) vreinterpretq_u32_s32(vshrq_n_s32(vreinterpretq_s32_u32(a), n))
#define i_shl(a, n) vshlq_n_u32(a, n)
OP MF i_negative(I a) { return i_sar(a, 31); }
OP MF i_less(I a, I b) { return vcltq_s32(vreinterpretq_s32_u32(a), vreinterpretq_s32_u32(b)); }
OP I i_select(MF m, I a, I b) { return vbslq_u32(m, a, b); }
OP I i_mulhi(I a, I b) {
    uint64x2_t low = vmull_u32(vget_low_u32(a), vget_low_u32(b)), high = vmull_high_u32(a, b);
    return vuzp2q_u32(vreinterpretq_u32_u64(low), vreinterpretq_u32_u64(high));
}
OP F i_to_f(I a) { return vcvtq_f32_s32(vreinterpretq_s32_u32(a)); }
OP F i_as_f(I a) { return vreinterpretq_f32_u32(a); }
OP I f_as_i(F a) { return vreinterpretq_u32_f32(a); }
OP void i_store32(void *p, I a) { vst1q_u8((uint8_t *)p, vreinterpretq_u8_u32(a)); }
OP void i_store16(void *p, I a) { vst1_u8((uint8_t *)p, vreinterpret_u8_u16(vmovn_u32(a))); }
OP void i_store8(void *p, I a) {
    uint16x4_t half = vmovn_u32(a);
    uint8x8_t narrow = vmovn_u16(vcombine_u16(half, half));
    uint32_t four = vget_lane_u32(vreinterpret_u32_u8(narrow), 0);
    memcpy(p, &four, 4);
}

OP F f_set1(float a) { return vdupq_n_f32(a); }
OP F f_add(F a, F b) { return vaddq_f32(a, b); }
OP F f_sub(F a, F b) { return vsubq_f32(a, b); }
OP F f_mul(F a, F b) { return vmulq_f32(a, b); }
OP F f_div(F a, F b) { return vdivq_f32(a, b); }
OP F f_sqrt(F a) { return vsqrtq_f32(a); }
OP MF f_less(F a, F b) { return vcltq_f32(a, b); }
OP F f_select(MF m, F a, F b) { return vbslq_f32(m, a, b); }
OP F f_flip(F a, I w) { return i_as_f(i_xor(f_as_i(a), i_and(w, i_set1(0x80000000u)))); }
/* not vmaxq: it takes +0 over -0 */
OP F f_raise(F y, F low) { return vbslq_f32(vcltq_f32(y, low), low, y); }
OP F f_lower(F y, F high) { return vbslq_f32(vcltq_f32(high, y), high, y); }
OP void f_store_f16(void *p, F a) { vst1_u8((uint8_t *)p, vreinterpret_u8_f16(vcvt_f16_f32(a))); }

OP D d_set1(double a) { return vdupq_n_f64(a); }
OP D d_add(D a, D b) { return vaddq_f64(a, b); }
OP D d_sub(D a, D b) { return vsubq_f64(a, b); }
OP D d_mul(D a, D b) { return vmulq_f64(a, b); }
OP D d_div(D a, D b) { return vdivq_f64(a, b); }
OP D d_sqrt(D a) { return vsqrtq_f64(a); }
OP MD d_less(D a, D b) { return vcltq_f64(a, b); }
OP D d_select(MD m, D a, D b) { return vbslq_f64(m, a, b); }
OP D d_raise(D y, D low) { return vbslq_f64(vcltq_f64(y, low), low, y); }
OP D d_lower(D y, D high) { return vbslq_f64(vcltq_f64(high, y), high, y); }
OP D l_as_d(L a) { return vreinterpretq_f64_u64(a); }
OP L d_as_l(D a) { return vreinterpretq_u64_f64(a); }
OP D d_flip(D a, L w) { return l_as_d(l_xor(d_as_l(a), l_and(w, l_set1(0x8000000000000000u)))); }

#define EXPONENT_SCALE 1.0f
