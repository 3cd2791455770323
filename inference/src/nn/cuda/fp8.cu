// Numbers of eight bits, E4M3: a sign, four bits of exponent and three of mantissa, without infinities. Each row of them is multiplied by
// a factor, so that the largest of a row is the largest that there is.

typedef unsigned char fp8;

constexpr float LARGEST = 448.0f;
// Of which the inverse is a number, too: for rows of zeros.
constexpr float SMALLEST_FACTOR = 1e-30f;

// To the nearest, of two as near to the even one. What is not a number stays so.
__device__ __forceinline__ u32 narrowed(float value) {
    const u32 sign = __float_as_uint(value) >> 24 & 0x80;
    if (value != value) return sign | 0x7f;
    const float size = fminf(fabsf(value), LARGEST);
    // Below the smallest exponent all steps are as large.
    if (size < 0.015625f) return sign | (u32)__float2int_rn(size * 512.0f);
    const u32 bits = __float_as_uint(size);
    return sign | (((bits + 0x7ffff + (bits >> 20 & 1)) >> 20) - (120 << 3));
}

__device__ __forceinline__ float widened(u32 number) {
    const u32 sign = (number & 0x80) << 24, size = number & 0x7f;
    if (size == 0x7f) return __uint_as_float(0x7fffffff);
    // The exponent counts from 120 more; what has none is a number without exponent there, too.
    return __uint_as_float(sign | __float_as_uint(__uint_as_float(size << 20) * 0x1p120f));
}

__device__ __forceinline__ float max_of_block(float value) {
    __shared__ float of_warps[32];
#pragma unroll
    for (int distance = 16; distance > 0; distance /= 2) value = fmaxf(value, __shfl_xor_sync(ALL, value, distance));
    if (threadIdx.x % 32 == 0) of_warps[threadIdx.x / 32] = value;
    __syncthreads();
    float largest = 0;
    for (int warp = 0; warp < blockDim.x / 32; warp++) largest = fmaxf(largest, of_warps[warp]);
    return largest;
}

// Grid: rows. The numbers lie without gaps.
extern "C" __global__ void narrow_rows(const bf16 *input, i64 distance, fp8 *numbers, float *factors, int width) {
    const bf16 *from = input + blockIdx.x * distance;
    float largest = 0;
    for (int at = threadIdx.x * 8; at < width; at += blockDim.x * 8) {
        Eight eight = load(from + at);
#pragma unroll
        for (float number : eight.of) largest = fmaxf(largest, fabsf(number));
    }
    largest = max_of_block(largest);
    const float factor = fmaxf(largest / LARGEST, SMALLEST_FACTOR), inverse = 1.0f / factor;
    if (threadIdx.x == 0) factors[blockIdx.x] = factor;
    for (int at = threadIdx.x * 8; at < width; at += blockDim.x * 8) {
        Eight eight = load(from + at);
        uint2 packed = make_uint2(0, 0);
#pragma unroll
        for (int index = 0; index < 4; index++) {
            packed.x |= narrowed(eight.of[index] * inverse) << 8 * index;
            packed.y |= narrowed(eight.of[index + 4] * inverse) << 8 * index;
        }
        *(uint2 *)(numbers + (i64)blockIdx.x * width + at) = packed;
    }
}

// Grid: rows. The output lies without gaps.
extern "C" __global__ void widen_rows(const fp8 *numbers, i64 distance, const float *factors, bf16 *output, int width) {
    const fp8 *from = numbers + blockIdx.x * distance;
    const float factor = factors[blockIdx.x];
    for (int at = threadIdx.x * 8; at < width; at += blockDim.x * 8) {
        const uint2 packed = *(const uint2 *)(from + at);
        Eight eight;
#pragma unroll
        for (int index = 0; index < 4; index++) {
            eight.of[index] = widened(packed.x >> 8 * index & 0xff) * factor;
            eight.of[index + 4] = widened(packed.y >> 8 * index & 0xff) * factor;
        }
        store(output + (i64)blockIdx.x * width + at, eight);
    }
}
