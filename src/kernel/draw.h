/* The working values of one group of lanes: words, then the draw.  No loops over tiles and no
 * stores: those are fill.h's and isa/cuda.cu's. No include guards: included once per ISA, after a
 * vocabulary of simd/. */
#include "../kernel/philox.h"
#include "../kernel/store.h"
#include "../kernel/transform.h"
#include "../kernel/constants.h"
#include "../kernel/normal.h"
#include "../kernel/truncated.h"

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

/* The float32 rule: slot j of group g holds values 16 j + LANES g + 0 ... LANES-1 of its tile.
 * `flight` tiles are drawn side by side, so that one's latency hides behind the other's work. */
OP void values32(const int draw, const int flight, const schedule *s, const parameters_f32 *p,
    uint32_t block, int group, F (*y)[4]) {
    L blocks[2 * TILES_IN_FLIGHT], w[2 * TILES_IN_FLIGHT][4];
    for (int t = 0; t < flight; t++) {
        L first = l_set1(block + 16 * (uint32_t)t + (uint32_t)(group * LANES));
        blocks[2 * t] = l_add(first, s->even);
        blocks[2 * t + 1] = l_add(first, s->odd);
    }
    philox(s, 2 * flight, blocks, w);
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
}

/* The float64 rule, two words to a value: bits of the values 16 j + (group + t) LANES/2 + 0 ...
 * LANES/2-1 of a tile of 32, for t = 0, 1 and j = 0, 1. */
OP void values64(const int draw, const schedule *s, const parameters_f64 *p, uint32_t block,
    int group, L (*out)[2]) {
    L blocks[2], w[2][4];
    L first = l_set1(block + (uint32_t)(group * (LANES / 2)));
    blocks[0] = l_add(first, s->low);
    blocks[1] = l_add(first, s->high);
    philox(s, 2, blocks, w);
    for (int t = 0; t < 2; t++) {
        L *x = out[t];
        D y[2];
        for (int half = 0; half < 2; half++)
            x[half] =
                l_or(l_and(w[t][2 * half], l_set1(0xFFFFFFFFu)), l_shl(w[t][2 * half + 1], 32));
        if (draw == FI_WORDS64) continue;
        if (draw == FI_UNIFORM)
            for (int half = 0; half < 2; half++) y[half] = draw_uniform_f64(&p->uniform, x[half]);
        else if (draw == FI_NORMAL) draw_normal_f64(&p->normal, x[0], x[1], y);
        else
            for (int half = 0; half < 2; half++)
                y[half] = draw_truncated_f64(draw - FORMS, &p->truncated, x[half]);
        for (int half = 0; half < 2; half++) x[half] = d_as_l(y[half]);
    }
}
