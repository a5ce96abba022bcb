/* The kernels of a GPU thread: which tile, which group of lanes, where the values go.  The numbers
 * are those of kernel/.  Eight threads draw a tile: thread g has blocks 2g and 2g + 1, and with
 * them values 2g and 2g + 1 of every slot.
 *
 * Compiled at first use by NVRTC (fastinit/_cuda/), one program for each FI_PART, and by the host's
 * C compiler for the tests, which emulate the threads one after another (tests/unit/cuda).  The
 * structures below are packed by fastinit/_cuda/launch.py. */
#ifdef __CUDACC_RTC__ /* NVRTC has no headers of C */
typedef unsigned char uint8_t;
typedef unsigned short uint16_t;
typedef int int32_t;
typedef unsigned int uint32_t;
typedef long long int64_t;
typedef unsigned long long uint64_t;
typedef unsigned long long uintptr_t;
#else
#include <math.h>
#include <string.h>
#endif
#include "../fastinit.h"

#ifdef __CUDACC__
#define OP static __device__ __forceinline__
#define KERNEL(name, type) \
    extern "C" __global__ void __launch_bounds__(THREADS) name(const __grid_constant__ type b)
#define THREAD threadIdx.x
#define BLOCK blockIdx.x
#define BLOCKS gridDim.x
#else
#define OP static inline __attribute__((always_inline, unused))
#define KERNEL(name, type) \
    static void name##_thread(type b); \
    EMULATED(name, type) static void name##_thread(type b)
#define THREAD emulated_thread
#define BLOCK emulated_block
#define BLOCKS emulated_blocks
static _Thread_local uint32_t emulated_thread, emulated_block, emulated_blocks;
#define EMULATED(name, type) \
    __attribute__((visibility("default"))) void name(const type *b, uint32_t blocks) { \
        emulated_blocks = blocks; \
        for (emulated_block = 0; emulated_block < blocks; emulated_block++) \
            for (emulated_thread = 0; emulated_thread < THREADS; emulated_thread++) \
                name##_thread(*b); \
    }
#endif

#define THREADS 256
/* Tiles that one block draws side by side. */
#define TILES_AT_ONCE (TILES_IN_FLIGHT * THREADS / 8)
#include "../simd/cuda.h"
#include "../kernel/draw.h"

/* -------------------------------------------------------------------- what the host hands over */

#define NUMBERS 32 /* of a draw's parameters: the longest list is the far float64 form's, 26 */
#define RUNS 91 /* of one launch: 4080 bytes of arguments, of the 4096 that every GPU takes */
#define AXES 32

/* Values first ... first + count - 1 of one stream, side by side in memory. */
typedef struct {
    char *out;
    uint64_t first, count, stream;
    uint64_t chunks; /* of this run and all before it: where the next run's begin */
} fi_run;

/* Many runs of one seed, draw and storage.  A chunk is 2^shift tiles and begins at a multiple of so
 * many, so that the low word of the block counter carries in none. */
typedef struct {
    round_keys keys; /* made by the host: a thread then reads them as operands, in place of making
                        them for each tile */
    uint64_t constant;
    uint32_t plane;
    int32_t runs, shift, itemsize; /* of a constant, which any dtype may have */
    double parameters[NUMBERS];
    fi_run run[RUNS];
} fi_runs;

typedef struct {
    int64_t count, index,
        memory; /* how many; steps of the value index and, in bytes, of the memory */
} fi_axis;

/* One destination of any strides: `blocks` times `inner` values whose indices run on without a gap,
 * axes[outer:] of it. */
typedef struct {
    round_keys keys;
    uint64_t stream, constant;
    uint32_t plane;
    int32_t storage, itemsize, axes, outer, unused;
    double parameters[NUMBERS];
    char *memory;
    const char *source; /* of a copy: the values in index order */
    uint64_t first, inner, items,
        groups; /* groups of lanes to a block's values; items = blocks * groups */
    fi_axis axis[AXES];
} fi_region;

/* ----------------------------------------------------------------------------------- one group */

/* What lane k of a slot becomes in memory, after a store of both into a register. */
OP uint64_t lane(const int itemsize, const uint32_t *pair, int k) {
    return itemsize == 4 ? pair[k]
        : itemsize == 2  ? pair[0] >> 16 * k & 0xFFFF
                         : pair[0] >> 8 * k & 0xFF;
}

OP void put(const int itemsize, char *to, uint64_t bits) {
    if (itemsize == 8) WRITE(uint64_t, to, bits);
    else if (itemsize == 4) WRITE(uint32_t, to, (uint32_t)bits);
    else if (itemsize == 2) WRITE(uint16_t, to, (uint16_t)bits);
    else WRITE(uint8_t, to, (uint8_t)bits);
}

OP uint64_t copied(const int itemsize, const char *source, uint64_t index) {
    const char *from = source + index * (uint64_t)itemsize;
    if (itemsize == 8) return *(const uint64_t *)from;
    if (itemsize == 4) return *(const uint32_t *)from;
    if (itemsize == 2) return *(const uint16_t *)from;
    return *(const uint8_t *)from;
}

/* Sixteen bytes, to a place that is aligned to them. */
OP void put_pair(char *to, uint64_t low, uint64_t high) {
#ifdef __CUDACC__
    ulonglong2 both = {low, high};
    *(ulonglong2 *)to = both;
#else
    memcpy(to, &low, 8);
    memcpy(to + 8, &high, 8);
#endif
}

/* ---------------------------------------------------------------------------------------- runs */

/* The run that a chunk belongs to. */
OP int run_of(const fi_run *run, int runs, uint64_t chunk) {
    int low = 0;
    while (low < runs - 1) {
        int middle = (low + runs - 1) / 2;
        if (chunk < run[middle].chunks) runs = middle + 1;
        else low = middle + 1;
    }
    return low;
}

/* What a block needs to know of its chunk.  `inside`: all of its tiles are whole, and where a pair
 * of lanes lies no store is misaligned. */
#define CHUNK_OF(per, width) \
    const int number = run_of(b.run, b.runs, BLOCK), group = 2 * (int)(THREAD % 8); \
    const uint64_t before = number ? b.run[number - 1].chunks : 0, first = b.run[number].first, \
                   count = b.run[number].count; \
    const uint64_t chunk = ((first / (per) >> b.shift) + (BLOCK - before)) << b.shift, \
                   tiles = (uint64_t)1 << b.shift; \
    /* of this thread's first value in the run: negative in a head */ \
    const int64_t offset = (int64_t)(chunk * (per) - first) + group; \
    char *const out = b.run[number].out; \
    const int inside = chunk * (per) >= first && (chunk + tiles) * (per) <= first + count && \
        ((uintptr_t)out + (uintptr_t)(offset * (width))) % (2 * (width)) == 0; \
    schedule s; \
    make_schedule(&s, &b.keys, b.run[number].stream, b.plane, chunk);

/* Whether a tile has values of the run. */
#define TOUCHED(step, per) \
    ((chunk + (step) + 1) * (per) > first && (chunk + (step)) * (per) < first + count)

#define RUNS32(name, draw, storage, width, make) \
    KERNEL(runs_##name##_##storage, fi_runs) { \
        parameters_f32 p; \
        make; \
        CHUNK_OF(64, width) \
        for (uint32_t step = TILES_IN_FLIGHT * (THREAD / 8); step < tiles; \
            step += TILES_AT_ONCE) { \
            F y[TILES_IN_FLIGHT][4]; \
            if (!inside && !(TOUCHED(step, 64) || TOUCHED(step + TILES_IN_FLIGHT - 1, 64))) \
                continue; \
            values32(draw, TILES_IN_FLIGHT, &s, &p, s.block + 16 * step, group / LANES, y); \
            char *to = out + (offset + 64 * (int64_t)step) * (width); \
            if (inside) { \
                for (int t = 0; t < TILES_IN_FLIGHT; t++) \
                    for (int slot = 0; slot < 4; slot++) \
                        store_f(storage, to + (64 * t + 16 * slot) * (width), 0, y[t][slot]); \
            } else { \
                for (int t = 0; t < TILES_IN_FLIGHT; t++) \
                    for (int slot = 0; slot < 4; slot++) { \
                        const int64_t place = offset + 64 * (int64_t)(step + t) + 16 * slot; \
                        uint32_t pair[2] = {0, 0}; \
                        store_f(storage, pair, 0, y[t][slot]); \
                        for (int k = 0; k < 2; k++) \
                            if ((uint64_t)(place + k) < count) \
                                put(width, out + (place + k) * (width), lane(width, pair, k)); \
                    } \
            } \
        } \
    }

#define RUNS64(name, draw, storage, make) \
    KERNEL(runs_##name##_##storage, fi_runs) { \
        parameters_f64 p; \
        make; \
        CHUNK_OF(32, 8) \
        for (uint32_t step = THREAD / 8; step < tiles; step += THREADS / 8) { \
            L x[2][2]; \
            if (!inside && !TOUCHED(step, 32)) continue; \
            values64(draw, &s, &p, s.block + 16 * step, group, x); \
            const int64_t place = offset + 32 * (int64_t)step; \
            if (inside) \
                for (int half = 0; half < 2; half++) \
                    put_pair(out + (place + 16 * half) * 8, x[0][half], x[1][half]); \
            else \
                for (int half = 0; half < 2; half++) \
                    for (int k = 0; k < 2; k++) \
                        if ((uint64_t)(place + 16 * half + k) < count) \
                            put(8, out + (place + 16 * half + k) * 8, x[k][half]); \
        } \
    }

/* --------------------------------------------------------------------------------- any strides */

OP void divide(uint64_t a, uint64_t b, uint64_t *quotient, uint64_t *rest) {
    if (((a | b) >> 32) == 0) {
        *quotient = (uint32_t)a / (uint32_t)b;
        *rest = (uint32_t)a % (uint32_t)b;
    } else {
        *quotient = a / b;
        *rest = a % b;
    }
}

/* Memory of the value `within` one inner block, whose memory begins at `at`. */
OP char *place_of(const fi_axis *axis, int outer, int axes, uint64_t within, char *at) {
    for (int k = axes - 1; k > outer; k--) {
        uint64_t rest;
        divide(within, (uint64_t)axis[k].count, &within, &rest);
        at += (int64_t)rest * axis[k].memory;
    }
    return at + (int64_t)within * axis[outer].memory;
}

/* One group of lanes of one tile, as far as it lies in one inner block. */
typedef struct {
    uint64_t tile;
    uint64_t index; /* of the block's first value */
    uint64_t begin; /* of the group's first value in the block; wraps if that begins later */
    char *at;       /* memory of the block's first value */
    int group;
} fi_item;

OP fi_item item_of(const fi_region *b, uint64_t number, int per) {
    fi_item item;
    uint64_t block, part;
    item.index = b->first;
    item.at = b->memory;
    divide(number, b->groups, &block, &part);
    for (int k = b->outer - 1; k >= 0; k--) {
        uint64_t rest;
        divide(block, (uint64_t)b->axis[k].count, &block, &rest);
        item.index += rest * (uint64_t)b->axis[k].index;
        item.at += (int64_t)rest * b->axis[k].memory;
    }
    item.tile = item.index / per + part / 8;
    item.group = 2 * (int)(part % 8);
    item.begin = item.tile * per + (uint64_t)item.group - item.index;
    return item;
}

/* Whether one of the group's values, two in each of so many pairs 16 apart, lies in the block. */
OP int reaches(const fi_region *b, const fi_item *item, int pairs) {
    int any = 0;
    for (int pair = 0; pair < pairs; pair++)
        for (int k = 0; k < 2; k++) any |= item->begin + (uint64_t)(16 * pair + k) < b->inner;
    return any;
}

OP void put_item(
    const fi_region *b, const fi_item *item, const int itemsize, int place, uint64_t bits) {
    const uint64_t within = item->begin + (uint64_t)place;
    if (within < b->inner)
        put(itemsize, place_of(b->axis, b->outer, b->axes, within, item->at), bits);
}

#define FOR_EACH_ITEM \
    for (uint64_t number = BLOCK * (uint64_t)THREADS + THREAD; number < b.items; \
        number += BLOCKS * (uint64_t)THREADS)

#define REGION32(name, draw, make) \
    KERNEL(region_##name, fi_region) { \
        parameters_f32 p; \
        make; \
        FOR_EACH_ITEM { \
            const fi_item item = item_of(&b, number, 64); \
            if (!reaches(&b, &item, 4)) continue; \
            schedule s; \
            make_schedule(&s, &b.keys, b.stream, b.plane, item.tile); \
            F y[TILES_IN_FLIGHT][4]; \
            values32(draw, 1, &s, &p, s.block, item.group / LANES, y); \
            for (int slot = 0; slot < 4; slot++) { \
                uint32_t pair[2] = {0, 0}; \
                store_f(b.storage, pair, 0, y[0][slot]); \
                for (int k = 0; k < 2; k++) \
                    put_item(&b, &item, b.itemsize, 16 * slot + k, lane(b.itemsize, pair, k)); \
            } \
        } \
    }

#define REGION64(name, draw, make) \
    KERNEL(region_##name, fi_region) { \
        parameters_f64 p; \
        make; \
        FOR_EACH_ITEM { \
            const fi_item item = item_of(&b, number, 32); \
            if (!reaches(&b, &item, 2)) continue; \
            schedule s; \
            make_schedule(&s, &b.keys, b.stream, b.plane, item.tile); \
            L x[2][2]; \
            values64(draw, &s, &p, s.block, item.group, x); \
            for (int half = 0; half < 2; half++) \
                for (int k = 0; k < 2; k++) put_item(&b, &item, 8, 16 * half + k, x[k][half]); \
        } \
    }

/* --------------------------------------------------------------------------------- the kernels */

#define FLOATS32(name, draw, make) \
    RUNS32(name, draw, FI_F32, 4, make) \
    RUNS32(name, draw, FI_F16, 2, make) \
    RUNS32(name, draw, FI_BF16, 2, make) \
    RUNS32(name, draw, FI_E4M3, 1, make) \
    RUNS32(name, draw, FI_E5M2, 1, make) \
    REGION32(name, draw, make)
#define FLOATS64(name, draw, make) \
    RUNS64(name, draw, FI_F64, make) \
    REGION64(name##_f64, draw, make)

#if !defined(FI_PART) || FI_PART == 0
FLOATS32(uniform, FI_UNIFORM, p.uniform = make_uniform_f32(b.parameters))
#endif
#if !defined(FI_PART) || FI_PART == 1
FLOATS32(normal, FI_NORMAL, p.normal = make_normal_f32(b.parameters))
#endif
#if !defined(FI_PART) || FI_PART == 2
FLOATS32(central, FORMS + CENTRAL, p.truncated = make_truncated_f32(b.parameters))
#endif
#if !defined(FI_PART) || FI_PART == 3
FLOATS32(wide, FORMS + WIDE, p.truncated = make_truncated_f32(b.parameters))
#endif
#if !defined(FI_PART) || FI_PART == 4
FLOATS32(far, FORMS + FAR, p.truncated = make_truncated_f32(b.parameters))
#endif
#if !defined(FI_PART) || FI_PART == 5
FLOATS64(uniform, FI_UNIFORM, p.uniform = make_uniform_f64(b.parameters))
FLOATS64(normal, FI_NORMAL, p.normal = make_normal_f64(b.parameters))
RUNS32(words, FI_WORDS, FI_U32, 4, (void)p)
RUNS64(words64, FI_WORDS64, FI_U64, (void)p)
REGION32(words, FI_WORDS, (void)p)
REGION64(words64, FI_WORDS64, (void)p)

/* A constant is bits, whatever the dtype: words of 16 bytes where they fit. */
KERNEL(runs_constant, fi_runs) {
    const int itemsize = b.itemsize, number = run_of(b.run, b.runs, BLOCK);
    const uint64_t before = number ? b.run[number - 1].chunks : 0,
                   size = b.run[number].count * (uint64_t)itemsize;
    char *const out = b.run[number].out;
    const uint64_t gap = -(uintptr_t)out % 16, head = gap < size ? gap : size;
    const uint64_t words = (size - head) / 16, per = 16u << b.shift;
    for (uint64_t k = (BLOCK - before) * per + THREAD; k < (BLOCK - before + 1) * per && k < words;
        k += THREADS)
        put_pair(out + head + 16 * k, b.constant, b.constant);
    if (BLOCK == before && THREAD < 32) { /* what is left at both ends: less than 16 bytes each */
        const uint64_t end = head + 16 * words;
        const uint64_t at = THREAD < 16 ? THREAD : end + THREAD - 16;
        if (at % (uint64_t)itemsize == 0 && (THREAD < 16 ? at < head : at < size))
            put(itemsize, out + at, b.constant);
    }
}

/* Values copied from another place on the device, or one constant, to any strides. */
KERNEL(region_copy, fi_region) {
    FOR_EACH_ITEM {
        const fi_item item = item_of(&b, number, 64);
        for (int place = 0; place < 64; place += 16)
            for (int k = 0; k < 2; k++) {
                uint64_t bits = b.constant;
                if (b.source && item.begin + (uint64_t)(place + k) < b.inner)
                    bits = copied(b.itemsize, b.source, item.index + item.begin + place + k);
                put_item(&b, &item, b.itemsize, place + k, bits);
            }
    }
}
#endif
#if !defined(FI_PART) || FI_PART == 6
FLOATS64(wide, FORMS + WIDE, p.truncated = make_truncated_f64(b.parameters))
FLOATS64(far, FORMS + FAR, p.truncated = make_truncated_f64(b.parameters))
#endif

/* -------------------------------------------------------------------------------------- sweeps */

/* What `fastinit selftest --cuda` asks of every word there is: the faster quotients, roots and
 * stores of simd/cuda.h against a program compiled with FI_PLAIN, which has none of them. */
#if defined(FI_PART) && FI_PART == 7
typedef struct {
    char *out;
    const char *other;
    unsigned long long *differences;
    uint32_t first, limit; /* the first word; the largest magnitude that the storage holds */
    double parameters[NUMBERS];
} fi_sweep;

#define WORD (b.first + 2 * (BLOCK * (uint32_t)THREADS + THREAD))
#define SWEEP(name, width, value) \
    KERNEL(sweep_##name, fi_sweep) { \
        const uint32_t word = WORD; \
        const I w = {{word, word + 1}}; \
        char *const to = b.out + (uint64_t)(word - b.first) * width; \
        value; \
    }
#define SWEEP_STORE(storage, width) \
    SWEEP(storage, width, \
        store_f(storage, to, 0, \
            i_as_f(i_select(i_less(i_and(w, i_set1(0x7FFFFFFF)), i_set1(b.limit)), w, i_set1(0)))))
SWEEP_STORE(FI_F16, 2)
SWEEP_STORE(FI_BF16, 2)
SWEEP_STORE(FI_E4M3, 1)
SWEEP_STORE(FI_E5M2, 1)
SWEEP(radius, 4, store_f(FI_F32, to, 0, radius_f32(w)))
SWEEP(central, 4, truncated_f32 p = make_truncated_f32(b.parameters);
      store_f(FI_F32, to, 0, draw_truncated_f32(CENTRAL, &p, w)))

/* How many pairs of words of 4 bytes differ. */
KERNEL(sweep_compare, fi_sweep) {
    const uint64_t at = 4 * (BLOCK * (uint64_t)THREADS + THREAD);
    if (*(const uint32_t *)(b.out + at) != *(const uint32_t *)(b.other + at))
        atomicAdd(b.differences, 1ull);
}
#endif
