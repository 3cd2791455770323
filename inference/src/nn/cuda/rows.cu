// Normalisations, rotations and gates of bf16 numbers: each reads its numbers from memory once and writes them once.

// Grid: tokens, entries of the batch. Scale and shift have a row an entry, or one for all (a distance of 0).
extern "C" __global__ void layer_norm(const bf16 *input, i64 batch, i64 row, const bf16 *scales, i64 scale_batch, const bf16 *shifts,
                                      i64 shift_batch, bf16 *output, int width, float epsilon) {
    const bf16 *from = row_of({input, batch, row}, blockIdx.y, blockIdx.x);
    const float2 statistics = mean_and_squares(from, width);
    const float mean = statistics.x, factor = rsqrtf(statistics.y / width + epsilon);
    bf16 *to = output + ((i64)blockIdx.y * gridDim.x + blockIdx.x) * width;
    for (int at = threadIdx.x * 8; at < width; at += blockDim.x * 8) {
        Eight numbers = load(from + at);
        Eight scale = load(scales + blockIdx.y * scale_batch + at), shift = load(shifts + blockIdx.y * shift_batch + at);
#pragma unroll
        for (int index = 0; index < 8; index++)
            numbers.of[index] = (numbers.of[index] - mean) * factor * scale.of[index] + shift.of[index];
        store(to + at, numbers);
    }
}

// Every head of `[batch, tokens, heads · width]`, a warp each; the output lies without gaps.
extern "C" __global__ void rms_norm(const bf16 *input, i64 batch, i64 distance, const bf16 *weights, bf16 *output, int tokens, int heads,
                                    int rows, int width, float epsilon) {
    const int row = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32, lane = threadIdx.x % 32;
    if (row >= rows) return;
    const int token = row / heads;
    const bf16 *from = row_of({input, batch, distance}, token / tokens, token % tokens) + row % heads * width;
    float squares = 0;
    for (int at = lane * 8; at < width; at += 256) {
        Eight numbers = load(from + at);
#pragma unroll
        for (float number : numbers.of) squares += number * number;
    }
    const float factor = rsqrtf(sum_of_warp(squares) / width + epsilon);
    for (int at = lane * 8; at < width; at += 256) {
        Eight numbers = load(from + at), weight = load(weights + at);
#pragma unroll
        for (int index = 0; index < 8; index++) numbers.of[index] *= factor * weight.of[index];
        store(output + (i64)row * width + at, numbers);
    }
}

// Turns the heads of `[batch, tokens, heads · width]`. Grid: tokens, entries of the batch. Cosines and sines `[tokens, width]` are
// there for both numbers of a pair. `HALVES`: the first half turns with the second, otherwise neighbours turn together.
extern "C" __global__ void turn(const bf16 *input, i64 batch, i64 row, const float *cosines, const float *sines, i64 angle_row,
                                bf16 *output, int features, int width, int halves) {
    const bf16 *from = row_of({input, batch, row}, blockIdx.y, blockIdx.x);
    bf16 *to = output + ((i64)blockIdx.y * gridDim.x + blockIdx.x) * features;
    for (int at = threadIdx.x * 8; at < features; at += blockDim.x * 8) {
        const int place = at % width;
        Eight numbers = load(from + at), partners;
        if (halves) {
            const bool is_first = place < width / 2;
            partners = load(from + at + (is_first ? width / 2 : -width / 2));
#pragma unroll
            for (float &partner : partners.of) partner = is_first ? -partner : partner;
        } else {
#pragma unroll
            for (int pair = 0; pair < 8; pair += 2) {
                partners.of[pair] = -numbers.of[pair + 1];
                partners.of[pair + 1] = numbers.of[pair];
            }
        }
        Eight cosine = load(cosines + blockIdx.x * angle_row + place), sine = load(sines + blockIdx.x * angle_row + place);
#pragma unroll
        for (int index = 0; index < 8; index++)
            numbers.of[index] = numbers.of[index] * cosine.of[index] + partners.of[index] * sine.of[index];
        store(to + at, numbers);
    }
}

__device__ __forceinline__ float gelu(float x) { return 0.5f * x * (1.0f + erff(x * 0.70710678f)); }

// gelu(x), or x · sigmoid(1.702 x). Grid: tokens, entries of the batch.
extern "C" __global__ void activated(const bf16 *input, i64 batch, i64 row, bf16 *output, int width, int is_quick) {
    const bf16 *from = row_of({input, batch, row}, blockIdx.y, blockIdx.x);
    bf16 *to = output + ((i64)blockIdx.y * gridDim.x + blockIdx.x) * width;
    for (int at = threadIdx.x * 8; at < width; at += blockDim.x * 8) {
        Eight numbers = load(from + at);
#pragma unroll
        for (float &x : numbers.of) x = is_quick ? silu(1.702f * x) / 1.702f : gelu(x);
        store(to + at, numbers);
    }
}

// silu(gate) · value, or gelu(gate) · value. Grid: tokens, entries of the batch.
extern "C" __global__ void gated(const bf16 *gates, i64 gate_batch, i64 gate_row, const bf16 *values, i64 value_batch, i64 value_row,
                                 bf16 *output, int width, int is_gelu) {
    const bf16 *gate_row_of = row_of({gates, gate_batch, gate_row}, blockIdx.y, blockIdx.x);
    const bf16 *value_row_of = row_of({values, value_batch, value_row}, blockIdx.y, blockIdx.x);
    bf16 *to = output + ((i64)blockIdx.y * gridDim.x + blockIdx.x) * width;
    for (int at = threadIdx.x * 8; at < width; at += blockDim.x * 8) {
        Eight gate = load(gate_row_of + at), value = load(value_row_of + at);
#pragma unroll
        for (int index = 0; index < 8; index++) {
            const float x = gate.of[index];
            value.of[index] *= is_gelu ? gelu(x) : silu(x);
        }
        store(to + at, value);
    }
}

// stream + gate · branch. Grid: tokens, entries of the batch.
extern "C" __global__ void gated_sum(const bf16 *stream, i64 stream_batch, i64 stream_row, const bf16 *branch, i64 branch_batch,
                                     i64 branch_row, const bf16 *gates, i64 gate_batch, bf16 *output, int width) {
    const bf16 *stream_row_of = row_of({stream, stream_batch, stream_row}, blockIdx.y, blockIdx.x);
    const bf16 *branch_row_of = row_of({branch, branch_batch, branch_row}, blockIdx.y, blockIdx.x);
    bf16 *to = output + ((i64)blockIdx.y * gridDim.x + blockIdx.x) * width;
    for (int at = threadIdx.x * 8; at < width; at += blockDim.x * 8) {
        Eight sum = load(stream_row_of + at), added = load(branch_row_of + at), gate = load(gates + blockIdx.y * gate_batch + at);
#pragma unroll
        for (int index = 0; index < 8; index++) sum.of[index] += gate.of[index] * added.of[index];
        store(to + at, sum);
    }
}

// Mean and sum of squares around it of a piece of a group. Grid: pieces, groups of all entries.
extern "C" __global__ void group_statistics(const bf16 *input, float2 *statistics, i64 count, int piece) {
    const i64 start = (i64)blockIdx.x * piece;
    const int here = (int)min((i64)piece, count - start);
    const bf16 *from = input + blockIdx.y * count + start;
    const float2 of_piece = mean_and_squares(from, here);
    if (threadIdx.x == 0) statistics[blockIdx.y * gridDim.x + blockIdx.x] = of_piece;
}

// Normalises a piece of a group of `[batch, channels, pixels]` with the statistics of all its pieces (Chan et al., 1979). Grid: as
// above.
extern "C" __global__ void group_norm(const bf16 *input, const float2 *statistics, const bf16 *weights, const bf16 *biases, bf16 *output,
                                      i64 count, int piece, int pixels, int groups, float epsilon, int is_activated) {
    const float2 *pieces = statistics + blockIdx.y * gridDim.x;
    float sum = 0;
    for (int other = threadIdx.x; other < gridDim.x; other += blockDim.x) sum += pieces[other].x * min((i64)piece, count - (i64)other * piece);
    const float mean = sum_of_block(sum) / count;
    float squares = 0;
    for (int other = threadIdx.x; other < gridDim.x; other += blockDim.x) {
        const float away = pieces[other].x - mean;
        squares += pieces[other].y + away * away * min((i64)piece, count - (i64)other * piece);
    }
    const float factor = rsqrtf(sum_of_block(squares) / count + epsilon);
    const i64 start = (i64)blockIdx.x * piece;
    const int here = (int)min((i64)piece, count - start);
    const i64 offset = blockIdx.y * count + start;
    const int first_channel = blockIdx.y % groups * (int)(count / pixels);
    for (int at = threadIdx.x * 8; at < here; at += blockDim.x * 8) {
        Eight numbers = load(input + offset + at);
        const int channel = first_channel + (int)((start + at) / pixels);
        const float weight = __uint_as_float((u32)weights[channel] << 16) * factor, bias = __uint_as_float((u32)biases[channel] << 16);
#pragma unroll
        for (float &number : numbers.of) {
            number = (number - mean) * weight + bias;
            if (is_activated) number = silu(number);
        }
        store(output + offset + at, numbers);
    }
}
