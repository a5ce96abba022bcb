/* Philox4x32-10, LANES blocks at a time.  No include guards: included once per ISA. Each 32-bit
 * word sits in a 64-bit lane whose high half is undefined (the multiply reads only the low half): a
 * round is two multiplies, two shifts and two three-way xors, and no shuffle.  Blocks 0, 2, 4, ...
 * of a group are in one vector and 1, 3, 5, ... in another, so that the merge at the end is in lane
 * order. */
#define M0 0xD2511F53u
#define M1 0xCD9E8D57u

typedef struct {
    L key0[10], key1[10];
    /* what is the same for all blocks of a run: words of round 2 and 3, with their keys */
    L second0, second2, third2;
    /* lanes of the blocks in a group: 0, 2, ... and 1, 3, ...; together 0, 1, 2, ... */
    L even, odd;
    /* the lanes 0 ... LANES/2-1 and the next as many: for 64-bit words, which need no merge */
    L low, high;
    uint32_t block;             /* low word of the first block */
} schedule;

/* The keys of the ten rounds, in the low halves; the high halves are never read. */
typedef struct {
    uint64_t k0[10], k1[10];
} round_keys;

OP round_keys make_keys(uint64_t seed) {
    round_keys k;
    for (int r = 0; r < 10; r++) {
        k.k0[r] = (seed & 0xFFFFFFFFu) + (uint64_t)r * 0x9E3779B9u;
        k.k1[r] = (seed >> 32) + (uint64_t)r * 0xBB67AE85u;
    }
    return k;
}

static void make_schedule(schedule *s, const round_keys *keys, uint64_t stream, uint32_t plane,
    uint64_t first) {
    const uint64_t block = ((uint64_t)plane << 56) + 16 * first;
    const uint64_t *k0 = keys->k0, *k1 = keys->k1;
    for (int r = 0; r < 10; r++) {
        s->key0[r] = l_set1(k0[r]);
        s->key1[r] = l_set1(k1[r]);
    }
    /* Round 1 multiplies the stream's low word, round 2 what came of it: both the same in every
     * block. */
    uint64_t product = (uint64_t)M1 * (uint32_t)stream;
    uint32_t c0 = (uint32_t)(product >> 32) ^ (uint32_t)(block >> 32) ^ (uint32_t)k0[0],
        c1 = (uint32_t)product;
    uint64_t product2 = (uint64_t)M0 * c0;
    s->second0 = l_set1(c1 ^ k0[1]);
    s->second2 = l_set1((uint32_t)(product2 >> 32) ^ k1[1]);
    s->third2 = l_set1((uint32_t)product2 ^ k1[2]);
    /* the stream's high word enters with round 1's key */
    s->key1[0] = l_set1((uint32_t)(stream >> 32) ^ k1[0]);
    uint64_t lanes[4][8];
    for (int k = 0; k < 8; k++) {
        lanes[0][k] = 2 * (uint64_t)k;
        lanes[1][k] = 2 * (uint64_t)k + 1;
        lanes[2][k] = (uint64_t)k;
        lanes[3][k] = (uint64_t)k + LANES / 2;
    }
    s->even = l_load(lanes[0]);
    s->odd = l_load(lanes[1]);
    s->low = l_load(lanes[2]);
    s->high = l_load(lanes[3]);
    s->block = (uint32_t)block;
}

/* The four words of `n` vectors of blocks: w[j] in the low halves.  n is a constant, so that the
 * loops unroll. */
OP void philox(const schedule *s, int n, const L *block, L (*w)[4]) {
    const L m0 = l_set1(M0), m1 = l_set1(M1);
    for (int j = 0; j < n; j++) {
        L p0 = l_mul32(block[j], m0);
        L c2 = l_xor(l_shr(p0, 32), s->key1[0]);
        L p1 = l_mul32(c2, m1);
        w[j][0] = l_xor(l_shr(p1, 32), s->second0);
        w[j][1] = p1;
        w[j][2] = l_xor(p0, s->second2);
    }
    for (int j = 0; j < n; j++) {
        L p0 = l_mul32(w[j][0], m0), p1 = l_mul32(w[j][2], m1);
        w[j][0] = l_xor3(l_shr(p1, 32), w[j][1], s->key0[2]);
        w[j][1] = p1;
        w[j][2] = l_xor(l_shr(p0, 32), s->third2);
        w[j][3] = p0;
    }
#pragma GCC unroll 10
    for (int r = 3; r < 10; r++)
        for (int j = 0; j < n; j++) {
            L p0 = l_mul32(w[j][0], m0), p1 = l_mul32(w[j][2], m1);
            w[j][0] = l_xor3(l_shr(p1, 32), w[j][1], s->key0[r]);
            w[j][1] = p1;
            w[j][2] = l_xor3(l_shr(p0, 32), w[j][3], s->key1[r]);
            w[j][3] = p0;
        }
}
