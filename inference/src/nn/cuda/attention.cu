// Scaled dot-product attention of bf16 numbers, a block of queries against one tile of keys and values after the other, so that
// scores are never written to memory (Dao, "FlashAttention-2", 2023).
//
// Every number of a tile is fetched by the copy engine of the multiprocessor while the tile before it is multiplied. A warp has 32
// queries.

constexpr int QUERIES = 128;
constexpr int KEYS = 64;

// Grid: blocks of queries, heads, entries of the batch. Strides are in numbers; `scale` is that of the scores times log2(e). `sums`
// `[batch, heads, queries]` are the logarithms to base 2 of the sums that the powers of the scores were divided by, or null.
extern "C" __global__ void __launch_bounds__(THREADS, 2)
attention(const bf16 *query, long long query_batch, long long query_row, const bf16 *key, long long key_batch, long long key_row,
          const bf16 *value, long long value_batch, long long value_row, bf16 *output, long long output_batch, long long output_row,
          float *sums, int queries, int keys, float scale) {
    extern __shared__ __align__(128) unsigned char memory[];
    const u32 query_tile = (u32)__cvta_generic_to_shared(memory);
    const u32 key_tile = query_tile + QUERIES * D * 2;
    const u32 value_tile = key_tile + KEYS * D * 2;
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const int first = blockIdx.x * QUERIES;
    const long long head = (long long)blockIdx.y * D, entry = blockIdx.z;
    const Rows query_rows = {query + entry * query_batch + head, query_row, queries};
    const Rows key_rows = {key + entry * key_batch + head, key_row, keys};
    const Rows value_rows = {value + entry * value_batch + head, value_row, keys};

    fetch<QUERIES>(query_tile, query_rows, first);
    fetch<KEYS>(key_tile, key_rows, 0);

    float sum[2][D / 8][4] = {};
    float largest[2][2] = {{-INFINITY_, -INFINITY_}, {-INFINITY_, -INFINITY_}}, total[2][2] = {};
    for (int tile = 0; tile < keys; tile += KEYS) {
        wait_for_fetches();
        fetch<KEYS>(value_tile, value_rows, tile);

        float score[2][KEYS / 8][4] = {};
#pragma unroll
        for (int k = 0; k < D / 16; k++) {
            u32 a[2][4];
#pragma unroll
            for (int m = 0; m < 2; m++) load(a[m], place(query_tile, warp * 32 + m * 16 + lane % 16, k * 2 + lane / 16));
#pragma unroll
            for (int n = 0; n < KEYS / 16; n++) {
                u32 b[4];
                load(b, place(key_tile, n * 16 + lane / 16 * 8 + lane % 8, k * 2 + lane / 8 % 2));
#pragma unroll
                for (int m = 0; m < 2; m++) {
                    multiply(score[m][2 * n], a[m], b);
                    multiply(score[m][2 * n + 1], a[m], b + 2);
                }
            }
        }
        wait_for_fetches();
        if (tile + KEYS < keys) fetch<KEYS>(key_tile, key_rows, tile + KEYS);

        if (tile + KEYS > keys) {
#pragma unroll
            for (int m = 0; m < 2; m++)
#pragma unroll
                for (int n = 0; n < KEYS / 8; n++)
#pragma unroll
                    for (int e = 0; e < 4; e++)
                        if (tile + n * 8 + lane % 4 * 2 + e % 2 >= keys) score[m][n][e] = -INFINITY_;
        }
#pragma unroll
        for (int m = 0; m < 2; m++)
#pragma unroll
            for (int half = 0; half < 2; half++) {
                float now = largest[m][half];
#pragma unroll
                for (int n = 0; n < KEYS / 8; n++) now = fmaxf(now, fmaxf(score[m][n][2 * half], score[m][n][2 * half + 1]));
                now = largest_of_row(now);
                const float kept = power_of_two((largest[m][half] - now) * scale), shift = now * scale;
                largest[m][half] = now;
                float added = 0;
#pragma unroll
                for (int n = 0; n < KEYS / 8; n++)
#pragma unroll
                    for (int e = 2 * half; e < 2 * half + 2; e++) {
                        score[m][n][e] = power_of_two(fmaf(score[m][n][e], scale, -shift));
                        added += score[m][n][e];
                    }
                total[m][half] = total[m][half] * kept + added;
#pragma unroll
                for (int n = 0; n < D / 8; n++) {
                    sum[m][n][2 * half] *= kept;
                    sum[m][n][2 * half + 1] *= kept;
                }
            }
#pragma unroll
        for (int k = 0; k < KEYS / 16; k++) {
            u32 a[2][4];
#pragma unroll
            for (int m = 0; m < 2; m++) {
                const float *left = score[m][2 * k], *right = score[m][2 * k + 1];
                a[m][0] = pack(left[0], left[1]);
                a[m][1] = pack(left[2], left[3]);
                a[m][2] = pack(right[0], right[1]);
                a[m][3] = pack(right[2], right[3]);
            }
#pragma unroll
            for (int n = 0; n < D / 16; n++) {
                u32 b[4];
                load_transposed(b, place(value_tile, k * 16 + lane % 16, n * 2 + lane / 16));
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
            const float all = sum_of_row(total[m][half]), share = 1.0f / all;
            const int row = first + warp * 32 + m * 16 + half * 8 + lane / 4;
            if (row >= queries) continue;
            if (sums && lane % 4 == 0) sums[(entry * gridDim.y + blockIdx.y) * queries + row] = largest[m][half] * scale + log2f(all);
            bf16 *to = output + entry * output_batch + row * output_row + head + lane % 4 * 2;
#pragma unroll
            for (int n = 0; n < D / 8; n++)
                *(u32 *)(to + n * 8) = pack(sum[m][n][2 * half] * share, sum[m][n][2 * half + 1] * share);
        }
}
