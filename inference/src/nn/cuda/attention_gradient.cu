// Gradients of attention without scores in memory: they are computed once more, tile by tile (Dao, "FlashAttention-2", 2023). One kernel
// sums over queries and the other over keys, so that nothing is added up in an order that changes from run to run.
//
// `sums` `[batch, heads, queries]` is what the way forward wrote; `slopes`, of the same shape, the sum of each output times its gradient.
// Grids: blocks of keys or queries, heads, entries of the batch. `scale` is that of the scores, `power_scale` the same times log2(e).

struct Stream {
    const bf16 *first;
    long long batch, row;
};

// The rows of a head of an entry.
__device__ __forceinline__ Rows rows_of(Stream stream, int count) {
    return {stream.first + blockIdx.z * stream.batch + (long long)blockIdx.y * D, stream.row, count};
}

// A warp a query: the sum of each output times its gradient. Grid: queries over 4, heads, entries.
extern "C" __global__ void slopes_of_rows(const bf16 *output, long long output_batch, long long output_row, const bf16 *gradient,
                                          long long gradient_batch, long long gradient_row, float *slopes, int queries) {
    const int query = blockIdx.x * (THREADS / 32) + threadIdx.x / 32, lane = threadIdx.x % 32;
    if (query >= queries) return;
    const bf16 *left = rows_of({output, output_batch, output_row}, queries).first + query * output_row;
    const bf16 *right = rows_of({gradient, gradient_batch, gradient_row}, queries).first + query * gradient_row;
    float sum = 0;
#pragma unroll
    for (int at = lane * 2; at < D; at += 64) {
        const u32 a = *(const u32 *)(left + at), b = *(const u32 *)(right + at);
        sum += __uint_as_float(a << 16) * __uint_as_float(b << 16) + __uint_as_float(a & 0xffff0000u) * __uint_as_float(b & 0xffff0000u);
    }
#pragma unroll
    for (int distance = 16; distance > 0; distance /= 2) sum += __shfl_xor_sync(~0u, sum, distance);
    if (lane == 0) slopes[((long long)blockIdx.z * gridDim.y + blockIdx.y) * queries + query] = sum;
}

// Two tiles of 8 columns of sums, as the left side of a product whose sums run over these columns.
__device__ __forceinline__ void as_left(u32 *to, const float *left, const float *right) {
    to[0] = pack(left[0], left[1]);
    to[1] = pack(left[2], left[3]);
    to[2] = pack(right[0], right[1]);
    to[3] = pack(right[2], right[3]);
}

// Gradients of keys and values. A block has 64 keys, a warp 16 of them; queries come by tiles.
extern "C" __global__ void __launch_bounds__(THREADS)
gradients_of_keys(const bf16 *query, long long query_batch, long long query_row, const bf16 *key, long long key_batch, long long key_row,
                  const bf16 *value, long long value_batch, long long value_row, const bf16 *gradient, long long gradient_batch,
                  long long gradient_row, const float *sums, const float *slopes, bf16 *of_keys, bf16 *of_values, int queries, int keys,
                  float scale, float power_scale) {
    constexpr int KEYS = 64, TILE = 32;
    extern __shared__ __align__(128) unsigned char memory[];
    __shared__ float sum_tiles[2][TILE], slope_tiles[2][TILE];
    const u32 key_tile = (u32)__cvta_generic_to_shared(memory), value_tile = key_tile + KEYS * D * 2;
    const u32 query_tiles = value_tile + KEYS * D * 2, gradient_tiles = query_tiles + 2 * TILE * D * 2;
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, first = blockIdx.x * KEYS;
    const Rows query_rows = rows_of({query, query_batch, query_row}, queries);
    const Rows gradient_rows = rows_of({gradient, gradient_batch, gradient_row}, queries);
    const long long head = ((long long)blockIdx.z * gridDim.y + blockIdx.y) * queries;

    // What is there of a tile of queries; a query that is not there has shares of nothing.
    const auto begin = [&](int tile, int buffer) {
        fetch<TILE>(query_tiles + buffer * TILE * D * 2, query_rows, tile);
        fetch<TILE>(gradient_tiles + buffer * TILE * D * 2, gradient_rows, tile);
        if (threadIdx.x < TILE) {
            const int at = tile + threadIdx.x;
            sum_tiles[buffer][threadIdx.x] = at < queries ? sums[head + at] : INFINITY_;
            slope_tiles[buffer][threadIdx.x] = at < queries ? slopes[head + at] : 0.0f;
        }
    };
    fetch<KEYS>(key_tile, rows_of({key, key_batch, key_row}, keys), first);
    fetch<KEYS>(value_tile, rows_of({value, value_batch, value_row}, keys), first);
    begin(0, 0);

    float key_sum[D / 8][4] = {}, value_sum[D / 8][4] = {};
    int buffer = 0;
    for (int tile = 0; tile < queries; tile += TILE, buffer ^= 1) {
        // Everybody has done with the other buffer by now, and sees what was fetched into this one.
        wait_for_fetches();
        if (tile + TILE < queries) begin(tile + TILE, buffer ^ 1);
        const u32 query_tile = query_tiles + buffer * TILE * D * 2, gradient_tile = gradient_tiles + buffer * TILE * D * 2;

        float share[TILE / 8][4] = {}, slope[TILE / 8][4] = {};
#pragma unroll
        for (int k = 0; k < D / 16; k++) {
            u32 of_key[4], of_value[4];
            load(of_key, place(key_tile, warp * 16 + lane % 16, k * 2 + lane / 16));
            load(of_value, place(value_tile, warp * 16 + lane % 16, k * 2 + lane / 16));
#pragma unroll
            for (int n = 0; n < TILE / 16; n++) {
                u32 b[4];
                load(b, place(query_tile, n * 16 + lane / 16 * 8 + lane % 8, k * 2 + lane / 8 % 2));
                multiply(share[2 * n], of_key, b);
                multiply(share[2 * n + 1], of_key, b + 2);
                load(b, place(gradient_tile, n * 16 + lane / 16 * 8 + lane % 8, k * 2 + lane / 8 % 2));
                multiply(slope[2 * n], of_value, b);
                multiply(slope[2 * n + 1], of_value, b + 2);
            }
        }
#pragma unroll
        for (int n = 0; n < TILE / 8; n++)
#pragma unroll
            for (int e = 0; e < 4; e++) {
                const int column = n * 8 + lane % 4 * 2 + e % 2;
                share[n][e] = power_of_two(fmaf(share[n][e], power_scale, -sum_tiles[buffer][column]));
                slope[n][e] = share[n][e] * (slope[n][e] - slope_tiles[buffer][column]);
            }
#pragma unroll
        for (int k = 0; k < TILE / 16; k++) {
            u32 shares[4], slopes_of_scores[4];
            as_left(shares, share[2 * k], share[2 * k + 1]);
            as_left(slopes_of_scores, slope[2 * k], slope[2 * k + 1]);
#pragma unroll
            for (int n = 0; n < D / 16; n++) {
                u32 b[4];
                load_transposed(b, place(gradient_tile, k * 16 + lane % 16, n * 2 + lane / 16));
                multiply(value_sum[2 * n], shares, b);
                multiply(value_sum[2 * n + 1], shares, b + 2);
                load_transposed(b, place(query_tile, k * 16 + lane % 16, n * 2 + lane / 16));
                multiply(key_sum[2 * n], slopes_of_scores, b);
                multiply(key_sum[2 * n + 1], slopes_of_scores, b + 2);
            }
        }
    }
#pragma unroll
    for (int half = 0; half < 2; half++) {
        const int row = first + warp * 16 + half * 8 + lane / 4;
        if (row >= keys) continue;
        const long long to = ((long long)blockIdx.z * keys + row) * gridDim.y * D + blockIdx.y * D + lane % 4 * 2;
#pragma unroll
        for (int n = 0; n < D / 8; n++) {
            *(u32 *)(of_keys + to + n * 8) = pack(key_sum[n][2 * half] * scale, key_sum[n][2 * half + 1] * scale);
            *(u32 *)(of_values + to + n * 8) = pack(value_sum[n][2 * half], value_sum[n][2 * half + 1]);
        }
    }
}

// Gradients of queries. A block has 128 queries, a warp 32 of them; keys and values come by tiles.
extern "C" __global__ void __launch_bounds__(THREADS)
gradients_of_queries(const bf16 *query, long long query_batch, long long query_row, const bf16 *key, long long key_batch,
                     long long key_row, const bf16 *value, long long value_batch, long long value_row, const bf16 *gradient,
                     long long gradient_batch, long long gradient_row, const float *sums, const float *slopes, bf16 *of_queries,
                     int queries, int keys, float scale, float power_scale) {
    constexpr int QUERIES = 128, TILE = 32;
    extern __shared__ __align__(128) unsigned char memory[];
    const u32 query_tile = (u32)__cvta_generic_to_shared(memory), gradient_tile = query_tile + QUERIES * D * 2;
    const u32 key_tiles = gradient_tile + QUERIES * D * 2, value_tiles = key_tiles + 2 * TILE * D * 2;
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, first = blockIdx.x * QUERIES;
    const Rows key_rows = rows_of({key, key_batch, key_row}, keys), value_rows = rows_of({value, value_batch, value_row}, keys);
    const long long head = ((long long)blockIdx.z * gridDim.y + blockIdx.y) * queries;

    const auto begin = [&](int tile, int buffer) {
        fetch<TILE>(key_tiles + buffer * TILE * D * 2, key_rows, tile);
        fetch<TILE>(value_tiles + buffer * TILE * D * 2, value_rows, tile);
    };
    fetch<QUERIES>(query_tile, rows_of({query, query_batch, query_row}, queries), first);
    fetch<QUERIES>(gradient_tile, rows_of({gradient, gradient_batch, gradient_row}, queries), first);
    begin(0, 0);

    float row_sum[2][2], row_slope[2][2];
#pragma unroll
    for (int m = 0; m < 2; m++)
#pragma unroll
        for (int half = 0; half < 2; half++) {
            const int row = first + warp * 32 + m * 16 + half * 8 + lane / 4;
            row_sum[m][half] = row < queries ? sums[head + row] : INFINITY_;
            row_slope[m][half] = row < queries ? slopes[head + row] : 0.0f;
        }

    float sum[2][D / 8][4] = {};
    int buffer = 0;
    for (int tile = 0; tile < keys; tile += TILE, buffer ^= 1) {
        wait_for_fetches();
        if (tile + TILE < keys) begin(tile + TILE, buffer ^ 1);
        const u32 key_tile = key_tiles + buffer * TILE * D * 2, value_tile = value_tiles + buffer * TILE * D * 2;

        float share[2][TILE / 8][4] = {}, slope[2][TILE / 8][4] = {};
#pragma unroll
        for (int k = 0; k < D / 16; k++) {
            u32 of_query[2][4], of_gradient[2][4];
#pragma unroll
            for (int m = 0; m < 2; m++) {
                load(of_query[m], place(query_tile, warp * 32 + m * 16 + lane % 16, k * 2 + lane / 16));
                load(of_gradient[m], place(gradient_tile, warp * 32 + m * 16 + lane % 16, k * 2 + lane / 16));
            }
#pragma unroll
            for (int n = 0; n < TILE / 16; n++) {
                u32 b[4];
                load(b, place(key_tile, n * 16 + lane / 16 * 8 + lane % 8, k * 2 + lane / 8 % 2));
#pragma unroll
                for (int m = 0; m < 2; m++) {
                    multiply(share[m][2 * n], of_query[m], b);
                    multiply(share[m][2 * n + 1], of_query[m], b + 2);
                }
                load(b, place(value_tile, n * 16 + lane / 16 * 8 + lane % 8, k * 2 + lane / 8 % 2));
#pragma unroll
                for (int m = 0; m < 2; m++) {
                    multiply(slope[m][2 * n], of_gradient[m], b);
                    multiply(slope[m][2 * n + 1], of_gradient[m], b + 2);
                }
            }
        }
#pragma unroll
        for (int m = 0; m < 2; m++)
#pragma unroll
            for (int n = 0; n < TILE / 8; n++)
#pragma unroll
                for (int e = 0; e < 4; e++) {
                    const bool is_there = tile + n * 8 + lane % 4 * 2 + e % 2 < keys;
                    const float power = is_there ? power_of_two(fmaf(share[m][n][e], power_scale, -row_sum[m][e / 2])) : 0.0f;
                    slope[m][n][e] = power * (slope[m][n][e] - row_slope[m][e / 2]);
                }
#pragma unroll
        for (int k = 0; k < TILE / 16; k++) {
            u32 a[2][4];
#pragma unroll
            for (int m = 0; m < 2; m++) as_left(a[m], slope[m][2 * k], slope[m][2 * k + 1]);
#pragma unroll
            for (int n = 0; n < D / 16; n++) {
                u32 b[4];
                load_transposed(b, place(key_tile, k * 16 + lane % 16, n * 2 + lane / 16));
#pragma unroll
                for (int m = 0; m < 2; m++) {
                    multiply(sum[m][2 * n], a[m], b);
                    multiply(sum[m][2 * n + 1], a[m], b + 2);
                }
            }
        }
    }
#pragma unroll
    for (int m = 0; m < 2; m++)
#pragma unroll
        for (int half = 0; half < 2; half++) {
            const int row = first + warp * 32 + m * 16 + half * 8 + lane / 4;
            if (row >= queries) continue;
            bf16 *to = of_queries + ((long long)blockIdx.z * queries + row) * gridDim.y * D + blockIdx.y * D + lane % 4 * 2;
#pragma unroll
            for (int n = 0; n < D / 8; n++)
                *(u32 *)(to + n * 8) = pack(sum[m][n][2 * half] * scale, sum[m][n][2 * half + 1] * scale);
        }
}
