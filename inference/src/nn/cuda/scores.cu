// What every kernel of attention reads from, and makes of scores.

typedef unsigned short bf16;
typedef unsigned int u32;

#define INFINITY_ __int_as_float(0x7f800000)

struct Rows {
    const bf16 *first;
    // Distance between rows, in numbers.
    long long stride;
    int count;
};

__device__ __forceinline__ u32 pack(float low, float high) {
    u32 both;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(high), "f"(low));
    return both;
}

__device__ __forceinline__ float power_of_two(float exponent) {
    float power;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(power) : "f"(exponent));
    return power;
}

// Of the four threads that share a row.
__device__ __forceinline__ float largest_of_row(float value) {
    value = fmaxf(value, __shfl_xor_sync(~0u, value, 1));
    return fmaxf(value, __shfl_xor_sync(~0u, value, 2));
}

__device__ __forceinline__ float sum_of_row(float value) {
    value += __shfl_xor_sync(~0u, value, 1);
    return value + __shfl_xor_sync(~0u, value, 2);
}
