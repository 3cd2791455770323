// Stands before every kernel instead of CUDA's own headers, so that a C++ compiler for the processor takes it.
#pragma once
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <vector_functions.h>
#include <vector_types.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "card.h"
#include "half.h"

#undef __constant__
#undef __device__
#undef __forceinline__
#undef __global__
#undef __host__
#undef __launch_bounds__
#undef __shared__
#define __constant__
#define __device__
#define __forceinline__ inline
#define __global__
#define __grid_constant__
#define __host__
#define __launch_bounds__(...)
// Blocks run one after the other.
#define __shared__ static

extern "C" char *shared_memory;

#define threadIdx (card_place->thread)
#define blockIdx (card_place->block)
#define blockDim (card_place->threads)
#define gridDim (card_place->blocks)
#define warpSize 32
#define __syncthreads card_meet
#define __syncwarp(...) card_warp_meet()

static inline float __uint_as_float(unsigned bits) { float value; memcpy(&value, &bits, 4); return value; }
static inline float __int_as_float(int bits) { return __uint_as_float((unsigned)bits); }
static inline unsigned __float_as_uint(float value) { unsigned bits; memcpy(&bits, &value, 4); return bits; }
static inline int __float2int_rn(float value) { return (int)nearbyintf(value); }
static inline unsigned __umulhi(unsigned a, unsigned b) { return (unsigned)((unsigned long long)a * b >> 32); }

static inline void card_warp_meet() {
    unsigned nothing = 0, all[32];
    card_exchange(&nothing, 1, all);
}

static inline float __shfl_xor_sync(unsigned, float value, int distance, int = 32) {
    unsigned bits = __float_as_uint(value), all[32];
    card_exchange(&bits, 1, all);
    return __uint_as_float(all[(threadIdx.x % 32) ^ distance]);
}

// Threads run one after the other between meetings.
static inline float atomicAdd(float *to, float added) {
    const float before = *to;
    *to += added;
    return before;
}

static inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
static inline float fast_expf(float x) { return std::exp(x); }
static inline float fast_logf(float x) { return std::log(x); }
#define __cosf cosf
#define __expf fast_expf
#define __fdividef(a, b) ((a) / (b))
#define __logf fast_logf
#define __powf powf
#define __sinf sinf

static inline int min(int a, int b) { return std::min(a, b); }
static inline int max(int a, int b) { return std::max(a, b); }
static inline unsigned min(unsigned a, unsigned b) { return std::min(a, b); }
static inline unsigned max(unsigned a, unsigned b) { return std::max(a, b); }
static inline long long min(long long a, long long b) { return std::min(a, b); }
static inline float min(float a, float b) { return fminf(a, b); }
static inline float max(float a, float b) { return fmaxf(a, b); }

#define OF_HALF(name, of_x)                                   \
    static inline __nv_bfloat16 name(__nv_bfloat16 half) {    \
        const float x = __bfloat162float(half);               \
        return __float2bfloat16(of_x);                        \
    }
OF_HALF(hceil, ceilf(x))
OF_HALF(hcos, cosf(x))
OF_HALF(hexp, expf(x))
OF_HALF(hfloor, floorf(x))
OF_HALF(hlog, logf(x))
OF_HALF(hrcp, 1.0f / x)
OF_HALF(hrsqrt, rsqrtf(x))
OF_HALF(hsin, sinf(x))
OF_HALF(hsqrt, sqrtf(x))
#undef OF_HALF

// Instructions that stand as text in our kernels (PTX ISA, "Warp-level matrix instructions"): compiler.cpp puts these in their place.

#define __cvta_generic_to_shared(pointer) ((size_t)((char *)(pointer) - shared_memory))

static inline unsigned pair_of_halves(float high, float low) { return (unsigned)halved(high) << 16 | halved(low); }

static inline void copy_to_shared(unsigned to, const void *from, int bytes) {
    memset(shared_memory + to, 0, 16);
    memcpy(shared_memory + to, from, bytes);
}

// ldmatrix.m8n8.x4
static inline void load_matrices(unsigned *to, unsigned from, bool is_transposed) {
    unsigned rows[32];
    card_exchange(&from, 1, rows);
    const int lane = threadIdx.x % 32, one = lane / 4, other = lane % 4 * 2;
    for (int matrix = 0; matrix < 4; matrix++) {
        auto at = [&](int row, int column) -> unsigned {
            return *(const unsigned short *)(shared_memory + rows[8 * matrix + row] + 2 * column);
        };
        to[matrix] = is_transposed ? at(other, one) | at(other + 1, one) << 16 : at(one, other) | at(one, other + 1) << 16;
    }
}

// mma.m16n8k16
static inline void multiply_matrices(float *sum, const unsigned *left, const unsigned *right) {
    const unsigned given[6] = {left[0], left[1], left[2], left[3], right[0], right[1]};
    unsigned all[32 * 6];
    card_exchange(given, 6, all);
    auto number = [](unsigned pair, int place) { return widened(place % 2 ? pair >> 16 : pair & 0xffff); };
    auto of_left = [&](int row, int k) { return number(all[(row % 8 * 4 + k % 8 / 2) * 6 + row / 8 + k / 8 * 2], k); };
    auto of_right = [&](int k, int column) { return number(all[(column * 4 + k % 8 / 2) * 6 + 4 + k / 8], k); };
    const int lane = threadIdx.x % 32;
    for (int entry = 0; entry < 4; entry++)
        for (int k = 0; k < 16; k++)
            sum[entry] += of_left(lane / 4 + entry / 2 * 8, k) * of_right(k, lane % 4 * 2 + entry % 2);
}

// Tiles for tensor cores as burn's kernels have them. Every thread of a warp holds all of one.
namespace nvcuda::wmma {
struct matrix_a {};
struct matrix_b {};
struct accumulator {};
struct row_major {};
struct col_major {};
enum layout_t { mem_row_major, mem_col_major };
namespace precision {
struct tf32 {};
}
static inline float __float_to_tf32(float value) { return value; }

template <class Use, int M, int N, int K> constexpr int ROWS = M;
template <int M, int N, int K> constexpr int ROWS<matrix_b, M, N, K> = K;
template <class Use, int M, int N, int K> constexpr int COLUMNS = N;
template <int M, int N, int K> constexpr int COLUMNS<matrix_a, M, N, K> = K;

template <class Use, int M, int N, int K, class T, class Layout = void> struct fragment {
    static constexpr int rows = ROWS<Use, M, N, K>, columns = COLUMNS<Use, M, N, K>, num_elements = rows * columns;
    float x[num_elements];
};

template <class Fragment, class Value> void fill_fragment(Fragment &fragment, Value value) {
    for (float &number : fragment.x) number = (float)value;
}

template <class Fragment, class T> void load(Fragment &to, const T *from, unsigned distance, bool by_rows) {
    for (int row = 0; row < to.rows; row++)
        for (int column = 0; column < to.columns; column++)
            to.x[row * to.columns + column] = (float)from[by_rows ? row * distance + column : column * distance + row];
}

template <class Use, int M, int N, int K, class T, class Layout, class From>
void load_matrix_sync(fragment<Use, M, N, K, T, Layout> &to, const From *from, unsigned distance) {
    load(to, from, distance, std::is_same_v<Layout, row_major>);
}

template <int M, int N, int K, class T, class From>
void load_matrix_sync(fragment<accumulator, M, N, K, T> &to, const From *from, unsigned distance, layout_t layout) {
    load(to, from, distance, layout == mem_row_major);
}

template <class To, int M, int N, int K, class T>
void store_matrix_sync(To *to, const fragment<accumulator, M, N, K, T> &from, unsigned distance, layout_t layout) {
    for (int row = 0; row < M; row++)
        for (int column = 0; column < N; column++)
            to[layout == mem_row_major ? row * distance + column : column * distance + row] = (To)from.x[row * N + column];
}

template <int M, int N, int K, class A, class LayoutA, class B, class LayoutB, class T>
void mma_sync(fragment<accumulator, M, N, K, T> &to, const fragment<matrix_a, M, N, K, A, LayoutA> &a,
              const fragment<matrix_b, M, N, K, B, LayoutB> &b, const fragment<accumulator, M, N, K, T> &c) {
    auto sum = c;
    for (int row = 0; row < M; row++)
        for (int k = 0; k < K; k++)
            for (int column = 0; column < N; column++) sum.x[row * N + column] += a.x[row * K + k] * b.x[k * N + column];
    to = sum;
}
}  // namespace nvcuda::wmma
