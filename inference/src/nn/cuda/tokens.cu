// Streams of bf16 numbers, `[batch, tokens, width]`, that are moved and not computed with.

// Copies rows. Grid: tokens, entries of the batch.
extern "C" __global__ void copied(const bf16 *input, i64 batch, i64 row, bf16 *output, i64 to_batch, i64 to_row, int width) {
    const bf16 *from = row_of({input, batch, row}, blockIdx.y, blockIdx.x);
    bf16 *to = output + blockIdx.y * to_batch + blockIdx.x * to_row;
    for (int at = threadIdx.x * 8; at < width; at += blockDim.x * 8) *(Packed *)(to + at) = *(const Packed *)(from + at);
}

// Every head of `head` numbers stands `times` times in the output, which lies without gaps. Grid: tokens, entries of the batch.
extern "C" __global__ void repeated_heads(const bf16 *input, i64 batch, i64 row, bf16 *output, int width, int head, int times) {
    const bf16 *from = row_of({input, batch, row}, blockIdx.y, blockIdx.x);
    bf16 *to = output + ((i64)blockIdx.y * gridDim.x + blockIdx.x) * width;
    for (int at = threadIdx.x * 8; at < width; at += blockDim.x * 8)
        *(Packed *)(to + at) = *(const Packed *)(from + at / head / times * head + at % head);
}
