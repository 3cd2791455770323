// Rows of bf16 numbers, which are read and written eight at a time and computed with in f32. The last axis lies whole in memory and is
// a multiple of eight.

typedef unsigned short bf16;
typedef unsigned int u32;
typedef long long i64;

constexpr u32 ALL = ~0u;

struct alignas(16) Packed {
    u32 pairs[4];
};

struct Eight {
    float of[8];
};

__device__ __forceinline__ Eight load(const bf16 *from) {
    Packed packed = *(const Packed *)from;
    Eight numbers;
#pragma unroll
    for (int index = 0; index < 4; index++) {
        numbers.of[2 * index] = __uint_as_float(packed.pairs[index] << 16);
        numbers.of[2 * index + 1] = __uint_as_float(packed.pairs[index] & 0xffff0000u);
    }
    return numbers;
}

__device__ __forceinline__ Eight load(const float *from) {
    Eight numbers;
    *(float4 *)numbers.of = *(const float4 *)from;
    *(float4 *)(numbers.of + 4) = *(const float4 *)(from + 4);
    return numbers;
}

__device__ __forceinline__ void store(bf16 *to, const Eight &numbers) {
    Packed packed;
#pragma unroll
    for (int index = 0; index < 4; index++)
        asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(packed.pairs[index]) : "f"(numbers.of[2 * index + 1]), "f"(numbers.of[2 * index]));
    *(Packed *)to = packed;
}

__device__ __forceinline__ float sum_of_warp(float value) {
#pragma unroll
    for (int distance = 16; distance > 0; distance /= 2) value += __shfl_xor_sync(ALL, value, distance);
    return value;
}

// Of all threads of a block; every thread gets it.
__device__ __forceinline__ float sum_of_block(float value) {
    __shared__ float of_warps[32];
    value = sum_of_warp(value);
    __syncthreads();
    if (threadIdx.x % 32 == 0) of_warps[threadIdx.x / 32] = value;
    __syncthreads();
    float sum = 0;
    for (int warp = 0; warp < blockDim.x / 32; warp++) sum += of_warps[warp];
    return sum;
}

// Mean of numbers, and the sum of their squares around it, by a whole block; every thread gets them.
__device__ __forceinline__ float2 mean_and_squares(const bf16 *from, int count) {
    float sum = 0;
    for (int at = threadIdx.x * 8; at < count; at += blockDim.x * 8) {
        Eight numbers = load(from + at);
#pragma unroll
        for (float number : numbers.of) sum += number;
    }
    const float mean = sum_of_block(sum) / count;
    float squares = 0;
    for (int at = threadIdx.x * 8; at < count; at += blockDim.x * 8) {
        Eight numbers = load(from + at);
#pragma unroll
        for (float number : numbers.of) squares += (number - mean) * (number - mean);
    }
    return make_float2(mean, sum_of_block(squares));
}

__device__ __forceinline__ float silu(float value) { return value / (1.0f + __expf(-value)); }

// A stream `[batch, tokens, width]`.
struct Stream {
    const bf16 *first;
    i64 batch, row;
};

__device__ __forceinline__ const bf16 *row_of(Stream stream, int entry, int token) { return stream.first + entry * stream.batch + token * stream.row; }
