/* From the working value to the destination: one rounding to nearest even, subnormals and the sign
 * of zero kept.  No include guards. Never through float16, never by an instruction that flushes
 * (vcvtneps2bf16 does).  Values that would overflow never come here. */

/* A format with fewer bits than float32, by integers; below its smallest normal the spacing is
 * fixed, and adding 2^23 spacings makes float32's own rounding do the work. */
OP I narrow(F y, const int mantissa, const int bias, const int width) {
    const int drop = 23 - mantissa;
    I bits = f_as_i(y), size = i_and(bits, i_set1(0x7FFFFFFFu));
    I even = i_and(i_shr(size, drop), i_set1(1));
    I rounded = i_add(i_add(size, i_set1((1u << (drop - 1)) - 1)), even);
    I normal = i_sub(i_shr(rounded, drop), i_set1((uint32_t)(127 - bias) << mantissa));
    I magic = i_set1((uint32_t)(127 + 23 + 1 - bias - mantissa) << 23);
    I subnormal = i_sub(f_as_i(f_add(i_as_f(size), i_as_f(magic))), magic);
    I small = i_select(i_less(size, i_set1((uint32_t)(127 + 1 - bias) << 23)), subnormal, normal);
    return i_or(small, i_and(i_shr(bits, 32 - width), i_set1(1u << (width - 1))));
}

/* float32 by non-temporal stores, as if it were one more storage: a fill that memory's speed
 * bounds otherwise reads every line before it writes it.  Measured with AVX-512: uniform on two
 * threads 1.17 times as fast, 3 % on one, normal 2 %; float64 and AVX2 gain nothing. */
#define F32_NON_TEMPORAL FI_STORAGES
#ifndef HAS_NON_TEMPORAL_STORE
#define HAS_NON_TEMPORAL_STORE 0
#define i_store32_non_temporal i_store32
OP void store_fence(void) {}
#endif
OP int is_non_temporal(const fi_draw *d, const void *out) {
    return HAS_NON_TEMPORAL_STORE && d->non_temporal && (uintptr_t)out % 64 == 0;
}

OP void store_f(const int storage, void *out, size_t place, F y) {
    if (storage == F32_NON_TEMPORAL) {
        i_store32_non_temporal((uint32_t *)out + place, f_as_i(y));
    } else if (storage == FI_F32 || storage == FI_U32) {
        i_store32((uint32_t *)out + place, f_as_i(y));
#ifdef HAS_BF16
    } else if (storage == FI_BF16) {
        f_store_bf16((uint16_t *)out + place, y);
#else
    } else if (storage == FI_BF16) {
        I bits = f_as_i(y);
        I even = i_and(i_shr(bits, 16), i_set1(1));
        i_store16((uint16_t *)out + place, i_shr(i_add(i_add(bits, i_set1(0x7FFF)), even), 16));
#endif
    } else if (storage == FI_F16) {
#ifdef F16_BY_INTEGERS
        i_store16((uint16_t *)out + place, narrow(y, 10, 15, 16));
#else
        f_store_f16((uint16_t *)out + place, y);
#endif
#ifdef HAS_F8
    } else if (storage == FI_E4M3) {
        f_store_e4m3((uint8_t *)out + place, y);
    } else {
        f_store_e5m2((uint8_t *)out + place, y);
    }
#else
    } else if (storage == FI_E4M3) {
        i_store8((uint8_t *)out + place, narrow(y, 3, 7, 8));
    } else {
        i_store8((uint8_t *)out + place, narrow(y, 2, 15, 8));
    }
#endif
}
