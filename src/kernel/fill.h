/* Whole tiles of one draw into one storage: the loops, and the table of them.  No include guards:
 * each file of isa/ includes this once, inside its target region, after a vocabulary of simd/.
 * Everything is static; only fi_isa_NAME crosses the file. */
#define OP static inline __attribute__((always_inline, unused))
#include SIMD_HEADER
#include "../kernel/draw.h"
#include "../kernel/scan.h"

#define GROUPS (16 / LANES)          /* vectors of 32-bit lanes to a slot */
#define GROUPS64 (16 / (LANES / 2))  /* vectors of 64-bit lanes to a slot */

OP void group32(const int draw, const int storage, const int flight, const schedule *s,
    const parameters_f32 *p, uint32_t block, int group, void *out) {
    F y[TILES_IN_FLIGHT][4];
    values32(draw, flight, s, p, block, group, y);
    for (int t = 0; t < flight; t++) {
        size_t place = (size_t)(64 * t + group * LANES);
#ifdef HAS_BF16_PAIR
        if (storage == FI_BF16) {
            for (int slot = 0; slot < 4; slot += 2)
                store_bf16_pair((uint16_t *)out + place + 16 * slot, y[t][slot], y[t][slot + 1]);
            continue;
        }
#endif
        for (int slot = 0; slot < 4; slot++)
            store_f(storage, out, place + 16 * (size_t)slot, y[t][slot]);
    }
}

OP void group64(const int draw, const schedule *s, const parameters_f64 *p, uint32_t block,
    int group, void *out) {
    L x[2][2];
    values64(draw, s, p, block, group, x);
    for (int t = 0; t < 2; t++)
        for (int half = 0; half < 2; half++)
            l_store((uint64_t *)out + (group + t) * (LANES / 2) + 16 * half, x[t][half]);
}

OP void loop32(const int draw, const int storage, const size_t width, const schedule *s,
    const parameters_f32 *p, size_t tiles, char *out) {
    uint32_t block = s->block;
    for (; tiles >= TILES_IN_FLIGHT; tiles -= TILES_IN_FLIGHT) {
        for (int group = 0; group < GROUPS; group++)
            group32(draw, storage, TILES_IN_FLIGHT, s, p, block, group, out);
        out += 64 * TILES_IN_FLIGHT * width;
        block += 16 * TILES_IN_FLIGHT;
    }
    for (; TILES_IN_FLIGHT > 1 && tiles; tiles--) {
        for (int group = 0; group < GROUPS; group++)
            group32(draw, storage, 1, s, p, block, group, out);
        out += 64 * width;
        block += 16;
    }
}

OP void run32(const int draw, const int storage, const size_t width, const fi_draw *d,
    const parameters_f32 *p, uint64_t first, size_t tiles, char *out) {
    const round_keys keys = make_keys(d->seed);
    schedule s;
    make_schedule(&s, &keys, d->stream, d->plane, first);
    if (storage == FI_F32 && is_non_temporal(d, out)) {
        loop32(draw, F32_NON_TEMPORAL, width, &s, p, tiles, out);
        store_fence();
    } else {
        loop32(draw, storage, width, &s, p, tiles, out);
    }
}

OP void run64(const int draw, const fi_draw *d, const parameters_f64 *p, uint64_t first,
    size_t tiles, char *out) {
    const round_keys keys = make_keys(d->seed);
    schedule s;
    make_schedule(&s, &keys, d->stream, d->plane, first);
    for (uint32_t block = s.block; tiles; tiles--, block += 16, out += 32 * 8)
        for (int group = 0; group < GROUPS64; group += 2) group64(draw, &s, p, block, group, out);
}

#define NARROW_STORAGES(X, draw) X(draw, FI_F32, 4) X(draw, FI_F16, 2) X(draw, FI_BF16, 2) \
    X(draw, FI_E4M3, 1) X(draw, FI_E5M2, 1)

#define TILES32(draw, storage, width) \
    static void tiles_##draw##_##storage(const fi_draw *d, uint64_t first, size_t tiles, \
        void *out) { \
        parameters_f32 p; \
        if (draw == FI_UNIFORM) p.uniform = make_uniform_f32(d->parameters); \
        if (draw == FI_NORMAL) p.normal = make_normal_f32(d->parameters); \
        run32(draw, storage, width, d, &p, first, tiles, (char *)out); \
    }
#define TRUNCATED32(draw, storage, width) \
    static void tiles_##draw##_##storage(const fi_draw *d, uint64_t first, size_t tiles, \
        void *out) { \
        parameters_f32 p; \
        p.truncated = make_truncated_f32(d->parameters); \
        switch ((int)d->parameters[0]) { /* the form: chosen from the bounds alone */ \
        case 0: run32(FORMS + 0, storage, width, d, &p, first, tiles, (char *)out); break; \
        case 1: run32(FORMS + 1, storage, width, d, &p, first, tiles, (char *)out); break; \
        default: run32(FORMS + 2, storage, width, d, &p, first, tiles, (char *)out); \
        } \
    }

NARROW_STORAGES(TILES32, FI_UNIFORM)
NARROW_STORAGES(TILES32, FI_NORMAL)
NARROW_STORAGES(TRUNCATED32, FI_TRUNCATED_NORMAL)

static void tiles_uniform_f64(const fi_draw *d, uint64_t first, size_t tiles, void *out) {
    parameters_f64 p;
    p.uniform = make_uniform_f64(d->parameters);
    run64(FI_UNIFORM, d, &p, first, tiles, (char *)out);
}
static void tiles_normal_f64(const fi_draw *d, uint64_t first, size_t tiles, void *out) {
    parameters_f64 p;
    p.normal = make_normal_f64(d->parameters);
    run64(FI_NORMAL, d, &p, first, tiles, (char *)out);
}
static void tiles_truncated_f64(const fi_draw *d, uint64_t first, size_t tiles, void *out) {
    parameters_f64 p;
    p.truncated = make_truncated_f64(d->parameters);
    switch ((int)d->parameters[0]) {
    case 1: run64(FORMS + 1, d, &p, first, tiles, (char *)out); break;
    default: run64(FORMS + 2, d, &p, first, tiles, (char *)out);
    }
}
static void tiles_words(const fi_draw *d, uint64_t first, size_t tiles, void *out) {
    run32(FI_WORDS, FI_U32, 4, d, NULL, first, tiles, (char *)out);
}
static void tiles_words64(const fi_draw *d, uint64_t first, size_t tiles, void *out) {
    run64(FI_WORDS64, d, NULL, first, tiles, (char *)out);
}

#define ROW(draw, storage, width) [draw][storage] = tiles_##draw##_##storage,
static const fi_isa table = {
    .name = ISA_NAME,
    .scan = scan_values,
    .digest = scan_digest,
    .tiles = {
        NARROW_STORAGES(ROW, FI_UNIFORM) NARROW_STORAGES(ROW, FI_NORMAL) NARROW_STORAGES(ROW,
            FI_TRUNCATED_NORMAL)
        [FI_UNIFORM][FI_F64] = tiles_uniform_f64,
        [FI_NORMAL][FI_F64] = tiles_normal_f64,
        [FI_TRUNCATED_NORMAL][FI_F64] = tiles_truncated_f64,
        [FI_WORDS][FI_U32] = tiles_words,
        [FI_WORDS64][FI_U64] = tiles_words64,
    },
};
