/* The constants of the normal draws, exact; see tests/derivation/fit_normal.py.  The same numbers:
 * fastinit/reference/normal.py. */
#define RADIUS_D1 0x1.7efaf2p+2f
#define RADIUS_D0 0x1.0aa8b2p+3f
#define RADIUS_N -0x1.30b5e0p+1f
#define RADIUS_Q1 0x1.8e03eap-7f
#define RADIUS_W 0x1.46a7c8p+1f
#define RADIUS_Q0 -0x1.35348ep-2f
#define RADIUS_E -0x1.62e430p-23f /* -2 ln 2 * 2^-23 */
#define ANGLE_K 0x1.17848cp-66f
#define ANGLE_C2 0x1.b39d34p+1f
#define ANGLE_C1 -0x1.2140e6p+2f
#define ANGLE_S3 0x1.ee01a4p-35f
#define ANGLE_S2 -0x1.ffee5cp-35f
#define ANGLE_S1 -0x1.922d92p+2f
#define LOG64_9 -0x1.6c7b8e459d159p-2
#define LOG64_8 -0x1.94628ce69b42bp-3
#define LOG64_7 -0x1.16626d902646fp-2
#define LOG64_6 -0x1.3aa4eb443b94dp-2
#define LOG64_5 -0x1.74629de74a744p-2
#define LOG64_4 -0x1.c71c470c95747p-2
#define LOG64_3 -0x1.2492498323604p-1
#define LOG64_2 -0x1.99999998c57f2p-1
#define LOG64_1 -0x1.5555555555b17p+0
#define LOG64_0 -0x1p+2
#define LOG64_E -0x1.62e42fefa39efp+0 /* -2 ln 2 */
#define ANGLE64_K 0x1.68980f20d0d33p-132
#define ANGLE64_C5 -0x1.30fe4b7a90174p+2
#define ANGLE64_C4 0x1.e9ba294a8768ap+3
#define ANGLE64_C3 -0x1.e94018f921208p+4
#define ANGLE64_C2 0x1.05d7d8230db9dp+5
#define ANGLE64_C1 -0x1.c06fcfe0f07d2p+3
#define ANGLE64_S6 0x1.efaee14b82f67p-68
#define ANGLE64_S5 -0x1.a9411b3b04146p-68
#define ANGLE64_S4 0x1.1fbbe354ad78ap+4
#define ANGLE64_S3 -0x1.3fa86788c94e9p-62
#define ANGLE64_S2 0x1.490ab327bb3cdp-61
#define ANGLE64_S1 -0x1.d59a1500046b9p-62
#define ANGLE64_S0 0x1.921fb54442d18p-64

/* Truncated normal.  Lists run from the highest coefficient down. */
#define CENTRAL_A0 0x1.ac592cp+0f
#define CENTRAL_EVEN 0x1.a2d45ep-7f, 0x1.3566ecp-7f, 0x1.806e8cp-8f
#define CENTRAL_H0 0x1.f5b98cp-1f
#define CENTRAL_ODD 0x1.4759aap+2f, 0x1.6f78dp-1f, 0x1.eca41ep-1f, 0x1.53b47ep-1f, 0x1.3124eap-1f
#define LN2_HIGH_F32 0x1.62e4p-1f
#define LN2_HIGH_F64 0x1.62e42feep-1
#define LN2_LOW_F32 0x1.7f7d1cp-20f
#define LN2_LOW_F64 0x1.a39ef35793c76p-33
#define LOG_F32 0x1.32d558p-2f, 0x1.99541cp-2f, 0x1.555588p-1f
#define LOG_F64 0x1.307f239cfa487p-3, 0x1.39794d0a6f464p-3, 0x1.7467f5364b547p-3, \
    0x1.c71c48bff0502p-3, 0x1.2492494f00827p-2, 0x1.999999996e442p-2, 0x1.55555555555d6p-1
#define LOW_END_F32 0x1.269622p-2f
#define LOW_END_F64 0x1.269621134db92p-2
#define LOW_F32 0x1.426edep-2f, 0x1.ab9ae8p-4f, 0x1.adc60ep-3f, 0x1.fe9032p-3f, 0x1.555ap-2f, \
    0x1p-1f
#define LOW_F64 0x1.d24948d6a015bp-2, -0x1.6f9a5128be96ap-2, 0x1.48d28eb4c1723p-2, \
    -0x1.8de4113ac470cp-9, 0x1.c8b39ebfd6826p-4, 0x1.8b900c8edfe96p-4, 0x1.c8c3336405a72p-4, \
    0x1.ffdcfd959ec3bp-4, 0x1.24934943286acp-3, 0x1.55554b9e5f99dp-3, 0x1.999999d3fcbb7p-3, \
    0x1.ffffffff41817p-3, 0x1.5555555555d0bp-2, 0x1p-1
#define NEAR_END_F32 0x1.5956b8p-1f
#define NEAR_END_F64 0x1.5956b87528a49p-1
#define NEAR_F32 0x1.8a4e4p-7f, 0x1.2a3254p-7f, 0x1.a6fa48p-6f, 0x1.dd69fcp-5f, 0x1.55562ap-3f
#define NEAR_F64 0x1.7a625dd603ee9p-12, -0x1.9070f62a361c2p-12, 0x1.2f31e131bc344p-11, \
    0x1.b256583f4f052p-14, 0x1.411c31fa787bdp-11, 0x1.f11d13b3c143ep-11, 0x1.c9d8b3e63740ap-10, \
    0x1.a5b75c29f5453p-9, 0x1.9007329efe624p-8, 0x1.8a8517a297398p-7, 0x1.9cd9cda5e6075p-6, \
    0x1.ddddddddcd251p-5, 0x1.55555555555acp-3
#define TAIL_F32 0x1.974246p+9f, 0x1.2a8634p+1f, 0x1.35dda6p+6f, 0x1.1032ecp+3f, 0x1.5b49e4p+3f, \
    0x1.5ac764p+1f, 0x1.bd713p+1f, 0x1.5f600ap-1f
#define TAIL_F64 -0x1.15d0a6a6a6ecbp+51, 0x1.21e08f8a41fep+49, -0x1.3d6637b53fe44p+40, \
    -0x1.c3ce4bfd2d8e2p+39, -0x1.62a4aa8f9029ep+38, 0x1.9658b524b877ep+37, -0x1.013911e48c2ep+32, \
    0x1.33bfe6b8317d4p+32, 0x1.3722b5b83b164p+26, 0x1.663d4f03e8bd9p+27, 0x1.3264471522a69p+23, \
    0x1.ac14c176ee572p+22, 0x1.32f3e3d365097p+19, 0x1.1608508a0ebf2p+18, 0x1.0ce050f760fcdp+15, \
    0x1.8d3c49a87afdcp+13, 0x1.d4343b90d1c29p+10, 0x1.3d50d9712c59bp+9, 0x1.bcd8c9d0659e5p+6, \
    0x1.4a8bd2f645059p+5, 0x1.1ef938f0ba92cp+3, 0x1.25f6e5a97300bp+2, 0x1.34ccc50eec8fap-1
#define TAIL_MIDDLE_F32 0x1.89cp-3f
#define TAIL_MIDDLE_F64 0x1.268p-3
#define TAIL_SHIFT_F32 0x1p+1f
#define TAIL_SHIFT_F64 0x1.8p+1
