/* The kernels for AVX-512 (F, BW, DQ, VL: every such CPU but Xeon Phi).  AVX-512F has fused
 * multiply-add, so that only -ffp-contract=off keeps products and sums apart.  Only what is inside
 * the region uses wide instructions. */
#include "../fastinit.h"
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#endif
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl"))), \
    apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,prefer-vector-width=512")
#endif
#define ISA_NAME "avx512"
#define SIMD_HEADER "../simd/avx512.h"
#include "../kernel/fill.h"
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

const fi_isa *fi_isa_avx512(void) { return &table; }
#else
const fi_isa *fi_isa_avx512(void) { return NULL; }
#endif
