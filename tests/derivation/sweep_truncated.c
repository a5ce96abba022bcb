/* Truncated normal, every form written once more as plain scalar C, and swept over words: sweep_truncated.py builds and runs it.
 * cc -O2 -ffp-contract=off; no other flag that lets a compiler change arithmetic.  The float64 forms, held against mpmath by
 * tests/unit/reference/test_truncated.py, are the reference of the float32 ones.  Not part of the package. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static double k32[32], k64[32]; /* the numbers behind the form, as fastinit/_core/truncated.py gives them */
static int form32, form64;

static float horner32(float x, const float *c, int n) {
    float y = x * c[0];
    for (int j = 1; j < n - 1; j++) { y = y + c[j]; y = y * x; }
    return y + c[n - 1];
}
static double horner64(double x, const double *c, int n) {
    double y = x * c[0];
    for (int j = 1; j < n - 1; j++) { y = y + c[j]; y = y * x; }
    return y + c[n - 1];
}

static float central32(uint32_t w) {
    static const float odd[] = {0x1.4759aap+2f, 0x1.6f78dp-1f, 0x1.eca41ep-1f, 0x1.53b47ep-1f, 0x1.3124eap-1f};
    static const float even[] = {0x1.a2d45ep-7f, 0x1.3566ecp-7f, 0x1.806e8cp-8f};
    int32_t d = (int32_t)(w ^ 0x80000000u);
    uint32_t m = (uint32_t)(d < 0 ? ~d : d);
    float g = (float)(int32_t)(0x40000000u - (uint32_t)((uint64_t)m * m >> 32));
    g = (float)k32[2] + g;
    float a = (float)k32[1] / g;
    a = 0x1.f5b98cp-1f + a;
    float t = a - 0x1.ac592cp+0f, u = t * t, o = horner32(u, odd, 5);
    o = o * t;
    o = o + horner32(u, even, 3);
    o = o * u;
    a = a + o;
    float f = (float)d + 0.5f;
    f = f * (float)k32[0];
    return f * a;
}

static float place32(uint32_t w, float a) {
    float h = (float)(w >> 16) * 65536.0f, l = (float)(w & 0xFFFF) + a;
    return h + l;
}
static double place64(uint64_t w, double a) {
    double h = (double)(uint32_t)(w >> 32) * 0x1p32, l = (double)(uint32_t)w + a;
    return h + l;
}

static float minus_log32(float v) {
    static const float c[] = {0x1.32d558p-2f, 0x1.99541cp-2f, 0x1.555588p-1f};
    uint32_t bits;
    memcpy(&bits, &v, 4);
    int32_t k = (int32_t)(bits - 0x3F3504F3u) >> 23;
    bits -= (uint32_t)k << 23;
    float f, e = (float)k;
    memcpy(&f, &bits, 4);
    f = f - 1.0f;
    float s = f + 2.0f;
    s = f / s;
    float z = s * s, r = horner32(z, c, 3) * z, h = f * f;
    h = h * 0.5f;
    r = r + h;
    r = r * s;
    float b = e * 0x1.7f7d1cp-20f;
    r = r + b;
    h = h - r;
    h = h - f;
    b = e * 0x1.62e4p-1f;
    return h - b;
}
static double minus_log64(double v) {
    static const double c[] = {0x1.307f239cfa487p-3, 0x1.39794d0a6f464p-3, 0x1.7467f5364b547p-3, 0x1.c71c48bff0502p-3,
                               0x1.2492494f00827p-2, 0x1.999999996e442p-2, 0x1.55555555555d6p-1};
    uint64_t bits;
    memcpy(&bits, &v, 8);
    int64_t k = (int64_t)(bits - 0x3FE6A09E667F3BCDu) >> 52;
    bits -= (uint64_t)k << 52;
    double f, e = (double)k;
    memcpy(&f, &bits, 8);
    f = f - 1.0;
    double s = f + 2.0;
    s = f / s;
    double z = s * s, r = horner64(z, c, 7) * z, h = f * f;
    h = h * 0.5;
    r = r + h;
    r = r * s;
    double b = e * 0x1.a39ef35793c76p-33;
    r = r + b;
    h = h - r;
    h = h - f;
    b = e * 0x1.62e42feep-1;
    return h - b;
}

static float near32(float x) {
    static const float c[] = {0x1.8a4e4p-7f, 0x1.2a3254p-7f, 0x1.a6fa48p-6f, 0x1.dd69fcp-5f, 0x1.55562ap-3f};
    float y = x * x, p = horner32(y, c, 5) * y;
    p = p * x;
    p = p + x;
    return p < 0x1.5956b8p-1f ? p : 0x1.5956b8p-1f;
}
static float tail32(float r) {
    static const float c[] = {0x1.974246p+9f, 0x1.2a8634p+1f, 0x1.35dda6p+6f, 0x1.1032ecp+3f,
                              0x1.5b49e4p+3f, 0x1.5ac764p+1f, 0x1.bd713p+1f, 0x1.5f600ap-1f};
    float v = r + 2.0f;
    v = 1.0f / v;
    v = v - 0x1.89cp-3f;
    r = r - horner32(v, c, 8);
    return r > 0x1.5956b8p-1f ? r : 0x1.5956b8p-1f;
}
static float root32(float tail) {
    float r = minus_log32(tail);
    r = r + r;
    return sqrtf(r);
}
static double near64(double x) {
    static const double c[] = {0x1.7a625dd603ee9p-12, -0x1.9070f62a361c2p-12, 0x1.2f31e131bc344p-11, 0x1.b256583f4f052p-14,
                               0x1.411c31fa787bdp-11, 0x1.f11d13b3c143ep-11, 0x1.c9d8b3e63740ap-10, 0x1.a5b75c29f5453p-9,
                               0x1.9007329efe624p-8, 0x1.8a8517a297398p-7, 0x1.9cd9cda5e6075p-6, 0x1.ddddddddcd251p-5,
                               0x1.55555555555acp-3};
    double y = x * x, p = horner64(y, c, 13) * y;
    p = p * x;
    p = p + x;
    return p < 0x1.5956b87528a49p-1 ? p : 0x1.5956b87528a49p-1;
}
static double tail64(double r) {
    static const double c[] = {-0x1.15d0a6a6a6ecbp+51, 0x1.21e08f8a41fe0p+49, -0x1.3d6637b53fe44p+40, -0x1.c3ce4bfd2d8e2p+39,
                               -0x1.62a4aa8f9029ep+38, 0x1.9658b524b877ep+37, -0x1.013911e48c2e0p+32, 0x1.33bfe6b8317d4p+32,
                               0x1.3722b5b83b164p+26, 0x1.663d4f03e8bd9p+27, 0x1.3264471522a69p+23, 0x1.ac14c176ee572p+22,
                               0x1.32f3e3d365097p+19, 0x1.1608508a0ebf2p+18, 0x1.0ce050f760fcdp+15, 0x1.8d3c49a87afdcp+13,
                               0x1.d4343b90d1c29p+10, 0x1.3d50d9712c59bp+9, 0x1.bcd8c9d0659e5p+6, 0x1.4a8bd2f645059p+5,
                               0x1.1ef938f0ba92cp+3, 0x1.25f6e5a97300bp+2, 0x1.34ccc50eec8fap-1};
    double v = r + 3.0;
    v = 1.0 / v;
    v = v - 0x1.268p-3;
    r = r - horner64(v, c, 23);
    return r > 0x1.5956b87528a49p-1 ? r : 0x1.5956b87528a49p-1;
}

static float wide32(uint32_t w, int *branch) {
    uint32_t first = (uint32_t)k32[0];
    int n = w < first;
    uint32_t mask = n ? 0xFFFFFFFFu : 0;
    const double *k = k32 + (n ? 1 : 2);
    float m = place32((w - first) ^ mask, (float)k[0]), e = place32(~(w ^ mask), 0.5f), t = e * (float)k[4];
    t = t + (float)k[2];
    *branch = 2 * n + (t > 0.25f);
    float z = t > 0.25f ? near32(m * (float)k[6]) : tail32(root32(t));
    return n ? -z : z;
}
static double wide64(uint64_t w) {
    uint64_t first = ((uint64_t)k64[1] << 32) + (uint64_t)k64[2];
    if (k64[0]) w = ~w;
    int n = w < first;
    uint64_t mask = n ? ~(uint64_t)0 : 0;
    const double *k = k64 + (n ? 3 : 4);
    double m = place64((w - first) ^ mask, k[0]), e = place64(~(w ^ mask), 0.5), t = e * k[4];
    t = t + k[2];
    double r = minus_log64(t);
    r = r + r;
    double z = t > 0.25 ? near64(m * k[6]) : tail64(sqrt(r));
    return n != (k64[0] != 0) ? -z : z;
}

static float far32(uint32_t w, int *branch) {
    static const float low[] = {0x1.426edep-2f, 0x1.ab9ae8p-4f, 0x1.adc60ep-3f, 0x1.fe9032p-3f, 0x1.555ap-2f, 0.5f};
    if (k32[0]) w = ~w;
    float u = place32(w, 0.5f) * (float)k32[1], e;
    *branch = u < 0.25f;
    if (u < 0.25f) {
        e = horner32(u, low, 6);
        float b = u * u;
        e = e * b;
        e = e + u;
        e = e < 0x1.269622p-2f ? e : 0x1.269622p-2f;
    } else {
        float v = place32(~w, 0.5f) * (float)k32[1];
        e = minus_log32(v + (float)k32[2]);
        e = e > 0x1.269622p-2f ? e : 0x1.269622p-2f;
    }
    float y = (float)k32[4] / e, a = y * (float)k32[5], b = a * a, g = y * (float)k32[6], c[7];
    b = b + g;
    a = a + sqrtf(b);
    float x = (float)k32[4] / a, v = x + (float)k32[7];
    v = x / v;
    for (int j = 0; j < 7; j++) c[6 - j] = (float)k32[8 + j];
    float p = horner32(v, c, 7);
    b = v * v;
    p = p * b;
    p = p * x;
    x = x + p;
    x = x + (float)k32[3];
    return k32[0] ? -x : x;
}
static double far64(uint64_t w) {
    static const double low[] = {0x1.d24948d6a015bp-2, -0x1.6f9a5128be96ap-2, 0x1.48d28eb4c1723p-2, -0x1.8de4113ac470cp-9,
                                 0x1.c8b39ebfd6826p-4, 0x1.8b900c8edfe96p-4, 0x1.c8c3336405a72p-4, 0x1.ffdcfd959ec3bp-4,
                                 0x1.24934943286acp-3, 0x1.55554b9e5f99dp-3, 0x1.999999d3fcbb7p-3, 0x1.ffffffff41817p-3,
                                 0x1.5555555555d0bp-2, 0.5};
    if (k64[0]) w = ~w;
    double u = place64(w, 0.5) * k64[1], e;
    if (u < 0.25) {
        e = horner64(u, low, 14);
        double b = u * u;
        e = e * b;
        e = e + u;
        e = e < 0x1.269621134db92p-2 ? e : 0x1.269621134db92p-2;
    } else {
        double v = place64(~w, 0.5) * k64[1];
        e = minus_log64(v + k64[2]);
        e = e > 0x1.269621134db92p-2 ? e : 0x1.269621134db92p-2;
    }
    double y = k64[4] / e, a = y * k64[5], b = a * a, g = y * k64[6], c[13];
    b = b + g;
    a = a + sqrt(b);
    double x = k64[4] / a, v = x + k64[7];
    v = x / v;
    for (int j = 0; j < 13; j++) c[12 - j] = k64[8 + j];
    double p = horner64(v, c, 13);
    b = v * v;
    p = p * b;
    p = p * x;
    x = x + p;
    x = x + k64[3];
    return k64[0] ? -x : x;
}

static float z32(uint32_t w, int *branch) {
    *branch = 0;
    return form32 == 0 ? central32(w) : form32 == 1 ? wide32(w, branch) : far32(w, branch);
}
static double z64(uint64_t w) { return form64 == 1 ? wide64(w) : far64(w); }

typedef struct { double outward, inward, squares; uint64_t words, decreases, digest; } sums;

/* Words first, first + step, ... before end; each also against the one after it. */
static void sweep32(sums *s, uint64_t first, uint64_t end, uint64_t step) {
    int branch;
    float last = 0;
    for (uint64_t w = first; w < end; w += step) {
        float z = z32((uint32_t)w, &branch);
        if (step == 1 ? w > first && z < last : w < 0xFFFFFFFFu && z32((uint32_t)w + 1, &branch) < z) s->decreases++;
        last = z;
        uint32_t bits;
        memcpy(&bits, &z, 4);
        s->digest = (s->digest ^ bits) * 0x100000001B3u; /* FNV-1a by words */
        double exact = z64(w << 32 | 0x80000000u); /* p = (w + 1/2) / 2^32 + 2^-65 */
        int e;
        frexp(exact, &e);
        double error = (z - exact) / ldexp(1.0, e - 24);
        if (exact < 0) error = -error;
        if (error > s->outward) s->outward = error;
        if (error < s->inward) s->inward = error;
        s->squares += error * error;
        s->words++;
    }
}

static void print(const sums *s) {
    printf("{\"words\": %llu, \"outward\": %.3f, \"inward\": %.3f, \"rms\": %.3f, \"decreases\": %llu, \"digest\": \"%016llx\"}\n",
           (unsigned long long)s->words, s->outward, s->inward, s->words ? sqrt(s->squares / s->words) : 0.0,
           (unsigned long long)s->decreases, (unsigned long long)s->digest);
    fflush(stdout);
}

/* The steps of which every float32 form 1 is made do not depend on its parameters: each of their arguments, in order. */
static uint64_t turns(float (*f)(float), float from, float to, int falling) {
    uint64_t count = 0;
    float last = f(from);
    for (float x = nextafterf(from, INFINITY); x <= to; x = nextafterf(x, INFINITY)) {
        float y = f(x);
        if (falling ? y > last : y < last) count++;
        last = y;
    }
    return count;
}

int main(int count, char **text) {
    int at = 2, branch;
    if (count < 2) return 2;
    if (!strcmp(text[1], "steps")) {
        printf("{\"log\": %llu, ", (unsigned long long)turns(minus_log32, 0x1p-36f, 0.75f, 1));
        printf("\"tail\": %llu, ", (unsigned long long)turns(tail32, 1.66f, 7.0f, 0));
        printf("\"near\": %llu}\n", (unsigned long long)turns(near32, 0x1p-100f, 0.63f, 0));
        return 0;
    }
    form32 = atoi(text[at++]);
    for (int n = atoi(text[at++]), j = 0; j < n; j++) k32[j] = strtod(text[at++], NULL);
    form64 = atoi(text[at++]);
    for (int n = atoi(text[at++]), j = 0; j < n; j++) k64[j] = strtod(text[at++], NULL);
    if (!strcmp(text[1], "words")) { /* first, end, step: one line */
        sums s = {0, 0, 0, 0, 0, 0xCBF29CE484222325u};
        sweep32(&s, strtoull(text[at], NULL, 0), strtoull(text[at + 1], NULL, 0), strtoull(text[at + 2], NULL, 0));
        print(&s);
    } else if (!strcmp(text[1], "slices")) { /* first and end slice of 2^20 words: a line each */
        for (uint64_t k = strtoull(text[at], NULL, 0); k < strtoull(text[at + 1], NULL, 0); k++) {
            sums s = {0, 0, 0, 0, 0, 0xCBF29CE484222325u};
            sweep32(&s, k << 20, (k + 1) << 20, 1);
            if (k && z32((uint32_t)(k << 20), &branch) < z32((uint32_t)(k << 20) - 1, &branch)) s.decreases++;
            print(&s);
        }
    } else if (!strcmp(text[1], "seams")) { /* all words within 2^18 of the ends and of every change of branch */
        sums s = {0, 0, 0, 0, 0, 0xCBF29CE484222325u};
        sweep32(&s, 0, 1 << 18, 1);
        uint64_t from = 0;
        int before, now;
        z32(0, &before);
        for (uint64_t w = 1 << 20; w <= 0xFFFFFFFFu; w += 1 << 20) {
            z32((uint32_t)w, &now);
            if (now != before) {
                uint64_t low = from, high = w;
                while (high - low > 1) {
                    uint64_t middle = (low + high) / 2;
                    z32((uint32_t)middle, &branch);
                    if (branch == before) low = middle;
                    else high = middle;
                }
                sweep32(&s, low > 1 << 18 ? low - (1 << 18) : 0, low + (1 << 18) < 1ull << 32 ? low + (1 << 18) : 1ull << 32, 1);
            }
            before = now, from = w;
        }
        sweep32(&s, (1ull << 32) - (1 << 18), 1ull << 32, 1);
        print(&s);
    } else if (!strcmp(text[1], "pairs")) { /* float64: so many sampled words, each against the one after it and a near one */
        uint64_t words = strtoull(text[at], NULL, 0), state = 1, decreases = 0;
        for (uint64_t j = 0; j < words; j++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            uint64_t w = state ^ state >> 29, near = w + ((uint64_t)1 << (j % 24));
            if (j % 4 == 1) w >>= j % 64, near = w + 1;
            if (j % 4 == 2) w = ~(w >> j % 64), near = w;
            double z = z64(w);
            if (w != ~(uint64_t)0 && z64(w + 1) < z) decreases++;
            if (near > w && z64(near) < z) decreases++;
        }
        printf("{\"pairs\": %llu, \"decreases\": %llu}\n", (unsigned long long)words, (unsigned long long)decreases);
    }
    return 0;
}
