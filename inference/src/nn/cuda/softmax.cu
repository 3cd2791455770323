// Softmax of scores in place, a block a row, with what is added to them before. `NUMBER` is defined by whoever compiles this: float or
// unsigned short, which is a bf16.

typedef NUMBER number;
typedef long long i64;

__device__ __forceinline__ float wide(float value) { return value; }
__device__ __forceinline__ float wide(unsigned short value) { return __uint_as_float((unsigned int)value << 16); }
__device__ __forceinline__ void put(float *to, float value) { *to = value; }
__device__ __forceinline__ void put(unsigned short *to, float value) {
    unsigned int both;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(0.0f), "f"(value));
    *to = (unsigned short)both;
}

template <bool LARGEST> __device__ __forceinline__ float of_block(float value) {
    __shared__ float of_warps[32];
#pragma unroll
    for (int distance = 16; distance > 0; distance /= 2) {
        const float other = __shfl_xor_sync(~0u, value, distance);
        value = LARGEST ? fmaxf(value, other) : value + other;
    }
    __syncthreads();
    if (threadIdx.x % 32 == 0) of_warps[threadIdx.x / 32] = value;
    __syncthreads();
    value = of_warps[0];
    for (int warp = 1; warp < blockDim.x / 32; warp++) value = LARGEST ? fmaxf(value, of_warps[warp]) : value + of_warps[warp];
    return value;
}

// Grid: queries, heads. `added` is `[queries, keys]`, with rows at this distance, or null.
extern "C" __global__ void softmax(number *scores, i64 distance, const float *added, i64 added_row, int keys, float scale) {
    number *row = scores + ((i64)blockIdx.y * gridDim.x + blockIdx.x) * distance;
    const float *bias = added ? added + blockIdx.x * added_row : nullptr;
    float largest = __int_as_float(0xff800000);
    for (int key = threadIdx.x; key < keys; key += blockDim.x)
        largest = fmaxf(largest, wide(row[key]) * scale + (bias ? bias[key] : 0.0f));
    largest = of_block<true>(largest);
    float sum = 0;
    for (int key = threadIdx.x; key < keys; key += blockDim.x)
        sum += __expf(wide(row[key]) * scale + (bias ? bias[key] : 0.0f) - largest);
    const float share = 1.0f / of_block<false>(sum);
    for (int key = threadIdx.x; key < keys; key += blockDim.x)
        put(row + key, __expf(wide(row[key]) * scale + (bias ? bias[key] : 0.0f) - largest) * share);
}
