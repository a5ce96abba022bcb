/* Whole tiles of one draw into one storage: the loops, and the table of them.  No include guards:
 * each file of isa/ includes this once, inside its target region, after a vocabulary of simd/.
 * Everything is static; only fi_isa_NAME crosses the file. */
#define OP static inline __attribute__((always_inline, unused))
#include SIMD_HEADER
#include "../kernel/philox.h"
#include "../kernel/store.h"
#include "../kernel/transform.h"
#include "../kernel/constants.h"
#include "../kernel/normal.h"
#include "../kernel/truncated.h"

#define GROUPS (16 / LANES)          /* vectors of 32-bit lanes to a slot */
#define GROUPS64 (16 / (LANES / 2))  /* vectors of 64-bit lanes to a slot */

typedef union {
    uniform_f32 uniform;
    normal_f32 normal;
    truncated_f32 truncated;
} parameters_f32;

typedef union {
    uniform_f64 uniform;
    normal_f64 normal;
    truncated_f64 truncated;
} parameters_f64;

/* The float32 rule.  `flight` tiles are drawn side by side, so that one's latency hides behind the
 * other's work. */
OP void group32(const int draw, const int storage, const int flight, const schedule *s,
    const parameters_f32 *p, uint32_t block, int group, void *out) {
    L blocks[2 * TILES_IN_FLIGHT], w[2 * TILES_IN_FLIGHT][4];
    for (int t = 0; t < flight; t++) {
        L first = l_set1(block + 16 * (uint32_t)t + (uint32_t)(group * LANES));
        blocks[2 * t] = l_add(first, s->even);
        blocks[2 * t + 1] = l_add(first, s->odd);
    }
    philox(s, 2 * flight, blocks, w);
    F y[TILES_IN_FLIGHT][4];
    for (int t = 0; t < flight; t++) {
        I word[4];
        for (int slot = 0; slot < 4; slot++) word[slot] = merge(w[2 * t][slot], w[2 * t + 1][slot]);
        if (draw == FI_WORDS)
            for (int slot = 0; slot < 4; slot++) y[t][slot] = i_as_f(word[slot]);
        else if (draw == FI_UNIFORM)
            for (int slot = 0; slot < 4; slot++)
                y[t][slot] = draw_uniform_f32(&p->uniform, word[slot]);
        else if (draw == FI_NORMAL)
            for (int slot = 0; slot < 4; slot += 2)
                draw_normal_f32(&p->normal, word[slot], word[slot + 1], y[t] + slot);
        else
            for (int slot = 0; slot < 4; slot++)
                y[t][slot] = draw_truncated_f32(draw - FORMS, &p->truncated, word[slot]);
    }
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

/* The float64 rule: two words to a value. */
OP void group64(const int draw, const schedule *s, const parameters_f64 *p, uint32_t block,
    int group, void *out) {
    L blocks[2], w[2][4];
    L first = l_set1(block + (uint32_t)(group * (LANES / 2)));
    blocks[0] = l_add(first, s->low);
    blocks[1] = l_add(first, s->high);
    philox(s, 2, blocks, w);
    for (int t = 0; t < 2; t++) {
        size_t place = (size_t)((group + t) * (LANES / 2));
        L x[2];
        D y[2];
        for (int half = 0; half < 2; half++)
            x[half] = l_or(l_and(w[t][2 * half], l_set1(0xFFFFFFFFu)),
                l_shl(w[t][2 * half + 1], 32));
        if (draw == FI_WORDS64) {
            for (int half = 0; half < 2; half++)
                l_store((uint64_t *)out + place + 16 * half, x[half]);
            continue;
        }
        if (draw == FI_UNIFORM)
            for (int half = 0; half < 2; half++) y[half] = draw_uniform_f64(&p->uniform, x[half]);
        else if (draw == FI_NORMAL)
            draw_normal_f64(&p->normal, x[0], x[1], y);
        else
            for (int half = 0; half < 2; half++)
                y[half] = draw_truncated_f64(draw - FORMS, &p->truncated, x[half]);
        for (int half = 0; half < 2; half++)
            l_store((uint64_t *)out + place + 16 * half, d_as_l(y[half]));
    }
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
    schedule s;
    make_schedule(&s, d, first);
    if (storage == FI_F32 && goes_around(d, out)) {
        loop32(draw, F32_AROUND, width, &s, p, tiles, out);
        store_fence();
    } else {
        loop32(draw, storage, width, &s, p, tiles, out);
    }
}

OP void run64(const int draw, const fi_draw *d, const parameters_f64 *p, uint64_t first,
    size_t tiles, char *out) {
    schedule s;
    make_schedule(&s, d, first);
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
