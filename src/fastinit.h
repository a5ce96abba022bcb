/* The whole C surface between the kernels (src/isa), the dispatch (src/dispatch.c) and the Cython
 * module (src/_native.pyx). Knows no initializer, no shape and no Python.  What the draws compute
 * is defined in src/kernel/ and fastinit/stream-v1.md. */
#ifndef FASTINIT_H
#define FASTINIT_H

#ifndef __CUDACC_RTC__ /* isa/cuda.cu brings what NVRTC lacks */
#include <stddef.h>
#include <stdint.h>
#endif

#if defined(__FAST_MATH__)
#error "-ffast-math (or -Ofast) breaks the promise of equal bits: build without it"
#endif
#if defined(__FLT_EVAL_METHOD__) && __FLT_EVAL_METHOD__ != 0 && __FLT_EVAL_METHOD__ != 16
#error "this compiler computes float in a wider type (x87): build with -msse2 -mfpmath=sse"
#endif

/* The codes of fastinit/_core/dtypes.py. */
enum fi_draw_code { FI_CONSTANT, FI_UNIFORM, FI_NORMAL, FI_TRUNCATED_NORMAL, FI_WORDS, FI_WORDS64,
    FI_DRAWS };
enum fi_storage { FI_F64, FI_F32, FI_F16, FI_BF16, FI_E4M3, FI_E5M2, FI_U32, FI_U64, FI_STORAGES };

#define FI_PARAMETERS 48

/* One draw, as the kernels see it. */
typedef struct {
    uint64_t seed, stream;
    uint32_t plane;
    double parameters[FI_PARAMETERS];
    /* whether float32 may use non-temporal stores, into memory that is larger than the caches */
    int non_temporal;
} fi_draw;

/* Draw `tiles` whole tiles from number `first` on into contiguous memory of any alignment.  The
 * caller ensures that no run of tiles crosses a multiple of 2^28, where the low word of the
 * block counter would carry. */
typedef void (*fi_tiles)(const fi_draw *draw, uint64_t first, size_t tiles, void *out);

#define FI_PAGE 4096 /* bytes: what an allocator hands out, and repeats where a file has garbage */

/* One chunk of a tensor as kernel/scan.h counts and measures it: what it is given, and what it
 * finds.  Values of a storage up to FI_E5M2. */
typedef struct {
    int code;
    int64_t start, width;   /* index of the first value; values in a row, 0 for no sums of squares */
    uint64_t *table;        /* 2^16 counts, to be added to; so are the sums */
    double *rows, *columns;
    int64_t values, zeros, subnormals;
    double mean, m2, m3, m4, low, high;
} fi_scan;

typedef struct {
    const char *name;
    fi_tiles tiles[FI_DRAWS][FI_STORAGES];
    void (*scan)(fi_scan *, const void *values, size_t count);
    uint64_t (*digest)(const void *bytes, size_t size, uint64_t page, uint64_t *pages);
} fi_isa;

/* One function per file of src/isa; NULL where the compiler cannot build it. */
const fi_isa *fi_isa_scalar(void);
const fi_isa *fi_isa_sse2(void);
const fi_isa *fi_isa_avx2(void);
const fi_isa *fi_isa_avx512(void);
const fi_isa *fi_isa_neon(void);

/* All sets this machine can use, best last; an ISA that fails its known answers is left out and
 * named by fi_rejected(). */
#define FI_ISAS 5

#ifndef __CUDACC__

/* The floating-point state of this thread: fi_enter() sets round-to-nearest, no flush to zero,
 * exceptions masked, and returns what was; fi_leave() puts that back bit for bit, the sticky flags
 * too. */
#if defined(__x86_64__)
#include <xmmintrin.h>
static inline uint64_t fi_enter(void) {
    uint32_t was = _mm_getcsr();
    _mm_setcsr(0x1F80);
    return was;
}
/* The CPU faults on bits above these sixteen. */
static inline void fi_leave(uint64_t was) { _mm_setcsr((uint32_t)was & 0xFFFF); }
#elif defined(__aarch64__)
static inline uint64_t fi_enter(void) {
    uint64_t was, none = 0;
    __asm__ volatile("mrs %0, fpcr" : "=r"(was));
    __asm__ volatile("msr fpcr, %0" : : "r"(none));
    return was;
}
static inline void fi_leave(uint64_t was) { __asm__ volatile("msr fpcr, %0" : : "r"(was)); }
#else
#include <fenv.h>
static inline uint64_t fi_enter(void) {
    int was = fegetround();
    fesetround(FE_TONEAREST);
    return (uint64_t)was;
}
static inline void fi_leave(uint64_t was) { fesetround((int)was); }
#endif

/* What several threads count together. */
static inline int64_t fi_add(int64_t *counter, int64_t n) {
    return __atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

int fi_isas(const fi_isa **list);
const char *fi_rejected(void);
/* Whether two instruction sets count, measure and digest alike. */
int fi_scans_agree(const fi_isa *one, const fi_isa *other);

/* Ask for huge pages under memory that is about to be written whole, as NumPy does for its own
 * arrays: its first touch then costs a fraction (torch's memory comes in pages of 4 KiB, and
 * touching them takes longer than drawing).  Only advice: no byte changes. */
void fi_advise(void *memory, size_t bytes);

#endif

#endif
