/* One chunk of a tensor counted and measured: patterns, sums of squares of rows and columns,
 * moments, range; and the digest of its bytes.  Draws nothing.  Included once by each file of isa/
 * inside its target region, and written with the compilers' vectors of eight doubles, which any
 * instruction set has in parts.  fastinit/reference/scan.py has the same operations in the same
 * order: every sum has sixteen lanes, value k in lane k mod 16, then halves added to halves. */
typedef double f64x8 __attribute__((vector_size(64)));
typedef int64_t i64x8 __attribute__((vector_size(64)));
typedef uint64_t u64x8 __attribute__((vector_size(64)));
typedef float f32x8 __attribute__((vector_size(32)));
typedef int32_t i32x8 __attribute__((vector_size(32)));
typedef uint16_t u16x8 __attribute__((vector_size(16)));
typedef uint8_t u8x8 __attribute__((vector_size(8)));

#define INFINITE __builtin_inf()
#define SCAN_BLOCK 4096 /* values whose mean is taken before their powers are summed */
#define LOAD(T, v, p) T v; memcpy(&v, p, sizeof v)

/* ------------------------------------------------------------------------------------ patterns */

OP void count_patterns(const int code, uint64_t *table, const void *values, size_t count) {
    if (code == FI_E4M3 || code == FI_E5M2) {
        /* few values that come again and again: four tables, so that no count waits for the last */
        uint32_t own[4][256] = {{0}};
        const uint8_t *v = (const uint8_t *)values;
        for (size_t i = 0; i < count; i++) own[i % 4][v[i]]++;
        for (int k = 0; k < 256; k++)
            table[k] += (uint64_t)own[0][k] + own[1][k] + own[2][k] + own[3][k];
    } else if (code == FI_F16 || code == FI_BF16) {
        const uint16_t *v = (const uint16_t *)values;
        for (size_t i = 0; i < count; i++) table[v[i]]++;
    } else if (code == FI_F32) {
        const uint32_t *v = (const uint32_t *)values;
        for (size_t i = 0; i < count; i++) table[v[i] >> 16]++;
    } else {
        const double *v = (const double *)values;
        for (size_t i = 0; i < count; i++) {
            float near = (float)v[i];
            uint32_t bits;
            memcpy(&bits, &near, 4);
            table[bits >> 16]++;
        }
    }
}

/* -------------------------------------------------------------------------- sums of squares */

#define NARROW(mask, top, shift, scale) \
    m &= mask; \
    m = (m << shift) & (m <= top); \
    memcpy(&f, &m, 32); \
    f *= scale

/* The squares of eight values; 0 of what is not finite. */
OP void squares8(const int code, const void *p, f64x8 *out) {
    f64x8 x;
    if (code == FI_F64) {
        LOAD(i64x8, m, p);
        m &= 0x7FFFFFFFFFFFFFFF;
        m &= m <= 0x7FEFFFFFFFFFFFFF;
        memcpy(&x, &m, 64);
    } else {
        i32x8 m;
        f32x8 f;
        if (code == FI_F32) {
            memcpy(&m, p, 32);
            m &= 0x7FFFFFFF;
            m &= m <= 0x7F7FFFFF;
            memcpy(&f, &m, 32);
        } else if (code == FI_F16 || code == FI_BF16) {
            LOAD(u16x8, half, p);
            m = __builtin_convertvector(half, i32x8);
            if (code == FI_BF16) { NARROW(0x7FFF, 0x7F7F, 16, 1.0f); }
            else { NARROW(0x7FFF, 0x7BFF, 13, 0x1p112f); }
        } else {
            LOAD(u8x8, byte, p);
            m = __builtin_convertvector(byte, i32x8);
            if (code == FI_E4M3) { NARROW(0x7F, 0x7E, 20, 0x1p120f); }
            else { NARROW(0x7F, 0x7B, 21, 0x1p112f); }
        }
        x = __builtin_convertvector(f, f64x8);
    }
    *out = x * x;
}

/* bits: lanes k and k + 8, then k and k + 4, ... */
OP double in_lanes(const f64x8 *low, const f64x8 *high) {
    double a[8];
    f64x8 sum = *low + *high;
    memcpy(a, &sum, 64);
    for (int half = 4; half; half /= 2)
        for (int k = 0; k < half; k++) a[k] += a[k + half];
    return a[0];
}

/* The sum of squares of `count` values of one row, each also added to its column. */
OP double row_squares(const int code, const size_t size, const char *p, size_t count,
    double *columns) {
    f64x8 low = {0}, high = {0}, a, b;
    size_t i = 0;
    for (; i + 16 <= count; i += 16) {
        squares8(code, p + i * size, &a);
        squares8(code, p + (i + 8) * size, &b);
        low += a;
        high += b;
        LOAD(f64x8, c, columns + i);
        LOAD(f64x8, d, columns + i + 8);
        c += a;
        d += b;
        memcpy(columns + i, &c, 64);
        memcpy(columns + i + 8, &d, 64);
    }
    if (i < count) {
        char rest[16 * 8] = {0};
        double squares[16];
        memcpy(rest, p + i * size, (count - i) * size);
        squares8(code, rest, &a);
        squares8(code, rest + 8 * size, &b);
        low += a;
        high += b;
        memcpy(squares, &a, 64);
        memcpy(squares + 8, &b, 64);
        for (size_t k = i; k < count; k++) columns[k] += squares[k - i];
    }
    return in_lanes(&low, &high);
}

OP void add_squares(const int code, const size_t size, fi_scan *s, const char *p, size_t count) {
    const size_t width = (size_t)s->width;
    size_t column = (size_t)s->start % width, row = 0;
    while (count) {
        size_t n = width - column < count ? width - column : count;
        s->rows[row++] += row_squares(code, size, p, n, s->columns + column);
        p += n * size;
        count -= n;
        column = 0;
    }
}

/* ------------------------------------------------------------------------------------- moments */

typedef struct {
    int64_t values, zeros, subnormals;
    double mean, m2, m3, m4, low, high;
} moments;

static const moments no_moments = {0, 0, 0, 0, 0, 0, 0, INFINITE, -INFINITE};

/* Pébay's formulas; bits: the order of operations of reference/scan.py. */
OP moments join(const moments *a, const moments *b) {
    moments all = a->values ? *a : *b;
    all.low = b->low < a->low ? b->low : a->low;
    all.high = b->high > a->high ? b->high : a->high;
    all.zeros = a->zeros + b->zeros;
    all.subnormals = a->subnormals + b->subnormals;
    if (!a->values || !b->values) return all;
    const double na = (double)a->values, nb = (double)b->values, n = na + nb;
    const double d = b->mean - a->mean, r = d / n, s = d * r * na * nb;
    all.values = a->values + b->values;
    all.m4 = a->m4 + b->m4 + s * r * r * (na * na - na * nb + nb * nb);
    all.m4 = all.m4 + 6.0 * r * r * (na * na * b->m2 + nb * nb * a->m2);
    all.m4 = all.m4 + 4.0 * r * (na * b->m3 - nb * a->m3);
    all.m3 = a->m3 + b->m3 + s * r * (na - nb);
    all.m3 = all.m3 + 3.0 * r * (na * b->m2 - nb * a->m2);
    all.m2 = a->m2 + b->m2 + s;
    all.mean = a->mean + r * nb;
    return all;
}

OP void doubles8(const int code, const void *p, f64x8 *x) {
    if (code == FI_F64) {
        memcpy(x, p, 64);
    } else {
        LOAD(f32x8, f, p);
        *x = __builtin_convertvector(f, f64x8);
    }
}

/* At most SCAN_BLOCK values, in a multiple of sixteen: NaN where there are fewer. */
OP moments block_moments(const int code, const char *p, size_t count) {
    const size_t size = code == FI_F64 ? 8 : 4;
    const double smallest = code == FI_F64 ? 0x1p-1022 : 0x1p-126;
    f64x8 sum[2] = {{0}}, low, high, m2[2] = {{0}}, m3[2] = {{0}}, m4[2] = {{0}};
    i64x8 finite = {0}, zeros = {0}, small = {0}, infinity;
    moments found = no_moments;
    low = (f64x8){0} + INFINITE;
    high = -low;
    memcpy(&infinity, &low, 64);
    for (size_t i = 0; i < count; i += 8) {
        f64x8 x, y;
        doubles8(code, p + i * size, &x);
        LOAD(i64x8, bits, &x);
        i64x8 magnitude = bits & 0x7FFFFFFFFFFFFFFF, is = magnitude < infinity, less;
        f64x8 absolute;
        memcpy(&absolute, &magnitude, 64);
        finite -= is;
        zeros -= (i64x8)(magnitude == 0);
        small -= (i64x8)(absolute < smallest);
        magnitude = bits & is;
        memcpy(&y, &magnitude, 64);
        sum[i / 8 % 2] += y;
        magnitude = (bits & is) | (infinity & ~is);
        memcpy(&y, &magnitude, 64);
        less = y < low;
        LOAD(i64x8, now, &low);
        now = (magnitude & less) | (now & ~less);
        memcpy(&low, &now, 64);
        magnitude = (bits & is) | ((infinity | INT64_MIN) & ~is);
        memcpy(&y, &magnitude, 64);
        less = y > high;
        memcpy(&now, &high, 64);
        now = (magnitude & less) | (now & ~less);
        memcpy(&high, &now, 64);
    }
    for (int k = 0; k < 8; k++) {
        found.values += finite[k];
        found.zeros += zeros[k];
        found.subnormals += small[k];
        if (low[k] < found.low) found.low = low[k];
        if (high[k] > found.high) found.high = high[k];
    }
    found.subnormals -= found.zeros;
    if (!found.values) return no_moments;
    found.low += 0.0; /* -0 becomes +0 */
    found.high += 0.0;
    found.mean = in_lanes(&sum[0], &sum[1]) / (double)found.values;
    for (size_t i = 0; i < count; i += 16)
        for (int half = 0; half < 2; half++) {
            f64x8 x, d, d2;
            doubles8(code, p + (i + 8 * (size_t)half) * size, &x);
            LOAD(i64x8, bits, &x);
            i64x8 is = (bits & 0x7FFFFFFFFFFFFFFF) < infinity;
            d = x - found.mean;
            memcpy(&bits, &d, 64);
            bits &= is;
            memcpy(&d, &bits, 64);
            d2 = d * d;
            m2[half] += d2;
            m3[half] += d2 * d;
            m4[half] += d2 * d2;
        }
    found.m2 = in_lanes(&m2[0], &m2[1]);
    found.m3 = in_lanes(&m3[0], &m3[1]);
    found.m4 = in_lanes(&m4[0], &m4[1]);
    return found;
}

OP void add_moments(const int code, fi_scan *s, const char *p, size_t count) {
    const size_t size = code == FI_F64 ? 8 : 4;
    moments all = no_moments, one;
    while (count) {
        size_t n = count < SCAN_BLOCK ? count : SCAN_BLOCK, whole = n / 16 * 16;
        if (whole == n) {
            one = block_moments(code, p, n);
        } else {
            char filled[SCAN_BLOCK * 8];
            memset(filled, 0xFF, (whole + 16) * size); /* NaN */
            memcpy(filled, p, n * size);
            one = block_moments(code, filled, whole + 16);
        }
        all = join(&all, &one);
        p += n * size;
        count -= n;
    }
    s->values = all.values;
    s->zeros = all.zeros;
    s->subnormals = all.subnormals;
    s->mean = all.mean;
    s->m2 = all.m2;
    s->m3 = all.m3;
    s->m4 = all.m4;
    s->low = all.low;
    s->high = all.high;
}

/* --------------------------------------------------------------------------------- whole chunks */

#define SCAN_AS(code_, size) \
    case code_: \
        count_patterns(code_, s->table, values, count); \
        if (s->width) add_squares(code_, size, s, (const char *)values, count); \
        if (code_ == FI_F32 || code_ == FI_F64) \
            add_moments(code_, s, (const char *)values, count); \
        break

static void scan_values(fi_scan *s, const void *values, size_t count) {
    switch (s->code) {
        SCAN_AS(FI_F64, 8);
        SCAN_AS(FI_F32, 4);
        SCAN_AS(FI_F16, 2);
        SCAN_AS(FI_BF16, 2);
        SCAN_AS(FI_E4M3, 1);
        SCAN_AS(FI_E5M2, 1);
    default: break;
    }
}

/* The digest of at most a page: a sum over 64-bit words, each mixed with its place (the first round
 * of splitmix64's finalizer).  `changes` counts the words that differ from the one 64 bytes before. */
OP uint64_t mixed(uint64_t z) {
    z = (z ^ (z >> 30)) * (uint64_t)0xBF58476D1CE4E5B9;
    return z ^ (z >> 27);
}

OP uint64_t digest_page(const char *p, size_t size, uint64_t *changes) {
    const uint64_t step = 0x9E3779B97F4A7C15, mix = 0xBF58476D1CE4E5B9;
    const u64x8 one_to_eight = {1, 2, 3, 4, 5, 6, 7, 8};
    u64x8 sum = {0}, place = one_to_eight * step, differ = {0}, last = {0};
    uint64_t total = 0, word = 0;
    *changes = 0;
    if (size >= 64) memcpy(&last, p, sizeof last);
    for (; size >= 64; size -= 64, p += 64, word += 8) {
        LOAD(u64x8, z, p);
        differ -= (u64x8)(z != last);
        last = z;
        z += place;
        z = (z ^ (z >> 30)) * mix;
        sum += z ^ (z >> 27);
        place += 8 * step;
    }
    for (int k = 0; k < 8; k++) {
        total += sum[k];
        *changes += differ[k];
    }
    while (size) {
        uint64_t z = 0;
        size_t n = size < 8 ? size : 8;
        memcpy(&z, p, n);
        total += mixed(z + ++word * step);
        size -= n;
        p += n;
    }
    return total;
}

/* The sum of the pages' digests, each mixed with its place, so that parts add up to the whole in any
 * order.  `pages` gets that of each whole page, 0 of one that hardly changes. */
static uint64_t scan_digest(const void *bytes, size_t size, uint64_t page, uint64_t *pages) {
    const uint64_t step = 0x9E3779B97F4A7C15;
    const char *p = (const char *)bytes;
    uint64_t total = 0, changes;
    for (; size >= FI_PAGE; size -= FI_PAGE, p += FI_PAGE) {
        const uint64_t found = digest_page(p, FI_PAGE, &changes);
        total += mixed(found + ++page * step);
        *pages++ = changes < FI_PAGE / 16 ? 0 : found;
    }
    if (size) total += mixed(digest_page(p, size, &changes) + ++page * step);
    return total;
}
