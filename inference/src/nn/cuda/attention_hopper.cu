// Scaled dot-product attention of bf16 numbers on cards of compute capability 9.0, whose tensor cores read the block's memory themselves
// (Shah et al., "FlashAttention-3", 2024): scores of the next keys are begun before the powers of the last are used, and the values'
// products run while the powers of the next scores are computed.
//
// A block has two groups of four warps; a group has 64 queries. Tiles lie in columns of 64 numbers, whose rows of 128 bytes are mixed
// as the tensor cores want them.

typedef unsigned long long u64;
typedef long long i64;

constexpr int QUERIES = 128;
constexpr int KEYS = 128;
constexpr int THREADS = 256;
// Columns of a tile, and bytes of one.
constexpr int COLUMNS = D / 64;
constexpr int COLUMN = 128 * 128;
constexpr int TILE = COLUMNS * COLUMN;

// Begins to fetch 128 rows from `from` on; rows that are not there become zeros.
__device__ __forceinline__ void fetch(u32 tile, Rows rows, int from) {
    constexpr int PIECES = D / 8;
#pragma unroll
    for (int index = threadIdx.x; index < 128 * PIECES; index += THREADS) {
        const int row = index / PIECES, piece = index % PIECES;
        const bool there = from + row < rows.count;
        const bf16 *source = rows.first + (i64)(there ? from + row : 0) * rows.stride + piece * 8;
        const u32 to = tile + piece / 8 * COLUMN + row * 128 + ((piece % 8) ^ (row & 7)) * 16;
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(source), "r"(there ? 16 : 0));
    }
    asm volatile("cp.async.commit_group;");
}

// Waits until all but the last fetches are there for the tensor cores of the block.
template <int LEFT> __device__ __forceinline__ void wait_for_fetches() {
    asm volatile("cp.async.wait_group %0;" ::"n"(LEFT) : "memory");
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
    __syncthreads();
}

// Where the tensor cores find rows from an address on: rows of 128 bytes, eight of them a group of 1024 bytes; `columns` is the distance
// between columns where the rows are those of the right side's sums.
__device__ __forceinline__ u64 place(u32 address, u32 columns = 16) {
    return (u64)((address & 0x3ffff) >> 4) | (u64)(columns >> 4) << 16 | (u64)(1024 >> 4) << 32 | 1ull << 62;
}

__device__ __forceinline__ void begin_products() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ __forceinline__ void commit_products() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int LEFT> __device__ __forceinline__ void wait_for_products() { asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(LEFT) : "memory"); }

// sum[64, 128] (+)= a[64, 16] · b[128, 16]ᵀ, both in the block's memory, with rows that lie whole.
__device__ __forceinline__ void multiply_shared(float (&sum)[64], u64 a, u64 b, int is_added) {
    asm volatile("{.reg .pred added; setp.ne.b32 added, %66, 0;\n"
                 "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63}, %64, %65, added, 1, 1, 0, 0;}"
                 : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3]), "+f"(sum[4]), "+f"(sum[5]), "+f"(sum[6]), "+f"(sum[7]), "+f"(sum[8]), "+f"(sum[9]), "+f"(sum[10]), "+f"(sum[11]), "+f"(sum[12]), "+f"(sum[13]), "+f"(sum[14]), "+f"(sum[15]), "+f"(sum[16]), "+f"(sum[17]), "+f"(sum[18]), "+f"(sum[19]), "+f"(sum[20]), "+f"(sum[21]), "+f"(sum[22]), "+f"(sum[23]), "+f"(sum[24]), "+f"(sum[25]), "+f"(sum[26]), "+f"(sum[27]), "+f"(sum[28]), "+f"(sum[29]), "+f"(sum[30]), "+f"(sum[31]), "+f"(sum[32]), "+f"(sum[33]), "+f"(sum[34]), "+f"(sum[35]), "+f"(sum[36]), "+f"(sum[37]), "+f"(sum[38]), "+f"(sum[39]), "+f"(sum[40]), "+f"(sum[41]), "+f"(sum[42]), "+f"(sum[43]), "+f"(sum[44]), "+f"(sum[45]), "+f"(sum[46]), "+f"(sum[47]), "+f"(sum[48]), "+f"(sum[49]), "+f"(sum[50]), "+f"(sum[51]), "+f"(sum[52]), "+f"(sum[53]), "+f"(sum[54]), "+f"(sum[55]), "+f"(sum[56]), "+f"(sum[57]), "+f"(sum[58]), "+f"(sum[59]), "+f"(sum[60]), "+f"(sum[61]), "+f"(sum[62]), "+f"(sum[63]) : "l"(a), "l"(b), "r"(is_added));
}
// sum[64, 128] += a[64, 16] · b[16, 128], the left side in registers, the right in the block's memory, with rows that lie whole.
__device__ __forceinline__ void multiply_values(float (&sum)[64], const u32 *a, u64 b) {
    asm volatile("{.reg .pred added; setp.ne.b32 added, 1, 0;\n"
                 "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63}, {%64, %65, %66, %67}, %68, added, 1, 1, 1;}"
                 : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3]), "+f"(sum[4]), "+f"(sum[5]), "+f"(sum[6]), "+f"(sum[7]), "+f"(sum[8]), "+f"(sum[9]), "+f"(sum[10]), "+f"(sum[11]), "+f"(sum[12]), "+f"(sum[13]), "+f"(sum[14]), "+f"(sum[15]), "+f"(sum[16]), "+f"(sum[17]), "+f"(sum[18]), "+f"(sum[19]), "+f"(sum[20]), "+f"(sum[21]), "+f"(sum[22]), "+f"(sum[23]), "+f"(sum[24]), "+f"(sum[25]), "+f"(sum[26]), "+f"(sum[27]), "+f"(sum[28]), "+f"(sum[29]), "+f"(sum[30]), "+f"(sum[31]), "+f"(sum[32]), "+f"(sum[33]), "+f"(sum[34]), "+f"(sum[35]), "+f"(sum[36]), "+f"(sum[37]), "+f"(sum[38]), "+f"(sum[39]), "+f"(sum[40]), "+f"(sum[41]), "+f"(sum[42]), "+f"(sum[43]), "+f"(sum[44]), "+f"(sum[45]), "+f"(sum[46]), "+f"(sum[47]), "+f"(sum[48]), "+f"(sum[49]), "+f"(sum[50]), "+f"(sum[51]), "+f"(sum[52]), "+f"(sum[53]), "+f"(sum[54]), "+f"(sum[55]), "+f"(sum[56]), "+f"(sum[57]), "+f"(sum[58]), "+f"(sum[59]), "+f"(sum[60]), "+f"(sum[61]), "+f"(sum[62]), "+f"(sum[63]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}
// sum[64, 64] += a[64, 16] · b[16, 64], the left side in registers, the right in the block's memory, with rows that lie whole.
__device__ __forceinline__ void multiply_values(float (&sum)[32], const u32 *a, u64 b) {
    asm volatile("{.reg .pred added; setp.ne.b32 added, 1, 0;\n"
                 "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31}, {%32, %33, %34, %35}, %36, added, 1, 1, 1;}"
                 : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3]), "+f"(sum[4]), "+f"(sum[5]), "+f"(sum[6]), "+f"(sum[7]), "+f"(sum[8]), "+f"(sum[9]), "+f"(sum[10]), "+f"(sum[11]), "+f"(sum[12]), "+f"(sum[13]), "+f"(sum[14]), "+f"(sum[15]), "+f"(sum[16]), "+f"(sum[17]), "+f"(sum[18]), "+f"(sum[19]), "+f"(sum[20]), "+f"(sum[21]), "+f"(sum[22]), "+f"(sum[23]), "+f"(sum[24]), "+f"(sum[25]), "+f"(sum[26]), "+f"(sum[27]), "+f"(sum[28]), "+f"(sum[29]), "+f"(sum[30]), "+f"(sum[31]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}

// Nothing that is computed with these numbers is moved to before what stands here.
template <int COUNT> __device__ __forceinline__ void hold(float (&numbers)[COUNT]) {
#pragma unroll
    for (int at = 0; at < COUNT; at++) asm volatile("" : "+f"(numbers[at])::"memory");
}

template <int COUNT> __device__ __forceinline__ void hold(u32 (&numbers)[COUNT]) {
#pragma unroll
    for (int at = 0; at < COUNT; at++) asm volatile("" : "+r"(numbers[at])::"memory");
}

// Begins the scores of 64 queries and 128 keys.
__device__ __forceinline__ void begin_scores(float (&score)[KEYS / 2], u32 query, u32 key) {
    begin_products();
#pragma unroll
    for (int k = 0; k < D / 16; k++) {
        const u32 at = k / 4 * COLUMN + k % 4 * 32;
        multiply_shared(score, place(query + at), place(key + at), k > 0);
    }
    commit_products();
}

// Begins to add values, each times its share.
__device__ __forceinline__ void begin_values(float (&sum)[D / 2], const u32 (&share)[KEYS / 4], u32 value) {
    begin_products();
#pragma unroll
    for (int k = 0; k < KEYS / 16; k++) multiply_values(sum, share + 4 * k, place(value + k * 16 * 128, COLUMN));
    commit_products();
}

// The largest scores and the sums of their powers, of the two rows of a thread.
struct Shares {
    float largest[2], total[2];
};

// Scores become powers; the answer is what sums so far are multiplied by.
__device__ __forceinline__ float2 take_powers(float (&score)[KEYS / 2], Shares &shares, float scale, int left) {
    const int lane = threadIdx.x % 4;
    if (left < KEYS) {
#pragma unroll
        for (int at = 0; at < KEYS / 2; at++)
            if (at / 4 * 8 + lane * 2 + at % 2 >= left) score[at] = -INFINITY_;
    }
    float kept[2];
#pragma unroll
    for (int half = 0; half < 2; half++) {
        float now = shares.largest[half];
#pragma unroll
        for (int n = 0; n < KEYS / 8; n++) now = fmaxf(now, fmaxf(score[4 * n + 2 * half], score[4 * n + 2 * half + 1]));
        now = largest_of_row(now);
        kept[half] = power_of_two((shares.largest[half] - now) * scale);
        const float shift = now * scale;
        shares.largest[half] = now;
        float added = 0;
#pragma unroll
        for (int n = 0; n < KEYS / 8; n++)
#pragma unroll
            for (int e = 2 * half; e < 2 * half + 2; e++) {
                score[4 * n + e] = power_of_two(fmaf(score[4 * n + e], scale, -shift));
                added += score[4 * n + e];
            }
        shares.total[half] = shares.total[half] * kept[half] + added;
    }
    return make_float2(kept[0], kept[1]);
}

__device__ __forceinline__ void pack_all(u32 (&share)[KEYS / 4], const float (&score)[KEYS / 2]) {
#pragma unroll
    for (int at = 0; at < KEYS / 4; at++) share[at] = pack(score[2 * at], score[2 * at + 1]);
}

// Grid: blocks of queries, heads, entries of the batch. Strides are in numbers; `scale` is that of the scores times log2(e). `sums`
// `[batch, heads, queries]` are the logarithms to base 2 of the sums that the powers of the scores were divided by, or null.
extern "C" __global__ void __launch_bounds__(THREADS, 1)
attention(const bf16 *query, i64 query_batch, i64 query_row, const bf16 *key, i64 key_batch, i64 key_row, const bf16 *value,
          i64 value_batch, i64 value_row, bf16 *output, i64 output_batch, i64 output_row, float *sums, int queries, int keys, float scale) {
    extern __shared__ unsigned char memory[];
    const u32 tiles = ((u32)__cvta_generic_to_shared(memory) + 1023) & ~1023u;
    const u32 key_tiles = tiles + TILE, value_tiles = key_tiles + 2 * TILE;
    const int group = threadIdx.x / 128, warp = threadIdx.x / 32 % 4, lane = threadIdx.x % 32;
    const int first = blockIdx.x * QUERIES;
    const i64 head = (i64)blockIdx.y * D, entry = blockIdx.z;
    const Rows query_rows = {query + entry * query_batch + head, query_row, queries};
    const Rows key_rows = {key + entry * key_batch + head, key_row, keys};
    const Rows value_rows = {value + entry * value_batch + head, value_row, keys};
    const int count = (keys + KEYS - 1) / KEYS;

    fetch(tiles, query_rows, first);
    fetch(key_tiles, key_rows, 0);
    wait_for_fetches<0>();
    if (count > 1) fetch(key_tiles + TILE, key_rows, KEYS);
    fetch(value_tiles, value_rows, 0);

    const u32 own = tiles + group * 64 * 128;
    float score[KEYS / 2], sum[D / 2] = {};
    u32 share[KEYS / 4];
    Shares shares = {{-INFINITY_, -INFINITY_}, {0, 0}};
    begin_scores(score, own, key_tiles);
    wait_for_products<0>();
    hold(score);
    take_powers(score, shares, scale, keys);
    pack_all(share, score);
    for (int tile = 1; tile < count; tile++) {
        wait_for_fetches<0>();
        if (tile + 1 < count) fetch(key_tiles + (tile + 1) % 2 * TILE, key_rows, (tile + 1) * KEYS);
        fetch(value_tiles + tile % 2 * TILE, value_rows, tile * KEYS);
        begin_scores(score, own, key_tiles + tile % 2 * TILE);
        begin_values(sum, share, value_tiles + (tile + 1) % 2 * TILE);
        wait_for_products<1>();
        hold(score);
        const float2 kept = take_powers(score, shares, scale, keys - tile * KEYS);
        wait_for_products<0>();
        hold(sum);
        hold(share);
#pragma unroll
        for (int at = 0; at < D / 2; at++) sum[at] *= at % 4 < 2 ? kept.x : kept.y;
        pack_all(share, score);
    }
    wait_for_fetches<0>();
    begin_values(sum, share, value_tiles + (count + 1) % 2 * TILE);
    wait_for_products<0>();
    hold(sum);
#pragma unroll
    for (int half = 0; half < 2; half++) {
        const float all = sum_of_row(shares.total[half]), part = 1.0f / all;
        const int row = first + group * 64 + warp * 16 + half * 8 + lane / 4;
        if (row >= queries) continue;
        if (sums && lane % 4 == 0) sums[(entry * gridDim.y + blockIdx.y) * queries + row] = shares.largest[half] * scale + log2f(all);
        bf16 *to = output + entry * output_batch + row * output_row + head + lane % 4 * 2;
#pragma unroll
        for (int n = 0; n < D / 8; n++) *(u32 *)(to + n * 8) = pack(sum[4 * n + 2 * half] * part, sum[4 * n + 2 * half + 1] * part);
    }
}
