// Tiles of bf16 numbers in a block's own memory, and products of them by the tensor cores. `D`, the width of a row, is defined by
// whoever compiles this: 32, 64 or 128. A block has 4 warps.

constexpr int THREADS = 128;
// Pieces of 16 bytes in a row of a tile.
constexpr int PIECES = D / 8;
// Pieces that neighbours in a column are spread over, and rows that lie in as much memory as there are banks: of eight pieces.
constexpr int SPREAD = PIECES < 8 ? PIECES : 8, ROWS_OF_BANKS = 8 / SPREAD;

// Where a piece of a row lies in a tile: neighbours in a column are spread over the banks.
__device__ __forceinline__ u32 place(u32 tile, int row, int piece) {
    return tile + (row * PIECES + (piece ^ (row / ROWS_OF_BANKS & (SPREAD - 1)))) * 16;
}

// Begins to fetch rows `from` to `from + COUNT` into a tile; rows that are not there become zeros.
template <int COUNT> __device__ __forceinline__ void fetch(u32 tile, Rows rows, int from) {
#pragma unroll
    for (int index = threadIdx.x; index < COUNT * PIECES; index += THREADS) {
        int row = index / PIECES, piece = index % PIECES;
        bool there = from + row < rows.count;
        const bf16 *source = rows.first + (long long)(there ? from + row : 0) * rows.stride + piece * 8;
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(place(tile, row, piece)), "l"(source), "r"(there ? 16 : 0));
    }
    asm volatile("cp.async.commit_group;");
}

__device__ __forceinline__ void wait_for_fetches() {
    asm volatile("cp.async.wait_group 0;" ::: "memory");
    __syncthreads();
}

__device__ __forceinline__ void load(u32 *to, u32 from) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3]) : "r"(from));
}

__device__ __forceinline__ void load_transposed(u32 *to, u32 from) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3]) : "r"(from));
}

// sum[16, 8] += a[16, 16] · b[16, 8]
__device__ __forceinline__ void multiply(float *sum, const u32 *a, const u32 *b) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
