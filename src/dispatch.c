/* Which instruction sets this machine can use.  Scalar comes first and a better one overwrites it;
 * each must first answer the same tiles as the scalar kernels, bit for bit, in every draw and
 * storage, and measure a chunk as they do, or it is left out.  Nothing wide runs before the probe says it may. */
#define _DEFAULT_SOURCE /* madvise */
#include "fastinit.h"
#include <stdlib.h>
#include <string.h>
#if defined(__linux__)
#include <sys/mman.h>
#include <unistd.h>
#endif
#if defined(__x86_64__)
#include <cpuid.h>
#endif

static char rejected[64];

static int usable(const char *name) {
    if (!strcmp(name, "scalar")) return 1;
#if defined(__x86_64__)
    /* These ask CPUID and also whether the operating system saves the wide registers. */
    __builtin_cpu_init();
    if (!strcmp(name, "sse2")) return 1;
    unsigned a, b, c, d; /* f16c by hand: clang's builtin does not know the name */
    if (!strcmp(name, "avx2"))
        return __builtin_cpu_supports("avx2") && __get_cpuid(1, &a, &b, &c, &d) && (c >> 29 & 1);
    if (!strcmp(name, "avx512"))
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
            __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#elif defined(__aarch64__)
    if (!strcmp(name, "neon")) return 1;
#endif
    return 0;
}

/* What every ISA is asked at load: each draw, and each form of the truncated normal, in float32 and
 * float64 arithmetic. */
static const struct {
    int draw, wide;
    double parameters[FI_PARAMETERS];
} examples[] = {
    {FI_UNIFORM, 0, {-0.25, 1.0, -0.25, 0.75}},
    {FI_UNIFORM, 1, {-0.25, 1.0, -0.25, 0.75}},
    {FI_NORMAL, 0, {0.125, 0.75}},
    {FI_NORMAL, 1, {0.125, 0.75}},
    {FI_TRUNCATED_NORMAL, 0,
      {0, 0x1p-3, 0x1p-2, -0x1.7ffffep-2, 0x1.3ffffep-1, 0x1.e8b43p-32, 0x1.c24a4ap+28,
       0x1.a30b4p+28}},
    {FI_TRUNCATED_NORMAL, 0,
      {0x1p+0, 0x1p-1, 0x1p+0, -0x1.7ffffep+1, 0x1.1ffffep+2, 0x1.ffe5a73p+30, 0x1.7b42aep-1,
       0x1.097aa4p-2, 0x1.e7dbfcp-13, 0x1.09ad9cp-15, 0x1.ffdd5cp-33, 0x1.ffdd5cp-33,
       0x1.40c37cp-31, 0x1.40c37cp-31}},
    {FI_TRUNCATED_NORMAL, 0,
      {0x1p+1, 0, 0x1p+0, -0x1.fffffep+127, -0x1.800002p+2, 0x1p+0, 0x1p-32, 0, 0x1.8p+2, 0x1p+0,
       0x1.8a2494p+1, 0x1.f3b7e4p-2, 0x1.1p+3, -0x1.bd857ep-7, 0x1.9f6702p-9, -0x1.faf2a2p-11,
       -0x1.756edp-12, 0x1.7a51c6p-16, -0x1.8ce40ap-14, -0x1.965888p-14}},
    {FI_TRUNCATED_NORMAL, 1,
      {0x1p+0, 0x1p-1, 0x1p+0, -0x1.7ffffffffffffp+1, 0x1.1ffffffffffffp+2, 0, 0x1.ffe5a73p+30,
       0x1.ed0ab918p+29, 0x1.eaa5869a445c5p-4, 0x1.c2ab4f2cb7747p-1, 0x1.e7dbc92b77deep-13,
       0x1.09ad7954b0009p-15, 0x1.ffdd5b8d87f5cp-65, 0x1.ffdd5b8d87f5cp-65, 0x1.40c37c85c2e19p-63,
       0x1.40c37c85c2e19p-63}},
    {FI_TRUNCATED_NORMAL, 1,
      {0x1p+1, 0, 0x1p+0, -0x1.fffffffffffffp+1023, -0x1.8000000000001p+2, 0x1p+0, 0x1p-64, 0,
       0x1.8p+2, 0x1p+0, 0x1.8a249438e040cp+1, 0x1.f3b7e478f6e33p-2, 0x1.4p+3,
       -0x1.3451c06b659cp-6, 0x1.82bd924e7d67p-7, -0x1.9fa98e1e11d29p-8, 0x1.ed5a3331a7e4fp-10,
       -0x1.6a68557b39cf5p-13, -0x1.0afef71e2e4efp-11, 0x1.8ca3e983c26ep-12,
       -0x1.ff67f9557e69cp-13, 0x1.7bf7c19d63981p-15, 0x1.54f4d41083ca8p-17,
       -0x1.46d095988f538p-14, 0x1.2cf4241b6d1cdp-14, -0x1.f090b0d47750bp-15}},
    {FI_WORDS, 0, {0}},
    {FI_WORDS64, 1, {0}},
};

/* Three tiles of every example in every storage, one ISA against another. */
static int agrees(const fi_isa *one, const fi_isa *other) {
    for (size_t k = 0; k < sizeof examples / sizeof *examples; k++)
        for (int storage = 0; storage < FI_STORAGES; storage++) {
            const int draw = examples[k].draw, wide = storage == FI_F64 || storage == FI_U64;
            fi_draw d = {0x0123456789ABCDEFu, 0xFEDCBA9876543210u, 0, {0}};
            unsigned char a[3 * 64 * 8], b[3 * 64 * 8];
            if (wide != examples[k].wide || !one->tiles[draw][storage]) continue;
            if (!other->tiles[draw][storage]) return 0;
            memcpy(d.parameters, examples[k].parameters, sizeof d.parameters);
            memset(a, 0xAA, sizeof a);
            memset(b, 0x55, sizeof b);
            one->tiles[draw][storage](&d, 5, 3, a);
            other->tiles[draw][storage](&d, 5, 3, b);
            size_t size = 0; /* what neither wrote keeps two different poisons */
            while (size < sizeof a && !(a[size] == 0xAA && b[size] == 0x55)) size++;
            if (size < 3 * 64 || memcmp(a, b, size)) return 0;
        }
    return 1;
}

/* A chunk of random bits counted and measured as every storage, and its digest, likewise.  Not at
 * load: importing would take a millisecond and a half longer, and few processes scan. */
int fi_scans_agree(const fi_isa *one, const fi_isa *other) {
    enum { COUNT = 4200, WIDTH = 100, ROWS = 44, PATTERNS = 1 << 16 };
    static uint32_t values[2 * COUNT + 64];
    static double sums[2][ROWS + WIDTH];
    const fi_isa *both[] = {one, other};
    uint64_t *tables = calloc(2 * PATTERNS, sizeof *tables), digests[2][1 + 4 * COUNT / FI_PAGE];
    size_t count = COUNT; /* of float64 and float32 more than a block; few of the others */
    fi_scan found[2];
    const fi_draw d = {0x0123456789ABCDEFu, 0xFEDCBA9876543210u, 0, {0}};
    int same = tables != NULL;
    one->tiles[FI_WORDS][FI_U32](&d, 0, 2 * COUNT / 64 + 1, values);
    /* wide values below 2, whose powers are finite, but for what is counted apart; of few patterns,
     * so that little of the tables is touched */
    for (int k = 0; k < 2 * COUNT; k++) values[k] = (values[k] & 0x83FF83FF) | 0x38003800;
    memcpy(values + 20, (const uint32_t[]){0, 0x7FF00000, 1, 0xFF800000, 0, 0, 1, 0}, 32);
    for (int code = FI_F64; same && code <= FI_E5M2; code++) {
        memset(sums, 0, sizeof sums);
        memset(found, 0, sizeof found);
        for (int k = 0; k < 2; k++) {
            found[k].code = code, found[k].start = 30, found[k].width = WIDTH;
            found[k].table = tables + k * PATTERNS;
            found[k].rows = sums[k], found[k].columns = sums[k] + ROWS;
            both[k]->scan(&found[k], values, count);
            found[k].table = NULL, found[k].rows = found[k].columns = NULL;
        }
        same = !memcmp(found, found + 1, sizeof *found) && !memcmp(sums, sums + 1, sizeof *sums);
        if (code == FI_F32) count = 300;
    }
    for (int k = 0; k < 2; k++)
        digests[k][0] = both[k]->digest(values, 4 * COUNT, 3, digests[k] + 1);
    same = same && !memcmp(digests, digests + 1, 8 * (1 + 4 * COUNT / FI_PAGE));
    same = same && !memcmp(tables, tables + PATTERNS, PATTERNS * sizeof *tables);
    free(tables);
    return same;
}

int fi_isas(const fi_isa **list) {
    const fi_isa *(*const all[])(void) = {fi_isa_scalar, fi_isa_sse2, fi_isa_avx2, fi_isa_avx512,
        fi_isa_neon};
    int count = 0;
    uint64_t state = fi_enter();
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) {
        const fi_isa *isa = all[k]();
        if (!isa || !usable(isa->name)) continue;
        if (count && !agrees(list[0], isa)) {
            strncat(rejected, rejected[0] ? " " : "", sizeof rejected - strlen(rejected) - 1);
            strncat(rejected, isa->name, sizeof rejected - strlen(rejected) - 1);
            continue;
        }
        list[count++] = isa;
    }
    fi_leave(state);
    return count;
}

const char *fi_rejected(void) { return rejected; }

void fi_advise(void *memory, size_t bytes) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    /* Whole pages around the memory: an allocation of its own then stays one mapping, and
     * neighbours may share a huge page. */
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE),
        first = (uintptr_t)memory & ~(page - 1);
    /* fails where the kernel has none: nothing lost */
    (void)madvise((void *)first, (uintptr_t)memory + bytes - first, MADV_HUGEPAGE);
#else
    (void)memory, (void)bytes;
#endif
}
